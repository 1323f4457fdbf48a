"""Make this checkout importable in the environment that runs this file, with its `weir` command.

Written by hand because an editable install would need a build backend, which the lock would then have to carry.
"""

import sys
import sysconfig
from pathlib import Path

root = Path(__file__).resolve().parent.parent
Path(sysconfig.get_path("purelib"), "weir.pth").write_text(f"{root / 'layers' / 'shared'}\n{root}\n", encoding="utf-8")
command = Path(sysconfig.get_path("scripts"), "weir")
command.write_text(
    f"#!{sys.executable}\nimport sys\n\nfrom weir.cli import main\n\nsys.exit(main())\n", encoding="utf-8"
)
command.chmod(0o755)
