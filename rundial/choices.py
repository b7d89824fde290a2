"""The sets of words that an argument may be, as types: for annotations, and for who asks for the choices.

The same words as values are in `rundial.settings` and `rundial.reasons`, which a run needs at once; a
test holds the two together. Light on neither side: only who asks for a type imports `typing`.
"""

from __future__ import annotations

from typing import Literal

Mode = Literal["online", "offline", "disabled"]
RunKind = Literal["training", "agent", "eval"]
ResumeMode = Literal["never", "allow", "must"]
Distributed = Literal["rank0", "all"]
Reason = Literal[
    "queue_full",
    "spool_full",
    "spool_expired",
    "too_large",
    "invalid",
    "non_finite",
    "rejected",
    "after_finish",
    "internal_error",
]
Signal = Literal["points", "lines", "spans", "artifacts"]
