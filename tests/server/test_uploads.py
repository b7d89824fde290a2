"""Uploads of artifacts over real HTTP into the local store: what counts, what does not, and what is kept."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rundial.server.blobs.store import PART_BYTES
from tests.support.artifacts import Artifacts, sha256
from tests.support.clock import ManualClock
from tests.support.server import LocalServer

FILES = {"model.bin": b"weights" * 1000, "subdir/ключ ✓.txt": b"text", "empty": b""}


def stored(server: LocalServer) -> list[Path]:
    """Every file below the server's blob directory."""
    return sorted(path for path in (server.data / "blobs").rglob("*") if path.is_file())


def test_an_artifact_comes_back_as_it_was_sent(artifacts: Artifacts) -> None:
    """Names in any alphabet, subdirectories and empty files included."""
    logged = artifacts.log("model", FILES, artifactType="model", metadata={"a": [1]}, aliases=["best"])
    used = artifacts.use("model").json["artifact"]

    assert (logged["artifact"]["version"], logged["artifact"]["versionName"]) == (0, "v0")
    assert logged["artifact"]["aliases"] == ["best", "latest"]
    assert {each["path"]: each["sha256"] for each in used["files"]} == {
        path: sha256(data) for path, data in FILES.items()
    }
    assert (used["metadata"], used["type"], used["runId"]) == ({"a": [1]}, "model", "run")
    for path, data in FILES.items():
        assert artifacts.content(used["artifactId"], path) == data


def test_references_find_names_aliases_versions_and_ids(artifacts: Artifacts) -> None:
    """Each of the four ways to say which artifact leads to it, and `latest` moves."""
    first = artifacts.log("model", {"a": b"1"}, aliases=["best"])["artifact"]
    second = artifacts.log("model", {"a": b"2"})["artifact"]

    def meant(reference: str) -> str:
        return str(artifacts.use(reference).json["artifact"]["artifactId"])

    assert [meant(each) for each in ("model:v0", "model:best", first["artifactId"])] == [
        first["artifactId"]
    ] * 3
    assert [meant(each) for each in ("model", "model:latest", "model:v1")] == [second["artifactId"]] * 3
    assert artifacts.use("model:v7").status == 404
    assert artifacts.use("model:nobody").status == 404


def test_an_alias_moves_to_the_version_that_takes_it(artifacts: Artifacts) -> None:
    """An alias means one version of a name at a time."""
    artifacts.log("model", {"a": b"1"}, aliases=["best"])
    artifacts.log("model", {"a": b"2"}, aliases=["best"])

    assert [each["aliases"] for each in artifacts.listed()] == [["best", "latest"], []]


def test_known_bytes_are_not_asked_for_again(artifacts: Artifacts) -> None:
    """A further version costs what is new in it, across runs too."""
    artifacts.log("data", {"a": b"same", "b": b"old"})

    begun = artifacts.initiate("data", {"a": b"same", "b": b"new"}, run="other").json

    assert [each["path"] for each in begun["files"]] == ["b"]
    assert begun["deduped"] is False


def test_files_of_equal_content_are_asked_for_once(artifacts: Artifacts) -> None:
    """Ten thousand copies of one file cost one upload."""
    files = {f"copy-{number}": b"the same" for number in range(20)}

    begun = artifacts.initiate("copies", files).json
    artifacts.send_all(begun, files)
    done = artifacts.finalize(begun).json["artifact"]

    assert len(begun["files"]) == 1
    assert artifacts.content(done["artifactId"], "copy-19") == b"the same"


def test_the_same_content_is_no_new_version(artifacts: Artifacts) -> None:
    """Logging what is there already moves aliases, and notes that the second run made it too."""
    first = artifacts.log("data", {"a": b"1"})
    begun = artifacts.initiate("data", {"a": b"1"}, run="second", aliases=["again"]).json

    done = artifacts.finalize(begun).json

    assert begun["deduped"] is True
    assert (done["deduped"], done["artifact"]["artifactId"]) == (True, first["artifact"]["artifactId"])
    assert done["artifact"]["aliases"] == ["again", "latest"]
    assert len(artifacts.listed()) == 1
    assert len(artifacts.listed(runId="second")) == 1


