"""`AlertLevel`: how loud an alert is."""

from __future__ import annotations

from enum import Enum


class AlertLevel(Enum):
    """How loud an alert is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


def level_of(level: object) -> str:
    """Return Rundial's word for a level; what is none goes on, to be told of there."""
    if level is None:
        return "info"
    return str(level.value if isinstance(level, AlertLevel) else level).lower()
