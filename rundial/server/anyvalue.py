"""OTLP attribute values as plain Python values and as canonical JSON. Pure.

Canonical means: keys sorted, no spaces, so that equal attributes give equal text and equal digests
whatever order a client or a Collector sent them in.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

# protobuf itself stops at 100 nested messages; a value costs two of them a level.
MAX_DEPTH: Final = 40


def plain(value: AnyValue, *, depth: int = 0) -> object:
    """Turn a value into Python's own types; bytes become base64 text, an empty value None."""
    kind = value.WhichOneof("value")
    if kind is None or depth > MAX_DEPTH:
        return None
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value, depth=depth + 1) for pair in value.kvlist_value.values}
    if kind == "array_value":
        return [plain(each, depth=depth + 1) for each in value.array_value.values]
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode("ascii")
    return getattr(value, kind)  # `kind` is protobuf's own field name, never the client's text


def mapping(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Attributes as a dict; of a repeated key the last one stands."""
    return {pair.key: plain(pair.value) for pair in pairs}


def canonical(value: object) -> str:
    """Render a plain value as JSON text that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(*parts: str) -> bytes:
    """Sixteen bytes that stand for the texts, each length-prefixed so that they cannot run together."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "replace")
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return hashed.digest()
