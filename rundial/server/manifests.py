"""What an upload announces, checked: names, aliases, files, references, how long to keep it. Pure.

Paths and names are words for people. The server never opens one; still none that could lead a downloading
program out of its directory is taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rundial.server.anyvalue import canonical
from rundial.server.arguments import Arguments
from rundial.server.blobs.store import MAX_BLOB_BYTES
from rundial.server.problems import Problem, invalid

MAX_FILES: Final = 200_000
MAX_PATH: Final = 1_024
MAX_NAME: Final = 256
MAX_ALIASES: Final = 50
MAX_METADATA_BYTES: Final = 256 * 1024
LATEST: Final = "latest"
KINDS: Final = ("artifact", "media", "evidence")
_STRATEGIES: Final = ("keep_all", "keep_last", "ttl")
_VERSION: Final = re.compile(r"v\d+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DEFAULT_KEEP_LAST: Final = 5


@dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact."""

    path: str
    size_bytes: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Reference:
    """Something that stays where it is; size and sha256 are what its logger says, None when nothing."""

    path: str
    uri: str
    size_bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """How long versions are kept.

    Attributes:
        keep_last: Versions per run and name that stay; None for all.
        ttl_s: Seconds after which this version goes; None for never.
    """

    keep_last: int | None = None
    ttl_s: int | None = None

    def dump(self) -> str:
        """As JSON, for a column."""
        return json.dumps({"keepLast": self.keep_last, "ttlSeconds": self.ttl_s})

    @classmethod
    def load(cls, text: str) -> Policy:
        """Read what `dump` wrote."""
        raw = json.loads(text)
        return cls(raw["keepLast"], raw["ttlSeconds"])


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an upload announces; `digest` stands for the content: all paths with what they hold."""

    name: str
    type: str
    kind: str
    step: int | None
    aliases: tuple[str, ...]
    metadata: str
    policy: Policy
    files: tuple[File, ...]
    references: tuple[Reference, ...]
    digest: str


def digest_of(files: Iterable[tuple[Any, ...]], references: Iterable[tuple[Any, ...]]) -> str:
    """The digest of a manifest; the order of its parts does not matter."""
    parts = {
        "files": sorted([*each] for each in files),
        "references": sorted(([*each] for each in references), key=canonical),
    }
    return hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).hexdigest()


def manifest_of(arguments: Arguments) -> Manifest:
    """Read what a request announces.

    Raises:
        Problem: 400, with the entry that is wrong.
    """
    name = checked_name(arguments.text("name"))
    metadata = canonical(arguments.mapping("metadata"))
    if len(metadata) > MAX_METADATA_BYTES:
        raise invalid(f"metadata is larger than {MAX_METADATA_BYTES:,} bytes", "put it into a file")
    files = tuple(_file(each) for each in arguments.mappings("files", MAX_FILES))
    references = tuple(_reference(each) for each in arguments.mappings("references", MAX_FILES))
    if not files and not references:
        raise invalid("the artifact holds neither a file nor a reference", "name at least one")
    paths = [each.path for each in files] + [each.path for each in references]
    if len(set(paths)) < len(paths):
        raise invalid("two entries have the same path", "each path may be there once")
    return Manifest(
        name=name,
        type=(arguments.optional_text("artifactType") or "artifact")[:MAX_NAME],
        kind=arguments.one_of("kind", KINDS),
        step=arguments.whole("step"),
        aliases=checked_aliases(arguments.texts("aliases")),
        metadata=metadata,
        policy=_policy(arguments.mapping("retentionPolicy")),
        files=files,
        references=references,
        digest=digest_of(
            ((each.path, each.size_bytes, each.sha256) for each in files),
            ((each.path, each.uri, each.size_bytes, each.sha256) for each in references),
        ),
    )


def checked_name(name: str) -> str:
    """A name that references can be made of.

    Raises:
        Problem: 400.
    """
    if len(name) > MAX_NAME or ":" in name or _CONTROL.search(name):
        raise invalid(
            f"the name {name[:80]!r} cannot be kept",
            f"a name has at most {MAX_NAME} characters, and neither ':' nor a control character",
        )
    return name


def checked_aliases(given: Iterable[str]) -> tuple[str, ...]:
    """Aliases of the user's own; `latest` is the server's, and asking for it changes nothing.

    Raises:
        Problem: 400.
    """
    wanted = tuple(dict.fromkeys(alias for alias in given if alias != LATEST))
    for alias in wanted:
        is_word = 0 < len(alias) <= 128 and ":" not in alias and not _CONTROL.search(alias)
        if not is_word or _VERSION.fullmatch(alias):
            raise invalid(
                f"{alias[:80]!r} cannot be an alias",
                "an alias has 1 to 128 characters, holds no ':' and is no version such as v3",
            )
    if len(wanted) > MAX_ALIASES:
        raise invalid(f"there are {len(wanted)} aliases; at most {MAX_ALIASES} are taken at once")
    return wanted


def _file(raw: Mapping[str, Any]) -> File:
    entry = Arguments(dict(raw))
    path = _path(entry)
    size, sha256 = entry.whole("sizeBytes"), entry.text("sha256").lower()
    if size is None or not 0 <= size <= MAX_BLOB_BYTES:
        raise invalid(f"sizeBytes of {path[:200]!r} is not 0 to {MAX_BLOB_BYTES:,}")
    if not _SHA256.fullmatch(sha256):
        raise invalid(f"sha256 of {path[:200]!r} is not 64 hex digits")
    content_type = entry.optional_text("contentType") or ""
    if len(content_type) > 200 or not content_type.isascii() or not content_type.isprintable():
        raise invalid(f"contentType of {path[:200]!r} is none")
    return File(path, size, sha256, content_type)


def _reference(raw: Mapping[str, Any]) -> Reference:
    entry = Arguments(dict(raw))
    path, uri = _path(entry), entry.text("uri")
    sha256 = entry.optional_text("sha256")
    if _CONTROL.search(uri):
        raise invalid(f"the uri of {path[:200]!r} holds a control character")
    if sha256 is not None and not _SHA256.fullmatch(sha256.lower()):
        raise invalid(f"sha256 of {path[:200]!r} is not 64 hex digits")
    return Reference(path, uri, entry.whole("sizeBytes"), sha256 and sha256.lower())


def _path(entry: Arguments) -> str:
    path = entry.text("path")
    parts = path.split("/")
    leads_away = any(part in ("", ".", "..") for part in parts) or "\\" in path
    if len(path) > MAX_PATH or leads_away or _CONTROL.search(path):
        raise invalid(
            f"the path {path[:200]!r} cannot be kept",
            f"paths are relative, with '/', without '.', '..' and '\\', at most {MAX_PATH} characters",
        )
    return path


def _policy(raw: Mapping[str, Any]) -> Policy:
    policy = Arguments(dict(raw))
    strategy = policy.one_of("strategy", _STRATEGIES)
    if strategy == "keep_last":
        keep_last = policy.whole("keepLast")
        return Policy(keep_last=_positive("keepLast", _DEFAULT_KEEP_LAST if keep_last is None else keep_last))
    if strategy == "ttl":
        return Policy(ttl_s=_positive("ttlSeconds", policy.whole("ttlSeconds") or 0))
    return Policy()


def _positive(name: str, value: int) -> int:
    if not 1 <= value <= 2**31:
        raise Problem(400, f"{name} is {value}; it must be at least 1")
    return value
