"""The `weir` command of a checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.pack import ROOT

CLI = "import sys\n\ndef main():\n    print(sys.argv[1:])\n    return 3\n"


def test_the_command_runs_in_a_folder_with_a_space(tmp_path: Path) -> None:
    checkout = tmp_path / "a folder"
    package = checkout / "layers" / "shared" / "weir" / "cli"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(CLI, encoding="utf-8")
    (checkout / "infra").mkdir()
    shutil.copy(ROOT / "infra" / "link.py", checkout / "infra")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    scripts = checkout / ".venv" / "bin"
    subprocess.run([scripts / "python", checkout / "infra" / "link.py"], check=True)

    ran = subprocess.run(
        [scripts / "weir", "one", "two words"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "['one', 'two words']\n", "")
