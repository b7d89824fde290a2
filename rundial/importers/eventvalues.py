"""What an event of TensorBoard's says: scalars, pictures, histograms, text and hparams.

An event is an `Event` of tensorflow/core/util/event.proto, as torch's writer or TensorFlow's makes it.
Pure: it is read without TensorBoard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rundial.importers import protobuf
from rundial.media.values import Histogram, Image, Media

# `DataType` of tensorflow/core/framework/types.proto.
FLOAT, DOUBLE, STRING = 1, 2, 7
_SESSION_START = "_hparams_/session_start_info"
# What a histogram has at most.
_MAX_RANGES = 512


@dataclass(frozen=True, slots=True)
class Value:
    """One value of one event.

    Attributes:
        tag: Its name.
        step: Its step.
        time_ms: When it was written.
        kind: `scalar`, `image`, `histogram`, `text`, `hparams`, or what else it is.
        content: A number; texts; names and values; or what makes each picture or histogram, which raises
            ValueError where it cannot. None of what has no counterpart.
    """

    tag: str
    step: int
    time_ms: int
    kind: str
    content: Any


def values_of(body: bytes) -> Iterator[Value]:
    """Yield the values of one event.

    Raises:
        BrokenMessageError: It is no whole message.
    """
    event = protobuf.message(body)
    if 5 not in event:
        return
    time_ms = int(protobuf.double(event[1][-1]) * 1000) if 1 in event else 0
    step = max(0, protobuf.integer(event, 2))
    for body in protobuf.message(event[5][-1]).get(1, ()):
        found = protobuf.message(body)
        kind, content = _content(found, step)
        yield Value(protobuf.text(found, 1), step, time_ms, kind, content)


def _content(found: dict[int, list[Any]], step: int) -> tuple[str, Any]:
    """Return kind and content of a `Summary.Value`."""
    if protobuf.text(found, 1) == _SESSION_START:
        return "hparams", _hparams(found)
    if 2 in found:
        return "scalar", protobuf.single(found[2][-1])
    if 4 in found:
        return _image(protobuf.message(found[4][-1]).get(4, [b""])[-1])
    if 5 in found:
        return "histogram", [_legacy_histogram(protobuf.message(found[5][-1]))]
    if 8 in found:
        return _of_tensor(protobuf.message(found[8][-1]), _plugin(found))
    del step
    return "audio" if 6 in found else "other", None


def _plugin(found: dict[int, list[Any]]) -> str:
    if 9 not in found:
        return ""
    data = protobuf.message(found[9][-1]).get(1)
    return protobuf.text(protobuf.message(data[-1]), 1) if data else ""


def _of_tensor(tensor: dict[int, list[Any]], plugin: str) -> tuple[str, Any]:
    kind = protobuf.integer(tensor, 1)
    if kind == STRING:
        texts = tensor.get(8, [])
        if plugin == "images":
            # Width and height come first.
            return "image", [_picture(body) for body in texts[2:]]
        if plugin == "text":
            return "text", [body.decode("utf-8", "replace") for body in texts]
        return plugin or "strings", None
    numbers = _numbers(tensor, kind)
    if plugin == "histograms" and numbers and len(numbers) % 3 == 0:
        return "histogram", [_histogram(numbers)]
    return ("scalar", numbers[0]) if len(numbers) == 1 else (plugin or "tensor", None)


def _numbers(tensor: dict[int, list[Any]], kind: int) -> list[float]:
    packed = tensor.get(4)
    if kind == FLOAT:
        return protobuf.singles(packed) if packed else protobuf.singles(tensor.get(5, []))
    if kind == DOUBLE:
        return protobuf.doubles(packed) if packed else protobuf.doubles(tensor.get(6, []))
    return []


def _image(content: bytes) -> tuple[str, Any]:
    return "image", [_picture(content)]


def _picture(content: bytes) -> Callable[[], Media]:
    def make() -> Media:
        if not content.startswith((b"\x89PNG", b"\xff\xd8")):
            raise ValueError("a picture that is neither PNG nor JPEG")
        return Image(_Encoded(content))

    return make


class _Encoded:
    """An encoded picture as something that is saved as a picture is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def save(self, target: Any, format: str = "png") -> None:
        del format
        target.write(self._content)


def _legacy_histogram(found: dict[int, list[Any]]) -> Callable[[], Media]:
    low = protobuf.double(found[1][-1]) if 1 in found else 0.0
    high = protobuf.double(found[2][-1]) if 2 in found else 0.0
    limits, counts = protobuf.doubles(found.get(6, [])), protobuf.doubles(found.get(7, []))

    def make() -> Media:
        if not counts or len(limits) != len(counts):
            raise ValueError("a histogram without buckets")
        last = max(limits[-2] if len(limits) > 1 else low, min(limits[-1], high))
        return _bounded(counts, [min(low, limits[0]), *limits[:-1], last])

    return make


def _histogram(numbers: list[float]) -> Callable[[], Media]:
    rows = [numbers[at : at + 3] for at in range(0, len(numbers), 3)]

    def make() -> Media:
        return _bounded([row[2] for row in rows], [rows[0][0], *(row[1] for row in rows)])

    return make


def _bounded(counts: list[float], edges: list[float]) -> Histogram:
    """Return a histogram that is not too long: without empty ends, then with neighbours put together."""
    while len(counts) > 1 and counts[0] == 0:
        counts, edges = counts[1:], edges[1:]
    while len(counts) > 1 and counts[-1] == 0:
        counts, edges = counts[:-1], edges[:-1]
    while len(counts) > _MAX_RANGES:
        counts = [sum(counts[at : at + 2]) for at in range(0, len(counts), 2)]
        edges = [*edges[:-1:2], edges[-1]]
    return Histogram(counts=counts, edges=edges)


def _hparams(found: dict[int, list[Any]]) -> dict[str, Any]:
    """Return the parameters of a session: metadata.plugin_data.content.session_start_info.hparams."""
    data = protobuf.message(protobuf.message(found[9][-1])[1][-1]).get(2, [b""])[-1]
    info = protobuf.message(data).get(3)
    out: dict[str, Any] = {}
    for entry in protobuf.message(info[-1]).get(1, ()) if info else ():
        pair = protobuf.message(entry)
        value = protobuf.message(pair[2][-1]) if 2 in pair else {}
        out[protobuf.text(pair, 1)] = _hparam(value)
    return out


def _hparam(value: dict[int, list[Any]]) -> Any:
    """Return the value of a `google.protobuf.Value`."""
    if 2 in value:
        return protobuf.double(value[2][-1])
    if 3 in value:
        return protobuf.text(value, 3)
    return bool(value[4][-1]) if 4 in value else None