def test_other_projects_have_to_send_what_this_one_has(local: LocalServer, artifacts: Artifacts) -> None:
    """Whether another project holds some bytes is never told by an upload that goes faster."""
    artifacts.log("data", {"a": b"secret bytes"})
    other = Artifacts(local.url, local.key, "other")

    begun = other.initiate("guess", {"a": b"secret bytes"}).json
    refused = other.finalize(begun)
    other.close()

    assert [each["path"] for each in begun["files"]] == ["a"]
    assert refused.status == 409


def test_a_part_of_the_files_cannot_be_finalized(artifacts: Artifacts) -> None:
    """The answer names what is missing, and sending that makes it whole."""
    begun = artifacts.initiate("data", {"a": b"1", "b": b"2"}).json
    artifacts.send_all({"files": begun["files"][:1]}, {"a": b"1"})

    refused = artifacts.finalize(begun)
    missing = artifacts.renew(begun).json
    artifacts.send_all(missing, {"b": b"2"})
    done = artifacts.finalize(begun)

    assert refused.status == 409
    assert refused.error["details"]["files"] == [{"path": "b", "reason": "missing"}]
    assert [each["path"] for each in missing["files"]] == ["b"]
    assert done.status == 200


@pytest.mark.parametrize("data", [b"wrong", b"right and more", b""])
def test_bytes_that_are_not_what_was_announced_do_not_count(artifacts: Artifacts, data: bytes) -> None:
    """A file that changed after it was hashed never becomes an artifact."""
    begun = artifacts.initiate("data", {"a": b"right"}).json

    refused = artifacts.put(begun["files"][0]["url"], data)

    assert refused.status == 400
    assert "nothing was kept" in refused.error["details"]["hint"]
    assert artifacts.finalize(begun).status == 409


def test_a_large_file_comes_in_parts_in_any_order(local: LocalServer, artifacts: Artifacts) -> None:
    """Parts that arrived are not asked for again, and the whole is judged as a whole."""
    data = os.urandom(2 * PART_BYTES + 5)
    begun = artifacts.initiate("big", {"big.bin": data}).json
    (file,) = begun["files"]
    artifacts.send_part(file["parts"][2], data)
    artifacts.send_part(file["parts"][0], data)

    (resumed,) = artifacts.renew(begun).json["files"]
    early = artifacts.finalize(begun)
    artifacts.send_part(resumed["parts"][0], data)
    done = artifacts.finalize(begun)

    assert [part["sizeBytes"] for part in file["parts"]] == [PART_BYTES, PART_BYTES, 5]
    assert [part["partNumber"] for part in resumed["have"]] == [1, 3]
    assert [part["partNumber"] for part in resumed["parts"]] == [2]
    assert early.json["error"]["details"]["files"] == [{"path": "big.bin", "reason": "missing"}]
    assert artifacts.content(done.json["artifact"]["artifactId"], "big.bin") == data
    assert [path.stat().st_size for path in stored(local)] == [len(data)]


def test_a_large_file_with_a_wrong_part_is_sent_again(artifacts: Artifacts) -> None:
    """The server hashes what it keeps; a flipped byte in a part is found, and the file asked for anew."""
    data = os.urandom(PART_BYTES + 5)
    wrong = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    begun = artifacts.initiate("big", {"big.bin": data}).json
    artifacts.send_all(begun, {"big.bin": wrong})

    refused = artifacts.finalize(begun)
    artifacts.send_all(artifacts.renew(begun).json, {"big.bin": data})
    done = artifacts.finalize(begun)

    assert refused.error["details"]["files"] == [{"path": "big.bin", "reason": "sha256"}]
    assert done.status == 200


def test_a_url_of_a_finished_upload_changes_nothing(local: LocalServer, artifacts: Artifacts) -> None:
    """What was judged stays as it was judged, also while its URLs still live."""
    data = os.urandom(PART_BYTES + 5)
    begun = artifacts.initiate("big", {"big.bin": data, "small": b"s"}).json
    artifacts.send_all(begun, {"big.bin": data, "small": b"s"})
    artifacts.finalize(begun)
    before = stored(local)

    late = [
        artifacts.put(part["url"], bytes(part["sizeBytes"])).status for part in begun["files"][0]["parts"]
    ]
    late.append(artifacts.put(begun["files"][1]["url"], b"s").status)

    assert late == [409, 409, 409]
    assert stored(local) == before
    assert artifacts.content(begun["artifactId"], "big.bin") == data


