"""The manifest row of a piece of media, as it travels by the telemetry path. Pure.

A row is bounded; the bytes go by the artifact pipe, and the two are joined by digest and path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rundial.artifacts.manifest import Manifest

_SIZES = ("width", "height", "rows", "columns")


def media_row(job: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Return the body of a `rundial.media` event.

    Args:
        job: As it was journalled.
        manifest: Its files; the first one is the media itself.
    """
    main = manifest.files[0]
    metadata = {**(job.get("metadata") or {}), **(manifest.facts.get("metadata") or {})}
    body = {
        "media_key": job["key"],
        "media_type": job["type"],
        "step": job["step"],
        "time_unix_nano": job["at"],
        "artifact_name": "media",
        "artifact_path": f"{job['place']}{main.path}",
        "caption": job.get("caption"),
        "sha256": main.sha256,
        "size_bytes": main.size,
        "content_type": main.content_type,
        "metadata": metadata or None,
        **{name: manifest.facts.get(name) for name in _SIZES},
    }
    others = [
        {"artifact_path": f"{job['place']}{each.path}", "sha256": each.sha256, "size_bytes": each.size}
        for each in manifest.files[1:]
    ]
    if others:
        body["files"] = others
    return {name: value for name, value in body.items() if value is not None}
