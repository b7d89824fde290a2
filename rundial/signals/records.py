"""Text lines, run events and spans as records, and their compact form inside the ring.

Points have no class: a metric row goes through the ring as float64 values and straight into
`rundial.signals.packer`. For the other three this module says what a record is and packs it to
bytes on the caller's thread, so that the ring holds everything that a process killed right after
the call would have taken along. The encoder thread unpacks them again.

Bodies, little-endian, version-free because a ring never outlives one build's reader:

    text    u8 severity · u8 flags · u32 original bytes (0: whole) · [16 B trace id · 8 B span id]
            · [u32 length · JSON attributes] · UTF-8
    event   JSON [name, body]
    span    JSON [trace id, span id, parent span id, name, kind, start, end, attributes, events,
                  links, status, status message, dropped attributes, dropped events,
                  dropped links]; or as `rundial.signals.plainspan` has it

Ids in a span's JSON are hexadecimal (`rundial.signals.compact` says how bytes are written).
Sequence number, time and step of text and events are fields of the ring's own record header.

Packing never raises, whatever the caller hands in, and never gives up a whole record for its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from struct import Struct

from rundial.interrupts import let_through
from rundial.signals import semconv
from rundial.signals.attributes import Attributes, as_body, as_text, clean_attributes
from rundial.signals.compact import dump, load
from rundial.signals.preview import CAPS, cut_utf8, cut_values
from rundial.typed import Any, Literal, NamedTuple
from rundial.value import changed, value

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Status = Literal["unset", "ok", "error"]
SpanEvent = tuple[str, int, Attributes]
SpanLink = tuple[int, int, Attributes]

MAX_TEXT_BYTES = 8_192
MAX_TEXT_ATTRIBUTES = 128
MAX_TEXT_ATTRIBUTES_BYTES = 40 * 1024
MAX_SPAN_BYTES = 60 * 1024
MAX_EVENT_BYTES = 60 * 1024
MAX_NAME_CHARS = 512
MAX_SPAN_EVENTS = 128

# One for all spans that have none; its type lets nobody change it.
NO_ATTRIBUTES: Attributes = {}

_TEXT_HEAD = Struct("<BBI")
_LENGTH = Struct("<I")
# What a plain span begins with, and no JSON.
PLAIN = 1
_HAS_TRACE = 1
_STREAM_MASK = 6
_HAS_ATTRIBUTES = 8
_STREAM_BITS = {None: 0, "stdout": 2, "stderr": 4}
_STREAMS: dict[int, str | None] = {0: None, 2: "stdout", 4: "stderr"}


# Shared, and changed by nobody.
_NO_ATTRIBUTES: Attributes = {}


class Text(NamedTuple):
    """One text line; a tuple, because one is made for each line.

    Attributes:
        seq: Number of the line within its instance; with the instance id its identity.
        time_unix_ns: When it was logged.
        severity: OTel severity number, 1 to 24; 0 means none.
        body: The line, at most `MAX_TEXT_BYTES` of UTF-8.
        original_bytes: Length before it was cut, None when it is whole.
        step: The step it belongs to, if the caller said so.
        trace_id: Trace it was logged in, 0 outside of any.
        span_id: Span it was logged in, 0 outside of any.
        iostream: `stdout` or `stderr` for captured console output, else None.
        attributes: What else is known of it, such as the code that logged it; often nothing.
    """

    seq: int
    time_unix_ns: int
    severity: int
    body: str
    original_bytes: int | None = None
    step: int | None = None
    trace_id: int = 0
    span_id: int = 0
    iostream: str | None = None
    attributes: Attributes = _NO_ATTRIBUTES


@value
class Event:
    """One event in the life of a run, such as its start or a new summary value.

    Attributes:
        seq: Number of the event within its instance; with the instance id its identity.
        time_unix_ns: When it happened.
        name: One of the `EVENT_*` names in `rundial.signals.semconv`.
        body: Nested mappings, lists, strings, numbers, booleans, bytes and None.
    """

    seq: int
    time_unix_ns: int
    name: str
    body: Mapping[str, Any]


@value
class SpanData:
    """One span, ended or (with `end_unix_ns` 0) still open.

    Attribute values are those of `rundial.signals.attributes`; whoever records a span cleans
    them when they are set, because a value may change before the span ends.

    Attributes:
        trace_id: 128 bits, never 0.
        span_id: 64 bits, never 0; with the trace id the span's identity.
        parent_span_id: 0 for a root span.
        name: At most `MAX_NAME_CHARS` characters once packed.
        kind: OTel's span kind.
        start_unix_ns: When it began.
        end_unix_ns: When it ended; 0 while it is open.
        attributes: Its attributes.
        events: (name, time in Unix nanoseconds, attributes) of each event, in order.
        links: (trace id, span id, attributes) of each link.
        status: OTel's status.
        status_message: Words that go with status `error`.
        dropped_attributes: Attributes that limits have cost.
        dropped_events: Events that limits have cost.
        dropped_links: Links that limits have cost.
    """

    trace_id: int
    span_id: int
    parent_span_id: int
    name: str
    kind: Kind
    start_unix_ns: int
    end_unix_ns: int
    attributes: Attributes = NO_ATTRIBUTES
    events: Sequence[SpanEvent] = ()
    links: Sequence[SpanLink] = ()
    status: Status = "unset"
    status_message: str = ""
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0


def cap_text(message: object) -> tuple[bytes, int | None]:
    """Return a message as UTF-8 of at most `MAX_TEXT_BYTES`, cut between characters.

    Never raises: a message whose `str()` fails is replaced by words that say so.

    Returns:
        The bytes, and how many there were before the cut (None when nothing was cut).
    """
    text = message if type(message) is str else as_text(message)
    # A lone surrogate, which UTF-8 and protobuf refuse, becomes "?".
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_TEXT_BYTES:
        return data, None
    return cut_utf8(data, MAX_TEXT_BYTES), len(data)


def pack_text(  # noqa: PLR0913 - a line's fields; an object for each line would cost more than the line
    severity: int,
    body: bytes,
    original_bytes: int | None = None,
    *,
    trace_id: int = 0,
    span_id: int = 0,
    iostream: str | None = None,
    attributes: Attributes | None = None,
) -> bytes:
    """Return the ring body of a text line.

    Attributes beyond `MAX_TEXT_ATTRIBUTES_BYTES` lose the ends of their long values, each flagged with
    its original length; when there are too many short ones, the last are dropped, counted in
    `rundial.dropped_attributes`.

    Args:
        severity: OTel severity number, 0 to 24.
        body: UTF-8 from `cap_text`.
        original_bytes: What `cap_text` said.
        trace_id: Trace it was logged in, 0 outside of any.
        span_id: Span it was logged in, 0 outside of any.
        iostream: `stdout` or `stderr` for captured console output.
        attributes: What else is known of it, cleaned by `rundial.signals.attributes` or not.
    """
    # A line of 4 GiB or more still packs; its flag then says "at least this much".
    original = min(original_bytes, 0xFFFF_FFFF) if original_bytes else 0
    flags = _STREAM_BITS.get(iostream, 0)
    if attributes:
        flags |= _HAS_ATTRIBUTES
        packed = _text_attributes(attributes)
        body = _LENGTH.pack(len(packed)) + packed + body
    if not trace_id:
        return _TEXT_HEAD.pack(severity, flags, original) + body
    ids = (trace_id << 64 | span_id).to_bytes(24, "big")
    return _TEXT_HEAD.pack(severity, flags | _HAS_TRACE, original) + ids + body


def unpack_text(data: bytes | memoryview, *, seq: int, time_unix_ns: int, step: int | None) -> Text:
    """Return the text line whose ring body is `data`; the rest comes from its ring header."""
    severity, flags, original = _TEXT_HEAD.unpack_from(data)
    start = _TEXT_HEAD.size
    trace_id = span_id = 0
    if flags & _HAS_TRACE:
        trace_id = int.from_bytes(data[start : start + 16], "big")
        span_id = int.from_bytes(data[start + 16 : start + 24], "big")
        start += 24
    attributes: Attributes = {}
    if flags & _HAS_ATTRIBUTES:
        end = start + _LENGTH.size + _LENGTH.unpack_from(data, start)[0]
        attributes = load(data[start + _LENGTH.size : end])
        start = end
    return Text(
        seq=seq,
        time_unix_ns=time_unix_ns,
        severity=severity,
        body=str(data[start:], "utf-8", "replace"),
        original_bytes=original or None,
        step=step,
        trace_id=trace_id,
        span_id=span_id,
        iostream=_STREAMS.get(flags & _STREAM_MASK),
        attributes=attributes,
    )


def pack_event(name: str, body: Mapping[str, Any]) -> bytes:
    """Return the ring body of an event; any value in `body` is made fit for OTLP first.

    A body over `MAX_EVENT_BYTES` keeps its shape and its keys; its long values are cut, and
    `<key>.rundial.original_bytes` beside each says how long it was. When even that is too long, only
    its top-level scalars stay, with `rundial.truncated` and `rundial.original_bytes`.
    """
    clean: Mapping[str, Any] = as_body(body)
    data = dump([name, clean])
    original_bytes = len(data)
    for cap in CAPS:
        if len(data) <= MAX_EVENT_BYTES:
            return data
        data = dump([name, cut_values(clean, cap)])
    if len(data) <= MAX_EVENT_BYTES:
        return data
    scalars = {key: value for key, value in clean.items() if not isinstance(value, (dict, list))}
    rest = dict(islice(cut_values(scalars, CAPS[-1]).items(), 128))
    rest |= {semconv.TRUNCATED: True, semconv.ORIGINAL_BYTES: original_bytes}
    return dump([name, rest])


def unpack_event(data: bytes | memoryview, *, seq: int, time_unix_ns: int) -> Event:
    """Return the event whose ring body is `data`; the rest comes from its ring header."""
    name, body = load(data)
    return Event(seq=seq, time_unix_ns=time_unix_ns, name=name, body=body)


def pack_span(span: SpanData) -> bytes:
    """Return the ring body of a span, at most `MAX_SPAN_BYTES` long.

    A span that is too long loses the ends of its long values first, each flagged with its
    original length; only when short values are too many are events and attributes dropped, counted.
    """
    if len(span.name) > MAX_NAME_CHARS or len(span.events) > MAX_SPAN_EVENTS:
        span = _within_counts(span)
    try:
        data = dump(_span_row(span))
    except Exception as error:  # noqa: BLE001  # attributes that nobody cleaned: slower, but never a lost span
        let_through(error)
        span = _cleaned(span)
        data = dump(_span_row(span))
    return data if len(data) <= MAX_SPAN_BYTES else _fitted(span)


def unpack_span(data: bytes | memoryview) -> SpanData:
    """Return the span whose ring body is `data`."""
    if data[0] == PLAIN:
        # By the first span of a run that has some.
        from rundial.signals import plainspan

        return SpanData(**plainspan.unpack(data))
    row = load(data)
    return SpanData(
        trace_id=int(row[0], 16),
        span_id=int(row[1], 16),
        parent_span_id=int(row[2], 16),
        name=row[3],
        kind=row[4],
        start_unix_ns=row[5],
        end_unix_ns=row[6],
        attributes=row[7],
        events=tuple(map(tuple, row[8])),
        links=tuple((int(trace, 16), int(span, 16), attributes) for trace, span, attributes in row[9]),
        status=row[10],
        status_message=row[11],
        dropped_attributes=row[12],
        dropped_events=row[13],
        dropped_links=row[14],
    )


def span_start(span: SpanData, *, seq: int, time_unix_ns: int) -> Event:
    """Return the event that announces a span which is still open."""
    body = {
        "trace_id": f"{span.trace_id:032x}",
        "span_id": f"{span.span_id:016x}",
        "parent_span_id": f"{span.parent_span_id:016x}" if span.parent_span_id else "",
        "name": span.name,
        "kind": span.kind,
        "start_unix_ns": span.start_unix_ns,
        "attributes": span.attributes,
    }
    return Event(seq=seq, time_unix_ns=time_unix_ns, name=semconv.EVENT_SPAN_START, body=body)


def interrupted(span: SpanData, end_unix_ns: int) -> SpanData:
    """Return an open span as it is reported after its process died, ended at `end_unix_ns`."""
    return changed(
        span,
        end_unix_ns=max(end_unix_ns, span.start_unix_ns),
        status="error",
        status_message="the process ended before the span did",
        attributes={**span.attributes, semconv.INTERRUPTED: True},
    )


def _text_attributes(attributes: Attributes) -> bytes:
    try:
        data = dump(attributes)
    except Exception as error:  # noqa: BLE001  # attributes that nobody cleaned: slower, but never a lost line
        let_through(error)
        attributes, _ = clean_attributes(attributes)
        data = dump(attributes)
    for cap in CAPS:
        if len(data) <= MAX_TEXT_ATTRIBUTES_BYTES:
            return data
        data = dump(cut_values(attributes, cap))
    kept = dict(islice(cut_values(attributes, CAPS[-1]).items(), MAX_TEXT_ATTRIBUTES))
    while len(data) > MAX_TEXT_ATTRIBUTES_BYTES:
        kept = dict(islice(kept.items(), len(kept) // 2))
        data = dump({**kept, semconv.DROPPED_ATTRIBUTES: max(len(attributes) - len(kept), 0)})
    return data


def _span_row(span: SpanData) -> list[Any]:
    return [
        f"{span.trace_id:x}",
        f"{span.span_id:x}",
        f"{span.parent_span_id:x}",
        span.name,
        span.kind,
        span.start_unix_ns,
        span.end_unix_ns,
        span.attributes,
        span.events,
        [(f"{trace:x}", f"{of:x}", attributes) for trace, of, attributes in span.links],
        span.status,
        span.status_message,
        span.dropped_attributes,
        span.dropped_events,
        span.dropped_links,
    ]


def _within_counts(span: SpanData) -> SpanData:
    events = span.events
    excess = max(len(events) - MAX_SPAN_EVENTS, 0)
    if excess:
        # How it began and how it ended say more than what lies between.
        half = MAX_SPAN_EVENTS // 2
        events = [*events[:half], *events[-half:]]
    return changed(
        span, name=span.name[:MAX_NAME_CHARS], events=events, dropped_events=span.dropped_events + excess
    )


def _cleaned(span: SpanData) -> SpanData:
    attributes, dropped = clean_attributes(span.attributes)
    return changed(
        span,
        name=as_text(span.name),
        status_message=as_text(span.status_message),
        attributes=attributes,
        events=[(as_text(name), at, clean_attributes(of)[0]) for name, at, of in span.events],
        links=[(trace_id, span_id, clean_attributes(of)[0]) for trace_id, span_id, of in span.links],
        dropped_attributes=span.dropped_attributes + dropped,
    )


def _fitted(span: SpanData) -> bytes:
    """Return the body of a span that is too long, with as little of it missing as the limit allows."""
    for cap in CAPS:
        data = dump(_span_row(_with_cap(span, cap)))
        if len(data) <= MAX_SPAN_BYTES:
            return data
    span = _with_cap(span, CAPS[-1])
    while True:
        span = _halved(span)
        data = dump(_span_row(span))
        if len(data) <= MAX_SPAN_BYTES:
            return data


def _with_cap(span: SpanData, cap: int) -> SpanData:
    return changed(
        span,
        attributes=cut_values(span.attributes, cap),
        events=[(name[:MAX_NAME_CHARS], at, cut_values(of, cap)) for name, at, of in span.events],
        links=[(trace_id, span_id, cut_values(of, cap)) for trace_id, span_id, of in span.links],
        status_message=cut_utf8(span.status_message.encode("utf-8", "replace"), cap).decode("utf-8"),
    )


def _halved(span: SpanData) -> SpanData:
    """Drop half of what a span has most of; nothing is left of it after some thirty rounds."""
    events, links, attributes = len(span.events) // 2, len(span.links) // 2, len(span.attributes) // 2
    if sum(len(of) for _, _, of in span.events) + len(span.events) >= len(span.attributes):
        lost = len(span.events) - events
        return changed(span, events=span.events[:events], dropped_events=span.dropped_events + lost)
    if span.links:
        lost = len(span.links) - links
        return changed(span, links=span.links[:links], dropped_links=span.dropped_links + lost)
    lost = len(span.attributes) - attributes
    return changed(
        span,
        attributes=dict(islice(span.attributes.items(), attributes)),
        dropped_attributes=span.dropped_attributes + lost,
    )
