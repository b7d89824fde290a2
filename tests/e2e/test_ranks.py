"""Distributed programs as their launchers start them: four real processes, one run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support.collector import Collector
from tests.support.control import control
from tests.support.program import ServerProgram
from tests.support.scripts import end_of, start_script
from tests.support.shell import Done
from tests.support.stored import Stored, read

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

WORLD = 4

TRAIN = """
    import os
    run = rd.init(project="digits", **given)
    rank = int(next(os.environ[name] for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
                    if name in os.environ))
    for step in range(5):
        assert run.log({"loss": float(rank * 100 + step)}, step=step)
    run.log_text(f"rank {rank}")
    if os.environ.get("FAILING_RANK") == str(rank):
        raise ArithmeticError("nan")
    done = run.finish(20)
    print(json.dumps({"run": run.run_id, "rank": rank, "finished": done}))
"""


def torchrun(rank: int, **more: str) -> dict[str, str]:
    """What torchrun sets for a worker of a job on one machine that got no id."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(WORLD),
        "LOCAL_WORLD_SIZE": str(WORLD),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
        "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_RESTART_COUNT": "0",
        **more,
    }


def slurm(rank: int, **more: str) -> dict[str, str]:
    """What srun sets for a task; two nodes with two tasks each."""
    return {
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank % 2),
        "SLURM_NODEID": str(rank // 2),
        "SLURM_NTASKS": str(WORLD),
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        **more,
    }


def mpirun(rank: int, **more: str) -> dict[str, str]:
    """What Open MPI's mpirun sets."""
    return {
        "OMPI_COMM_WORLD_RANK": str(rank),
        "OMPI_COMM_WORLD_SIZE": str(WORLD),
        "PMIX_NAMESPACE": "prterun-node-17@1",
        **more,
    }


def launch(monkeypatch: pytest.MonkeyPatch, ranks: list[dict[str, str]], **given: Any) -> list[Done]:
    """Start every rank at once, as children of this process, and wait for all of them."""
    programs: list[subprocess.Popen[str]] = []
    for environ in ranks:
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            programs.append(start_script(TRAIN, **given))
    return [end_of(program) for program in programs]


@pytest.fixture
def options(server: ServerProgram, tmp_path: Path) -> dict[str, Any]:
    """Arguments of `init`; every rank has the same ones, and one spool directory."""
    return {"endpoint": server.url, "api_key": server.key, "spool_directory": str(tmp_path / "spool")}


def stored(server: ServerProgram, run_id: str) -> Stored:
    """Read a run back."""
    with Client(server.url, api_key=server.key, request_timeout_seconds=10) as client:
        return read(client, "digits", run_id)


def only_run(server: ServerProgram) -> str:
    """The id of the server's one run."""
    path = "/api/v1/workspaces/default-workspace/projects/digits/runs/query"
    (run,) = server.rows(path, "runs")
    return str(run["runId"])


@pytest.mark.parametrize("launcher", [torchrun, slurm, mpirun])
def test_all_ranks_of_a_launch_record_into_one_run(
    server: ServerProgram, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, launcher: Any
) -> None:
    """Without being given an id, four ranks are one run and one attempt, and none overwrites another."""
    done = launch(monkeypatch, [launcher(rank) for rank in range(WORLD)], distributed="all", **options)

    assert [each.status for each in done] == [0] * WORLD, [each.stderr for each in done]
    assert all(each.found["finished"] for each in done)
    found = stored(server, only_run(server))
    expected = sorted(("loss", step, float(rank * 100 + step)) for rank in range(WORLD) for step in range(5))
    assert sorted(found.points) == expected
    assert sorted(found.lines) == [f"rank {rank}" for rank in range(WORLD)]
    assert found.details["attempt"] == 1
    assert found.details["status"] == "completed"
    assert sorted(each["rank"] for each in found.details["instances"]) == list(range(WORLD))


