"""The highest step in a metrics request, found without decoding its points.

Looks for the bytes of the `rundial.step` attribute inside each metric. Pure; a few hundred nanoseconds
a distinct step.

Source:
    opentelemetry-proto 1.x for the field numbers.
"""

from __future__ import annotations

import re

from rundial.signals import semconv
from rundial.signals.wire import BYTES, fields, read_varint

_KEY = semconv.STEP.encode()
# KeyValue.key (1), KeyValue.value (2) of 2 to 11 bytes, AnyValue.int_value (3).
_STEP = re.compile(
    b"\x0a" + bytes((len(_KEY),)) + re.escape(_KEY) + rb"\x12[\x02-\x0b]\x18([\x80-\xff]{0,9}[\x00-\x7f])",
    re.DOTALL,
)
_SYSTEM = b"system/"


def highest_steps(request: bytes) -> tuple[int, int]:
    """Return the highest step of what a program logged, and of the system metrics; -1 where there is none.

    Raises:
        ValueError: The bytes are no request.
    """
    highest = [-1, -1]
    for resource in _messages(request, 0, len(request), 1):
        for scope in _messages(request, *resource, 2):
            for start, end in _messages(request, *scope, 2):
                (name, *_) = _messages(request, start, end, 1)
                found = set(_STEP.findall(request, start, end))
                is_system = request.startswith(_SYSTEM, name[0])
                steps = (read_varint(each, 0)[0] for each in found)
                highest[is_system] = max(highest[is_system], max(steps, default=-1))
    return highest[0], highest[1]


def _messages(data: bytes, start: int, end: int, wanted: int) -> list[tuple[int, int]]:
    return [
        (body, stop)
        for number, wire_type, _, body, stop in fields(data, start, end)
        if number == wanted and wire_type == BYTES
    ]
