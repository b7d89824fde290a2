"""What the encoder has in hand for one run: records turned into request bodies, lane by lane.

A batch packs in small chunks, so that the interpreter is never held for long, and puts the chunks
together into one request: protobuf messages of the same type concatenate to their union. Order
inside a lane is the order in which records were logged.

Threads: the encoder's alone.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from rundial.recorder.form import DEFAULT_FORM, Form
from rundial.recorder.keysets import KeySet
from rundial.recorder.latest import Latest
from rundial.recorder.layout import NO_STEP
from rundial.signals.packer import Block, MetricsPacker
from rundial.typed import Generic, TypeVar

# Packing 500 points takes under a third of a millisecond; see the encoder's pause. It also keeps a
# block inside gzip's window (11 B a point against 16 with 819 rows).
MAX_CHUNK_POINTS = 500
# Of a wide row's chunk: a name costs as much as five points, so few names of many rows are packed together.
MAX_WIDE_ROWS = 25
MAX_CHUNK_RECORDS = 32
MAX_FRAME_RECORDS = 1024
MAX_FRAME_BYTES = 1 << 20

_VALUE_BYTES = 8

T = TypeVar("T")


class PointsBatch:
    """Rows on their way into one metrics request.

    Args:
        packer: Packs them.
        latest: Told the last row of each block; None where nobody asks.

    Attributes:
        units: Points inside.
        failed: Points that could not be packed.
    """

    def __init__(
        self, packer: MetricsPacker, form: Form = DEFAULT_FORM, *, latest: Latest | None = None
    ) -> None:
        self._packer = packer
        self._form = form
        self._latest = latest
        self._open: dict[KeySet, tuple[list[int], list[int | None], list[bytes]]] = {}
        self._open_names: set[str] = set()
        # Closed, in pieces of at most `MAX_CHUNK_POINTS`.
        self._pieces: deque[Block] = deque()
        self._unpacked = 0
        self._chunks: list[bytes] = []
        self._bytes = 0
        self.units = 0
        self.failed = 0

    def add(self, keys: KeySet, time_unix_ns: int, step: int | None, body: bytes) -> None:
        """Take one row in."""
        rows = self._block(keys)
        rows[0].append(time_unix_ns)
        rows[1].append(step)
        rows[2].append(body)
        self.units += keys.size
        self._unpacked += keys.size

    def add_rows(self, keys: KeySet, times: list[int], steps: list[int], bodies: list[bytes]) -> None:
        """Take rows in, in their order; their steps as the ring has them."""
        known_times, known_steps, known_bodies = self._block(keys)
        known_times.extend(times)
        known_steps.extend(
            steps if NO_STEP not in steps else [None if step == NO_STEP else step for step in steps]
        )
        known_bodies.extend(bodies)
        points = keys.size * len(bodies)
        self.units += points
        self._unpacked += points

    def _block(self, keys: KeySet) -> tuple[list[int], list[int | None], list[bytes]]:
        """Return where rows of a key set are gathered."""
        rows = self._open.get(keys)
        if rows is None:
            # Two key sets that share a name must keep their order: of two points at one step the
            # one logged last is what a series shows.
            if self._open and not self._open_names.isdisjoint(keys.names):
                self._close_blocks()
            self._open_names.update(keys.names)
            rows = self._open[keys] = ([], [], [])
        return rows

    @property
    def has_chunk(self) -> bool:
        """Whether enough is there to be packed."""
        return self._unpacked >= MAX_CHUNK_POINTS

    @property
    def is_full(self) -> bool:
        """Whether it should become a frame."""
        return self.units >= self._form.max_items or self._bytes >= MAX_FRAME_BYTES

    def has_room(self, points: int) -> bool:
        """Whether so many more points are still one request; an empty one takes any number."""
        return not self.units or self.units + points <= self._form.max_items

    @property
    def items(self) -> int:
        """OTLP items inside."""
        return self.units

    def pack_chunk(self) -> None:
        """Turn the oldest rows, `MAX_CHUNK_POINTS` points or a few more, into bytes."""
        if self._open:
            self._close_blocks()
        blocks: list[Block] = []
        points = 0
        # Two pieces together may hold nearly twice as many points as are wanted.
        while self._pieces and (not blocks or points + self._pieces[0].points <= MAX_CHUNK_POINTS):
            points += self._pieces[0].points
            blocks.append(self._pieces.popleft())
        self._unpacked -= points
        try:
            self._take(self._packer.pack(blocks))
        except Exception:  # noqa: BLE001 - one row that cannot be packed must not cost its neighbours
            for block in blocks:
                self._take_rows(block)

    def body(self) -> bytes:
        """Return the whole request."""
        while self._unpacked:
            self.pack_chunk()
        return _body(self._chunks, self._form)

    def _close_blocks(self) -> None:
        for keys, rows in self._open.items():
            if self._latest is not None:
                self._latest.note(keys, rows[2][-1])
            self._pieces.extend(_pieces(keys, *rows))
        self._open = {}
        self._open_names = set()

    def _take(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._bytes += len(chunk)

    def _take_rows(self, block: Block) -> None:
        for time_unix_ns, step, body in zip(block.times, block.steps, block.bodies, strict=True):
            row = Block(block.names, block.attributes, [time_unix_ns], [step], [body])
            try:
                self._take(self._packer.pack([row]))
            except Exception:  # noqa: BLE001 - counted: the encoder reports `failed` as internal_error
                self.failed += row.points
                self.units -= row.points


def _pieces(keys: KeySet, times: list[int], steps: list[int | None], bodies: list[bytes]) -> Iterator[Block]:
    """Cut the rows of one key set into blocks of a chunk's size; wide rows are cut between their names."""
    height = max(MAX_CHUNK_POINTS // max(1, keys.size), min(len(times), MAX_WIDE_ROWS))
    width = min(keys.size, max(1, MAX_CHUNK_POINTS // height))
    for top in range(0, len(times), height):
        rows = slice(top, top + height)
        if width == keys.size:
            yield Block(keys.names, keys.attributes, times[rows], steps[rows], bodies[rows])
            continue
        for left in range(0, keys.size, width):
            names = keys.names[left : left + width]
            values = [body[left * _VALUE_BYTES : (left + width) * _VALUE_BYTES] for body in bodies[rows]]
            yield Block(names, keys.attributes, times[rows], steps[rows], values)


class RecordsBatch(Generic[T]):
    """Text lines, run events or spans on their way into one request.

    Args:
        encode: Turns records into one request body.
        counts: Whether its records are units of the ledger.
        form: How the request is written.

    Attributes:
        items: OTLP items encoded so far.
        failed: Records that could not be encoded.
    """

    def __init__(
        self, encode: Callable[[Sequence[T]], bytes], *, counts: bool, form: Form = DEFAULT_FORM
    ) -> None:
        self._form = form
        self._max_items = min(form.max_items, MAX_FRAME_RECORDS)
        self._encode = encode
        self._counts = counts
        self._pending: list[T] = []
        self._chunks: list[bytes] = []
        self._bytes = 0
        self.items = 0
        self.failed = 0

    def add(self, record: T) -> None:
        """Take one record in."""
        self._pending.append(record)

    @property
    def units(self) -> int:
        """Units of the ledger inside."""
        return self.items + len(self._pending) if self._counts else 0

    @property
    def has_chunk(self) -> bool:
        """Whether enough is there to be encoded."""
        return len(self._pending) >= MAX_CHUNK_RECORDS

    @property
    def is_full(self) -> bool:
        """Whether it should become a frame."""
        return self.items + len(self._pending) >= self._max_items or self._bytes >= MAX_FRAME_BYTES

    def pack_chunk(self) -> None:
        """Turn what was added since the last chunk into bytes."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        try:
            self._take(self._encode(pending), len(pending))
        except Exception:  # noqa: BLE001 - one record that cannot be encoded must not cost its neighbours
            for record in pending:
                self._take_alone(record)

    def body(self) -> bytes:
        """Return the whole request."""
        self.pack_chunk()
        return _body(self._chunks, self._form)

    def _take(self, chunk: bytes, items: int) -> None:
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        self.items += items

    def _take_alone(self, record: T) -> None:
        try:
            self._take(self._encode([record]), 1)
        except Exception:  # noqa: BLE001 - counted: the encoder reports `failed` as internal_error
            self.failed += 1


def empty_body() -> bytes:
    """Return a request without a record, gzipped."""
    return _gzip([])


def _body(chunks: list[bytes], form: Form) -> bytes:
    if form.is_gzip and sum(map(len, chunks)) >= form.gzip_min_bytes:
        return _gzip(chunks)
    return b"".join(chunks)


def _gzip(chunks: list[bytes]) -> bytes:
    # One member for the whole request: a collector was seen to read only the first of several.
    # Level 1 is 13 times as fast as 9 at the same size on this data.
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [packer.compress(chunk) for chunk in chunks]
    parts.append(packer.flush())
    return b"".join(parts)
