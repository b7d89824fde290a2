"""Capture of file descriptors in programs of their own: what C libraries and children print as well."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from rundial.api import descriptors
from rundial.api.client import Client
from tests.support import recorded
from tests.support.program import ServerProgram
from tests.support.recorded import Recorded
from tests.support.scripts import PRELUDE, TIMEOUT_S, end_of, run_script, start_script
from tests.support.shell import Done, rundial
from tests.support.stored import read
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.fault, pytest.mark.timeout(60)]

BEGIN = """
    import os, subprocess, sys
    run = rd.init(project="digits", mode="offline", spool_directory=given["spool"], capture_console="fd",
                  finish_timeout_seconds=20)
"""
# The program that passes the console on, as the process list shows it.
FIND = """
    def passer():
        for each in os.listdir("/proc"):
            if each.isdigit():
                try:
                    words = open(f"/proc/{each}/cmdline").read().split(chr(0))
                    ends = [os.readlink(f"/proc/{each}/fd/{end}") for end in os.listdir(f"/proc/{each}/fd")]
                except OSError:
                    continue
                if words[-2:] != [""] and any(word.endswith("passer.py") for word in words):
                    if os.readlink("/proc/self/fd/1") in ends:
                        return int(each)
"""


def record(text: str, directory: Path) -> tuple[Done, Recorded]:
    """Run a script; return how it ended and what it left."""
    done = run_script(BEGIN + text, spool=str(directory))
    return done, recorded.read(directory)


def bodies(found: Recorded, stream: str) -> list[str]:
    """What was recorded of a stream."""
    return [line.body for line in found.lines if line.attributes["log.iostream"] == stream]


def test_x8_everything_below_python_is_recorded_in_order_and_shown(spool_dir: Path) -> None:
    """Descriptors, a C library, a shell, a Python child: all is on the console, and each line in the run."""
    done, found = record(
        """
    import ctypes
    print("python")
    sys.stdout.flush()
    os.write(1, b"descriptor\\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"library")
    libc.fflush(None)
    subprocess.run(["sh", "-c", "echo shell; echo complaint >&2"], check=True)
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    sys.stdout.writelines(["a\\n", "half"])
        """,
        spool_dir,
    )

    assert (done.status, done.stdout) == (0, "python\ndescriptor\nlibrary\nshell\nchild\na\nhalf"), (
        done.stderr
    )
    assert done.stderr.startswith("complaint\n")
    assert bodies(found, "stdout") == ["python", "descriptor", "library", "shell", "child", "a", "half"]
    assert bodies(found, "stderr") == ["complaint"]


def test_traceback_of_a_crash_is_recorded(spool_dir: Path) -> None:
    """What Python prints last is recorded like the rest."""
    done, found = record("    raise ValueError('bad shape')\n", spool_dir)

    assert done.status == 1
    assert bodies(found, "stderr")[-1] == "ValueError: bad shape"
    assert "\nValueError: bad shape\n" in done.stderr


def test_every_byte_of_much_output_arrives_and_each_line_is_recorded_or_counted(spool_dir: Path) -> None:
    """Far more than a pipe holds: the console gets all of it, and what the run has no room for is counted."""
    done, found = record(
        """
    text = b"".join(b"%07d %s\\n" % (number, b"x" * 100) for number in range(100_000))
    while text:
        text = text[os.write(1, text):]
    run.finish(20)
    ledger = run.diagnostics().ledger.lines
    print(json.dumps([ledger.logged, sum(ledger.dropped.values())]), file=sys.stderr)
        """,
        spool_dir,
    )

    assert done.stdout == "".join(f"{number:07d} {'x' * 100}\n" for number in range(100_000))
    logged, dropped = json.loads(done.stderr.splitlines()[0])
    assert len(found.lines) == logged - dropped
    # A piece is cut in the midst of lines: each gap makes two of one.
    assert 100_000 <= logged <= 100_000 * 1.1
    assert len(found.lines) > 1000


def test_finish_gives_the_descriptors_back(spool_dir: Path) -> None:
    """After the end the program writes where it wrote before, and the other program is gone."""
    done, found = record(
        FIND
        + """
    before = os.readlink("/proc/self/fd/1")
    other = passer()
    print("within")
    assert run.finish(20)
    print("after", os.readlink("/proc/self/fd/1") != before, flush=True)
    print(other is not None, other, flush=True)
        """,
        spool_dir,
    )

    after = done.stdout.splitlines()
    assert after[:2] == ["within", "after True"], done.stderr
    assert after[2].startswith("True")
    wait_until(lambda: not Path(f"/proc/{after[2].split()[1]}").exists(), 10)
    assert bodies(found, "stdout") == ["within"]


def test_what_somebody_turned_since_is_left_alone(spool_dir: Path, tmp_path: Path) -> None:
    """A program that leads descriptor 1 to a file of its own keeps it there."""
    own = tmp_path / "own"
    done = run_script(
        BEGIN
        + """
    os.dup2(os.open(given["own"], os.O_CREAT | os.O_WRONLY), 1)
    run.finish(20)
    print("mine")
        """,
        spool=str(spool_dir),
        own=str(own),
    )

    assert (done.status, done.stdout) == (0, ""), done.stderr
    assert own.read_text() == "mine\n"


def test_kill_loses_nothing_that_was_printed_to_the_console(spool_dir: Path) -> None:
    """What is in the pipes when the process is killed still reaches the console."""
    done = run_script(
        BEGIN
        + """
    for number in range(20_000):
        os.write(1, b"%d\\n" % number)
    os.kill(os.getpid(), 9)
        """,
        spool=str(spool_dir),
    )

    assert done.status == -9
    assert done.stdout == "".join(f"{number}\n" for number in range(20_000))


@pytest.mark.parametrize("is_second", [False, True])
def test_lines_that_a_kill_keeps_from_the_run_are_counted(
    server: ServerProgram, spool_dir: Path, is_second: bool
) -> None:
    """After kill -9 each line is in the run or counted, to one; who delivers the rest says how many."""
    again = "run = rd.init(project='digits', run_id='second', **given['options'])"
    options = {
        "mode": "offline",
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(spool_dir),
        "capture_console": "fd",
    }
    done = run_script(
        f"""
    import os
    run = rd.init(project="digits", run_id="first", **given["options"])
    {again if is_second else ""}
    os.write(1, b"0\\n")
    while not run.diagnostics().ledger.lines.logged:
        pass
    for number in range(1, 20_000):
        os.write(1, b"%d\\n" % number)
    os.kill(os.getpid(), 9)
        """,
        options=options,
    )
    synced = rundial("sync", str(spool_dir), RUNDIAL_API_KEY=server.key)
    assert synced.status == 0, synced.stderr
    with Client(server.url, api_key=server.key) as client:
        found = read(client, "digits", "second" if is_second else "first")

    assert done.stdout == "".join(f"{number}\n" for number in range(20_000))
    ledger = found.details["ledger"]
    dropped = ledger["lines"]["dropped"].get("queue_full", 0)
    assert 0 < len(found.lines) < 20_000
    assert found.lines == [str(number) for number in range(len(found.lines))]
    assert 0 <= len(found.lines) + dropped - 20_000 <= 1
    assert f"{dropped} lines of its console were not recorded" in synced.stderr


def test_children_that_outlive_the_process_go_on_printing(spool_dir: Path) -> None:
    """A child that was started while descriptors were captured can print after its parent was killed."""
    script = start_script(
        BEGIN
        + """
    late = "import sys; sys.stdin.read(); print('late')"
    ours, theirs = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", late], stdin=ours)
    os.close(ours)
    print("ready", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), 9)
        """,
        spool=str(spool_dir),
    )
    done = end_of(script)

    assert (done.status, done.stdout) == (-9, "ready\nlate\n"), done.stderr


def test_killed_passer_costs_no_output(spool_dir: Path) -> None:
    """Without the other program the old descriptors come back, and the program never notices."""
    done, _ = record(
        FIND
        + """
    import threading
    before = os.readlink("/proc/self/fd/1")
    print("before", flush=True)
    assert run.flush(20)
    (thread,) = [each for each in threading.enumerate() if each.name == "rundial-console"]
    os.kill(passer(), 9)
    thread.join(20)
    print("after", os.readlink("/proc/self/fd/1") != before, flush=True)
    subprocess.run(["echo", "child"])
        """,
        spool_dir,
    )

    assert (done.status, done.stdout) == (0, "before\nafter True\nchild\n"), done.stderr
    assert "captured no more" in done.stderr


def test_a_stopped_reader_never_holds_up_the_program(spool_dir: Path) -> None:
    """A library that prints while it holds the interpreter's lock cannot wait for a thread of ours."""
    done, _ = record(
        """
    import ctypes
    libc = ctypes.PyDLL(None)
    for number in range(20_000):
        assert libc.puts(b"x" * 99) >= 0
    libc.fflush(None)
    text = b"y" * 1_000_000
    assert libc.write(1, text, len(text)) == len(text)
        """,
        spool_dir,
    )

    assert done.status == 0, done.stderr
    assert done.stdout == ("x" * 99 + "\n") * 20_000 + "y" * 1_000_000


