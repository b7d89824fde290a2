"""How a run ends when its program does: every way in which a process can leave."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.support.program import ServerProgram
from tests.support.scripts import PRELUDE, end_of, run_script, start_script
from tests.support.server import fresh_id
from tests.support.shell import Done, rundial
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

BEGIN = """
    from sys import exit as leave
    run = rd.init(project="digits", **given)
    run.log({"x": 1.0})
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProgram]:
    """One server for the module; each test has a run of its own."""
    with ServerProgram(tmp_path_factory.mktemp("server") / "data") as program:
        yield program


@pytest.fixture
def options(shared: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """Arguments of `init` for a run of the test's own."""
    return {
        "run_id": fresh_id(),
        "endpoint": shared.url,
        "api_key": shared.key,
        "spool_directory": str(tmp_path / "spool"),
    }


def details(server: ServerProgram, run_id: str) -> dict[str, Any]:
    """The run as the server shows it."""
    return server.get(f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run_id}")


# Where the tests themselves run in the background, SIGINT is ignored: not so in a program at a terminal.
INTERRUPT = (
    "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "os.kill(os.getpid(), signal.SIGINT)"
)


@pytest.mark.parametrize(
    ("way", "exit_status", "status", "reason"),
    [
        ("pass", 0, "completed", None),
        ("sys.exit()", 0, "completed", None),
        ("sys.exit(0)", 0, "completed", None),
        ("sys.exit(3)", 3, "failed", "exit status 3"),
        ("sys.exit('no data')", 1, "failed", "exit status no data"),
        ("exit(3)", 3, "failed", "exit status 3"),
        ("raise SystemExit", 0, "completed", None),
        ("raise SystemExit()", 0, "completed", None),
        ("raise SystemExit(0)", 0, "completed", None),
        ("raise SystemExit(3)", 3, "failed", "exit status 3"),
        ("raise SystemExit(300)", 300 % 256, "failed", "exit status 300"),
        ("raise SystemExit('no data')", 1, "failed", "exit status no data"),
        ("left = 3; raise SystemExit(left)", 3, "failed", "exit status 3"),
        ("left = 0; raise SystemExit(left)", 0, "completed", None),
        ("raise SystemExit(int('0'))", 0, "completed", None),
        ("raise SystemExit(int('6'))", 6, "failed", "exit status 6"),
        ("def work(): raise SystemExit(0)\n    work()", 0, "completed", None),
        ("def work(): raise SystemExit(4)\n    work()", 4, "failed", "exit status 4"),
        # Taken before the run began, as at the top of a program.
        ("leave(0)", 0, "completed", None),
        ("def work(): leave(5)\n    work()", 5, "failed", "exit status 5"),
        ("class Mine(SystemExit): pass\n    raise Mine(7)", 7, "failed", "exit status 7"),
        ("error = SystemExit(1); error.code = 0; raise error", 0, "completed", None),
        # The eight bits that whoever started the program is told are what it left with.
        ("sys.exit(256)", 0, "completed", None),
        ("try: sys.exit(3)\n    except SystemExit as error: assert error.code == 3", 0, "completed", None),
        ("try: sys.exit(3)\n    except SystemExit: raise ValueError('nan')", 1, "failed", "ValueError: nan"),
        # What somebody catches, or ends another thread, does not end the program.
        ("import contextlib\n    with contextlib.suppress(SystemExit): sys.exit(3)", 0, "completed", None),
        (
            "import threading as t; a = t.Thread(target=sys.exit, args=(3,)); a.start(); a.join()",
            0,
            "completed",
            None,
        ),
        ("sys.exit('HF_TOKEN=hf_abcdefghijklmnopqrstuvwx')", 1, "failed", "exit status HF_TOKEN=[redacted]"),
        ("raise ValueError('nan')", 1, "failed", "ValueError: nan"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "aborted", "KeyboardInterrupt"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, "aborted", "SIGTERM"),
        (INTERRUPT, -2, "aborted", "KeyboardInterrupt"),
    ],
)
def test_run_ends_as_its_program_does(
    shared: ServerProgram,
    options: dict[str, Any],
    way: str,
    exit_status: int,
    status: str,
    reason: str | None,
) -> None:
    """Without `finish`, the status follows from how the process left, whose own exit status stays."""
    done = run_script(f"{BEGIN}    {way}\n", **options)

    found = details(shared, options["run_id"])
    assert done.status == exit_status, done.stderr
    assert (found["status"], found["reason"]) == (status, reason)
    assert found["counts"]["points"] == 1
    assert found["ledger"]["complete"]


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("pass", "completed"),
        ("raise ValueError('nan')", "failed"),
        ("sys.exit(1)", "aborted"),
        ("raise KeyboardInterrupt", "aborted"),
    ],
)
def test_with_block_ends_the_run_as_it_is_left(
    shared: ServerProgram, options: dict[str, Any], way: str, status: str
) -> None:
    """`with` completes, fails or aborts the run, and the exception goes on its way."""
    script = f"""
    with rd.init(project="digits", **given) as run:
        run.log({{"x": 1.0}})
        {way}
    """
    run_script(script, **options)

    assert details(shared, options["run_id"])["status"] == status


