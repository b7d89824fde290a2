"""What the server lets go of, and what it never does."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from rundial.server.store import uploads
from rundial.server.store.retention import doom
from rundial.server.store.tables import projects
from tests.support.artifacts import AT, Artifacts
from tests.support.clock import ManualClock
from tests.support.server import LocalServer
from tests.support.waiting import wait_until

DAY_S = 86_400


def kept(server: LocalServer) -> int:
    """How many blobs the server's directory holds, staging included."""
    return sum(path.is_file() for path in (server.data / "blobs").rglob("*"))


def log_checkpoints(artifacts: Artifacts, count: int, *, run: str = "run", keep_last: int | None = 5) -> None:
    """Log checkpoints as `run.checkpoint` does, each with bytes of its own."""
    policy = {} if keep_last is None else {"strategy": "keep_last", "keepLast": keep_last}
    for step in range(count):
        artifacts.log(
            "checkpoint",
            {"model.pt": f"{run} {step}".encode()},
            run=run,
            artifactType="checkpoint",
            aliases=["latest"],
            retentionPolicy=policy,
        )


def versions(artifacts: Artifacts, **query: str) -> list[int]:
    """The numbers of the versions that are listed, the newest first."""
    return [each["version"] for each in artifacts.listed(**query)]


def test_the_last_checkpoints_of_a_run_stay(local: LocalServer, artifacts: Artifacts) -> None:
    """Of a run's checkpoints the latest five are kept, and the bytes of the others go."""
    log_checkpoints(artifacts, 8)

    swept = artifacts.gc()

    assert versions(artifacts) == [7, 6, 5, 4, 3]
    assert (swept["blobsDeleted"], kept(local)) == (3, 5)
    assert artifacts.content(artifacts.listed()[0]["artifactId"], "model.pt") == b"run 7"
    assert artifacts.use("checkpoint:v0").status == 404


def test_runs_do_not_take_each_others_checkpoints(artifacts: Artifacts) -> None:
    """The five are counted for each run and name."""
    log_checkpoints(artifacts, 3, run="one", keep_last=2)
    log_checkpoints(artifacts, 3, run="two", keep_last=2)

    assert versions(artifacts) == [5, 4, 2, 1]


def test_checkpoints_without_a_policy_all_stay(local: LocalServer, artifacts: Artifacts) -> None:
    """`keep_last=None` keeps all, also when later checkpoints of the run have a policy."""
    log_checkpoints(artifacts, 3, keep_last=None)
    log_checkpoints(artifacts, 4, keep_last=1)
    artifacts.gc()

    assert versions(artifacts) == [6, 2, 1, 0]


def test_an_alias_of_the_users_own_holds_a_version(local: LocalServer, artifacts: Artifacts) -> None:
    """The best checkpoint outlives its successors until its alias is taken away."""
    log_checkpoints(artifacts, 1, keep_last=1)
    first = artifacts.listed()[0]["artifactId"]
    artifacts.post(f"{AT}/artifacts/{first}/aliases", {"add": ["best"]})
    log_checkpoints(artifacts, 4, keep_last=1)
    artifacts.gc()

    assert versions(artifacts) == [3, 0]
    assert artifacts.content(first, "model.pt") == b"run 0"


def test_a_time_to_live_ends(local: LocalServer, artifacts: Artifacts, clock: ManualClock) -> None:
    """What was logged for a day is gone after it, and what an alias holds is not."""
    policy = {"strategy": "ttl", "ttlSeconds": DAY_S}
    artifacts.log("scratch", {"a": b"1"}, retentionPolicy=policy)
    artifacts.log("scratch", {"a": b"2"}, retentionPolicy=policy, aliases=["keep"])
    artifacts.log("scratch", {"a": b"3"}, retentionPolicy=policy)
    clock.advance(DAY_S - 1)
    early = artifacts.gc()
    clock.advance(2)
    late = artifacts.gc()

    assert (early["versionsExpired"], late["versionsExpired"], late["blobsDeleted"]) == (0, 2, 2)
    assert versions(artifacts) == [1]
    assert artifacts.use("scratch:latest").json["artifact"]["version"] == 1
    assert kept(local) == 1