def test_an_expired_url_is_refused_and_renewed(
    local: LocalServer, artifacts: Artifacts, clock: ManualClock
) -> None:
    """A URL works for an hour; a fresh one takes its place."""
    begun = artifacts.initiate("data", {"a": b"1"}).json
    clock.advance(3_601)

    refused = artifacts.put(begun["files"][0]["url"], b"1")
    artifacts.send_all(artifacts.renew(begun).json, {"a": b"1"})

    assert refused.status == 403
    assert "fresh" in refused.error["details"]["hint"]
    assert artifacts.finalize(begun).status == 200


def test_a_url_allows_what_it_was_signed_for_and_nothing_else(artifacts: Artifacts) -> None:
    """A changed token, another method and another file's bytes are refused."""
    begun = artifacts.initiate("data", {"a": b"1"}).json
    url = begun["files"][0]["url"]
    head, _, mac = url.rpartition(".")

    assert artifacts.put(f"{head}.{mac[::-1]}", b"1").status == 403
    assert artifacts.put(url.replace("/blobs/", "/blobs/e30."), b"1").status == 403
    assert artifacts.fetch(url).status == 403
    assert artifacts.put(url + "é", b"1").status == 403


def test_the_same_client_key_is_the_same_upload(artifacts: Artifacts) -> None:
    """A client that does not know whether its request arrived repeats it."""
    first = artifacts.initiate("data", {"a": b"1"}, clientKey="job-1").json
    again = artifacts.initiate("data", {"a": b"1"}, clientKey="job-1").json
    artifacts.send_all(again, {"a": b"1"})
    done = artifacts.finalize(first).json
    after = artifacts.initiate("data", {"a": b"1"}, clientKey="job-1").json

    assert first["uploadId"] == again["uploadId"] == after["uploadId"]
    assert artifacts.finalize(after).json == done
    assert len(artifacts.listed()) == 1


def test_two_that_finalize_one_name_at_once_make_two_versions(
    local: LocalServer, artifacts: Artifacts
) -> None:
    """Neither a gap nor a clash, however many come together."""
    begun = []
    for number in range(8):
        files = {"a": b"%d" % number}
        begun.append(artifacts.initiate("data", files, run=f"run-{number}").json)
        artifacts.send_all(begun[-1], files)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(artifacts.finalize, begun))

    assert sorted(each.json["artifact"]["version"] for each in done) == list(range(8))
    assert [each["aliases"] for each in artifacts.listed(name="data")].count(["latest"]) == 1


def test_an_aborted_upload_leaves_nothing(local: LocalServer, artifacts: Artifacts) -> None:
    """Neither bytes nor a version, and its URLs are dead."""
    begun = artifacts.initiate("data", {"a": b"1", "b": b"2"}, clientKey="key").json
    artifacts.send_all({"files": begun["files"][:1]}, {"a": b"1"})

    aborted = artifacts.abort(begun)
    late = artifacts.put(begun["files"][1]["url"], b"2")

    assert aborted.status == 200
    assert (late.status, artifacts.finalize(begun).status, artifacts.renew(begun).status) == (409, 410, 410)
    assert stored(local) == []
    assert artifacts.listed() == []
    assert artifacts.initiate("data", {"a": b"1"}, clientKey="key").json["uploadId"] != begun["uploadId"]


