"""Long attribute values → their beginning, with their true length beside them.

A record has a bound, and a record that exceeds it must lose no more than it has to: each value
that is longer than a cap keeps its beginning, and an attribute `<key>.rundial.original_bytes` (or
`<key>.rundial.original_items` for a sequence) says how much there was. Pure; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rundial.typed import Any

ORIGINAL_BYTES_SUFFIX = ".rundial.original_bytes"
ORIGINAL_ITEMS_SUFFIX = ".rundial.original_items"

# What a single value may keep, tried in this order until the record fits.
CAPS = (49_152, 32_768, 24_576, 16_384, 12_288, 8_192, 6_144, 4_096, 3_072, 2_048, 1_024, 512, 256, 128, 64)

_ITEM_BYTES = 8


def shortened(attributes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the attributes again and again, each time with a smaller bound on a single value."""
    for cap in CAPS:
        yield cut_values(attributes, cap)


def cut_values(attributes: Mapping[str, Any], cap: int) -> dict[str, Any]:
    """Return the attributes with no value longer than `cap` bytes, nested mappings included.

    A value that was cut before keeps the length that was written beside it then.
    """
    out: dict[str, Any] = {}
    for key, value in attributes.items():
        out[key], original_bytes, original_items = _cut(value, cap)
        if original_bytes is not None:
            flag = key + ORIGINAL_BYTES_SUFFIX
            out[flag] = attributes.get(flag, original_bytes)
        if original_items is not None:
            flag = key + ORIGINAL_ITEMS_SUFFIX
            out[flag] = attributes.get(flag, original_items)
    return out


def cut_utf8(data: bytes, limit: int) -> bytes:
    """Return at most `limit` bytes of valid UTF-8, cut between characters."""
    if len(data) <= limit:
        return data
    # 10xxxxxx continues a character, so the cut moves left to the byte that begins one.
    while limit and data[limit] & 0xC0 == 0x80:
        limit -= 1
    return data[:limit]


def _cut(value: Any, cap: int) -> tuple[Any, int | None, int | None]:
    """Return a value within `cap`, and its original bytes and items where it was cut."""
    if isinstance(value, str):
        # No character is shorter than a byte or longer than four, so most need no encoding.
        if len(value) * 4 <= cap:
            return value, None, None
        data = value.encode("utf-8", "replace")
        if len(data) <= cap:
            return value, None, None
        return cut_utf8(data, cap).decode("utf-8"), len(data), None
    if isinstance(value, bytes):
        return (value, None, None) if len(value) <= cap else (value[:cap], len(value), None)
    if isinstance(value, (list, tuple)):
        return _cut_items(value, cap)
    if isinstance(value, Mapping):
        return cut_values(value, cap), None, None
    return value, None, None


def _cut_items(items: list[Any] | tuple[Any, ...], cap: int) -> tuple[list[Any], int | None, int | None]:
    kept: list[Any] = []
    room, original_bytes = cap, 0
    for item in items:
        short, item_bytes, _ = _cut(item, cap)
        room -= _size(short)
        if room < 0 and kept:
            break
        original_bytes += item_bytes or 0
        kept.append(short)
    return kept, original_bytes or None, len(items) if len(kept) < len(items) else None


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return len(value) + _ITEM_BYTES
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value)) + _ITEM_BYTES
    if isinstance(value, Mapping):
        return sum(len(key) + _size(item) for key, item in value.items()) + _ITEM_BYTES
    return _ITEM_BYTES
