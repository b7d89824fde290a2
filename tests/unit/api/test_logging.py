"""Python's own `logging` as text of a run."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import threading
from collections.abc import Callable, Iterator

import pytest

import rundial as rd
from rundial.api.logging import severity_of
from rundial.api.run import Run
from rundial.errors import RecordDroppedError, RunFinishedError
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]


@pytest.fixture
def logger(run: Run) -> Iterator[logging.Logger]:
    """A logger of the test's own, with the run's handler."""
    logger = logging.getLogger("training.loop")
    handler = rd.LoggingHandler(run)
    logger.addHandler(handler)
    logger.setLevel(1)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)
    logger.propagate = True


def made(message: str, *args: object) -> logging.LogRecord:
    """A record of this thread, as a logger makes it."""
    return logging.LogRecord("training.loop", logging.INFO, __file__, 1, message, args, None)


def _fail() -> None:
    raise ValueError("bad shape")


def test_line_says_what_was_logged_by_whom_and_where(run: Run, read: Read, logger: logging.Logger) -> None:
    """A line carries its level, its logger, its place in the code and what came as extra."""
    logger.warning("loss is %.1f", 0.5, extra={"fold": 3, "rundial.seq": "theirs", "tags": {"a": 1}})
    (line,) = read(run).lines

    assert (line.body, line.severity) == ("loss is 0.5", 13)
    found = line.attributes
    assert found["rundial.logger.name"] == "training.loop"
    assert found["code.file.path"] == __file__
    assert found["code.function.name"] == "test_line_says_what_was_logged_by_whom_and_where"
    assert isinstance(found["code.line.number"], int)
    assert (found["fold"], found["tags"], found["thread.name"]) == (3, '{"a": 1}', "MainThread")
    assert isinstance(found["rundial.seq"], int), "names of ours are ours"


@pytest.mark.parametrize(
    ("level", "severity"),
    [(1, 1), (5, 1), (10, 5), (15, 5), (20, 9), (25, 9), (30, 13), (40, 17), (50, 21), (99, 21), (-5, 1)],
)
def test_level_becomes_the_nearest_severity_below(level: int, severity: int) -> None:
    """Every level of logging, also one between the named ones, is one of OpenTelemetry's."""
    assert severity_of(level) == severity


def test_exception_is_recorded_with_its_traceback(run: Run, read: Read, logger: logging.Logger) -> None:
    """An exception is there by type, message and traceback, and not in the line itself."""
    try:
        _fail()
    except ValueError:
        logger.exception("step failed")
    (line,) = read(run).lines

    assert line.body == "step failed"
    assert line.attributes["exception.type"] == "ValueError"
    assert line.attributes["exception.message"] == "bad shape"
    stack = str(line.attributes["exception.stacktrace"])
    assert stack.startswith("Traceback (most recent call last):")
    assert stack.endswith("ValueError: bad shape\n")


def test_long_traceback_keeps_its_end(run: Run, read: Read, logger: logging.Logger) -> None:
    """Of a very long traceback both ends are kept: where it began, and what went wrong."""
    try:
        raise ValueError("x" * 20_000) from RuntimeError("the cause")
    except ValueError:
        logger.exception("failed")
    (line,) = read(run).lines

    stack = str(line.attributes["exception.stacktrace"])
    assert stack.startswith("RuntimeError: the cause")
    assert "characters left out" in stack
    assert len(stack) < 17_000


def test_line_inside_a_span_belongs_to_it(run: Run, read: Read, logger: logging.Logger) -> None:
    """A line that is logged in a span names the span and its trace; one outside names none."""
    logger.info("outside")
    with run.trace("step") as span:
        logger.info("inside")
    outside, inside = read(run).lines

    assert (inside.trace_id, inside.span_id) == (span.trace_id, span.span_id)
    assert not int(outside.trace_id or "0", 16)


def test_formatter_makes_the_line(run: Run, read: Read, logger: logging.Logger) -> None:
    """Who sets a formatter gets lines in its form."""
    logger.handlers[0].setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    logger.info("hello")

    assert [line.body for line in read(run).lines] == ["[INFO] hello"]


