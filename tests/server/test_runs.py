"""A run's life as the control routes and its telemetry tell it, in whatever order."""

from __future__ import annotations

from pathlib import Path

from tests.support import otlp
from tests.support.clock import START_UNIX_NS, ManualClock
from tests.support.server import LocalServer, Reply, fresh_id

_RUNS = "/api/v1/workspaces/default-workspace/projects/digits/runs/query"


def _start(local: LocalServer, run: str, **more: object) -> Reply:
    return local.post("/api/v1/runs/start", {"projectId": local.project_id(), "runId": run, **more})


def _beat(local: LocalServer, run: str, seq: int, clock: ManualClock) -> None:
    beat = otlp.event(seq, "rundial.run.heartbeat", {}, time=clock.time_unix_ns())
    assert local.export("logs", otlp.logs(otlp.resource(run), [beat])).status == 200


def _events(
    local: LocalServer, run: str, *events: tuple[int, str, dict[str, object]], **more: object
) -> None:
    owner = otlp.resource(run, **more)  # type: ignore[arg-type]  # keywords are the resource's own
    records = [otlp.event(seq, name, body) for seq, name, body in events]
    assert local.export("logs", otlp.logs(owner, records)).status == 200


def test_a_started_run_is_listed_with_what_its_start_said(local: LocalServer) -> None:
    """A run is visible from its first second, by name, kind and config."""
    run = fresh_id()
    reply = _start(
        local, run, kind="eval", runName="night", tags=["a"], group="g", jobType="j", config={"lr": 0.1}
    )

    details = local.details(run)
    assert (reply.status, reply.json["kind"], reply.json["attempt"]) == (200, "eval", 1)
    assert (details["runName"], details["kind"], details["status"]) == ("night", "eval", "running")
    assert (details["tags"], details["group"], details["jobType"]) == (["a"], "g", "j")
    assert details["config"] == {"lr": 0.1}


def test_a_start_and_its_event_are_one_start_in_either_order(local: LocalServer) -> None:
    """A run that was announced, and whose start event arrives too, is the same run."""
    body = {"name": "night", "kind": "training", "config": {"lr": 0.1}, "started_unix_ns": START_UNIX_NS}
    announced, told = fresh_id(), fresh_id()
    same = {
        "instanceId": "instance-1",
        "runName": "night",
        "config": {"lr": 0.1},
        "startedAtNs": START_UNIX_NS,
    }

    assert _start(local, announced, **same).status == 200
    _events(local, announced, (1, "rundial.run.start", body))
    _events(local, told, (1, "rundial.run.start", body))
    assert _start(local, told, **same).status == 200

    first, second = local.details(announced), local.details(told)
    names = ("runName", "kind", "config", "status", "attempt", "startedAtMs")
    assert [first[name] for name in names] == [second[name] for name in names]


def test_a_repeated_start_is_answered_again_and_a_second_one_is_refused(local: LocalServer) -> None:
    """A start whose answer was lost can be repeated; another process with the same id is told so."""
    run = fresh_id()
    _start(local, run, instanceId="one")

    repeated, other, published = (
        _start(local, run, instanceId="one"),
        _start(local, run, instanceId="two"),
        _start(local, run),
    )

    assert (repeated.status, repeated.json["attempt"], repeated.json["resumed"]) == (200, 1, False)
    assert {(reply.status, reply.error["code"]) for reply in (other, published)} == {(409, "CONFLICT")}
    assert 'resume="allow"' in other.error["details"]["hint"]


def test_a_run_ends_once(local: LocalServer) -> None:
    """Ending a run again in the same way is harmless; in another way it is a conflict."""
    run = fresh_id()
    _start(local, run)

    done = local.post(f"/api/v1/runs/{run}/status", {"status": "failed", "finishedAtMs": 5, "reason": "nan"})
    again = local.post(f"/api/v1/runs/{run}/status", {"status": "failed"})
    other = local.post(f"/api/v1/runs/{run}/status", {"status": "completed"})

    assert (done.json["status"], again.json["status"]) == ("failed", "failed")
    assert (other.status, other.error["code"]) == (409, "CONFLICT")
    details = local.details(run)
    assert (details["status"], details["reason"], details["finishedAtMs"]) == ("failed", "nan", 5)


def test_a_status_that_is_none_and_a_run_that_is_none_are_refused(local: LocalServer) -> None:
    """A typing mistake never ends a run."""
    run = fresh_id()
    _start(local, run)

    assert local.post(f"/api/v1/runs/{run}/status", {"status": "done"}).status == 400
    assert local.post(f"/api/v1/runs/{run}/status", {}).status == 400
    assert local.post("/api/v1/runs/nothing/status", {"status": "failed"}).status == 404
    assert local.details(run)["status"] == "running"