def test_what_is_in_flight_is_never_collected(local: LocalServer, artifacts: Artifacts) -> None:
    """Bytes that an upload counts on stay, also when the only version that had them is deleted."""
    old = artifacts.log("data", {"a": b"shared"})["artifact"]
    begun = artifacts.initiate("other", {"a": b"shared", "b": b"new"}).json
    artifacts.send_all(begun, {"b": b"new"})
    artifacts.send("DELETE", f"{AT}/artifacts/{old['artifactId']}")

    swept = artifacts.gc()
    done = artifacts.finalize(begun)

    assert swept["blobsDeleted"] == 0
    assert artifacts.content(done.json["artifact"]["artifactId"], "a") == b"shared"


def test_what_is_judged_and_not_published_yet_is_never_collected(
    local: LocalServer, artifacts: Artifacts
) -> None:
    """A sweep between the two leaves an upload whole."""
    begun = artifacts.initiate("data", {"a": b"new"}).json

    def between(connection: Connection) -> tuple[int, int]:
        project = connection.execute(select(projects.c.id)).scalar_one()
        found = uploads.need_upload(connection, project, begun["uploadId"])
        uploads.note_kept(connection, project, uploads.awaited(connection, found.id), 1)
        doomed = len(doom(connection, None))
        return doomed, uploads.publish(connection, project, found, 2).version

    doomed, version = local.services.writer.submit(between).result(10)

    assert begun["files"]
    assert (doomed, version > 0) == (0, True)


def test_blobs_go_with_their_last_version_and_come_again(local: LocalServer, artifacts: Artifacts) -> None:
    """A deleted version frees what only it had, and its number is never used again."""
    first = artifacts.log("data", {"a": b"1", "b": b"2"})["artifact"]
    artifacts.log("data", {"a": b"1"})
    artifacts.send("DELETE", f"{AT}/artifacts/{first['artifactId']}")

    dry = artifacts.gc(dryRun=True)
    swept = artifacts.gc()
    again = artifacts.log("data", {"a": b"1", "b": b"2"})["artifact"]

    assert (dry["blobsDeleted"], dry["bytesFreed"]) == (1, 1)
    assert (swept["blobsDeleted"], swept["bytesFreed"]) == (1, 1)
    assert again["version"] == 2
    assert kept(local) == 2


def test_a_dry_sweep_says_all_that_a_real_one_does(artifacts: Artifacts, clock: ManualClock) -> None:
    """Whoever asks before they free learns of every blob, version and upload that would go."""
    ttl = {"strategy": "ttl", "ttlSeconds": 60}
    many = {f"f{number}": str(number).encode() for number in range(600)}
    artifacts.log("many", many, retentionPolicy=ttl)
    artifacts.log("other", {"f1": b"1", "mine": b"mine"})
    artifacts.log("held", {"a": b"held"}, retentionPolicy=ttl, aliases=["best"])
    artifacts.initiate("stale", {"f2": b"2", "new": b"new"})
    clock.advance(8 * DAY_S)

    dry = artifacts.gc(dryRun=True)
    swept = artifacts.gc()

    assert dry["dryRun"] is True
    assert {**dry, "dryRun": False} == swept
    assert (swept["uploadsExpired"], swept["versionsExpired"], swept["blobsDeleted"]) == (1, 1, 599)


def test_deleting_what_an_alias_holds_wants_force(artifacts: Artifacts) -> None:
    """Nobody deletes the production model by a slip."""
    logged = artifacts.log("model", {"a": b"1"}, aliases=["production"])["artifact"]
    place = f"{AT}/artifacts/{logged['artifactId']}"

    refused = artifacts.send("DELETE", place)
    forced = artifacts.send("DELETE", f"{place}?force=true")

    assert (refused.status, forced.status) == (409, 200)
    assert "production" in refused.error["message"]
    assert artifacts.use("model").status == 404


