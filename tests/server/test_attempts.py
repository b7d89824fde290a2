"""Attaching to a run: which attempt a start is, and what it is told of the earlier ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support import otlp
from tests.support.clock import START_UNIX_NS
from tests.support.server import LocalServer, Reply, fresh_id

DAY_NS = 86_400 * 10**9


def _start(local: LocalServer, run: str, **more: object) -> Reply:
    return local.post("/api/v1/runs/start", {"projectId": local.project_id(), "runId": run, **more})


def _end(local: LocalServer, run: str, status: str = "completed") -> None:
    assert local.post(f"/api/v1/runs/{run}/status", {"status": status}).status == 200


def _curve(local: LocalServer, run: str, name: str, values: list[float], **more: Any) -> None:
    assert local.export("metrics", otlp.curve(run, name, values, **more)).status == 200


def test_never_refuses_a_run_that_exists(local: LocalServer) -> None:
    """A run is never continued by accident; the refusal has a code and says what to do."""
    run = fresh_id()
    _start(local, run, instanceId="one")

    refused = _start(local, run, instanceId="two", resume="never")

    assert (refused.status, refused.error["code"]) == (409, "CONFLICT")
    assert 'resume="allow"' in refused.error["details"]["hint"]
    assert len(local.details(run)["instances"]) == 1


def test_allow_makes_a_run_or_attaches_to_one_that_goes_on(local: LocalServer) -> None:
    """Whoever starts again after a crash goes on as the next attempt."""
    run = fresh_id()

    made = _start(local, run, resume="allow", instanceId="one")
    attached = _start(local, run, resume="allow", instanceId="two")

    assert (made.json["attempt"], made.json["resumed"]) == (1, False)
    assert (attached.json["attempt"], attached.json["resumed"]) == (2, True)


def test_allow_leaves_a_run_that_has_ended_as_it_is(local: LocalServer) -> None:
    """A finished run is opened again only by who says that it must be."""
    run = fresh_id()
    _start(local, run, instanceId="one")
    _end(local, run, "failed")

    refused = _start(local, run, resume="allow", instanceId="two")

    assert (refused.status, refused.error["code"]) == (409, "CONFLICT")
    assert 'resume="must"' in refused.error["details"]["hint"]
    details = local.details(run)
    assert (details["status"], details["attempt"]) == ("failed", 1)


def test_must_opens_a_run_that_has_ended(local: LocalServer) -> None:
    """An ended run that is resumed is running, and ends again as the new attempt ends."""
    run = fresh_id()
    _start(local, run, instanceId="one")
    _end(local, run)

    opened = _start(local, run, resume="must", instanceId="two")
    while_open = local.details(run)["status"]
    _end(local, run, "aborted")

    assert (opened.json["attempt"], while_open) == (2, "running")
    assert local.details(run)["status"] == "aborted"


def test_must_refuses_a_run_that_is_not_there(local: LocalServer) -> None:
    """A typing mistake in a run id makes no new run."""
    run = fresh_id()

    missing = _start(local, run, resume="must", instanceId="one")

    assert (missing.status, missing.error["code"]) == (404, "NOT_FOUND")
    place = f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}"
    assert local.get(place).status == 404


def test_a_start_that_is_told_again_is_the_same_attempt(local: LocalServer) -> None:
    """A start whose answer was lost can be repeated, whatever its mode."""
    run = fresh_id()
    for resume in ("never", "allow", "must"):
        first = _start(local, run, resume=resume, instanceId="one")
        assert (first.status, first.json["attempt"]) == (200, 1)


def test_a_resumed_run_is_told_where_it_had_got_to(local: LocalServer) -> None:
    """The next attempt goes on behind the highest step; system samples have a count of their own."""
    run = fresh_id()
    first = _start(local, run, instanceId="instance-1")
    _curve(local, run, "loss", [1.0, 2.0, 3.0])
    _curve(local, run, "system/cpu.percent", [1.0])

    second = _start(local, run, instanceId="instance-2", resume="allow")

    assert (first.json["highestStep"], first.json["highestSystemStep"]) == (None, None)
    assert (second.json["highestStep"], second.json["highestSystemStep"]) == (2, 0)


def test_an_announced_attempt_stands_whatever_the_records_claim(local: LocalServer) -> None:
    """A client that guessed its attempt is corrected by its late start, and its records count there."""
    run = fresh_id()
    _start(local, run, instanceId="other")

    late = _start(
        local, run, instanceId="instance-1", attempt=1, late=True, startedAtNs=START_UNIX_NS + DAY_NS
    )
    _curve(local, run, "loss", [1.0])

    assert (late.status, late.json["attempt"]) == (200, 2)
    assert "existed already" in late.json["conflict"]
    attempts = {each["instanceId"]: each["attempt"] for each in local.details(run)["instances"]}
    assert attempts == {"other": 1, "instance-1": 2}


def test_a_late_start_is_never_refused_and_names_its_conflict(local: LocalServer) -> None:
    """What was recorded exists already: a conflict found at sync keeps the data and is told."""
    ended, missing = fresh_id(), fresh_id()
    _start(local, ended, instanceId="one", startedAtNs=START_UNIX_NS - 2 * DAY_NS)
    body = {"status": "completed", "finishedAtMs": (START_UNIX_NS - DAY_NS) // 10**6}
    local.post(f"/api/v1/runs/{ended}/status", body)
    late = {"instanceId": "two", "late": True, "startedAtNs": START_UNIX_NS}

    allowed = _start(local, ended, resume="allow", **late)
    needed = _start(local, missing, resume="must", **late)
    opened = _start(local, ended, resume="must", **late | {"instanceId": "three"})

    assert "had ended already, as completed" in allowed.json["conflict"]
    assert "no run" in needed.json["conflict"]
    assert opened.json["conflict"] is None
    assert [reply.json["attempt"] for reply in (allowed, needed, opened)] == [2, 1, 3]


def test_a_late_start_from_before_never_becomes_the_latest_attempt(local: LocalServer) -> None:
    """A late sync of an old attempt does not overwrite a newer curve."""
    run = fresh_id()
    _start(local, run, instanceId="new", attempt=2, resume="allow", startedAtNs=START_UNIX_NS)
    old = START_UNIX_NS - DAY_NS

    late = _start(local, run, instanceId="old", attempt=1, late=True, startedAtNs=old)

    assert (late.json["attempt"], late.json["conflict"]) == (1, None)
    assert local.details(run)["attempt"] == 2


def test_ranks_of_one_launch_share_an_attempt(local: LocalServer) -> None:
    """Four processes that start at once are one attempt, whichever of them comes first."""
    run = fresh_id()

    def begin(rank: int, launch: str, resume: str) -> int:
        reply = _start(local, run, instanceId=f"{launch}-{rank}", rank=rank, launch=launch, resume=resume)
        assert reply.status == 200, reply.json
        attempt = reply.json["attempt"]
        assert isinstance(attempt, int)
        return attempt

    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(lambda rank: begin(rank, "a", "never"), (3, 1, 0, 2)))
        again = list(pool.map(lambda rank: begin(rank, "b", "allow"), (3, 1, 0, 2)))

    assert (first, again) == ([1] * 4, [2] * 4)


def test_ranks_without_a_launch_are_told_apart_by_their_numbers(local: LocalServer) -> None:
    """One launch has each rank once: the same rank again is another start of the run."""
    run = fresh_id()
    ranks = [_start(local, run, instanceId=f"a{rank}", rank=rank) for rank in (1, 0)]

    again = _start(local, run, instanceId="b1", rank=1)
    resumed = [_start(local, run, instanceId=f"c{rank}", rank=rank, resume="must") for rank in (1, 0)]

    assert [reply.json["attempt"] for reply in ranks] == [1, 1]
    assert again.status == 409
    assert [reply.json["attempt"] for reply in resumed] == [2, 2]


def test_ranks_do_not_push_each_other_on(local: LocalServer) -> None:
    """A rank that comes late counts from the start of its attempt, not from where another one is."""
    run = fresh_id()
    _start(local, run, instanceId="instance-1", rank=0, launch="a")
    _curve(local, run, "loss", [1.0, 2.0], rank=0)

    late = _start(local, run, instanceId="instance-2", rank=1, launch="a")

    assert (late.json["attempt"], late.json["highestStep"]) == (1, None)


def test_of_several_ends_of_an_attempt_the_worst_stands(local: LocalServer) -> None:
    """A rank that failed is not hidden by the others, which its failure ends as aborted or completed."""
    run = fresh_id()
    for seq, status in enumerate(("aborted", "failed", "completed")):
        owner = otlp.resource(run, instance=f"rank-{seq}", rank=seq)
        event = otlp.event(9, "rundial.run.finish", {"status": status})
        assert local.export("logs", otlp.logs(owner, [event])).status == 200

    assert local.details(run)["status"] == "failed"
