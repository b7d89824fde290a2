"""What a run shows: rows of pictures and tables, by the published route and by events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import otlp
from tests.support.artifacts import AT, Artifacts, sha256
from tests.support.server import LocalServer

PNG = b"\x89PNG and so on"


def item(step: int, data: bytes = PNG, **more: Any) -> dict[str, Any]:
    """A row as the published client sends it."""
    return {
        "mediaKey": "samples",
        "mediaType": "image",
        "step": step,
        "timestampMs": 1_700_000_000_000 + step,
        "artifactPath": "image.png",
        "artifactId": "art_x",
        "artifactVersion": 0,
        "artifactSha256": sha256(data),
        "caption": None,
        "width": 4,
        **more,
    }


def body(step: int, data: bytes = PNG) -> dict[str, object]:
    """The body of a `rundial.media` event."""
    return {
        "media_key": "samples",
        "media_type": "image",
        "step": step,
        "time_unix_nano": otlp.T0 + step,
        "artifact_name": "media-samples",
        "artifact_path": "a/image.png",
        "caption": "a cat",
        "width": 4,
        "height": 3,
        "sha256": sha256(data),
        "size_bytes": len(data),
        "content_type": "image/png",
        "metadata": {"epoch": 1},
    }


def shown(artifacts: Artifacts, query: str = "", run: str = "run") -> list[dict[str, Any]]:
    """The media of a run."""
    found = artifacts.get(f"{AT}/runs/{run}/media{query}").json["media"]
    assert isinstance(found, list)
    return found


def test_rows_of_the_published_client_are_shown_with_their_bytes(artifacts: Artifacts) -> None:
    """A row leads to the picture that was uploaded for it."""
    artifacts.log("media-samples", {"image.png": PNG})
    sent = {"projectId": artifacts.project_id, "runId": "run", "items": [item(0), item(1)]}

    answer = artifacts.post("/api/v1/ingest/media", sent)
    again = artifacts.post("/api/v1/ingest/media", sent)
    rows = shown(artifacts)

    assert (answer.json["accepted"], again.json["accepted"]) == (2, 2)
    assert [(row["step"], row["width"], row["state"]) for row in rows] == [(0, 4, "stored"), (1, 4, "stored")]
    picture = artifacts.fetch(rows[0]["url"])
    assert (picture.body, picture.headers["content-type"]) == (PNG, "image/png")


def test_a_row_that_cannot_be_kept_is_named_and_the_others_stay(artifacts: Artifacts) -> None:
    """Nothing is lost without a word."""
    items = [item(0), item(-1), {**item(2), "mediaKey": ""}]

    answer = artifacts.post(
        "/api/v1/ingest/media", {"projectId": artifacts.project_id, "runId": "run", "items": items}
    ).json

    assert (answer["accepted"], answer["rejected"], len(answer["reasons"])) == (1, 2, 2)
    assert [row["step"] for row in shown(artifacts)] == [0]


def test_events_become_rows_once_and_their_bytes_may_come_later(
    local: LocalServer, artifacts: Artifacts
) -> None:
    """The telemetry and the upload take different ways; whichever is first, the picture is shown."""
    request = otlp.logs(
        otlp.resource("run"),
        [otlp.event(number, "rundial.media", body(number)) for number in range(3)],
    )
    local.export("logs", request)
    local.export("logs", request)
    before = shown(artifacts)
    artifacts.log("media-samples", {"a/image.png": PNG}, kind="media")
    after = shown(artifacts)

    assert [(row["step"], row["state"], row["url"]) for row in before] == [
        (step, "pending", None) for step in range(3)
    ]
    assert [row["state"] for row in after] == ["stored"] * 3
    assert artifacts.fetch(after[2]["url"]).body == PNG
    assert (after[0]["caption"], after[0]["metadata"], after[0]["height"]) == ("a cat", {"epoch": 1}, 3)


def test_media_are_listed_by_key_and_step_in_pages(local: LocalServer, artifacts: Artifacts) -> None:
    """A slider over the steps of one key reads what it shows, and no more."""
    events = [otlp.event(number, "rundial.media", body(number)) for number in range(5)]
    events += [otlp.event(9, "rundial.media", {**body(3), "media_key": "other"})]
    local.export("logs", otlp.logs(otlp.resource("run"), events))

    first = artifacts.get(f"{AT}/runs/run/media?key=samples&limit=3").json
    rest = artifacts.get(f"{AT}/runs/run/media?key=samples&limit=3&cursor={first['page']['nextCursor']}").json
    keys = artifacts.get(f"{AT}/runs/run/media/keys").json["keys"]

    assert [row["step"] for row in first["media"] + rest["media"]] == [0, 1, 2, 3, 4]
    assert rest["page"]["hasMore"] is False
    assert [row["mediaKey"] for row in shown(artifacts, "?step=3")] == ["samples", "other"]
    assert [(key["mediaKey"], key["count"], key["lastStep"]) for key in keys] == [
        ("other", 1, 3),
        ("samples", 5, 4),
    ]


@pytest.mark.parametrize("change", [{"step": -1}, {"media_key": ""}, {"sha256": None}, {"step": True}])
def test_an_event_that_is_no_row_harms_nothing(
    local: LocalServer, artifacts: Artifacts, change: dict[str, object]
) -> None:
    """The rest of its request is stored."""
    events = [
        otlp.event(0, "rundial.media", {**body(0), **{k: v for k, v in change.items() if v is not None}}),
        otlp.event(1, "rundial.media", body(1)),
    ]
    if change == {"sha256": None}:
        without = {key: value for key, value in body(0).items() if key != "sha256"}
        events[0] = otlp.event(0, "rundial.media", without)

    local.export("logs", otlp.logs(otlp.resource("run"), events))

    assert [row["step"] for row in shown(artifacts)] == [1]


def test_an_event_that_an_artifact_was_used_is_lineage(local: LocalServer, artifacts: Artifacts) -> None:
    """What a run used is known also when only its telemetry tells."""
    logged = artifacts.log("data", {"a": b"1"}, run="prepare")["artifact"]
    used = otlp.event(0, "rundial.artifact.used", {"artifact_id": logged["artifactId"]})
    unknown = otlp.event(1, "rundial.artifact.used", {"artifact_id": "art_unknown"})
    local.export("logs", otlp.logs(otlp.resource("train"), [used, unknown]))

    found = artifacts.get(f"{AT}/lineage?runId=train").json

    assert {(each["from"], each["to"], each["kind"]) for each in found["edges"]} == {
        ("prepare", logged["artifactId"], "made"),
        (logged["artifactId"], "train", "used"),
    }


def test_media_around_a_step_are_found_without_reading_the_others(
    local: LocalServer, artifacts: Artifacts
) -> None:
    """Whoever stands at a step gets what was shown last up to it, and what comes next, by one row each."""
    events = [otlp.event(number, "rundial.media", body(number * 10)) for number in range(5)]
    local.export("logs", otlp.logs(otlp.resource("run"), events))

    last = shown(artifacts, "?endStep=25&order=desc&limit=1")
    following = shown(artifacts, "?startStep=26&limit=1")
    first = artifacts.get(f"{AT}/runs/run/media?order=desc&limit=2").json
    rest = artifacts.get(f"{AT}/runs/run/media?order=desc&limit=9&cursor={first['page']['nextCursor']}").json

    assert ([row["step"] for row in last], [row["step"] for row in following]) == ([20], [30])
    assert [row["step"] for row in first["media"] + rest["media"]] == [40, 30, 20, 10, 0]