def test_uploads_that_nobody_continues_are_swept(
    local: LocalServer, artifacts: Artifacts, clock: ManualClock
) -> None:
    """After a week without a sign their bytes go; one that was renewed meanwhile stays."""
    dead = artifacts.initiate("dead", {"a": b"1", "b": b"2"}).json
    artifacts.send_all({"files": dead["files"][:1]}, {"a": b"1"})
    alive = artifacts.initiate("alive", {"a": b"3", "b": b"4"}).json
    artifacts.send_all({"files": alive["files"][:1]}, {"a": b"3"})
    clock.advance(6 * DAY_S)
    artifacts.renew(alive)
    clock.advance(2 * DAY_S)

    swept = artifacts.gc()

    assert swept["uploadsExpired"] == 1
    assert kept(local) == 1
    assert artifacts.finalize(dead).status == 410
    artifacts.send_all(artifacts.renew(alive).json, {"b": b"4"})
    assert artifacts.finalize(alive).status == 200


def test_verifying_on_a_disk_that_hangs_holds_up_nothing_else(
    local: LocalServer, artifacts: Artifacts
) -> None:
    """However many artifacts are read again, uploads and downloads go on."""
    logged = artifacts.log("data", {"a": b"1"})["artifact"]
    (blob,) = [path for path in (local.data / "blobs").rglob("*") if path.is_file()]
    blob.unlink()
    os.mkfifo(blob)  # whoever opens it waits for a writer, as for a disk that has gone away
    writers: list[int] = []
    with ThreadPoolExecutor(9) as threads:
        place = f"{AT}/artifacts/{logged['artifactId']}/verify"
        asking = [threads.submit(artifacts.post, place, {}) for _ in range(8)]
        try:
            wait_until(lambda: _opens(blob, writers), 20)  # one of them has the pipe in its hands
            done = threads.submit(artifacts.log, "other", {"b": b"2"}).result(20)
            url = artifacts.url_of(done["artifact"]["artifactId"], "b")
        finally:
            wait_until(lambda: all(each.done() for each in asking) or _let_go(blob, writers), 20)

    assert artifacts.fetch(url).body == b"2"
    assert {each.result().json["intact"] for each in asking} == {False}


def _opens(pipe: Path, writers: list[int]) -> bool:
    """Open a pipe's other end, if somebody waits for it."""
    try:
        writers.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _let_go(pipe: Path, writers: list[int]) -> bool:
    """Let those who read the pipe find its end, and those who wait for it begin; never true."""
    while writers:
        os.close(writers.pop())
    _opens(pipe, writers)
    return False


def test_verify_finds_a_damaged_blob(local: LocalServer, artifacts: Artifacts) -> None:
    """The server reads its bytes again and says which file is not what it was."""
    logged = artifacts.log("data", {"a": b"whole", "b": b"other", "c": b"third"})["artifact"]
    place = f"{AT}/artifacts/{logged['artifactId']}/verify"
    before = artifacts.post(place, {}).json
    paths = {path.read_bytes(): path for path in (local.data / "blobs").rglob("*") if path.is_file()}
    paths[b"whole"].write_bytes(b"wholE")
    paths[b"other"].write_bytes(b"othe")
    paths[b"third"].unlink()

    after = artifacts.post(place, {}).json

    assert (before["intact"], before["checked"]) == (True, {"blobs": 3, "sizeBytes": 15})
    assert after["intact"] is False
    assert {each["path"]: each["reason"] for each in after["damaged"]} == {
        "a": "sha256",
        "b": "size",
        "c": "missing",
    }


@pytest.mark.parametrize(
    "policy", [{"strategy": "keep_last", "keepLast": 0}, {"strategy": "ttl"}, {"strategy": "x"}]
)
def test_a_policy_that_makes_no_sense_is_refused(artifacts: Artifacts, policy: dict[str, object]) -> None:
    """It is refused when it is announced, not when it would delete something."""
    assert artifacts.initiate("data", {"a": b"1"}, retentionPolicy=policy).status == 400


def test_what_becomes_of_a_version_is_in_the_audit_log(local: LocalServer, artifacts: Artifacts) -> None:
    """Whoever took a model away, or another's name from it, can be asked."""
    found = artifacts.log("data", {"a": b"1"})["artifact"]["artifactId"]
    artifacts.post(f"{AT}/artifacts/{found}/aliases", {"add": ["best"]})
    artifacts.send("DELETE", f"{AT}/artifacts/{found}?force=true")

    deeds = local.get("/api/v1/workspaces/default-workspace/audit").json["events"]

    told = [(each["action"], each["targetId"]) for each in deeds if each["targetKind"] == "artifact"]
    assert told == [("artifact.delete", found), ("artifact.alias", found)]
