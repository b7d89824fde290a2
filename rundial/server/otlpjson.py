"""OTLP in JSON, by protobuf's own mapping with OTLP's one exception: ids of traces and spans are hex. Pure.

64-bit numbers come as texts or numbers, names in camelCase, unknown ones are passed over.

Source:
    OTLP 1.x, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
from typing import Any, Final

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError

from rundial.server.ingest import decode_request
from rundial.server.jsonrecords import read_json
from rundial.server.pieces import REQUESTS
from rundial.server.problems import invalid
from rundial.server.rows import Decoded, Signal

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})


def decode_otlp_json(signal: Signal, body: bytes) -> Decoded:
    """Decode a JSON request.

    Raises:
        Problem: The body is not an OTLP request of this signal, or larger than is decoded at once.
    """
    values = read_json(body)
    request = REQUESTS[signal]()
    try:
        _mend_ids(values)
        ParseDict(values, request, ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, RecursionError) as error:
        raise invalid(
            f"the body is not an OTLP {signal} request in JSON",
            "send what OTLP/HTTP calls its JSON encoding, or application/x-protobuf",
        ) from error
    return decode_request(signal, request)


def encode_otlp_json(answer: Any) -> bytes:
    """The response in JSON."""
    return MessageToJson(answer, indent=None).encode()


def _mend_ids(values: dict[str, Any]) -> None:
    """Turn hex ids into the base64 that protobuf reads, in place; what is no hex becomes empty.

    A user's own names are values in OTLP's JSON and never keys, so a key says what it is. An id that is
    empty costs its span or its link to one, and not the request.
    """
    waiting: list[Any] = [values]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, dict):
            for key in _IDS & each.keys():
                each[key] = _base64(each[key])
            waiting.extend(value for value in each.values() if isinstance(value, (dict, list)))


def _base64(value: object) -> str:
    try:
        return base64.b64encode(bytes.fromhex(value)).decode() if isinstance(value, str) else ""
    except ValueError:
        return ""
