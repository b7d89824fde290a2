"""Answers in JSON, also for what JSON has no word for.

A config or a summary may hold NaN and infinities. They are answered as protobuf's own JSON does, as the
texts `NaN`, `Infinity` and `-Infinity`: a bare NaN is read by Python alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite, isnan
from typing import Any, Final

from starlette.responses import JSONResponse

_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Answer(JSONResponse):
    """A JSON answer; non-finite numbers are texts."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return encoded(content)


def encoded(content: Any) -> bytes:
    """A JSON value as the body of an answer."""
    try:
        return _encode(content).encode()
    except ValueError:
        return _encode(worded(content)).encode("utf-8", "replace")


def worded(value: Any) -> Any:
    """Return a plain value with non-finite numbers as texts."""
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: worded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [worded(item) for item in value]
    return value
