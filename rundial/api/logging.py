"""`LoggingHandler`: records of Python's own `logging` become text lines of a run.

A line carries the level, the logger's name, where in the code it was logged, the exception with its
traceback, what was given as `extra`, and the span that was current. Known shapes of secrets are taken
out, because libraries log URLs and headers. What our own threads log, and what is logged while a
record is being recorded, is left to the other handlers: a line about sending a line would never end.

Threads: any; like every logging call, it does no I/O and waits for one short lock.
"""

from __future__ import annotations

import logging
import threading
import traceback
from typing import TYPE_CHECKING, Any

from rundial.errors import RecordDroppedError, RunFinishedError
from rundial.interrupts import let_through
from rundial.signals import semconv
from rundial.signals.attributes import as_text, clean_attributes
from rundial.signals.redaction import redact_shapes

if TYPE_CHECKING:
    from rundial.api.run import Run

# Of a longer traceback the start and, for what went wrong is told there, most of the end are kept.
MAX_STACK_CHARS = 16_384
_HEAD_CHARS = 4_096

# What a record has by itself; everything else came as `extra`.
_OWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"})


class LoggingHandler(logging.Handler):
    """Sends what is logged with Python's `logging` to a run.

        logging.getLogger().addHandler(rundial.LoggingHandler(run))

    Args:
        run: Whose text it becomes.
        level: Least level that is recorded.

    A formatter, if one is set, makes the line; without one the line is the message alone, and
    everything else stands in attributes.
    """

    def __init__(self, run: Run, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._run = run
        self._inside = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Record one log record; never raises, but in strict mode."""
        if getattr(self._inside, "is_busy", False) or (record.threadName or "").startswith("rundial-"):
            return
        try:
            self._inside.is_busy = True
            self._record(record)
        except (RecordDroppedError, RunFinishedError):
            raise
        except Exception as error:  # noqa: BLE001 - logging's own way of telling, which nobody has to handle
            let_through(error)
            self.handleError(record)
        finally:
            self._inside.is_busy = False

    def createLock(self) -> None:  # noqa: N802 - logging's own name
        """Have no lock: the recorder has the only one that is needed."""
        self.lock = None

    def _record(self, record: logging.LogRecord) -> None:
        # A queue handler's records come later, from another thread; those of this thread are of now.
        is_now = record.thread == threading.get_ident()
        self._run.line(
            severity_of(record.levelno),
            redact_shapes(self._message(record)),
            time_ms=None if is_now else int(record.created * 1000),
            attributes=attributes_of(record),
        )

    def _message(self, record: logging.LogRecord) -> str:
        try:
            return record.getMessage() if self.formatter is None else self.format(record)
        except Exception as error:  # noqa: BLE001 - arguments that do not fit the message are worth keeping too
            let_through(error)
            return f"{as_text(record.msg)} {as_text(record.args)}"


def severity_of(level: int | None) -> int:
    """Return OTel's severity number of a level of `logging`: of the named one at or below it."""
    names = ("trace", "debug", "info", "warn", "error", "fatal")
    return semconv.SEVERITY[names[min(max(level or 0, 0) // 10, 5)]]


def attributes_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record says beside its message, fit for OpenTelemetry."""
    found: dict[str, Any] = {
        semconv.LOGGER_NAME: record.name,
        semconv.CODE_FILE_PATH: record.pathname,
        semconv.CODE_LINE_NUMBER: record.lineno,
        semconv.CODE_FUNCTION_NAME: record.funcName,
        semconv.THREAD_NAME: record.threadName,
        semconv.CODE_STACKTRACE: _shortened(record.stack_info) if record.stack_info else None,
        **_exception(record.exc_info),
    }
    for key, value in vars(record).items():
        # Names under `rundial.` are ours.
        if key not in _OWN and key not in found and not key.startswith("rundial."):
            found[key] = value
    known = {key: value for key, value in found.items() if value is not None}
    return clean_attributes(known)[0]


def _exception(found: Any) -> dict[str, str]:
    kind, error, trace = found if isinstance(found, tuple) else (None, None, None)
    if kind is None or error is None:
        return {}
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    stack = "".join(traceback.format_exception(kind, error, trace))
    return {
        semconv.EXCEPTION_TYPE: f"{module}{kind.__qualname__}",
        semconv.EXCEPTION_MESSAGE: redact_shapes(as_text(error)),
        semconv.EXCEPTION_STACKTRACE: redact_shapes(_shortened(stack)),
    }


def _shortened(stack: str) -> str:
    if len(stack) <= MAX_STACK_CHARS:
        return stack
    left_out = len(stack) - MAX_STACK_CHARS
    tail = stack[-(MAX_STACK_CHARS - _HEAD_CHARS) :]
    return f"{stack[:_HEAD_CHARS]}\n… {left_out:,} characters left out …\n{tail}"