def test_the_end_waits_for_a_console_that_is_slow_but_moves(spool_dir: Path, tmp_path: Path) -> None:
    """A terminal over a poor line: what it still takes when the run ends is recorded, however long."""
    mark = tmp_path / "ending"
    line = b"x" * 99 + b"\n"
    with start_script(
        BEGIN
        + """
    text = given["line"].encode() * 4_000
    while text:
        text = text[os.write(1, text):]
    open(given["mark"], "w").close()
    run.finish(20)
        """,
        spool=str(spool_dir),
        mark=str(mark),
        line=line.decode(),
    ) as script:
        assert script.stdout is not None
        output = script.stdout.fileno()
        taken = 0
        # When the program has written it all, the pipes are full of what is left.
        while not mark.exists():
            taken += len(os.read(output, 4_000))
            select.select([script.stderr], [], [], 0.005)
        began = time.monotonic()
        while text := os.read(output, 4_000):
            taken += len(text)
            # Beyond MAX_WAIT_S in all.
            select.select([script.stderr], [], [], 0.25)
        took = time.monotonic() - began
        errors = script.communicate()[1]

    found = recorded.read(spool_dir)
    assert (script.returncode, taken) == (0, 4_000 * len(line))
    assert "takes no more" not in errors
    assert took > descriptors.MAX_WAIT_S
    assert bodies(found, "stdout") == [line.decode().rstrip()] * 4_000