def test_each_rank_has_series_of_its_own(
    server: ServerProgram, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A series of a name and a rank shows that rank's values only."""
    given = {"distributed": "all", "run_id": "shared", **options}
    launch(monkeypatch, [slurm(rank) for rank in range(WORLD)], **given)

    with Client(server.url, api_key=server.key) as client:
        project = client.resolve_project_id(workspace_slug="default-workspace", project_slug="digits")
        found = client.query_series(project_id=project, run_id="shared", metric_keys=["loss"])
    firsts = {each["context"]["rundial.rank"]: each["points"][0]["value"] for each in found["series"]}
    assert firsts == {str(rank): rank * 100.0 for rank in range(WORLD)}


def test_run_id_in_the_environment_is_every_ranks(
    server: ServerProgram, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RUNDIAL_RUN_ID names the run for launchers that name nothing."""
    ranks = [{"RANK": str(rank), "RUNDIAL_RUN_ID": "given"} for rank in range(WORLD)]
    done = launch(monkeypatch, ranks, distributed="all", **options)

    assert [each.status for each in done] == [0] * WORLD, [each.stderr for each in done]
    assert len(stored(server, "given").points) == 5 * WORLD


def test_ranks_that_cannot_agree_are_told_so(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranks never make a run each in silence."""
    (done,) = launch(monkeypatch, [{"RANK": "1", "WORLD_SIZE": "2"}], distributed="all", **options)

    assert done.status == 1
    assert "set RUNDIAL_RUN_ID" in done.stderr


@pytest.mark.parametrize("launcher", [torchrun, slurm])
def test_only_rank_zero_speaks_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: Any
) -> None:
    """Under `rank0` the other ranks make no request and no file, and their calls work."""
    spools = [tmp_path / f"spool-{rank}" for rank in range(WORLD)]
    with Collector(rules=[control()]) as collector:
        seen = []
        for rank in range(WORLD):
            before = len(collector.requests)
            options = {"endpoint": collector.url, "api_key": "k", "spool_directory": str(spools[rank])}
            (done,) = launch(monkeypatch, [launcher(rank)], **options)
            assert (done.status, done.found["finished"]) == (0, True), done.stderr
            seen.append(len(collector.requests) > before)

    assert seen == [True, False, False, False]
    assert [spool.exists() for spool in spools] == [True, False, False, False]


def test_rank_that_fails_fails_the_run(
    server: ServerProgram, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rank's exception is not hidden by the others, which ended well."""
    ranks = [slurm(rank, FAILING_RANK="2") for rank in range(WORLD)]
    done = launch(monkeypatch, ranks, distributed="all", **options)

    assert [each.status for each in done] == [0, 0, 1, 0]
    details = stored(server, only_run(server)).details
    assert (details["status"], details["reason"]) == ("failed", "ArithmeticError: nan")


def test_other_ranks_do_not_end_the_run(
    server: ServerProgram, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank that has no more to do leaves the run to rank 0."""
    launch(monkeypatch, [slurm(3)], distributed="all", **options)

    assert stored(server, only_run(server)).details["status"] == "running"


def test_ranks_sync_into_one_run_after_an_offline_job(
    server: ServerProgram, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster without a network records four ranks; what is synced later is one run."""
    from tests.support.shell import rundial

    given = {"distributed": "all", "mode": "offline", **options}
    done = launch(monkeypatch, [slurm(rank) for rank in range(WORLD)], **given)
    assert [each.status for each in done] == [0] * WORLD, [each.stderr for each in done]
    synced = rundial(
        "sync", options["spool_directory"], RUNDIAL_API_KEY=os.environ.get("RUNDIAL_API_KEY", "")
    )

    assert synced.status == 0, synced.stdout
    found = stored(server, only_run(server))
    assert len(found.points) == 5 * WORLD
    assert found.details["attempt"] == 1
    assert found.details["status"] == "completed"
