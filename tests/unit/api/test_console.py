"""What a program prints, as text of its run, with its streams untouched."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import tqdm
from opentelemetry import context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, SpanContext, set_span_in_context
from rich.console import Console as RichConsole
from rich.progress import Progress

from rundial.api.run import Run
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]


@pytest.fixture
def out(tmp_path: Path) -> Iterator[TextIO]:
    """A real text file, to be stdout."""
    with (tmp_path / "out.txt").open("w+", encoding="utf-8") as stream:
        yield stream


@pytest.fixture
def err(tmp_path: Path) -> Iterator[TextIO]:
    """A real text file, to be stderr."""
    with (tmp_path / "err.txt").open("w+", encoding="utf-8") as stream:
        yield stream


@pytest.fixture
def console(out: TextIO, err: TextIO) -> Iterator[Callable[[], None]]:
    """Make the two files this process's streams; to be called in the test, for pytest sets its own before."""
    with contextlib.ExitStack() as stack:

        def take() -> None:
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))

        yield take


@pytest.fixture
def capture(console: Callable[[], None], start: Start) -> Start:
    """Begin a run that captures the two files."""

    def make(**arguments: Any) -> Run:
        console()
        return start(capture_console=True, **arguments)

    return make


def text_of(stream: TextIO) -> str:
    """What has reached a stream."""
    stream.flush()
    return Path(stream.name).read_bytes().decode()


def bodies(recorded: Recorded) -> list[str]:
    """The lines' texts, in order."""
    return [line.body for line in recorded.lines]


def test_console_is_recorded_by_stream(capture: Start, read: Read, out: TextIO, err: TextIO) -> None:
    """Stdout is info and stderr is error, each marked, and both streams got what was written."""
    captured = capture()
    print("hello")  # noqa: T201 - what is tested
    print("oh no", file=sys.stderr)  # noqa: T201 - what is tested
    first, second = read(captured).lines

    assert (first.body, first.severity, first.attributes["log.iostream"]) == ("hello", 9, "stdout")
    assert (second.body, second.severity, second.attributes["log.iostream"]) == ("oh no", 17, "stderr")
    assert (text_of(out), text_of(err)) == ("hello\n", "oh no\n")


def test_x8_every_way_of_writing_to_a_stream_is_recorded(capture: Start, read: Read, out: TextIO) -> None:
    """`writelines` is captured like `write` and `print`, and who held the stream before is captured too."""
    captured = capture()
    out.write("by write\n")
    sys.stdout.writelines(["by ", "writelines\n", "again\n"])
    print("by", "print", sep="-", end="\n", flush=True)  # noqa: T201 - what is tested

    assert bodies(read(captured)) == ["by write", "by writelines", "again", "by-print"]
    assert text_of(out) == "by write\nby writelines\nagain\nby-print\n"


def test_x8_a_stream_that_was_replaced_stays_replaced(capture: Start, out: TextIO) -> None:
    """What a program has put into `sys.stdout` or its `write` is still there after the run."""
    captured = capture()
    mine = io.StringIO()
    with contextlib.redirect_stdout(mine):
        captured.finish()
        print("mine")  # noqa: T201 - what is tested
        assert sys.stdout is mine

    assert mine.getvalue() == "mine\n"
    assert sys.stdout is out


def test_write_that_somebody_wrapped_after_us_stays(capture: Start, read: Read, out: TextIO) -> None:
    """Another tool's wrapper around the stream's write goes on working when the run is over."""
    captured = capture()
    seen: list[str] = []
    ours: Callable[[str], int] = out.write

    def theirs(text: str) -> int:
        seen.append(text)
        return ours(text)

    out.write = theirs  # type: ignore[method-assign]  # what other tools do
    captured.finish()
    sys.stdout.write("late\n")

    assert sys.stdout.write is theirs
    assert (seen, text_of(out)) == (["late\n"], "late\n")
    assert bodies(read(captured)) == []


def test_streams_are_the_same_objects_with_the_same_properties(
    out: TextIO, err: TextIO, capture: Start
) -> None:
    """Nothing that a library asks a stream is answered differently while it is captured."""
    asked = ("isatty", "fileno", "readable", "writable", "seekable")
    before = [(getattr(out, name)(), type(getattr(out, name))) for name in asked]
    buffer = out.buffer  # type: ignore[attr-defined]  # a text file has one
    run = capture()

    assert sys.stdout is out
    assert sys.stderr is err
    assert isinstance(sys.stdout, io.TextIOWrapper)
    assert [(getattr(out, name)(), type(getattr(out, name))) for name in asked] == before
    assert (sys.stdout.encoding, sys.stdout.errors, sys.stdout.buffer) == ("utf-8", "strict", buffer)

    run.finish()
    assert "write" not in vars(out)
    assert "write" not in vars(err)


