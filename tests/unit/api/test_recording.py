"""Recording through a client, offline: what it starts, what it leaves, what it counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rundial as rd
from rundial.api.client import Client
from rundial.api.session import Session
from rundial.errors import ConfigError, RunFinishedError
from tests.support import recorded
from tests.support.ourthreads import note_threads, threads, wait_for_no_threads
from tests.support.processes import own_parts

URL = "http://127.0.0.1:9"
PLACE: dict[str, Any] = {"project_id": "prj_1", "run_id": "r"}

Make = Callable[..., Client]


@pytest.fixture
def session() -> Iterator[Session]:
    """What a fresh process has."""
    with own_parts() as parts:
        yield parts


@pytest.fixture
def make(session: Session, spool_dir: Path) -> Make:
    """Make a client that records offline."""

    def made(**options: Any) -> Client:
        return Client(URL, **{"mode": "offline", "spool_directory": spool_dir, **options})

    return made


@pytest.fixture(autouse=True)
def own_threads() -> None:
    """A test answers for the threads that began with it."""
    note_threads()


def test_a_client_that_records_nothing_starts_nothing(home: Path, session: Session) -> None:
    """Making, asking and closing a client leaves no thread, no file and no trace in the process."""
    with Client(URL, spool_enabled=False, start_worker_on_init=False) as client:
        assert client.diagnostics().health == "healthy"
        assert client.flush(0)
        wait_for_no_threads()

    assert session.parts is None
    assert list((home / "work").iterdir()) == []


def test_start_starts_and_close_ends(make: Make, session: Session) -> None:
    """`start` makes the threads before the first record, and `close` ends them."""
    client = make()
    client.start()
    assert threads() == {"rundial-encoder"}

    assert client.close()
    wait_for_no_threads()
    assert session.parts is None


def test_records_are_on_disk_when_an_offline_client_has_closed(make: Make, spool_dir: Path) -> None:
    """Everything that was logged is there for `rundial sync`, and nothing is left running."""
    with make() as client:
        for step in range(10):
            assert client.log_metric(**PLACE, metric_key="x", step=step, value=step)
        assert client.log_text(**PLACE, message="hello", level="warn")

    found = recorded.read(spool_dir)
    assert found.values("x") == list(range(10))
    assert [line.body for line in found.lines] == ["hello"]
    wait_for_no_threads()
    assert list(spool_dir.glob("*.ring")) == []


def test_closing_tells_no_start_and_no_end_of_a_joined_run(make: Make, spool_dir: Path) -> None:
    """Who only logs into a run says nothing about its life."""
    with make() as client:
        client.run(**PLACE, config={"seed": 7}).log({"x": 1})

    names = [event.event_name for event in recorded.read(spool_dir).events]
    assert "rundial.run.config" in names
    assert not {"rundial.run.start", "rundial.run.finish", "rundial.run.environment"} & set(names)


def test_a_run_that_is_started_again_offline_goes_on_only_where_that_is_asked_for(make: Make) -> None:
    """A client's starts follow `resume` as those of `init` do: an id that exists is refused, or goes on."""
    facts: dict[str, Any] = {"project_id": "prj_1", "run_id": "again"}
    with make() as client:
        first = client.start_run(**facts)
        assert first.log({"x": 1.0}, step=7)
        assert first.finish(10)
        with pytest.raises(ConfigError, match="again"):
            client.start_run(**facts)
        second = client.start_run(**facts, resume="must")
        assert second.log({"x": 2.0})

        assert (first.identity["attempt"], second.identity["attempt"]) == (1, 2)
        assert second.identity["first_step"] == 8


def test_a_run_that_is_started_offline_tells_its_start(make: Make, spool_dir: Path) -> None:
    """An offline start asks nobody and is told by `rundial sync`, secrets of its config left out."""
    with make() as client:
        run = client.start_run_for_workspace_project(
            workspace_slug="team",
            project_slug="digits",
            run_name="night",
            config={"api_key": "hunter2hunter2", "layers": 3},
        )
        assert (run.workspace, run.project, run.config["layers"]) == ("team", "digits", 3)

    (began,) = [event for event in recorded.read(spool_dir).events if event.event_name == "rundial.run.start"]
    assert (began.body["name"], began.body["config"]["layers"]) == ("night", 3)
    assert "hunter2" not in str(began.body)


