"""Telling media from numbers in what `run.log` is given, and making them jobs of the artifact worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rundial.api.jobs import cleaned, looked_at, new_token
from rundial.media.values import Figure, Image, Media

MAX_KEY_CHARS = 512
MAX_METADATA_BYTES = 16 * 1024
# Modules whose figures and pictures are taken as they are.
_FIGURES = ("matplotlib.figure", "plotly.graph_objs", "plotly.basedatatypes")
_PICTURES = "PIL."
MAX_DEPTH = 8


def separated(metrics: Any) -> tuple[dict[str, Media], Any]:
    """Return the media of a call by key, and the rest as it was given.

    Nested dictionaries are looked into; their media are named `a/b`, as metrics are.
    """
    # Another mapping may read differently each time, or only once.
    if not isinstance(metrics, dict):
        return {}, metrics
    media: dict[str, Media] = {}
    rest = _separated(metrics, "", media, 0)
    return media, rest if media else metrics


def job_of(key: str, value: Media, *, step: int) -> tuple[dict[str, Any], Any, int]:
    """Return a job, what writes its files (None for a file that is there), and its size in memory.

    Raises:
        ValueError: A file is not there, or the key is no name.
        TypeError: It is not what it should be.
    """
    if not key or len(key) > MAX_KEY_CHARS:
        raise ValueError(f"a key has 1 to {MAX_KEY_CHARS} characters")
    token = new_token()
    job: dict[str, Any] = {
        "token": token,
        "kind": "media",
        "key": key.encode("utf-8", "replace").decode(),
        "type": value.kind,
        "step": step,
        "place": f"{quote(key, safe='/')[:400]}/{step}-{token}-".lstrip("/"),
    }
    if value.caption is not None:
        job["caption"] = value.caption
    if value.metadata is not None:
        metadata = cleaned(value.metadata)
        if len(str(metadata)) > MAX_METADATA_BYTES:
            raise ValueError(f"its metadata is over {MAX_METADATA_BYTES:,} bytes")
        job["metadata"] = metadata
    path = value.path
    if path is not None:
        path, seen = looked_at(path)
        if seen is None:
            raise ValueError(f"{path!r} is a directory, and no picture")
        return {**job, "path": path, "seen": seen}, None, 0
    made = value.snapshot()
    return {**job, "made": True}, made, made.size


def _separated(metrics: Mapping[Any, Any], prefix: str, media: dict[str, Media], depth: int) -> Any:
    rest: dict[Any, Any] = {}
    for key, value in metrics.items():
        found = _as_media(value)
        if found is not None:
            media[f"{prefix}{key}"] = found
        elif isinstance(value, dict) and depth < MAX_DEPTH:
            below = _separated(value, f"{prefix}{key}/", media, depth + 1)
            if below or not value:
                rest[key] = below
        else:
            rest[key] = value
    return rest


def _as_media(value: object) -> Media | None:
    if isinstance(value, Media):
        return value
    for kind in type(value).__mro__[:-1]:
        module = kind.__module__
        if module.startswith(_FIGURES):
            return Figure(value)
        if module.startswith(_PICTURES) and hasattr(value, "save"):
            return Image(value)
    return None
