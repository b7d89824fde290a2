"""What a call says of a file, checked, as the journal keeps it. Pure, but for one `stat`.

The recorder gets a record of at most 64 KiB, so names and metadata are bounded here.
"""

from __future__ import annotations

import itertools
import json
import os
import stat
from collections.abc import Mapping, Sequence

from rundial.signals.attributes import as_body, finite
from rundial.typed import Any

MAX_NAME_CHARS = 256
MAX_ALIASES = 32
MAX_ALIAS_CHARS = 128
MAX_METADATA_BYTES = 32 * 1024
MAX_REFERENCES = 1_000
MAX_JOB_BYTES = 60 * 1024
SCHEMES = ("s3://", "gs://", "https://", "http://", "file://")
STRATEGIES = ("keep_last", "ttl", "keep_all")
# The number that a strategy goes by.
_NUMBERS_OF = {"keepLast": "keep_last", "ttlSeconds": "ttl"}

_NUMBERS = itertools.count(1)
# Tells processes apart that share a spool directory, parent and forked child included.
_SALT: tuple[int, str] = (0, "")


def new_token() -> str:
    """Return a name that no other job has."""
    global _SALT
    pid = os.getpid()
    if _SALT[0] != pid:
        _SALT = (pid, os.urandom(8).hex())
    return f"{next(_NUMBERS):x}-{_SALT[1]}"


def artifact(  # noqa: PLR0913 - the fields of an artifact
    path_or_dir: object,
    *,
    name: object,
    type: object,
    metadata: object,
    aliases: object,
    retention: object,
    references: object,
    step: int | None = None,
) -> dict[str, Any]:
    """Return the job of a file, a directory, or references.

    Raises:
        ValueError: An argument is wrong, or nothing is there.
        TypeError: As above.
    """
    job: dict[str, Any] = {"token": new_token(), "kind": "artifact"}
    listed = _references(references)
    if isinstance(path_or_dir, str) and path_or_dir.startswith(SCHEMES):
        listed = [*listed, {"path": _last_part(path_or_dir), "uri": path_or_dir}]
        path_or_dir = None
    if path_or_dir is not None:
        path, seen = looked_at(path_or_dir)
        job |= {"path": path, "seen": seen}
        name = os.path.basename(path) if name is None else name
    elif not listed:
        raise ValueError("log_artifact needs a path or references; nothing was logged")
    job["name"] = _name(name if name is not None else listed[0]["path"])
    if listed:
        job["references"] = listed
    job |= _given(
        type=_text(type, "type"),
        metadata=_metadata(metadata),
        aliases=_aliases(aliases),
        retention=_retention(retention),
        step=step,
    )
    if (listed or metadata or aliases) and len(json.dumps(job)) > MAX_JOB_BYTES:
        raise ValueError(f"name, metadata and references exceed {MAX_JOB_BYTES:,} bytes; nothing was logged")
    return job


def cleaned(metadata: object) -> Any:
    """Return any value as JSON has it; NaN and infinities become their names."""
    return finite(as_body(metadata))


def looked_at(path_or_dir: object) -> tuple[str, list[int] | None]:
    """Return the absolute path of a file or directory, and a file's size and time as they are now.

    Raises:
        ValueError: There is none.
        TypeError: It is no path.
    """
    if not isinstance(path_or_dir, (str, os.PathLike)):
        raise TypeError(f"path_or_dir must be a path, not a {type(path_or_dir).__name__}; nothing was logged")
    path = os.path.abspath(os.fsdecode(os.fspath(path_or_dir)))
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"artifact path {path!r} cannot be read ({why}); nothing was logged") from error
    if stat.S_ISREG(found.st_mode):
        return path, [found.st_size, found.st_mtime_ns]
    if stat.S_ISDIR(found.st_mode):
        return path, None
    raise ValueError(f"artifact path {path!r} is neither a file nor a directory; nothing was logged")


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_CHARS:
        raise ValueError(f"name must be a text of 1 to {MAX_NAME_CHARS} characters; nothing was logged")
    if name.isascii() and name.isprintable() and ":" not in name:
        return name
    clean = name.encode("utf-8", "backslashreplace").decode("utf-8")
    if ":" in clean or any(ord(char) < 32 for char in clean):
        raise ValueError(f"name {name!r} holds a ':' or a control character; nothing was logged")
    return clean


