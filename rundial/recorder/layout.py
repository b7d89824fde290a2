"""The ring file, byte by byte: header words, run slots, and the record.

    0          4,096                     HEADER_BYTES                         end
    ┌──────────┬─────────────────────────┬────────────────────────────────────┐
    │ words    │ 128 run slots of 512 B  │ records, `capacity` bytes, circular │
    └──────────┴─────────────────────────┴────────────────────────────────────┘

A position is virtual: it starts at `capacity`, only grows, and lies at byte
`HEADER_BYTES + position % capacity`. A record is 8-aligned:

    commit word (u64) = position XOR nonce     written last, cleared first
    head (40 B): size, kind, flags, run, aux, checksum, seq, step, time_unix_ns
    body, padded with up to 7 bytes (flags hold how many)

Because the commit word holds the record's own position and a random nonce, old bytes, user bytes
and gaps never look like a record. The checksum is the body's crc32, begun with the step: a page that
never reached the disk may hold an older record's step beside a body that is the same, such as a
constant learning rate's. Words that mean something are single aligned 8-byte stores; a
process killed at any instruction leaves them old or new, never torn.
"""

from __future__ import annotations

import struct

from rundial.reasons import ACCOUNTS, REASONS

MAGIC = int.from_bytes(b"RDRING01", "little")
RUN_SLOTS = 128
SLOT_WORDS = 64
SLOTS_AT_WORD = 512
HEADER_BYTES = SLOTS_AT_WORD * 8 + RUN_SLOTS * SLOT_WORDS * 8

WORD_MAGIC = 0
WORD_NONCE = 1
WORD_TAIL = 2
WORD_CAPACITY = 3
WORD_BOOT = 4  # and 5: the 16 bytes of the kernel's boot id
WORD_RING_ID = 6  # and 7
WORD_PID = 8
WORD_CREATED = 9

# A slot holds, for each signal, one word for each loss reason, then two (position, count) pairs
# of units evicted from the ring itself.
SIGNAL_WORDS = 16
EVICTED_AT = 10
REASON_INDEX = {reason: index for index, reason in enumerate(REASONS)}
SIGNAL_INDEX = {signal: index for index, signal in enumerate(ACCOUNTS)}
NEVER = 2**64 - 1

HEAD = struct.Struct("<IBBHIIQqQ")
HEAD_AT = 8
BODY_AT = HEAD_AT + HEAD.size
# Less than the smallest record is left unmarked before the wrap: a reader of padding reads a whole head,
# which must not reach beyond the mapping.
MIN_GAP = BODY_AT

FLAG_PADDING = 0b0000_0111
FLAG_NAMES = 0b0000_1000  # the body starts with its own key set, `aux` bytes long
NO_STEP = -1
STEP_MASK = 2**32 - 1


class Kind:
    """What a record holds. Plain numbers: making an enumeration of them costs a start as much as a module."""

    PAD = 1
    KEYS = 2
    ROW = 3
    TEXT = 4
    EVENT = 5
    SPAN_START = 6
    SPAN_END = 7
    JOB = 8
    RESULT = 9
    # A whole OTLP request of one point, log record or span, of a program without a run.
    POINT_REQUEST = 10
    LOG_REQUEST = 11
    SPAN_REQUEST = 12
    # One data point of OpenTelemetry's metrics, in the scope that it was given; of a run.
    DATA_POINT = 13


def slot_word(run: int, signal: int) -> int:
    """Return the first word of a signal's counters in a run's slot."""
    return SLOTS_AT_WORD + run * SLOT_WORDS + signal * SIGNAL_WORDS


def round_up(position: int, unit: int) -> int:
    """Return the next position at or behind this one where a unit begins."""
    return (position + unit - 1) // unit * unit