def test_exceptions_of_the_stream_are_the_callers(capture: Start, read: Read, out: TextIO) -> None:
    """A closed stream or a wrong argument raises what it always raises."""
    captured = capture()
    with pytest.raises(TypeError):
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]  # what is tested
    assert sys.stdout.write("four") == 4
    out.close()
    with pytest.raises(ValueError, match="closed"):
        sys.stdout.write("x")

    assert captured.finish()


def test_without_the_option_nothing_is_captured(
    out: TextIO, console: Callable[[], None], start: Start, read: Read
) -> None:
    """The console is captured by those who ask for it."""
    console()
    run = start()
    print("private")  # noqa: T201 - what is tested

    assert bodies(read(run)) == []
    assert "write" not in vars(out)


def test_missing_streams_are_no_error(start: Start) -> None:
    """A process without a console, such as a daemon, runs like any other."""
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        run = start(capture_console=True)

        assert run.log({"x": 1})
        assert run.finish()


def test_half_a_line_is_recorded_at_the_end(capture: Start, read: Read, spool_dir: Path) -> None:
    """What was written last is recorded although its line never ended."""
    captured = capture()
    sys.stdout.write("no end")
    captured.finish()

    assert bodies(read(captured)) == ["no end"]


def test_lines_of_threads_never_mix(capture: Start, read: Read) -> None:
    """Each line is one thread's, however their writes are interleaved."""
    captured = capture()
    gate = threading.Barrier(8)

    def work(number: int) -> None:
        gate.wait(10)
        for step in range(50):
            for part in (f"thread {number}", " ", f"step {step}", "\n"):
                sys.stdout.write(part)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    expected = sorted(f"thread {number} step {step}" for number in range(8) for step in range(50))
    assert sorted(bodies(read(captured))) == expected


def test_our_own_threads_are_not_captured(capture: Start, read: Read) -> None:
    """What the sender's HTTP library prints for debugging does not become lines to send."""
    captured = capture()
    thread = threading.Thread(target=print, args=("POST /v1/logs",), name="rundial-sender")
    thread.start()
    thread.join(10)

    assert bodies(read(captured)) == []


def test_warning_about_a_lost_line_does_not_go_in_circles(capture: Start, read: Read, err: TextIO) -> None:
    """A warning of ours, shown on the captured stderr, is itself a line and nothing more."""
    captured = capture()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _shown
        captured.log({"loss": float("nan")})

    (line,) = read(captured).lines
    assert "NaN" in line.body


def _shown(message: Warning | str, *rest: Any) -> None:
    del rest
    sys.stderr.write(f"{message}\n")


def test_what_is_printed_while_a_line_is_recorded_comes_after_it(capture: Start, read: Read) -> None:
    """Text that recording itself causes is recorded in its turn, and a circle of it ends."""

    class Loud(NonRecordingSpan):
        def __init__(self, times: int) -> None:
            super().__init__(INVALID_SPAN_CONTEXT)
            self.left = times

        def get_span_context(self) -> SpanContext:
            if self.left:
                self.left -= 1
                print("from inside")  # noqa: T201 - what is tested
            return super().get_span_context()

    captured = capture()
    for times in (1, 10**9):
        token = context.attach(set_span_in_context(Loud(times)))
        print("a line")  # noqa: T201 - what is tested
        context.detach(token)

    found = bodies(read(captured))
    assert found[:3] == ["a line", "from inside", "a line"]
    assert set(found[3:]) == {"from inside"}
    assert len(found) < 300


def test_text_with_methods_of_its_own_is_taken_as_it_is(capture: Start, read: Read) -> None:
    """A kind of str whose own methods fail is recorded like any other."""

    class Odd(str):
        __slots__ = ()

        def split(self, *arguments: Any) -> Any:
            raise ZeroDivisionError

    captured = capture()
    sys.stdout.write(Odd("a line\n"))

    assert bodies(read(captured)) == ["a line"]


def test_spans_own_what_is_printed_in_them(capture: Start, read: Read) -> None:
    """A line that is printed inside a span names it."""
    captured = capture()
    with captured.trace("step") as span:
        print("inside")  # noqa: T201 - what is tested
    (line,) = read(captured).lines

    assert (line.trace_id, line.span_id) == (span.trace_id, span.span_id)


def test_long_line_is_cut_flagged_and_counted(capture: Start, read: Read, out: TextIO) -> None:
    """A line of a megabyte keeps its first 8,192 bytes, and the stream gets all of it."""
    captured = capture()
    print("é" * 500_000)  # noqa: T201 - what is tested
    (line,) = read(captured).lines

    assert len(line.body.encode()) == 8_192
    assert (line.attributes["rundial.truncated"], line.attributes["rundial.original_bytes"]) == (
        True,
        1_000_000,
    )
    assert captured.diagnostics().log_lines_truncated == 1
    assert len(text_of(out)) == 500_001