def test_arguments_that_do_not_fit_are_recorded_all_the_same(run: Run, read: Read) -> None:
    """A message with the wrong arguments is kept with them, and raises nothing."""
    rd.LoggingHandler(run).handle(made("%d steps", "three"))

    assert [line.body for line in read(run).lines] == ["%d steps ('three',)"]


def test_known_secrets_are_taken_out(run: Run, read: Read, logger: logging.Logger) -> None:
    """A key in what a library logs does not leave the machine, nor one in an exception."""
    logger.info("GET https://me:hunter2@host/x with %s", "Bearer abcdef1234567890")
    try:
        raise ValueError("hf_" + "a1" * 17)
    except ValueError:
        logger.exception("refused")
    first, second = read(run).lines

    assert first.body == "GET https://[redacted]@host/x with Bearer [redacted]"
    assert second.attributes["exception.message"] == "[redacted]"
    assert "hf_a1" not in str(second.attributes)


def test_lines_of_another_thread_keep_their_own_time(run: Run, read: Read) -> None:
    """A line that waits in a queue is stored with the time at which it was logged."""
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    record = logging.makeLogRecord({"msg": "old", "created": 1_600_000_000.25, "thread": 0})
    waiting.put(record)
    listener = logging.handlers.QueueListener(waiting, rd.LoggingHandler(run))  # type: ignore[arg-type]  # any queue with get
    listener.start()
    listener.stop()
    (line,) = read(run).lines

    assert line.time_unix_ns // 1_000_000 == 1_600_000_000_250


def test_what_our_own_threads_log_is_left_alone(run: Run, read: Read, logger: logging.Logger) -> None:
    """The HTTP library's debug lines about sending a line do not become lines to send."""
    thread = threading.Thread(target=logger.info, args=("POST /v1/logs",), name="rundial-sender")
    thread.start()
    thread.join(10)

    assert read(run).lines == []


def test_value_that_logs_while_it_is_recorded_ends(run: Run, read: Read) -> None:
    """An object whose text logs something itself cannot start a circle."""

    class Chatty:
        def __str__(self) -> str:
            handler.handle(made("from inside"))
            return "chatty"

    handler = rd.LoggingHandler(run)
    handler.handle(made("%s", Chatty()))

    assert [line.body for line in read(run).lines] == ["chatty"]


def test_long_line_is_cut_and_counted(run: Run, read: Read, logger: logging.Logger) -> None:
    """A line beyond 8,192 bytes is cut, flagged with its length, and counted."""
    logger.info("x" * 10_000)
    (line,) = read(run).lines

    assert line.attributes["rundial.original_bytes"] == 10_000
    assert run.diagnostics().log_lines_truncated == 1


def test_line_after_the_end_is_counted(run: Run, logger: logging.Logger) -> None:
    """A handler that outlives its run loses nothing silently and raises nothing."""
    run.finish()
    with pytest.warns(RuntimeWarning, match="after the run had finished"):
        logger.info("late")

    assert run.diagnostics().ledger.lines.dropped == {"after_finish": 1}


def test_strict_mode_raises_for_a_line_that_is_lost(start: Start) -> None:
    """In tests and CI a line that cannot be kept is an exception."""
    run = start(strict=True)
    handler = rd.LoggingHandler(run)
    run.finish()

    with pytest.raises((RunFinishedError, RecordDroppedError)):
        handler.handle(made("late"))


def test_level_of_the_handler_is_respected(run: Run, read: Read, logger: logging.Logger) -> None:
    """A handler made for warnings records warnings."""
    logger.handlers[0].setLevel("WARNING")
    logger.info("no")
    logger.error("yes")

    assert [line.body for line in read(run).lines] == ["yes"]


def test_l16_long_attributes_are_kept_or_flagged(run: Run, read: Read, logger: logging.Logger) -> None:
    """Long extras are kept whole while they fit; what is cut of a text or a list says how long it was."""
    logger.info("small", extra={f"text{number}": "x" * 3_000 for number in range(8)})
    logger.info("large", extra={"text": "x" * 100_000, "items": list(range(5_000)), "short": 1})
    small, large = (line.attributes for line in read(run).lines)

    assert all(small[f"text{number}"] == "x" * 3_000 for number in range(8))
    assert large["short"] == 1
    assert large["text.rundial.original_bytes"] == 100_000
    assert large["items.rundial.original_items"] == 5_000
    assert len(str(large["text"])) > 10_000
