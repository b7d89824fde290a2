"""Children of a process that logs: forked at any moment, or spawned afresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rundial.api.adopt import sync
from rundial.api.client import Client
from tests.support.program import ServerProgram
from tests.support.rounds import rounds
from tests.support.scripts import end_of, run_script, start_script
from tests.support.stored import Stored, read

PROJECT = "fork"
THREADS = 3

pytestmark = pytest.mark.fault


@pytest.fixture
def options(server: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """Arguments of a run."""
    return {
        "project": PROJECT,
        "run_id": "forked",
        "endpoint": server.url,
        "api_key": server.key,
        "spool_directory": str(tmp_path / "spool"),
        "ring_bytes": 1 << 20,
    }


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, PROJECT, run_id)


FORKING = """
    import os, threading, time
    options, forks, threads = given["options"], given["forks"], given["threads"]
    sys.setswitchinterval(1e-5)
    run = rd.init(**options)
    stop = threading.Event()
    counts = [0] * threads

    def work(thread):
        while not stop.wait(0.001):
            for _ in range(20):
                step = counts[thread] + 1
                if run.log({f"t{thread}": float(step)}, step=step):
                    counts[thread] = step
            with run.trace(f"t{thread}"):
                run.log_text(f"t{thread} {counts[thread]}")

    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    late = []
    for number in range(forks):
        child = os.fork()
        if child == 0:
            # What a forked worker does: logs a little, or nothing, and leaves without any exit hook.
            status = 1
            try:
                if number % 4 == 0:
                    is_kept = run.log({"child": float(number)}, step=number)
                    status = 0 if is_kept and (number % 8 or run.flush(30)) else 2
                else:
                    status = 0
            finally:
                os._exit(status)
        deadline = time.monotonic() + 40
        while True:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                break
            if time.monotonic() > deadline:
                os.kill(child, 9)
                os.waitpid(child, 0)
                status = -1
                break
            stop.wait(0.002)
        if status:
            late.append((number, status))
    stop.set()
    for worker in workers:
        worker.join()
    ended = run.finish(30)
    print(json.dumps({"counts": counts, "late": late, "ended": ended,
                      "closes": run.diagnostics().ledger.closes}))
"""


def test_forks_while_other_threads_log_lose_and_double_nothing(
    server: ServerProgram, options: dict[str, Any]
) -> None:
    """A fork at any moment of other threads' calls hangs no child, and both sides' records arrive once."""
    forks = rounds(60)
    done = run_script(FORKING, options=options, forks=forks, threads=THREADS, timeout_s=100)
    assert done.status == 0, done.stderr
    said = done.found
    # What children that left by os._exit had not sent lies in their rings and spools.
    report = sync([Path(options["spool_directory"])], endpoint=server.url, api_key=server.key, timeout_s=60)

    assert said["late"] == []
    assert said["ended"]
    assert said["closes"]
    assert [result.why for result in report.results if result.why] == []
    found = stored(server, "forked")
    for thread in range(THREADS):
        steps = [step for name, step, _ in found.points if name == f"t{thread}"]
        assert steps == list(range(1, said["counts"][thread] + 1))
    assert sorted(step for name, step, _ in found.points if name == "child") == list(range(0, forks, 4))
    assert found.details["ledger"]["complete"], found.details["ledger"]
    assert found.details["status"] == "completed"
    assert list(Path(options["spool_directory"]).rglob("*.ring")) == []


def test_spawned_children_that_log_and_return_lose_nothing(
    server: ServerProgram, options: dict[str, Any], tmp_path: Path
) -> None:
    """Workers that are spawned afresh each have a run of their own, in one spool directory."""
    script = tmp_path / "spawning.py"
    script.write_text(
        "import json, multiprocessing, sys\n"
        "import rundial as rd\n"
        "def work(number):\n"
        "    run = rd.init(**{**json.loads(sys.argv[1]), 'run_id': f'spawned-{number}'})\n"
        "    return run.log({'x': float(number)}, step=number)\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        kept = pool.map(work, range(4), chunksize=1)\n"
        "        pool.close()\n"
        "        pool.join()\n"
        "    assert kept == [True] * 4\n"
    )
    done = run_script(
        "import runpy; sys.argv = [given['script'], json.dumps(given['options'])]\n"
        "import subprocess; sys.exit(subprocess.call([sys.executable, *sys.argv]))\n",
        script=str(script),
        options=options,
    )
    assert done.status == 0, done.stderr
    sync([Path(options["spool_directory"])], endpoint=server.url, api_key=server.key, timeout_s=60)

    for number in range(4):
        found = stored(server, f"spawned-{number}")
        assert found.points == [("x", number, float(number))]
        assert found.details["ledger"]["complete"], found.details["ledger"]
    assert json.dumps(list(Path(options["spool_directory"]).rglob("*.ring"))) == "[]"


def test_a_forked_child_whose_spool_cannot_be_opened_works_on(tmp_path: Path) -> None:
    """Nothing is raised into its work, what it loses is counted, and once there is room it records."""
    script = start_script(
        """
        import os, resource, time
        from unittest import mock
        from opentelemetry.sdk.trace import TracerProvider
        from rundial import otel
        from rundial.api import nowhere
        run = rd.init(project="fork", mode="offline", spool_directory=given["run"], system_metrics=False)
        processor = otel.RecordingSpanProcessor(mode="offline", spool_directory=given["otel"])
        provider = TracerProvider()
        provider.add_span_processor(processor)
        if os.fork() == 0:
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            # Every write to a file fails from here on.
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
            answers = [run.log({"a": 1.0, "b": 2.0}), run.log_text("line")]
            with run.trace("own"):
                pass
            provider.get_tracer("x").start_span("theirs").end()
            lost = run.diagnostics()
            accounts = *lost.ledger.telemetry(), processor.ledger().spans
            counts = [sum(each.dropped.values()) for each in accounts]
            is_whole = run.flush(0)
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            # Ten seconds that nobody has to wait.
            with mock.patch("time.monotonic", lambda now=time.monotonic: now() + nowhere.AGAIN_S):
                run.log({"a": 3.0})
                provider.get_tracer("x").start_span("again").end()
            assert run.log({"a": 4.0})
            after = run.diagnostics().ledger
            points = [after.points.recorded, sum(after.points.dropped.values())]
            spans = processor.ledger().spans.recorded
            print(json.dumps([answers, counts, lost.health, is_whole, points, spans]), flush=True)
            os._exit(0)
        os.wait()
        """,
        run=str(tmp_path / "run"),
        otel=str(tmp_path / "otel"),
    )
    done = end_of(script)

    assert done.status == 0, done.stderr
    # The third row tried again, and was lost itself; the span that tried again was kept.
    assert json.loads(done.stdout) == [[False, False], [2, 1, 1, 1], "error", False, [1, 3], 1]
    assert "Traceback" not in done.stderr
    assert done.stderr.count("is lost and counted") == 2
