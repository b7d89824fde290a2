"""`python -m tests.web.tools.types`: TypeScript's checker over the web UI's modules, as strict as it is.

The modules are JavaScript with types in comments; nothing is compiled and nothing is written.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from rundial.server.webfiles import FOLDER
from tests.web.tools.npm import MODULES, install, node

_TIMEOUT_S: Final = 120
_OPTIONS: Final = {
    "allowJs": True,
    "checkJs": True,
    "noEmit": True,
    "strict": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": [],
    "noImplicitReturns": True,
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "noFallthroughCasesInSwitch": True,
    "noUncheckedIndexedAccess": True,
    "skipLibCheck": True,
}


def check() -> int:
    """Check all modules; return the checker's exit status, what it found being on stdout."""
    install()
    options = {**_OPTIONS, "paths": {"*": [f"{MODULES}/*"]}}
    project = {
        "compilerOptions": options,
        "include": [f"{FOLDER}/**/*.js", f"{FOLDER}/**/*.d.ts"],
        "exclude": [f"{FOLDER}/vendor"],
    }
    with tempfile.TemporaryDirectory(prefix="rundial-types-") as folder:
        file = Path(folder) / "tsconfig.json"
        file.write_text(json.dumps(project))
        command = [str(node()), str(MODULES / "typescript" / "bin" / "tsc"), "--project", str(file)]
        return subprocess.run(command, cwd=FOLDER, timeout=_TIMEOUT_S, check=False).returncode


if __name__ == "__main__":
    sys.exit(check())
