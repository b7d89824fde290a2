"""The client against a real server: what it records is there, and what is there can be read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from rundial.errors import RundialRequestError
from tests.support.processes import own_parts
from tests.support.server import LocalServer, fresh_id

WORKSPACE, PROJECT = "default-workspace", "digits"


@pytest.fixture
def client(local: LocalServer, spool_dir: Path) -> Iterator[Client]:
    """A client with the owner's key; what it starts in this process ends with the test."""
    with own_parts(), Client(local.url, api_key=local.key, spool_directory=spool_dir) as made:
        yield made


def details(client: Client, run_id: str) -> Any:
    """The run as the server has it."""
    return client.get_run_details(workspace_slug=WORKSPACE, project_slug=PROJECT, run_id=run_id)


def test_a_run_that_a_client_starts_is_stored_whole(client: Client) -> None:
    """A run started by names, logged into and finished is on the server, complete by its own account."""
    run = client.start_run_for_workspace_project(
        workspace=WORKSPACE, project=PROJECT, run_name="night", config={"layers": 3}, tags=["a"]
    )
    for step in range(20):
        assert run.log({"loss": 1 / (step + 1)}, step=step)
    assert run.log_text("half way", level="warn")
    assert run.finish(15)

    found = details(client, run.run_id)
    assert (found["runName"], found["status"], found["config"]) == ("night", "completed", {"layers": 3})
    assert found["tags"] == ["a"]
    assert found["ledger"]["complete"] is True


def test_what_is_logged_by_project_id_arrives_in_that_project(client: Client, local: LocalServer) -> None:
    """A client that knows a project by its id alone records into that project and makes no other."""
    project_id, run_id = local.project_id(), fresh_id()
    client.announce_run(project_id=project_id, run_id=run_id)
    with Client(local.url, api_key=local.key) as fresh:
        for step in range(5):
            assert fresh.log_metric(
                project_id=project_id, run_id=run_id, metric_key="x", step=step, value=step
            )
        assert fresh.log_text(project_id=project_id, run_id=run_id, message="hello")
        assert fresh.flush(15)

    points = list(client.iter_points(project_id=project_id, run_id=run_id))
    assert [(row["metricKey"], row["step"], row["value"]) for row in points] == [
        ("x", step, float(step)) for step in range(5)
    ]
    assert [row["message"] for row in client.iter_lines(project_id=project_id, run_id=run_id)] == ["hello"]
    slugs = [project["projectSlug"] for project in client.list_projects(workspace_slug=WORKSPACE)]
    assert slugs == [PROJECT]


def test_closing_a_client_ends_no_run(client: Client, local: LocalServer) -> None:
    """A run goes on after a client that recorded into it has closed, until somebody ends it."""
    run_id, project_id = fresh_id(), local.project_id()
    with Client(local.url, api_key=local.key) as other:
        other.start_run(project_id=project_id, run_id=run_id).log({"x": 1}, step=1)
    assert details(client, run_id)["status"] == "running"

    client.update_run_status(run_id=run_id, status="failed", reason="it diverged")
    found = details(client, run_id)
    assert (found["status"], found["reason"]) == ("failed", "it diverged")


def test_a_joined_run_can_be_finished_by_whoever_joined_it(client: Client, local: LocalServer) -> None:
    """`client.run(...)` asks nobody, and `finish` on it ends the run."""
    run_id, project_id = fresh_id(), local.project_id()
    client.announce_run(project_id=project_id, run_id=run_id)
    run = client.run(project_id=project_id, run_id=run_id, config={"seed": 7})
    assert client.run(project_id=project_id, run_id=run_id) is run
    assert run.client is client
    run.log({"x": 1}, step=1)
    assert run.complete("done", timeout_seconds=15)

    found = details(client, run_id)
    assert (found["status"], found["config"], found["counts"]["points"]) == ("completed", {"seed": 7}, 1)


def test_a_run_id_that_exists_is_refused_with_the_servers_hint(client: Client, local: LocalServer) -> None:
    """Starting a run twice raises with the status, the code and what to do, and records nothing."""
    run_id, project_id = fresh_id(), local.project_id()
    client.announce_run(project_id=project_id, run_id=run_id)

    with pytest.raises(RundialRequestError) as raised:
        client.start_run(project_id=project_id, run_id=run_id)
    assert (raised.value.status_code, raised.value.error_code) == (409, "CONFLICT")
    assert raised.value.error_hint
    assert client.diagnostics().enqueued_points == 0