def test_forked_child_writes_through_its_parents_pipes(spool_dir: Path) -> None:
    """A forked child's text is on the console and in its parent's run; its end gives nothing back."""
    done, found = record(
        """
    pid = os.fork()
    if pid == 0:
        print("child", flush=True)
        run.finish(5)
        os._exit(0)
    os.waitpid(pid, 0)
    print("parent", flush=True)
        """,
        spool_dir,
    )

    assert (done.status, done.stdout) == (0, "child\nparent\n"), done.stderr
    assert bodies(found, "stdout") == ["child", "parent"]


def test_two_runs_share_the_descriptors(spool_dir: Path) -> None:
    """Each run gets what was written while it went on, whichever ends first."""
    done, found = record(
        """
    other = rd.init(project="digits", mode="offline", spool_directory=given["spool"], capture_console="fd")
    print("both")
    run.finish(20)
    print("one")
    other.finish(20)
    print("none")
        """,
        spool_dir,
    )

    assert done.stdout == "both\none\nnone\n", done.stderr
    assert sorted(bodies(found, "stdout")) == ["both", "both", "one"]


def test_waiting_for_any_child_meets_only_the_programs_own(spool_dir: Path) -> None:
    """The other program is nobody's child: `os.wait` of a program with its own children is not disturbed."""
    done, _ = record(
        """
    try:
        os.wait()
    except ChildProcessError:
        print("no child")
        """,
        spool_dir,
    )

    assert done.stdout == "no child\n", done.stderr