def test_files_are_the_owners_alone_and_named_by_their_content(
    local: LocalServer, artifacts: Artifacts
) -> None:
    """No name of a user is a path of the server, and other users of the machine read nothing (S4)."""
    artifacts.log("../../etc/passwd", {"a/b/c.sh": b"x"})

    paths = stored(local)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in paths}
    folders = {stat.S_IMODE(path.parent.stat().st_mode) for path in paths}

    assert [path.name.partition("-")[0] for path in paths] == [sha256(b"x")]
    assert (modes, folders) == ({0o600}, {0o700})
    assert stat.S_IMODE((local.data / "blobs.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("path", ["../up", "/abs", "a//b", "a/./b", "a/../../b", "c:\\windows", "nul\0", ""])
def test_a_path_that_leads_away_is_refused(artifacts: Artifacts, path: str) -> None:
    """No download of anybody can be led out of its directory by what another one uploaded."""
    refused = artifacts.initiate("data", {path: b"1"})

    assert refused.status == 400


def test_ranges_of_a_download_are_honoured(artifacts: Artifacts) -> None:
    """A download that broke off goes on where it was."""
    logged = artifacts.log("data", {"a": b"0123456789"})["artifact"]
    url = artifacts.url_of(logged["artifactId"], "a")

    some = artifacts.fetch(url, {"range": "bytes=3-5"})
    rest = artifacts.fetch(url, {"range": "bytes=7-"})
    beyond = artifacts.fetch(url, {"range": "bytes=99-"})

    assert (some.status, some.body, some.headers["content-range"]) == (206, b"345", "bytes 3-5/10")
    assert (rest.status, rest.body) == (206, b"789")
    assert beyond.status == 416


@pytest.mark.parametrize(
    ("kind", "served", "way"),
    [
        ("image/png", "image/png", "inline"),
        ("text/html", "application/octet-stream", "attachment"),
        ("image/svg+xml", "application/octet-stream", "attachment"),
    ],
)
def test_what_a_browser_could_run_is_handed_out_as_a_file(
    artifacts: Artifacts, kind: str, served: str, way: str
) -> None:
    """Somebody's HTML never runs with the rights of who looks at it."""
    files = {'we"ird\u2713.html': b"<script>"}
    begun = artifacts.initiate("page", files, content_type=kind).json
    artifacts.send_all(begun, files)
    logged = artifacts.finalize(begun).json["artifact"]

    answer = artifacts.fetch(artifacts.url_of(logged["artifactId"], 'we"ird\u2713.html'))

    assert answer.headers["content-type"] == served
    assert answer.headers["content-disposition"].startswith(f"{way}; filename*=UTF-8''we%22ird")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_key_without_the_scope_uploads_nothing(local: LocalServer, artifacts: Artifacts) -> None:
    """A key that may only read, or write metrics, writes no artifacts; a writing one reads no listing."""
    metrics, reader = local.make_key(["metrics:write"]), local.make_key(["project:read"])
    body = {"projectId": artifacts.project_id, "name": "x", "files": []}

    for key in (metrics, reader):
        assert local.post("/api/v1/artifacts/initiate", body, key=key).status == 403
    assert (
        local.get("/api/v1/workspaces/default-workspace/projects/digits/artifacts", key=metrics).status == 403
    )


def test_a_key_of_another_project_finds_nothing(local: LocalServer, artifacts: Artifacts) -> None:
    """An artifact's id opens what the key may see, and nothing else."""
    logged = artifacts.log("data", {"a": b"1"})["artifact"]
    local.project_id("other")
    stranger = local.make_key(["artifacts:write", "project:read"], project_id=2)
    body = {"projectId": artifacts.project_id, "artifactId": logged["artifactId"], "path": "a"}

    assert local.post("/api/v1/artifacts/download", body, key=stranger).status == 404


def test_references_are_kept_without_their_bytes(artifacts: Artifacts) -> None:
    """`s3://`, `gs://`, `https://` and local paths are remembered, and count for the digest."""
    where = [{"path": "train", "uri": "s3://bucket/train", "sizeBytes": 10, "sha256": None}]

    first = artifacts.log("data", {}, references=where)["artifact"]
    second = artifacts.log("data", {}, references=[{**where[0], "uri": "s3://bucket/other"}])["artifact"]

    assert artifacts.use(first["artifactId"]).json["artifact"]["references"] == where
    assert second["version"] == 1


def test_ten_thousand_files_are_announced_in_pages(artifacts: Artifacts) -> None:
    """An answer stays bounded; what is beyond it is asked for with the cursor."""
    files = {f"f{number}": b"%d" % number for number in range(25)}

    begun = artifacts.initiate("many", files).json
    first = artifacts.renew(begun, limit=10).json
    second = artifacts.renew(begun, limit=100, cursor=first["page"]["nextCursor"]).json

    assert [each["path"] for each in first["files"] + second["files"]] == list(files)
    assert second["page"]["hasMore"] is False