def test_only_finish_ends_a_clients_run(make: Make, spool_dir: Path) -> None:
    """`finish` on a client's run tells its end, once, and the client goes on with its others."""
    with make() as client:
        run = client.run(**PLACE)
        run.log({"x": 1})
        assert run.fail("it diverged")
        assert client.log_metric(project_id="prj_1", run_id="other", metric_key="y", step=1, value=2)

    found = recorded.read(spool_dir)
    ends = [event.body["status"] for event in found.events if event.event_name == "rundial.run.finish"]
    assert ends == ["failed"]
    assert found.values("y") == [2]


def test_logging_after_a_finish_joins_the_run_again(make: Make, spool_dir: Path) -> None:
    """What comes late for a run that has ended here is kept, by another instance."""
    with make() as client:
        client.run(**PLACE).finish()
        for step in range(3):
            assert client.log_metric(**PLACE, metric_key="late", step=step, value=step)
        ledger = client.diagnostics().ledger.points
        assert (ledger.recorded, ledger.closes) == (3, True)

    assert recorded.read(spool_dir).values("late") == [0, 1, 2]


def test_runs_of_init_go_on_when_a_client_closes(make: Make, spool_dir: Path, session: Session) -> None:
    """A client shares the process's threads with the program's run and leaves them to it."""
    run = rd.init(project="digits", mode="offline", spool_directory=spool_dir)
    with make() as client:
        client.log_metric(**PLACE, metric_key="x", step=1, value=1)
    assert "rundial-encoder" in threads()

    assert run.log({"y": 1})
    assert run.finish()
    assert recorded.read(spool_dir).values("y") == [1]


def test_the_next_client_makes_parts_of_its_own(make: Make, spool_dir: Path) -> None:
    """A process may have any number of clients one after another."""
    for number in range(3):
        with make() as client:
            assert client.log_metric(**PLACE, metric_key="x", step=number, value=number)
        wait_for_no_threads()

    assert sorted(recorded.read(spool_dir).values("x")) == [0, 1, 2]


def test_a_closed_client_refuses_and_counts(make: Make) -> None:
    """After `close`, logging is False and counted, starting raises, closing again is True."""
    client = make()
    client.log_metric(**PLACE, metric_key="x", step=1, value=1)
    run = client.run(**PLACE)
    assert client.close()

    assert client.log_metric(**PLACE, metric_key="x", step=2, value=2) is False
    assert client.log_text(**PLACE, message="late") is False
    assert run.finish() is False, "it was left, and is not this process's to end any more"
    with pytest.raises(ConfigError, match="closed"):
        client.run(**PLACE)
    with pytest.raises(ConfigError, match="closed"):
        client.start()
    assert client.close()
    assert client.diagnostics().ledger.points.dropped == {"after_finish": 1}
    assert client.diagnostics().ledger.lines.dropped == {"after_finish": 1}


def test_a_closed_client_raises_in_strict_mode(make: Make) -> None:
    """In tests and CI, logging into a closed client is an exception."""
    client = make(strict=True)
    client.close()

    with pytest.raises(RunFinishedError):
        client.log_metric(**PLACE, metric_key="x", step=1, value=1)