def test_writers_learn_that_nobody_reads_any_more(spool_dir: Path) -> None:
    """`program | head -1` ends as it does without a capture: by a broken pipe."""
    script = start_script(
        BEGIN
        + """
    print("first", flush=True)
    sys.stdin.readline()
    try:
        while True:
            os.write(1, b"more\\n")
    except BrokenPipeError:
        print("broken", file=sys.stderr)
        """,
        spool=str(spool_dir),
    )
    assert script.stdout is not None
    assert script.stdout.readline() == "first\n"
    script.stdout.close()
    assert script.stderr is not None
    assert script.stdin is not None
    script.stdin.close()

    assert script.stderr.readline() == "broken\n"
    script.wait(TIMEOUT_S)
    script.stderr.close()


def test_terminal_stays_a_terminal(spool_dir: Path) -> None:
    """What asks whether it writes to a terminal, and how wide that is, hears what it heard before."""
    text = dedent(
        BEGIN
        + """
    child = subprocess.run(["test", "-t", "1"])
    print(sys.stdout.isatty(), os.get_terminal_size(1).columns, child.returncode)
    """
    )
    terminal, side = os.openpty()
    os.set_blocking(terminal, False)
    subprocess.run(["stty", "cols", "97"], stdin=side, check=True)
    given = json.dumps({"spool": str(spool_dir)})
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + text, given], stdout=side, stderr=subprocess.PIPE, check=False
    )
    os.close(side)
    shown = os.read(terminal, 1000)
    os.close(terminal)

    assert done.returncode == 0, done.stderr
    assert shown == b"True 97 0\r\n"
    assert bodies(recorded.read(spool_dir), "stdout") == ["True 97 0"]


def test_runs_that_begin_at_once_share_one_program(spool_dir: Path) -> None:
    """Descriptors are turned once, however many threads start runs together, and given back once."""
    done, found = record(
        """
    from threading import Barrier, Thread, enumerate
    assert run.finish(20)
    before, barrier, runs = os.readlink("/proc/self/fd/1"), Barrier(4), []
    def begin():
        barrier.wait()
        runs.append(rd.init(project="digits", mode="offline", spool_directory=given["spool"],
                            capture_console="fd", finish_timeout_seconds=20))
    threads = [Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("together", flush=True)
    readers = [each.name for each in enumerate() if each.name == "rundial-console"]
    for each in runs:
        assert each.finish(20)
    print(len(runs), len(readers), os.readlink("/proc/self/fd/1") == before, flush=True)
        """,
        spool_dir,
    )

    assert (done.status, done.stdout) == (0, "together\n4 1 True\n"), done.stderr
    assert bodies(found, "stdout") == ["together"] * 4


def test_capture_that_cannot_begin_leaves_no_descriptor(spool_dir: Path) -> None:
    """Where the program cannot be started, the streams are captured, and everything else is as it was."""
    done = run_script(
        """
    import os
    sys.executable = ""
    options = {"project": "digits", "mode": "offline", "spool_directory": given["spool"],
               "capture_environment": False, "system_metrics": False}
    # What leads to a pipe, as the console does here; threads of ours open and close files meanwhile.
    def pipes():
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                found.append(os.readlink(f"/proc/self/fd/{name}"))
            except FileNotFoundError:
                continue
        return sum(place.startswith("pipe:") for place in found)
    without = pipes()
    with rd.init(**options, capture_console="fd") as run:
        more = pipes() - without
        print("seen")
        print(more, run.diagnostics().ledger.lines.logged)
        """,
        spool=str(spool_dir),
    )

    assert "what Python writes is captured" in done.stderr
    assert (done.status, done.stdout) == (0, "seen\n0 1\n"), done.stderr
    assert list(spool_dir.rglob("console")) == []
