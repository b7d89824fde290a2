"""The files of the web UI, read once, and the page that loads them.

Files are served below a digest of all of them, so that a browser keeps them for ever and never mixes those of
two versions. The page itself is asked for anew each time; it names the digest.

Nothing here is a secret: whoever reaches the server may read the page, and learns no more than which version
of Rundial it runs.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

FOLDER: Final = Path(__file__).with_name("web")
ASSETS: Final = "/assets/"
_PAGE: Final = "index.html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
# What modules import by a bare name, and the file that it means.
_BARE: Final = {
    "preact": "vendor/preact/preact.mjs",
    "preact/hooks": "vendor/preact/hooks.mjs",
    "htm": "vendor/htm/htm.mjs",
    "uplot": "vendor/uplot/uPlot.esm.js",
}
# By the pattern of a page's address, the module of its view: it is announced with the page.
_VIEWS: Final = (
    (re.compile(r"^/w/[^/]+/[^/]+/?$"), "views/runs/view.js"),
    (re.compile(r"^/w/[^/]+/[^/]+/runs/"), "views/run/view.js"),
    (re.compile(r"^/w/[^/]+/[^/]+/compare/?$"), "views/compare/view.js"),
)
_IMPORT: Final = re.compile(r"""^\s*(?:import|export)\b[^;'"]*?["']([^"']+)["'];?\s*$""", re.MULTILINE)
_COMPRESSED_FROM_BYTES: Final = 500


@dataclass(frozen=True, slots=True)
class WebFile:
    """One file as it is answered.

    Attributes:
        content_type: Its media type.
        body: Its bytes.
        packed: The same, gzip; None where that saves nothing.
        etag: Names this state of it.
    """

    content_type: str
    body: bytes
    packed: bytes | None
    etag: str


class WebFiles:
    """All files of the web UI.

    Args:
        folder: Where they lie.

    Attributes:
        digest: Of all names and bytes; a part of each file's address.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in _TYPES
        }
        page = found.pop(_PAGE).decode()
        self.digest = _digest(found)
        self._files = {name: _file(name, body) for name, body in found.items()}
        base = f"{ASSETS}{self.digest}/"
        imports = json.dumps({"imports": {name: base + path for name, path in _BARE.items()}})
        page = page.replace("{base}", base).replace("{imports}", imports)
        self._imports = imports

        def announcing(*modules: str) -> WebFile:
            # What the view needs comes at once, not each module after the one that imports it.
            names = dict.fromkeys(name for each in modules for name in _imported(found, each))
            loads = "\n".join(f'<link rel="modulepreload" href="{base}{name}">' for name in names)
            return _file(_PAGE, page.replace("{preloads}", loads).encode())

        self._plain = announcing("main.js")
        self._pages = {view: announcing("main.js", view) for _, view in _VIEWS}

    def policy_with(self, elsewhere: str | None) -> str:
        """The page's content security policy.

        Args:
            elsewhere: Where files are fetched from beside this server; None is nowhere.
        """
        return _policy(self._imports, "" if elsewhere is None else f" {quote(elsewhere, safe=':/%')}")

    def page(self, path: str) -> WebFile:
        """The page that loads the rest, as it is best for an address."""
        return next((self._pages[view] for pattern, view in _VIEWS if pattern.match(path)), self._plain)

    def get(self, digest: str, name: str) -> WebFile | None:
        """A file by its name; None where there is none, or where it is another version's."""
        return self._files.get(name) if digest == self.digest else None

    def names(self) -> Iterable[str]:
        """The names of all files but the page."""
        return self._files.keys()


@cache
def web_files() -> WebFiles:
    """The files that came with this package."""
    return WebFiles()


def _digest(found: Mapping[str, bytes]) -> str:
    sum_of_all = hashlib.sha256()
    for name, body in found.items():
        sum_of_all.update(f"{name}\0{len(body)}\0".encode())
        sum_of_all.update(body)
    return sum_of_all.hexdigest()[:16]


def _file(name: str, body: bytes) -> WebFile:
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= _COMPRESSED_FROM_BYTES else None
    kind = _TYPES[Path(name).suffix]
    return WebFile(kind, body, packed, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _policy(imports: str, elsewhere: str) -> str:
    """What the page may do: scripts and styles of this server alone, and the one import map by its hash.

    Trusted types keep every script of the page from making markup or code of a text.
    """
    import_map = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'sha256-{import_map}'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{elsewhere}",
            f"connect-src 'self'{elsewhere}",
            # Logged pages, in frames of no origin for which this policy holds too.
            "frame-src blob:",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _imported(found: Mapping[str, bytes], first: str) -> list[str]:
    """The modules that one imports, and those that they import, in the order in which they are met."""
    names, waiting = dict.fromkeys([first]), [first]
    while waiting:
        name = waiting.pop(0)
        for wanted in _IMPORT.findall(found[name].decode()):
            path = _BARE.get(wanted) or _beside(name, wanted)
            if path in found and path not in names:
                names[path] = None
                waiting.append(path)
    return list(names)


def _beside(name: str, wanted: str) -> str:
    """What a relative import means: the folder of the importing module, and up from there."""
    parts = name.split("/")[:-1]
    for part in wanted.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