def test_a_run_id_of_two_projects_needs_the_project(local: LocalServer) -> None:
    """An ambiguous id never ends somebody else's run."""
    other = local.project_id("faces")
    _start(local, "same")
    local.post("/api/v1/runs/start", {"projectId": other, "runId": "same"})

    unclear = local.post("/api/v1/runs/same/status", {"status": "failed"})
    clear = local.post("/api/v1/runs/same/status", {"status": "failed", "projectId": other})

    assert (unclear.status, clear.status) == (409, 200)
    assert local.details("same")["status"] == "running"
    assert local.details("same", project="faces")["status"] == "failed"


def test_config_is_merged_key_by_key(local: LocalServer) -> None:
    """A later write changes its own keys and no others; whole numbers stay whole (defect C2)."""
    run = fresh_id()
    _start(local, run, config={"lr": 0.1, "seed": 2**62})

    reply = local.post(f"/api/v1/runs/{run}/config", {"config": {"lr": 0.2, "model": {"depth": 3}}})

    expected = {"lr": 0.2, "model": {"depth": 3}, "seed": 2**62}
    assert (reply.json["config"], local.details(run)["config"]) == (expected, expected)


def test_a_run_whose_heartbeats_stop_looks_crashed_and_wakes_with_news(
    local: LocalServer, clock: ManualClock
) -> None:
    """A run that stopped reporting is shown as crashed after 90 s, and as running when it speaks again."""
    run = fresh_id()
    _start(local, run, instanceId="one")
    _beat(local, run, 1, clock)
    clock.advance(90)
    after_90_s = local.details(run)["status"]
    clock.advance(1)
    after_91_s = local.details(run)["status"]

    owner = otlp.resource(run)
    line = otlp.event(2, "rundial.run.config", {"config": {}}, time=clock.time_unix_ns())
    local.export("logs", otlp.logs(owner, [line]))

    assert (after_90_s, after_91_s, local.details(run)["status"]) == ("running", "crashed", "running")


def test_a_run_that_never_sent_a_heartbeat_stays_as_it_is(local: LocalServer, clock: ManualClock) -> None:
    """A run that was started by hand, or by a client that promised nothing, is not called crashed."""
    run = fresh_id()
    _start(local, run)
    clock.advance(86_400)

    assert local.details(run)["status"] == "running"
    assert run in str(local.get(f"{_RUNS}?statuses=running").json)
    assert run not in str(local.get(f"{_RUNS}?statuses=crashed").json)


def test_how_long_a_run_may_be_silent_is_a_setting(tmp_path: Path, clock: ManualClock) -> None:
    """Who has slow networks, or is impatient, chooses when a silent run has crashed."""
    with LocalServer(tmp_path / "data", clock, silence_s=5) as local:
        _start(local, "quiet")
        _beat(local, "quiet", 1, clock)
        clock.advance(5)
        after_5_s = local.details("quiet")["status"]
        clock.advance(1)

        assert (after_5_s, local.details("quiet")["status"]) == ("running", "crashed")
        assert "quiet" in str(local.get(f"{_RUNS}?statuses=crashed").json)


def test_the_exception_that_ended_a_run_is_kept(local: LocalServer) -> None:
    """Type, message and traceback of what ended a run can be read where its status is read."""
    run = fresh_id()
    error = {"type": "ValueError", "message": "nan", "traceback": "Traceback …"}
    _start(local, run)
    _events(local, run, (9, "rundial.run.finish", {"status": "failed", "reason": "nan", "error": error}))

    details = local.details(run)
    assert (details["status"], details["reason"], details["error"]) == ("failed", "nan", error)


def test_old_heartbeats_wake_nobody(local: LocalServer, clock: ManualClock) -> None:
    """A late sync of a dead run brings its records and does not bring it to life."""
    run = fresh_id()
    clock.advance(3600)
    _events(local, run, (1, "rundial.run.heartbeat", {}), (2, "rundial.run.start", {"name": "old"}))

    assert local.details(run)["status"] == "crashed"


