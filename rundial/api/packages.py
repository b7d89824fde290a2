"""Which packages a program can import, in which versions, read from the names of their directories.

`name-version.dist-info` says both, so that no metadata file has to be opened: a few milliseconds for
hundreds of packages instead of a few hundred. Bounded, never raises.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

MAX_PACKAGES = 1_000
_INSTALLED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[^-]+)(?:-[^/]*)?\.(?:dist|egg)-info\Z"
)


def installed(path: Iterable[str]) -> dict[str, str]:
    """Return versions by name, sorted; of a name that is found twice, the one that is imported.

    Args:
        path: Directories in the order of import, such as `sys.path`.
    """
    found: dict[str, str] = {}
    for directory in path:
        for entry in _entries(directory):
            match = _INSTALLED.match(entry)
            if match and len(found) < MAX_PACKAGES:
                found.setdefault(re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"][:64])
    return dict(sorted(found.items()))


def _entries(directory: str) -> list[str]:
    try:
        return [entry for entry in os.listdir(directory or ".") if entry.endswith("-info")]
    except OSError:
        # A zip file, or a directory that is not there: both are common in sys.path.
        return []
