"""Artifacts in a real S3-compatible store: pre-signed URLs, parts, judging, and a store that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import ProtocolError

from rundial.errors import ConfigError
from rundial.server.blobs.opening import BlobOptions
from rundial.server.blobs.s3 import open_s3
from rundial.server.blobs.store import PART_BYTES
from tests.support.artifacts import AT, Artifacts, sha256
from tests.support.clock import ManualClock
from tests.support.server import LocalServer
from tests.support.swift import Swift, Unkind
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]

BUCKET = "artifacts"


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """A store with one bucket."""
    with Swift(tmp_path_factory.mktemp("swift")) as store:
        store.client().create_bucket(Bucket=BUCKET)
        yield store


@pytest.fixture
def unkind(swift: Swift) -> Iterator[Unkind]:
    """What stands before the store and can answer in its place."""
    with Unkind(swift.url) as between:
        yield between


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """A place in the bucket for one test."""
    return f"some/{tmp_path.name}".replace("_", "-")


@pytest.fixture
def s3(
    swift: Swift,
    unkind: Unkind,
    prefix: str,
    tmp_path: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Artifacts]:
    """The artifacts of a server that keeps them in the bucket, by way of `unkind`."""
    for name, value in swift.environment(unkind.url).items():
        monkeypatch.setenv(name, value)
    options = BlobOptions(url=f"s3://{BUCKET}/{prefix}")
    with LocalServer(tmp_path / "data", clock, blob_options=options) as server:
        artifacts = Artifacts(server.url, server.key)
        yield artifacts
        artifacts.close()


def mine(swift: Swift, prefix: str) -> list[str]:
    """The objects of one test, below its prefix."""
    return [key.removeprefix(prefix + "/") for key in swift.keys(BUCKET) if key.startswith(prefix)]


def test_an_artifact_goes_to_the_store_and_comes_back(s3: Artifacts, swift: Swift, prefix: str) -> None:
    """The bytes go straight to the store; what is kept there is named by its content."""
    files = {"a b/ключ ✓.bin": os.urandom(100_000), "empty": b""}
    logged = s3.log("model", files)["artifact"]

    for path, data in files.items():
        assert s3.content(logged["artifactId"], path) == data
    assert sorted(key.split("/")[-1].partition("-")[0] for key in mine(swift, prefix)) == sorted(
        sha256(data) for data in files.values()
    )
    assert not any(key.startswith("staging/") for key in mine(swift, prefix))


def test_parts_are_resumed_and_completed(s3: Artifacts, swift: Swift, prefix: str) -> None:
    """What the store has of a multipart upload is listed, and only the rest is asked for."""
    data = os.urandom(PART_BYTES + 1_000_000)
    begun = s3.initiate("big", {"big.bin": data}).json
    s3.send_part(begun["files"][0]["parts"][1], data)

    (resumed,) = s3.renew(begun).json["files"]
    early = s3.finalize(begun)
    s3.send_part(resumed["parts"][0], data)
    done = s3.finalize(begun)

    assert [each["partNumber"] for each in resumed["have"]] == [2]
    assert resumed["have"][0]["sizeBytes"] == 1_000_000
    assert [each["partNumber"] for each in resumed["parts"]] == [1]
    assert early.error["details"]["files"] == [{"path": "big.bin", "reason": "missing"}]
    assert s3.content(done.json["artifact"]["artifactId"], "big.bin") == data
    assert len(mine(swift, prefix)) == 1


def test_ranges_are_the_stores_own(s3: Artifacts) -> None:
    """A download that broke off goes on where it was."""
    logged = s3.log("data", {"a": b"0123456789"})["artifact"]

    some = s3.fetch(s3.url_of(logged["artifactId"], "a"), {"range": "bytes=3-5"})

    assert (some.status, some.body) == (206, b"345")


@pytest.mark.parametrize("size", [10_000, PART_BYTES + 10_000])
def test_the_server_reads_back_what_it_keeps(s3: Artifacts, swift: Swift, prefix: str, size: int) -> None:
    """Bytes of the right length and the wrong content are found, dropped, and asked for again."""
    data = os.urandom(size)
    wrong = bytes([data[0] ^ 1]) + data[1:]
    begun = s3.initiate("data", {"a": data}).json
    s3.send_all(begun, {"a": wrong})

    refused = s3.finalize(begun)
    s3.send_all(s3.renew(begun).json, {"a": data})
    done = s3.finalize(begun)

    assert refused.error["details"]["files"] == [{"path": "a", "reason": "sha256"}]
    assert done.status == 200, done.body
    assert s3.content(done.json["artifact"]["artifactId"], "a") == data
    assert len(mine(swift, prefix)) == 1


def test_a_url_that_outlives_its_upload_changes_nothing(s3: Artifacts) -> None:
    """What came by one PUT is kept where no URL leads; a part that comes late never alters what is read.

    Amazon's store refuses such a part. Swift takes it, and from then on breaks off where it would have to
    hand it out.
    """
    large = os.urandom(PART_BYTES + 10)
    begun = s3.initiate("data", {"a": b"right", "large": large}).json
    s3.send_all(begun, {"a": b"right", "large": large})
    done = s3.finalize(begun).json["artifact"]

    s3.put(begun["files"][0]["url"], b"wrong")
    before = s3.content(done["artifactId"], "large")
    late = s3.put(begun["files"][1]["parts"][1]["url"], b"0123456789")

    assert s3.content(done["artifactId"], "a") == b"right"
    assert before == large
    if late.status == 200:
        with pytest.raises(ProtocolError):
            s3.content(done["artifactId"], "large")
        assert s3.post(f"{AT}/artifacts/{done['artifactId']}/verify", {}).status == 503
    else:
        assert s3.content(done["artifactId"], "large") == large


def test_a_tampered_or_expired_url_is_refused_by_the_store(
    swift: Swift, tmp_path: Path, clock: ManualClock, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store checks signatures itself; a fresh URL takes an expired one's place."""
    for name, value in swift.environment().items():
        monkeypatch.setenv(name, value)
    options = BlobOptions(url=f"s3://{BUCKET}/{prefix}", url_life_s=2)
    with LocalServer(tmp_path / "data", clock, blob_options=options) as server:
        s3 = Artifacts(server.url, server.key)
        begun = s3.initiate("data", {"a": b"right", "b": b"other"}).json
        first, second = (each["url"] for each in begun["files"])
        _, _, query = first.partition("?")
        tampered = s3.put(f"{second.partition('?')[0]}?{query}", b"right")
        wait_until(lambda: s3.put(first, b"right").status == 403, 30)
        s3.send_all(s3.renew(begun).json, {"a": b"right", "b": b"other"})
        done = s3.finalize(begun)
        s3.close()

    assert tampered.status == 403
    assert done.status == 200