@pytest.mark.parametrize("is_block", [True, False])
def test_exception_is_kept_with_its_traceback(
    shared: ServerProgram, options: dict[str, Any], is_block: bool
) -> None:
    """Who looks at a failed run sees where it failed, and no secret that the message held."""
    script = """
    class DivergedError(ValueError):
        pass

    def train():
        raise DivergedError("loss is nan; HF_TOKEN=hf_abcdefghijklmnopqrstuvwx")

    run = rd.init(project="digits", **given["options"])
    if given["is_block"]:
        with run:
            train()
    train()
    """
    done = run_script(script, options=options, is_block=is_block)

    found = details(shared, options["run_id"])
    assert "DivergedError" in done.stderr
    assert found["reason"].startswith("DivergedError: loss is nan")
    assert found["error"]["type"] == "__main__.DivergedError"
    assert found["error"]["message"].startswith("loss is nan")
    assert re.search(r"in train\b", found["error"]["traceback"])
    assert "hf_abcdef" not in json.dumps(found)


def test_sys_exit_that_is_caught_and_followed_by_another_counts_for_nothing(
    shared: ServerProgram, options: dict[str, Any]
) -> None:
    """The last exit decides: a command that was run inside the program does not fail it."""
    script = """
    try:
        sys.exit(2)
    except SystemExit:
        pass
    sys.exit(0)
    """
    run_script(BEGIN + script, **options)

    assert details(shared, options["run_id"])["status"] == "completed"


def test_sys_exit_is_given_back(options: dict[str, Any]) -> None:
    """What was replaced to see the exit status is the program's own again at its end."""
    script = """
    import atexit
    from sys import exit
    own, code = sys.exit, vars(SystemExit)["code"]
    atexit.register(lambda: print(sys.exit is exit is own, vars(SystemExit)["code"] is code))
    run = rd.init(project="digits", **given)
    assert vars(SystemExit)["code"] is not code is SystemExit.code
    assert sys.exit.__name__ == "exit" and sys.exit is exit
    """
    done = run_script(script, **options)

    assert done.stdout.split() == ["True", "True"], done.stderr


def test_modules_that_load_when_they_are_used_are_not_loaded(options: dict[str, Any], tmp_path: Path) -> None:
    """Nobody's lazy import is hurried by looking for `exit` among the modules."""
    (tmp_path / "lazy.py").write_text("print('loaded')\n")
    script = """
    import importlib.util
    sys.path.insert(0, given["place"])
    spec = importlib.util.find_spec("lazy")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    sys.modules["lazy"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["lazy"])
    run = rd.init(project="digits", mode="offline", **given["options"])
    run.finish(20)
    print("ended")
    """
    done = run_script(script, options=options, place=str(tmp_path))

    assert done.stdout.split() == ["ended"], done.stderr


@pytest.mark.parametrize(("way", "status"), [("raise SystemExit(3)", "failed"), ("pass", "completed")])
def test_program_that_is_a_module_ends_its_run_likewise(
    shared: ServerProgram, options: dict[str, Any], tmp_path: Path, way: str, status: str
) -> None:
    """With `python -m` the program's own frame is not the outermost one."""
    (tmp_path / "program.py").write_text(PRELUDE + dedent(f"{BEGIN}    {way}\n"))
    subprocess.run([sys.executable, "-m", "program", json.dumps(options)], cwd=tmp_path, check=False)

    assert details(shared, options["run_id"])["status"] == status


@pytest.mark.parametrize(("way", "code"), [("os.kill(os.getpid(), 9)", -9), ("os._exit(3)", 3)])
def test_killed_run_has_crashed_and_comes_back_when_it_speaks(
    tmp_path: Path, options: dict[str, Any], shared: ServerProgram, way: str, code: int
) -> None:
    """A run whose process is gone is shown as crashed, also when it was killed in its first second."""
    del shared
    with ServerProgram(tmp_path / "impatient", options=("--crashed-after", "1")) as server:
        options |= {"endpoint": server.url, "api_key": server.key}
        kill = f"import os; run.flush(10); {way}"
        assert run_script(f"{BEGIN}    {kill}\n", **options).status == code
        wait_until(lambda: details(server, options["run_id"])["status"] == "crashed", 20)

        again = start_script(
            BEGIN + "    run.flush(10); print(flush=True); sys.stdin.readline()\n", **options, resume="allow"
        )
        assert again.stdout is not None
        again.stdout.readline()
        seen = details(server, options["run_id"])
        end_of(again)

        assert seen["attempt"] == 2
        assert details(server, options["run_id"])["status"] == "completed"


def test_message_on_exit_says_what_waits_and_how_to_send_it(options: dict[str, Any], tmp_path: Path) -> None:
    """A program that ends with its server away says how many records wait, where, and the command."""
    options |= {"endpoint": "http://127.0.0.1:9", "finish_timeout_seconds": 0.2, "init_timeout_seconds": 0.2}
    done = run_script(BEGIN, **options)

    spool = tmp_path / "spool"
    (line,) = [line for line in done.stderr.splitlines() if "records wait" in line]
    assert f"1 records wait in {spool}" in line
    assert f"rundial sync {spool}" in line


def test_status_that_could_not_be_told_is_told_later(
    shared: ServerProgram, options: dict[str, Any], tmp_path: Path
) -> None:
    """`finish` is False while the server is away, and the status arrives with the next sync."""
    script = """
    run = rd.init(project="digits", **given)
    run.log({"x": 1.0})
    run.flush(10)
    print("begun", flush=True)
    sys.stdin.readline()
    print(run.fail("diverged", timeout_seconds=0.3), run.fail("diverged", timeout_seconds=0.3))
    """
    program = start_script(script, **options)
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    shared.stop()
    done = end_of(program)
    shared.start()
    synced: Done = rundial("sync", str(tmp_path / "spool"))

    assert done.stdout.split() == ["False", "False"], done.stderr
    assert synced.status == 0, synced.stdout
    found = details(shared, options["run_id"])
    assert (found["status"], found["reason"]) == ("failed", "diverged")
    assert found["ledger"]["complete"]
