"""How a run ends: its status, why, and the exception that ended it.

Pure; on the thread of whoever ends the run.
"""

from __future__ import annotations

from rundial.interrupts import let_through
from rundial.typed import Literal
from rundial.value import value

Status = Literal["completed", "failed", "aborted"]
STATUSES: tuple[Status, ...] = ("completed", "failed", "aborted")

MAX_REASON_CHARS = 512
# Beyond it, clocks and locks overflow.
FOR_EVER_S = 10 * 365 * 86400.0
# The end of a traceback is where the exception was raised; a deep recursion costs its middle of nothing.
MAX_TRACEBACK_CHARS = 16_384


@value
class Ending:
    """How a run ends.

    Attributes:
        status: `completed`, `failed` or `aborted`.
        reason: In words, at most 512 characters; None when nobody said.
        error: `type`, `message` and `traceback` of the exception that ended it; None when none did.
        finished_unix_ns: When it ended; None is when it is told.
    """

    status: Status
    reason: str | None = None
    error: dict[str, str] | None = None
    finished_unix_ns: int | None = None


def seconds_of(timeout: object) -> float:
    """Return a deadline that a user gives in seconds, from 0 to ten years; None is for ever.

    Raises:
        ValueError: It is no number.
    """
    if timeout is None:
        return FOR_EVER_S
    if isinstance(timeout, (int, float)) and timeout == timeout:
        return float(min(max(0, timeout), FOR_EVER_S))
    raise ValueError(f"timeout_seconds must be a number of seconds, or None, not {timeout!r}")


def of_user(status: Status, reason: object) -> Ending:
    """Return how a user says that a run ends.

    Raises:
        ValueError: The status is not one of the three.
    """
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {status!r}; the run goes on")
    if isinstance(reason, BaseException):
        error = described(reason) if status == "failed" else None
        return Ending(status, _redacted(reason_of(reason)), error)
    return Ending(status, None if reason is None else _text(reason)[:MAX_REASON_CHARS] or None)


def of_exception(error: BaseException) -> Ending:
    """Return how an exception that leaves the program's work ends the run; never raises."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return Ending("aborted", reason_of(error))
    return Ending("failed", _redacted(reason_of(error)), described(error))


def of_status(status: object) -> Ending:
    """Return how a run ends whose program leaves with a status, as `sys.exit` takes it; never raises."""
    # Of a number, whoever started the program is told eight bits; of one that is too long, that it failed.
    if status is None or (isinstance(status, int) and abs(status) < 1 << 63 and status & 0xFF == 0):
        return Ending("completed")
    return Ending("failed", _redacted(f"exit status {_text(status)}")[:MAX_REASON_CHARS])


def reason_of(error: BaseException) -> str:
    """Return an exception in at most 512 characters; never raises."""
    try:
        said = str(error)
        return (f"{type(error).__name__}: {said}" if said else type(error).__name__)[:MAX_REASON_CHARS]
    except Exception as ours:  # noqa: BLE001 - the user's own __str__ failed; the type's name is still true
        let_through(ours)
        return type(error).__name__


def described(error: BaseException) -> dict[str, str]:
    """Return an exception's type, message and traceback, without secrets; never raises."""
    # Only a run that fails needs them.
    import traceback

    kind = type(error)
    found = {"type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")}
    try:
        found["message"] = _redacted(str(error))[:MAX_TRACEBACK_CHARS]
        lines = _redacted("".join(traceback.format_exception(kind, error, error.__traceback__)))
        cut = len(lines) - MAX_TRACEBACK_CHARS
        found["traceback"] = lines if cut <= 0 else f"[{cut} characters left out]\n{lines[cut:]}"
    except Exception as ours:  # noqa: BLE001 - an exception that cannot be printed still has a type
        let_through(ours)
    return found


def _text(given: object) -> str:
    try:
        return str(given)
    except Exception as ours:  # noqa: BLE001 - the user's own __str__ failed; that it is one is still true
        let_through(ours)
        return f"of type {type(given).__name__}"


def _redacted(text: str) -> str:
    from rundial.signals.redaction import redact_text

    return redact_text(text)
