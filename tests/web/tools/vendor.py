"""`python -m tests.web.tools.vendor`: bring the web UI's libraries from the npm registry, by hand.

Versions are those of `package.json` beside this file. Each package is packed by npm, compared with the digest
in `package-lock.json`, and the files named below are copied as they were published, with their licence.
`vendor.json` says what each file is; a test compares files and digests without a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from rundial.server.webfiles import FOLDER
from tests.web.tools.npm import HERE, npm

VENDOR: Final = FOLDER / "vendor"
LIST: Final = VENDOR / "vendor.json"
# By package, what is taken and what it is called here.
_TAKEN: Final = {
    "preact": {
        "dist/preact.mjs": "preact.mjs",
        "hooks/dist/hooks.mjs": "hooks.mjs",
        "LICENSE": "LICENSE.txt",
    },
    "htm": {"dist/htm.mjs": "htm.mjs", "LICENSE": "LICENSE.txt"},
    "uplot": {
        "dist/uPlot.esm.js": "uPlot.esm.js",
        "dist/uPlot.min.css": "uPlot.min.css",
        "LICENSE": "LICENSE.txt",
    },
}


def refresh() -> None:
    """Fetch all packages and write their files and the list.

    Raises:
        ValueError: A package is not the one that the lock file names.
    """
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    listed = []
    with tempfile.TemporaryDirectory(prefix="rundial-vendor-") as folder:
        for name, files in _TAKEN.items():
            entry = locked[f"node_modules/{name}"]
            packed = json.loads(npm("pack", "--json", f"{name}@{entry['version']}", cwd=Path(folder)))
            archive = Path(folder) / packed[0]["filename"]
            integrity = _sha512(archive)
            if integrity != entry["integrity"]:
                raise ValueError(f"{name} {entry['version']} is {integrity}, not {entry['integrity']}")
            listed.append(
                {
                    "name": name,
                    "version": entry["version"],
                    "license": entry["license"],
                    "integrity": integrity,
                    "files": [_take(archive, source, f"{name}/{own}") for source, own in files.items()],
                }
            )
    LIST.write_text(json.dumps({"packages": listed}, indent=2) + "\n")


def _take(archive: Path, source: str, own: str) -> dict[str, str]:
    with tarfile.open(archive) as packed:
        member = packed.extractfile(f"package/{source}")
        assert member is not None, source
        body = member.read()
    file = VENDOR / own
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    return {"path": own, "source": source, "sha256": hashlib.sha256(body).hexdigest()}


def _sha512(archive: Path) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


if __name__ == "__main__":
    refresh()
