"""Which run made and used what, as a graph."""

from __future__ import annotations

from typing import Any

from tests.support.artifacts import AT, Artifacts
from tests.support.server import LocalServer


def names(found: dict[str, Any]) -> set[str]:
    """The nodes of a graph as people call them."""
    return {
        each["id"] if each["kind"] == "run" else f"{each['name']}:{each['versionName']}"
        for each in found["nodes"]
    }


def edges(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    """The edges of a graph, artifacts by their names."""
    said = {
        each["id"]: each["id"] if each["kind"] == "run" else f"{each['name']}:{each['versionName']}"
        for each in found["nodes"]
    }
    return {(said[each["from"]], said[each["to"]], each["kind"]) for each in found["edges"]}


def make_chain(artifacts: Artifacts) -> str:
    """Prepare → data → train → model → evaluate; returns the model's id."""
    artifacts.log("data", {"a": b"1"}, run="prepare")
    artifacts.use("data", run="train")
    model = artifacts.log("model", {"m": b"2"}, run="train")["artifact"]["artifactId"]
    artifacts.use("model:v0", run="evaluate")
    return str(model)


def test_lineage_leads_from_the_model_to_all_that_it_came_from(artifacts: Artifacts) -> None:
    """Which data a model was trained on, by whom, and who uses it, is one question."""
    model = make_chain(artifacts)

    found = artifacts.get(f"{AT}/lineage?artifactId={model}").json

    assert edges(found) == {
        ("prepare", "data:v0", "made"),
        ("data:v0", "train", "used"),
        ("train", "model:v0", "made"),
        ("model:v0", "evaluate", "used"),
    }


def test_depth_bounds_the_graph(artifacts: Artifacts) -> None:
    """One step around a run is what it made and used itself."""
    make_chain(artifacts)

    found = artifacts.get(f"{AT}/lineage?runId=train&depth=1").json

    assert names(found) == {"train", "data:v0", "model:v0"}


def test_a_deleted_version_stays_in_the_graph(artifacts: Artifacts) -> None:
    """What a model came from is known also when it is gone."""
    model = make_chain(artifacts)
    data = artifacts.listed(name="data")[0]["artifactId"]
    artifacts.send("DELETE", f"{AT}/artifacts/{data}")

    found = artifacts.get(f"{AT}/lineage?artifactId={model}").json

    (node,) = [each for each in found["nodes"] if each.get("name") == "data"]
    assert node["state"] == "deleted"
    assert ("data:v0", "train", "used") in edges(found)


def test_lineage_wants_one_place_to_start(artifacts: Artifacts) -> None:
    """Neither nothing nor two things."""
    assert artifacts.get(f"{AT}/lineage").status == 400
    assert artifacts.get(f"{AT}/lineage?runId=a&artifactId=b").status == 400
    assert artifacts.get(f"{AT}/lineage?runId=a&depth=99").status == 400


def test_a_key_that_may_only_read_leaves_no_trace(local: LocalServer, artifacts: Artifacts) -> None:
    """Looking is not using."""
    artifacts.log("data", {"a": b"1"}, run="prepare")
    reader = Artifacts(local.url, local.make_key(["project:read"]))
    used = reader.use("data", run="prepare")
    reader.close()

    found = artifacts.get(f"{AT}/lineage?runId=prepare").json

    assert used.status == 200
    assert [each["kind"] for each in found["edges"]] == ["made"]