@pytest.mark.parametrize("status", [500, 403, 503])
@pytest.mark.parametrize("operation", ["PUT", "GET"])
def test_a_store_that_fails_costs_time_and_nothing_else(
    s3: Artifacts, unkind: Unkind, swift: Swift, prefix: str, status: int, operation: str
) -> None:
    """Finalize says what the store answered and that it may be repeated; when it recovers, all is there."""
    begun = s3.initiate("data", {"a": b"right", "b": b"other"}).json
    s3.send_all(begun, {"a": b"right", "b": b"other"})
    unkind.answer = lambda method, path: status if method == operation else None

    refused = s3.finalize(begun)
    listed = s3.listed()
    unkind.answer = lambda method, path: None
    done = s3.finalize(begun)

    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    assert str(status) in refused.error["message"]
    assert "http" not in refused.error["message"]
    assert listed == []
    assert done.status == 200
    assert len(mine(swift, prefix)) == 2


def test_a_store_that_fails_at_the_start_can_be_asked_again(s3: Artifacts, unkind: Unkind) -> None:
    """The same client key goes on with the same upload."""
    data = os.urandom(PART_BYTES)
    unkind.answer = lambda method, path: 500 if method == "POST" else None
    refused = s3.initiate("data", {"a": data}, clientKey="k")
    unkind.answer = lambda method, path: None

    begun = s3.initiate("data", {"a": data}, clientKey="k").json
    s3.send_all(begun, {"a": data})

    assert refused.status == 503
    assert s3.finalize(begun).json["artifact"]["version"] == 0


def test_collection_deletes_objects_and_aborts_parts(s3: Artifacts, swift: Swift, prefix: str) -> None:
    """Neither deleted versions nor aborted uploads leave anything in the bucket."""
    logged = s3.log("data", {"a": b"1"})["artifact"]
    data = os.urandom(PART_BYTES + 5)
    begun = s3.initiate("big", {"big.bin": data, "small": b"s"}).json
    s3.send_part(begun["files"][0]["parts"][1], data)
    s3.put(begun["files"][1]["url"], b"s")
    before = (len(mine(swift, prefix)), len(swift.unfinished(BUCKET)))
    s3.abort(begun)
    s3.send("DELETE", f"{AT}/artifacts/{logged['artifactId']}")
    s3.gc()

    assert before == (2, 1)
    assert mine(swift, prefix) == []
    assert [key for key in swift.unfinished(BUCKET) if key.startswith(prefix)] == []


def test_verify_reads_the_store(s3: Artifacts, swift: Swift, prefix: str) -> None:
    """An object that somebody overwrote in the bucket is found."""
    logged = s3.log("data", {"a": b"whole"})["artifact"]
    (key,) = mine(swift, prefix)
    swift.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"wholE")

    found = s3.post(f"{AT}/artifacts/{logged['artifactId']}/verify", {}).json

    assert found["damaged"] == [{"path": "a", "reason": "sha256"}]


def test_a_bucket_that_is_not_there_is_said_at_the_start(
    swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that could keep nothing does not start; the message names no credentials."""
    for name, value in swift.environment().items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match="no bucket 'nowhere'"):
        open_s3("s3://nowhere/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(ConfigError, match="403") as refused:
        open_s3(f"s3://{BUCKET}")
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(ConfigError, match="no bucket"):
        open_s3("s3://")
    with pytest.raises(ConfigError, match="without credentials"):
        open_s3("s3://key:secret@bucket")


def test_no_signature_reaches_the_log(
    s3: Artifacts, unkind: Unkind, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing store is logged by what it answered, not by the URL that was signed."""
    begun = s3.initiate("data", {"a": b"1"}).json
    s3.send_all(begun, {"a": b"1"})
    unkind.answer = lambda method, path: 500

    s3.finalize(begun)

    assert "the blob store answered 500" in caplog.text
    assert "Signature" not in caplog.text
    assert urllib3.util.parse_url(begun["files"][0]["url"]).query not in caplog.text


def test_the_page_may_fetch_from_the_stores_own_place_and_from_nowhere_else(
    s3: Artifacts, unkind: Unkind, prefix: str
) -> None:
    """Pictures that lie in the store are shown; another bucket of the same store is as foreign as any."""
    logged = s3.log("pictures", {"a.png": b"1"})["artifact"]
    policy = s3.send("GET", "/").headers["content-security-policy"]
    place = f"{unkind.url}/{BUCKET}/{prefix}/"

    assert s3.url_of(logged["artifactId"], "a.png").startswith(place)
    assert f"connect-src 'self' {place};" in policy
    assert f"img-src 'self' data: blob: {place};" in policy
