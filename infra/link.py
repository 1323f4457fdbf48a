"""Make this checkout importable in the environment that runs this file, with its `weir` command.

Written by hand because an editable install would need a build backend, which the lock would then have to carry.
"""

import sys
import sysconfig
from pathlib import Path

root = Path(__file__).resolve().parent.parent
Path(sysconfig.get_path("purelib"), "weir.pth").write_text(f"{root / 'layers' / 'shared'}\n{root}\n", encoding="utf-8")
command = Path(sysconfig.get_path("scripts"), "weir")
# The first line of a script cannot name a program in a folder with a space: the shell reads the second one, and Python
# takes both for a text.
command.write_text(
    f"""#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
' '''
import sys

from weir.cli import main

sys.exit(main())
""",
    encoding="utf-8",
)
command.chmod(0o755)
