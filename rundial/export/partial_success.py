"""Read the answer to an OTLP request without importing protobuf.

All three answers (`ExportMetricsServiceResponse`, logs, traces) have one shape on the
wire: field 1 is `partial_success`, a message of field 1 (rejected items, varint) and
field 2 (error message, string). Fields that are not known are stepped over, as protobuf
demands. Pure; any thread.

Source:
    opentelemetry-proto 1.x, `collector/*/v1/*_service.proto`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_JSON_COUNTS = ("rejectedDataPoints", "rejectedLogRecords", "rejectedSpans")


def read_protobuf(body: bytes) -> tuple[int, str]:
    """Read a binary answer.

    Returns:
        Rejected items (never negative) and the server's words; (0, "") for a full accept.

    Raises:
        ValueError: The bytes are no such message.
    """
    rejected, message = 0, ""
    for number, value in _fields(body):
        if number != 1:
            continue
        if not isinstance(value, bytes):
            raise ValueError("field 1 is not a message")
        for inner, content in _fields(value):
            if inner == 1 and isinstance(content, int):
                rejected = content if content < 1 << 63 else 0
            elif inner == 2 and isinstance(content, bytes):
                message = content.decode("utf-8", "replace")
    return rejected, message


def read_json(body: bytes) -> tuple[int, str]:
    """Read a JSON answer; any object with another key than `partialSuccess` is not one.

    Returns:
        Rejected items (never negative) and the server's words; (0, "") for a full accept.

    Raises:
        ValueError: The text is no such message.
    """
    try:
        answer = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(answer, dict) or answer.keys() - {"partialSuccess"}:
        raise ValueError("not an OTLP answer")
    partial: Any = answer.get("partialSuccess") or {}
    if not isinstance(partial, dict):
        raise ValueError("partialSuccess is not an object")
    # 64-bit integers are strings in protobuf's JSON.
    rejected = max((int(partial.get(key) or 0) for key in _JSON_COUNTS), default=0)
    return max(rejected, 0), str(partial.get("errorMessage") or "")


def read_status(body: bytes) -> str:
    """Return the message of a binary `google.rpc.Status`, the body of an OTLP error.

    Raises:
        ValueError: The bytes are no such message.
    """
    for number, value in _fields(body):
        if number == 2 and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
    return ""


def _fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Walk one message: field numbers with a varint's value or the bytes of anything else."""
    position = 0
    while position < len(body):
        key, position = _varint(body, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        if kind == _VARINT:
            value, position = _varint(body, position)
            yield number, value
            continue
        if kind == _LENGTH:
            size, position = _varint(body, position)
        elif kind == _FIXED64:
            size = 8
        elif kind == _FIXED32:
            size = 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + size > len(body):
            raise ValueError("cut short")
        yield number, body[position : position + size]
        position += size


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(body):
            raise ValueError("cut short")
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
    raise ValueError("varint too long")
