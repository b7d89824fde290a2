"""Keys that followed a redirect, and data that everybody could read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from rundial.api.run import Run
from rundial.errors import RundialRequestError
from tests.support.collector import Collector, redirect
from tests.support.control import control, exports
from tests.support.scripts import run_script

Start = Callable[..., Run]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s2_a_redirect_never_carries_the_key_elsewhere(
    start: Start, collector: Collector, status: int
) -> None:
    """A redirect to another origin is an error that is reported; neither key nor data goes there."""
    with Collector(rules=[control()]) as elsewhere:
        collector.rules = [control(), redirect(elsewhere.url + "/v1/metrics", status)]
        run = start()
        run.log({"x": 1}, step=1)
        assert collector.wait_for(lambda: len(exports(collector)) >= 1)
        assert run.flush(0.5) is False

        assert elsewhere.requests == []
        assert elsewhere.connections == 0
        assert str(status) in str(run.diagnostics().last_error)
        collector.rules = [control()]
        assert run.flush(10)
        assert elsewhere.connections == 0


def test_s2_a_redirect_at_the_start_never_carries_the_key_elsewhere(
    start: Start, collector: Collector
) -> None:
    """The conversation at a run's start does not follow redirects either, and says where one led."""
    with Collector(rules=[control()]) as elsewhere:
        collector.rules = [redirect(elsewhere.url + "/api/v1/runs/resolve-target")]

        with pytest.raises(RundialRequestError, match="302"):
            start()

        assert elsewhere.connections == 0


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_s4_what_a_run_writes_is_the_users_alone(collector: Collector, mode: str) -> None:
    """Under any umask every file of a spool has mode 0600 and every directory 0700, also while it runs."""
    text = """
        import os
        os.umask(0)
        run = rd.init(project="digits", endpoint=given["url"], mode=given["mode"], api_key="rdk_secret")
        for step in range(100):
            run.log({"x": step}, step=step)
        run.log_text("line")
        run.flush(5)
        os.kill(os.getpid(), 9)
    """
    assert run_script(text, url=collector.url, mode=mode).status == -9

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [Path(".rundial_spool"), *Path().rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}


def test_s4_the_key_is_never_on_disk(start: Start, spool_dir: Path) -> None:
    """Nothing that a run writes holds its key."""
    run = start(api_key="rdk_very_secret")
    run.log({"x": 1}, step=1)
    run.flush(10)
    files = [path for path in spool_dir.rglob("*") if path.is_file()]

    assert files
    assert [path for path in files if b"rdk_very_secret" in path.read_bytes()] == []


def test_s4_a_ring_in_shared_memory_is_the_users_alone(start: Start, spool_dir: Path) -> None:
    """Wherever the ring is mapped from, nobody else may open it."""
    run = start(mode="offline")
    run.log({"x": 1}, step=1)
    rings = [
        Path(target)
        for target in (
            os.readlink(f"/proc/self/map_files/{name}") for name in os.listdir("/proc/self/map_files")
        )
        if target.endswith(".ring")
    ]

    assert rings
    assert {stat.S_IMODE(path.stat().st_mode) for path in rings} == {0o600}
