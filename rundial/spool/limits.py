"""What a spool may take, as its owner says it; see `rundial.spool.bounds` for who keeps to it."""

from __future__ import annotations

from rundial.typed import Literal
from rundial.value import value

Durability = Literal["process", "power"]
MAX_BYTES = 1024 * 1024 * 1024
MAX_AGE_S = 7 * 24 * 3600.0
SEGMENT_BYTES = 8 * 1024 * 1024
_MIN_SEGMENTS = 8


@value
class Limits:
    """What a spool may take.

    Attributes:
        max_bytes: Bound over all segments of an instance.
        max_age_s: Age at which a sealed segment is evicted, seconds.
        segment_bytes: Size at which a segment is sealed.
        durability: `process`: what was appended survives any end of the process; segments are
            synced when sealed. `power`: each append waits for the disk and survives a power cut.
    """

    max_bytes: int = MAX_BYTES
    max_age_s: float = MAX_AGE_S
    segment_bytes: int = SEGMENT_BYTES
    durability: Durability = "process"

    @property
    def is_power_safe(self) -> bool:
        """Whether each append and ack waits for the disk itself."""
        return self.durability == "power"

    @property
    def seal_bytes(self) -> int:
        """Size at which a segment is sealed: less under a small bound, so that an eviction costs a part."""
        return min(self.segment_bytes, self.max_bytes // _MIN_SEGMENTS)
