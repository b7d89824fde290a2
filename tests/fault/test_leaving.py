"""Programs that end without `finish` while their server is away: what they say last, and whether it helps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.collector import Answer, Collector
from tests.support.control import Faulty, control
from tests.support.each_signal import each, received
from tests.support.scripts import run_script
from tests.support.shell import rundial

pytestmark = pytest.mark.fault

COUNT = 100
LAST_LINE = re.compile(
    r"run (?P<run>\S+): (?P<records>[\d,]+) records wait in (?P<place>\S+); "
    r"send them with: rundial (?P<command>sync \S+)"
)
# How a program ends, and its exit status.
ENDINGS = {
    "end": ("pass", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception": ("raise ValueError('mine')", 1),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", 143),
}


@pytest.mark.parametrize("answer", ["hang", "reset"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_last_line_says_what_waits_and_how_to_send_it(
    spool_dir: Path, ending: str, answer: Answer
) -> None:
    """A program that ends without `finish` says last what waits where; the command it names sends it."""
    code, status = ENDINGS[ending]
    faulty = Faulty(answer, path="/v1/")
    with Collector(rules=[control(), faulty]) as collector:
        done = run_script(
            f"""
            import os, signal
            run = rd.init(project="leaving", run_id="left", **given)
            for step in range({COUNT}):
                assert run.log({{"x": float(step)}}, step=step)
                assert run.log_text(f"line {{step}}")
                with run.trace(f"span {{step}}"):
                    pass
            {code}
            """,
            endpoint=collector.url,
            spool_directory=str(spool_dir),
            ring_bytes=1 << 20,
            finish_timeout_seconds=0.5,
        )
        faulty.mend()
        collector.release()
        last = LAST_LINE.fullmatch(done.stderr.splitlines()[-1])
        assert last is not None, done.stderr
        waited = Path(last["place"]).is_dir()
        sent = rundial(*shlex.split(last["command"]))

    assert done.status == status
    assert (last["run"], last["records"]) == ("left", f"{3 * COUNT}")
    assert waited
    assert Path(last["place"]).is_relative_to(spool_dir)
    assert (sent.status, sent.stderr) == (0, "delivering what ended processes left behind\n")
    assert not Path(last["place"]).exists()
    assert received(collector) == each(range(COUNT))


def test_a_program_whose_server_has_all_says_nothing(spool_dir: Path) -> None:
    """A program that ends without `finish` while its server is there leaves no line and no file."""
    with Collector(rules=[control()]) as collector:
        done = run_script(
            """
            run = rd.init(project="leaving", **given)
            assert run.log({"x": 1.0}, step=0)
            """,
            endpoint=collector.url,
            spool_directory=str(spool_dir),
        )

    assert (done.status, done.stderr) == (0, "")
    assert list(spool_dir.iterdir()) == []
    assert len(collector.points) == 1