def test_a_finish_by_telemetry_ends_the_run_whenever_it_comes(local: LocalServer, clock: ManualClock) -> None:
    """A finish that arrives before the start, or a day late, still ends the run."""
    run = fresh_id()
    clock.advance(86_400)
    finish: dict[str, object] = {
        "status": "completed",
        "reason": None,
        "finished_unix_ns": otlp.T0 + 7_000_000,
    }
    _events(local, run, (9, "rundial.run.finish", finish))

    _events(
        local,
        run,
        (1, "rundial.run.start", {"name": "late"}),
        (2, "rundial.run.summary", {"summary": {"acc": 1}}),
    )

    details = local.details(run)
    assert (details["status"], details["runName"], details["summary"]) == ("completed", "late", {"acc": 1})
    assert details["finishedAtMs"] == (otlp.T0 + 7_000_000) // 1_000_000


def test_the_run_table_pages_filters_and_searches(local: LocalServer, clock: ManualClock) -> None:
    """Every run is on exactly one page, and filters see the status that a person sees."""
    for number in range(5):
        clock.advance(1)
        _start(local, f"run-{number}", runName=f"night {number}")
        _beat(local, f"run-{number}", 1, clock)
    local.post("/api/v1/runs/run-1/status", {"status": "completed"})
    seen: list[str] = []
    cursor = ""
    while True:
        answer = local.get(f"{_RUNS}?limit=2{cursor}").json
        seen += [run["runId"] for run in answer["runs"]]
        if not answer["page"]["hasMore"]:
            break
        cursor = f"&cursor={answer['page']['nextCursor']}"
    clock.advance(1000)

    def listed(query: str) -> list[str]:
        return [run["runId"] for run in local.get(f"{_RUNS}?{query}").json["runs"]]

    assert seen == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    assert listed("statuses=completed") == ["run-1"]
    assert listed("statuses=crashed&order=asc") == ["run-0", "run-2", "run-3", "run-4"]
    assert listed("statuses=running") == []
    assert listed("statuses=running,completed,crashed&search=night+3") == ["run-3"]
    assert listed("search=%25") == []


def test_a_read_key_resolves_a_target_and_makes_none(local: LocalServer) -> None:
    """Looking something up never creates it."""
    local.project_id("digits")
    reader = local.make_key({"project:read"})

    known = local.post("/api/v1/runs/resolve-target", {"project": "digits"}, key=reader)
    unknown = local.post("/api/v1/runs/resolve-target", {"project": "nothing"}, key=reader)

    assert (known.status, unknown.status) == (200, 404)
    listed = local.get("/api/v1/workspaces/default-workspace/projects").json["projects"]
    assert [project["projectSlug"] for project in listed] == ["digits"]


def test_resolving_a_target_names_everything_that_a_client_needs(local: LocalServer) -> None:
    """One request turns names into ids, and says which server this is."""
    found = local.post("/api/v1/runs/resolve-target", {"project": "My Digits!"}).json

    assert (found["projectSlug"], found["projectName"]) == ("My-Digits", "My Digits!")
    assert (found["workspaceSlug"], found["serverId"]) == ("default-workspace", local.services.server_id)
    assert found["orgId"]
    assert found["workspaceName"]
    assert found == local.post("/api/v1/runs/resolve-target", {"project": "My Digits!"}).json


def test_keys_of_another_workspace_see_nothing_of_this_one(local: LocalServer) -> None:
    """What a key may not see does not exist for it."""
    run = fresh_id()
    local.export("metrics", otlp.curve(run, "loss", [1.0], rundial__workspace="vision"))
    hidden = local.project_id("digits", workspace="vision")
    member = local.make_key({"project:read", "metrics:write"})

    answers = [
        local.get("/api/v1/workspaces/vision/projects", key=member),
        local.get(f"/api/v1/workspaces/vision/projects/digits/runs/{run}", key=member),
        local.get(f"/api/v1/metrics/keys?projectId={hidden}", key=member),
        local.post(f"/api/v1/runs/{run}/status", {"status": "failed"}, key=member),
        local.post("/api/v1/runs/start", {"projectId": hidden, "runId": "x"}, key=member),
    ]

    assert [reply.status for reply in answers] == [404] * 5
    seen = local.get("/api/v1/workspaces", key=member).json["workspaces"]
    assert [workspace["workspaceSlug"] for workspace in seen] == ["default-workspace"]


def test_environment_is_the_latest_attempts(local: LocalServer) -> None:
    """Details show where a run's latest attempt ran, whatever arrives late; without it they show none."""
    run, other = fresh_id(), fresh_id()
    _events(local, other, (1, "rundial.run.start", {"name": "x"}))
    _events(local, run, (1, "rundial.run.environment", {"cwd": "/new"}), attempt=2, instance="b")
    _events(local, run, (1, "rundial.run.environment", {"cwd": "/old"}), attempt=1, instance="a")

    assert local.details(run)["environment"] == {"cwd": "/new"}
    assert local.details(other)["environment"] is None