def test_everything_that_was_recorded_can_be_read_back(client: Client, local: LocalServer) -> None:
    """Each reading call answers what its type says, page by page to the end."""
    run = client.start_run(project_id=local.project_id())
    for step in range(30):
        run.log({"a": step, "b": -step}, step=step)
        run.log_text(f"line {step}")
    with run.trace("work"):
        run.log({"a": 30}, step=30)
    assert run.finish(15)
    place: Any = {"project_id": run.project_id, "run_id": run.run_id}

    keys = client.list_metric_keys(**place, limit=50)
    assert sorted(key["metricKey"] for key in keys if not key["metricKey"].startswith("system/")) == [
        "a",
        "b",
    ]
    (series,) = client.query_series(**place, metric_keys=["a"], max_points_per_series=100)["series"]
    assert [point["value"] for point in series["points"]] == [float(step) for step in range(31)]
    rows = list(client.iter_points(**place, metric_keys=["b"], page_size=7))
    assert sorted(row["value"] for row in rows) == [float(-step) for step in range(29, -1, -1)]
    assert [row["message"] for row in client.iter_lines(**place, page_size=7)] == [
        f"line {step}" for step in range(30)
    ]
    newest = client.query_logs(**place, limit=2)["rows"]
    assert [row["message"] for row in newest] == ["line 29", "line 28"]
    page = client.export_metrics_page(**place, start_ms=0, end_ms=4_102_444_800_000, limit=5)
    assert (len(page["rows"]), page["page"]["hasMore"]) == (5, True)
    text = client.export_logs_page(**place, start_ms=0, end_ms=4_102_444_800_000, limit=5)
    assert (text["rows"][0]["message"], text["page"]["hasMore"]) == ("line 0", True)
    (span,) = client.list_spans(workspace_slug=WORKSPACE, project_slug=PROJECT, run_id=run.run_id)
    assert span["name"] == "work"


def test_all_runs_of_a_project_can_be_walked(client: Client, local: LocalServer) -> None:
    """`iter_runs` yields each run once, however small the pages; filters count."""
    project_id = local.project_id()
    ids = [fresh_id() for _ in range(7)]
    for run_id in ids:
        client.announce_run(project_id=project_id, run_id=run_id)
    client.update_run_status(run_id=ids[0], status="aborted")
    place: Any = {"workspace_slug": WORKSPACE, "project_slug": PROJECT}

    assert sorted(run["runId"] for run in client.iter_runs(**place, page_size=2)) == sorted(ids)
    assert [run["runId"] for run in client.iter_runs(**place, statuses=["aborted"])] == [ids[0]]
    page = client.query_runs(**place, limit=3)
    assert (len(page["runs"]), page["page"]["hasMore"]) == (3, True)


def test_places_and_who_asks(client: Client, local: LocalServer) -> None:
    """Workspaces, projects, ids and the key's own facts are told as they are."""
    project_id = client.resolve_project_id(workspace_slug=WORKSPACE, project_slug=PROJECT)

    assert project_id == local.project_id()
    assert [each["workspaceSlug"] for each in client.list_workspaces()] == [WORKSPACE]
    (project,) = client.list_projects(workspace_slug=WORKSPACE)
    assert (project["projectSlug"], project["projectId"]) == (PROJECT, project_id)
    assert client.whoami()["apiKey"]["role"] == "owner"
    assert client.health()["status"] == "ready"


def test_threads_that_join_one_run_at_once_join_it_once(client: Client, local: LocalServer) -> None:
    """Any number of threads may log into a run that none has joined yet; they share one instance."""
    project_id, run_id = local.project_id(), fresh_id()
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait(10)
        client.log_metric(project_id=project_id, run_id=run_id, metric_key="x", step=number, value=number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert client.flush(15)

    found = details(client, run_id)
    assert (found["counts"]["points"], len(found["instances"])) == (8, 1)


def test_an_id_that_the_key_may_not_see_opens_no_project(
    client: Client, local: LocalServer, spool_dir: Path
) -> None:
    """Naming a project by its id opens what the key may see; for others it is a name like any other."""
    foreign = local.project_id(workspace="elsewhere")
    key = local.make_key(["metrics:write", "logs:write", "project:read"])
    with Client(local.url, api_key=key, spool_directory=spool_dir) as member:
        assert member.log_metric(project_id=foreign, run_id="r", metric_key="x", step=1, value=1)
        assert member.flush(15)

    runs = list(client.iter_runs(workspace_slug="elsewhere", project_slug=PROJECT))
    own = list(client.iter_runs(workspace_slug=WORKSPACE, project_slug=foreign))
    assert (runs, [run["runId"] for run in own]) == ([], ["r"])