def _text(value: object, what: str) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= MAX_NAME_CHARS):
        return value or None
    raise ValueError(f"{what} must be a text of at most {MAX_NAME_CHARS} characters; nothing was logged")


def _metadata(metadata: object) -> dict[str, Any] | None:
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise TypeError("metadata must be a mapping; nothing was logged")
    found: dict[str, Any] = cleaned(metadata)
    if len(json.dumps(found)) > MAX_METADATA_BYTES:
        raise ValueError(f"metadata is over {MAX_METADATA_BYTES:,} bytes of JSON; nothing was logged")
    return found or None


def _aliases(aliases: object) -> list[str] | None:
    if aliases is None:
        return None
    if isinstance(aliases, str) or not isinstance(aliases, Sequence) or len(aliases) > MAX_ALIASES:
        raise ValueError(f"aliases must be a list of at most {MAX_ALIASES} texts; nothing was logged")
    return [_alias(each) for each in aliases] or None


def _alias(alias: object) -> str:
    name = _name(alias)
    if len(name) > MAX_ALIAS_CHARS or (name[0] == "v" and name[1:].isdecimal()):
        raise ValueError(
            f"alias {name[:80]!r} is a version or has over {MAX_ALIAS_CHARS} characters; nothing was logged"
        )
    return name


def _retention(policy: object) -> dict[str, Any] | None:
    if policy is None:
        return None
    if not isinstance(policy, Mapping) or policy.get("strategy") not in STRATEGIES:
        raise ValueError(f"retention_policy needs a strategy of {', '.join(STRATEGIES)}; nothing was logged")
    found = dict(policy)
    unknown = set(found) - {"strategy", *_NUMBERS_OF}
    if unknown:
        # A word that nobody reads would let versions go, or stay, that should not.
        known = ", ".join(["strategy", *_NUMBERS_OF])
        raise ValueError(
            f"retention_policy has {sorted(map(str, unknown))}; it takes {known}; nothing was logged"
        )
    for number, strategy in _NUMBERS_OF.items():
        count = found.get(number)
        if count is None and strategy == "ttl" == found["strategy"]:
            raise ValueError(f"retention_policy: ttl needs {number}; nothing was logged")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"retention_policy: {number} must be a whole number from 1; nothing was logged")
    return found


def _references(references: object) -> list[dict[str, Any]]:
    if references is None:
        return []
    if isinstance(references, str):
        references = [references]
    if isinstance(references, Mapping):
        pairs = list(references.items())
    elif isinstance(references, Sequence):
        pairs = [(_last_part(str(uri)), uri) for uri in references]
    else:
        raise TypeError("references must be a list of URIs or a mapping of paths to them; nothing was logged")
    if len(pairs) > MAX_REFERENCES:
        raise ValueError(f"at most {MAX_REFERENCES:,} references at a time; nothing was logged")
    return [{"path": _name(path), "uri": _uri(uri)} for path, uri in pairs]


def _uri(uri: object) -> str:
    text = os.fspath(uri) if isinstance(uri, os.PathLike) else uri
    if isinstance(text, str) and text.startswith("/"):
        from urllib.parse import quote

        return "file://" + quote(text)
    if not isinstance(text, str) or not text.startswith(SCHEMES):
        raise ValueError(f"a reference must begin with {', '.join(SCHEMES)} or /; nothing was logged")
    if "@" in text.split("://", 1)[1].split("/", 1)[0] and text.startswith("http"):
        raise ValueError("a reference must not hold a user name or password; nothing was logged")
    return text


def _last_part(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2].partition("?")[0].replace(":", "_") or "reference"


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
