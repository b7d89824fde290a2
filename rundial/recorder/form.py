"""How a run's requests are written."""

from __future__ import annotations

from rundial.value import value

GZIP_MAGIC = b"\x1f\x8b"
MAX_FRAME_POINTS = 8192


@value
class Form:
    """How requests are written.

    Attributes:
        max_items: Most records of a request; the points of one call stay together.
        is_gzip: Whether they are compressed at all.
        gzip_min_bytes: Size from which they are.
    """

    max_items: int = MAX_FRAME_POINTS
    is_gzip: bool = True
    gzip_min_bytes: int = 0


DEFAULT_FORM = Form()