def test_known_secrets_are_taken_out_of_lines(capture: Start, read: Read, out: TextIO) -> None:
    """A key that is printed stays on the console and does not leave the machine."""
    captured = capture()
    secret = "hf_" + "a1" * 17
    print("before\nusing", secret)  # noqa: T201 - what is tested

    assert bodies(read(captured)) == ["before", "using [redacted]"]
    assert secret in text_of(out)


def test_lines_that_find_no_room_are_counted(capture: Start) -> None:
    """Output faster than the ring can take is dropped whole and counted, and never blocks or raises."""
    run = capture(flush_interval_seconds=60, strict=True)
    written = 0
    while run.diagnostics().dropped_log_lines_queue_full == 0:
        sys.stdout.write(("x" * 8_000 + "\n") * 100)
        written += 100
        assert written < 50_000

    run.finish(10)
    lines = run.diagnostics().ledger.lines
    assert lines.recorded + lines.dropped["queue_full"] == written


def test_two_runs_capture_the_same_console(out: TextIO, capture: Start, start: Start, read: Read) -> None:
    """Each of two runs has what was printed while it ran, in whatever order they end."""
    first = capture()
    print("first alone")  # noqa: T201 - what is tested
    second = start(capture_console=True)
    print("both")  # noqa: T201 - what is tested
    first.finish()
    print("second alone")  # noqa: T201 - what is tested
    second.finish()
    print("nobody")  # noqa: T201 - what is tested

    found: dict[str, list[str]] = {}
    for line in read(second).lines:
        found.setdefault(line.resource["rundial.run.id"], []).append(line.body)
    assert found == {first.run_id: ["first alone", "both"], second.run_id: ["both", "second alone"]}
    assert "write" not in vars(out)
    assert text_of(out) == "first alone\nboth\nsecond alone\nnobody\n"


def test_one_stream_under_both_names_is_captured_once(out: TextIO, start: Start, read: Read) -> None:
    """A program that sends stderr to stdout has each line once."""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        run = start(capture_console=True)
        print("to both", file=sys.stderr)  # noqa: T201 - what is tested

        assert bodies(read(run)) == ["to both"]
        run.finish()


def test_stream_that_takes_no_wrapper_has_a_stand_in(start: Start, read: Read) -> None:
    """A stream whose `write` cannot be wrapped is captured too, and is itself again after the run."""

    class Sealed:
        __slots__ = ("written",)

        def __init__(self) -> None:
            self.written = ""

        def write(self, text: str) -> int:
            self.written += text
            return len(text)

        def flush(self) -> None:
            """Nothing to flush."""

    sealed: Any = Sealed()
    with contextlib.redirect_stdout(sealed), contextlib.redirect_stderr(None):
        first = start(capture_console=True)
        print("one")  # noqa: T201 - what is tested
        second = start(capture_console=True)
        sys.stdout.writelines(["two\n"])
        assert isinstance(sys.stdout, Sealed)
        assert sys.stdout.written == "one\ntwo\n"
        first.finish()
        print("three")  # noqa: T201 - what is tested
        second.finish()
        assert sys.stdout is sealed

    assert sealed.written == "one\ntwo\nthree\n"
    assert sorted(bodies(read(second))) == ["one", "three", "two", "two"]


def test_tqdm_bar_is_one_line(capture: Start, read: Read, err: TextIO) -> None:
    """A tqdm bar is recorded as what it shows in the end, and looks on the console as ever."""
    captured = capture()
    for _ in tqdm.tqdm(range(200), desc="train", mininterval=0):
        pass
    print("after", file=sys.stderr)  # noqa: T201 - what is tested

    found = bodies(read(captured))
    assert len(found) == 2
    assert found[0].startswith("train: 100%")
    assert text_of(err).count("\r") > 100


def test_rich_output_is_recorded_by_the_line(capture: Start, read: Read) -> None:
    """What rich renders is recorded, and a progress display of it does not flood."""
    captured = capture()
    RichConsole(width=60).print("[bold]epoch[/bold] 1")
    with Progress(console=RichConsole(force_terminal=True, width=60), refresh_per_second=50) as progress:
        task = progress.add_task("work", total=200)
        for _ in range(200):
            progress.update(task, advance=1, refresh=True)

    found = read(captured).lines
    assert found[0].body == "epoch 1"
    assert len(found) < 20
    assert any("100%" in line.body for line in found)


def test_logging_to_stderr_is_captured(capture: Start, read: Read) -> None:
    """A stream handler that was made before the run is captured as well."""
    captured = capture()
    handler = logging.StreamHandler(sys.stderr)
    handler.handle(logging.LogRecord("x", logging.INFO, "f.py", 1, "by a handler", (), None))

    assert bodies(read(captured)) == ["by a handler"]
