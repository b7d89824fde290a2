"""Long attribute values of spans → a small reference in the span, the whole of it by the artifact pipe.

A span's record has a bound, and what a tool was given or answered may be megabytes. So a text, bytes or a
nested value over 16 KiB is kept whole beside the stream, by its digest, and the span keeps

    <key>                                its first 1,024 bytes
    <key>.rundial.original_bytes         how many there are
    <key>.rundial.evidence.sha256        their digest
    <key>.rundial.evidence.path          where they are in the artifact `evidence`
    <key>.rundial.evidence.content_type  what they are

Metrics never wait for any of it. What finds no room in memory is cut as any long value is, and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from rundial.api.jobs import new_token
from rundial.media.snapshots import Part, Snapshot
from rundial.signals import semconv
from rundial.signals.attributes import MAX_ITEMS, as_bounded, as_json, cut_short
from rundial.signals.preview import ORIGINAL_BYTES_SUFFIX, ORIGINAL_ITEMS_SUFFIX, cut_utf8

MIN_BYTES = 16 * 1024
PREVIEW_BYTES = 1_024
MAX_KEY_CHARS = 90
_NESTED = (Mapping, list, tuple)

Offer = Callable[[Mapping[str, Any], Any, int], bool]


def offloaded(attrs: Mapping[str, object], offer: Offer) -> Mapping[str, object]:
    """Return attributes with a reference in the place of each long value.

    Args:
        attrs: As the user gave them.
        offer: Takes a job; False leaves the value where it is.
    """
    found: dict[str, object] = {}
    for key, value in attrs.items():
        # A key that is cut could be another one's; a value that was cut is not whole.
        is_left = not isinstance(key, str) or len(key) > MAX_KEY_CHARS or _was_cut(key, attrs)
        found.update({key: value} if is_left else _referred(key, value, offer))
    return found


def _was_cut(key: str, attrs: Mapping[str, object]) -> bool:
    return key + ORIGINAL_BYTES_SUFFIX in attrs or key + ORIGINAL_ITEMS_SUFFIX in attrs


def _referred(key: str, value: object, offer: Offer) -> dict[str, object]:
    if isinstance(value, _NESTED):
        # Once: what is too much is told from what was read to find that out.
        body, was_cut = as_bounded(value)
        if was_cut:
            return cut_short(key, value, body)
        content, kind = as_json(body).encode("utf-8", "replace"), "application/json"
    else:
        given, kind = _content_of(value)
        if given is None:
            return {key: value}
        content = given
    if not _is_cut(value, content):
        return {key: value}
    return _kept(key, content, kind, offer) or {key: value}


def is_long(value: object) -> bool:
    """Whether a value may be too long for a span."""
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) * 4 > MIN_BYTES
    return isinstance(value, _NESTED)


def _is_cut(value: object, content: bytes) -> bool:
    """Whether a span would keep less than all of a value."""
    return len(content) > MIN_BYTES or (isinstance(value, (list, tuple)) and len(value) > MAX_ITEMS)


def _content_of(value: object) -> tuple[bytes | None, str]:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value), "application/octet-stream"
    if isinstance(value, str):
        return str.__str__(value).encode("utf-8", "replace"), "text/plain; charset=utf-8"
    return None, ""


def _kept(key: str, content: bytes, kind: str, offer: Offer) -> dict[str, object] | None:
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{sha256}{_suffix(kind)}"
    token = new_token()
    job = {"token": token, "kind": "evidence", "key": key, "place": "evidence/", "made": True}
    made = Snapshot([Part(name, kind, lambda: content, len(content), {})])
    if not offer(job, made, len(content)):
        return None
    preview: object = b"" if "octet" in kind else cut_utf8(content, PREVIEW_BYTES).decode()
    return {
        key: preview or f"{len(content):,} bytes",
        f"{key}{ORIGINAL_BYTES_SUFFIX}": len(content),
        f"{key}{semconv.EVIDENCE_SHA256}": sha256,
        f"{key}{semconv.EVIDENCE_PATH}": f"evidence/{name}",
        f"{key}{semconv.EVIDENCE_CONTENT_TYPE}": kind,
    }


def _suffix(kind: str) -> str:
    return {"application/json": ".json", "application/octet-stream": ".bin"}.get(kind, ".txt")