def test_a_run_that_cannot_be_joined_costs_records_and_no_exception(
    make: Make, spool_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Logging into a spool that cannot be made is False, told once and counted."""
    spool_dir.write_text("in the way")
    client = make()
    for step in range(5):
        assert client.log_metric(**PLACE, metric_key="x", step=step, value=step) is False
    assert client.log_metric(project_id="", run_id="r", metric_key="x", step=1, value=1) is False

    diagnostics = client.diagnostics()
    assert diagnostics.ledger.points.dropped == {"internal_error": 6}
    assert diagnostics.health == "degraded"
    assert caplog.text.count("run r are dropped") == 1
    with pytest.raises(ConfigError, match="spool_directory"):
        client.run(**PLACE)


def test_without_a_spool_nothing_outlives_the_client(
    home: Path, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """`spool_enabled=False` keeps nothing on disk; what could not be sent is lost, and said to be."""
    with Client(URL, spool_enabled=False) as client:
        client.start()
        assert client.log_metric(**PLACE, metric_key="x", step=1, value=1)
        assert client.log_metric(**{**PLACE, "run_id": "other"}, metric_key="x", step=1, value=1)
        place = Path(client.run(**PLACE).settings.spool_directory)
        assert place.is_dir()
        assert client.close(0.5) is False

    assert list((home / "work").iterdir()) == []
    assert list(place.parent.glob(f"rundial-volatile-{os.getpid()}-*")) == []
    assert "1 records were not sent in time and are lost" in caplog.text
    wait_for_no_threads()


def test_a_run_may_be_started_again_while_its_former_start_goes_on(make: Make) -> None:
    """Two starts of one id are two instances, each with its own records, switched off as well."""
    for mode in ("offline", "disabled"):
        with make(mode=mode) as client:
            runs = [client.start_run(project_id="prj_1", run_id="r", resume="allow") for _ in range(3)]
            assert [run.log({"x": 1}, step=1) for run in runs] == [True] * 3
            assert client.flush(10)
        assert [run.log({"x": 2}) for run in runs] == [mode == "disabled"] * 3


@pytest.mark.parametrize("wrong", [None, 7, ["prj_1"], {}])
def test_ids_that_are_no_texts_cost_records_and_no_exception(make: Make, wrong: Any) -> None:
    """Whatever stands where an id should be, logging is False and counted."""
    with make() as client:
        assert client.log_metric(project_id=wrong, run_id="r", metric_key="x", step=1, value=1) is False
        assert client.log_text(project_id="prj_1", run_id=wrong, message="hello") is False
        ledger = client.diagnostics().ledger

    assert (ledger.points.dropped, ledger.lines.dropped) == ({"invalid": 1}, {"invalid": 1})


@pytest.mark.parametrize("options", [{"mode": "disabled"}, {"distributed_rank": 1}])
def test_a_client_that_is_switched_off_does_nothing(
    options: dict[str, Any], spool_dir: Path, session: Session
) -> None:
    """Disabled, or on a silent rank, every call works and nothing is asked, made or started."""
    with Client(URL, spool_directory=spool_dir, **options) as client:
        run = client.start_run_for_workspace_project(workspace="team", project="digits")
        assert run.log({"x": 1})
        assert client.log_metric(**PLACE, metric_key="x", step=1, value=1)
        client.start()
        assert run.finish()

    assert (session.parts, threads(), spool_dir.exists()) == (None, set(), False)


def test_each_rank_tags_its_points(make: Make, spool_dir: Path) -> None:
    """Under `all`, points carry the rank, so that ranks do not overwrite each other."""
    with make(distributed="all", distributed_rank=3) as client:
        client.log_metric(**PLACE, metric_key="x", step=1, value=1)

    (point,) = recorded.read(spool_dir).points
    assert point.attributes["rundial.rank"] == "3"


def test_many_runs_that_have_ended_do_not_fill_memory(make: Make) -> None:
    """A client that starts run after run keeps of the ended ones only what it counted."""
    with make(system_metrics=False, capture_environment=False) as client:
        for number in range(150):
            run = client.start_run(project_id="prj_1", run_id=f"r{number}")
            assert run.log({"x": number}, step=number)
            assert run.finish()
        assert len(client.recording._runs) < 150

        ledger = client.diagnostics().ledger.points
        assert (ledger.recorded, ledger.closes) == (150, True)


def test_two_names_of_one_argument_must_agree(make: Make) -> None:
    """`project` and `project_slug` are one thing; two different ones are an error, none is too."""
    client = make()
    with pytest.raises(ConfigError, match="project and project_slug"):
        client.start_run_for_workspace_project(project="a", project_slug="b")
    with pytest.raises(ConfigError, match="no project"):
        client.start_run_for_workspace_project(workspace="team")
    assert client.start_run_for_workspace_project(project="a", project_slug="a").project == "a"
    client.close()
