"""Artifacts in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import LocalServer
from tests.web.browser import WORKSPACE
from tests.web.library import PLANTED, Library, is_unharmed, png

ARTIFACTS = f"{WORKSPACE}/digits/artifacts"


@pytest.fixture
def library(site: LocalServer) -> Iterator[Library]:
    """Puts artifacts into the project."""
    found = Library(site)
    yield found
    found.close()


def logged(library: Library, name: str, files: dict[str, bytes], **more: object) -> str:
    """Log a version and return its id."""
    return str(library.artifacts.log(name, files, **more)["artifact"]["artifactId"])


def test_versions_are_listed_found_by_name_and_opened(page: Page, library: Library) -> None:
    """A version's page says what it is, what it is called, and how long it is kept."""
    policy = {"strategy": "keep_last", "keepLast": 3}
    logged(library, "model", {"weights.bin": b"1" * 2048}, aliases=["best"], metadata={"acc": {"top1": 0.5}})
    logged(library, "model", {"weights.bin": b"2" * 2048}, retentionPolicy=policy)
    logged(library, "data", {"rows.csv": b"a,b"}, artifactType="dataset")
    page.goto(ARTIFACTS)
    table = page.get_by_role("table", name="Versions")
    expect(table.get_by_role("row")).to_have_count(4)
    page.get_by_label("Name, whole").fill("model")
    page.get_by_label("Name, whole").press("Enter")
    expect(table.get_by_role("row")).to_have_count(3)
    page.wait_for_url("**/artifacts?name=model")
    table.get_by_role("link", name="model").first.click()
    expect(page.get_by_role("heading", name="model")).to_be_visible()
    expect(page.get_by_role("region", name="Version", exact=True)).to_contain_text("the last 3 of its run")
    page.get_by_label("Version").first.select_option(label="v0 · best")

    expect(page.get_by_role("region", name="Metadata")).to_contain_text("acc.top1")
    expect(page.get_by_label("the command that downloads it", exact=True)).to_have_text(
        "rundial artifact get model:v0 --project digits"
    )


def test_files_are_saved_whole_and_shown_as_text_alone(page: Page, library: Library) -> None:
    """A page in an artifact is text here, whatever it calls itself, and is saved byte for byte."""
    body = f"<html><body>{PLANTED}</body></html>".encode()
    files = {"report.html": body, "plot.png": png(32, 16, 0), "raw.bin": b"\0\1\2"}
    name = logged(library, "report", files, content_type="text/html")
    page.goto(f"{ARTIFACTS}/{name}")
    page.get_by_role("button", name="report.html", exact=True).click()
    expect(page.get_by_role("dialog").locator("pre")).to_have_text(body.decode())
    page.wait_for_url("**?file=report.html")
    page.keyboard.press("Escape")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download report.html").click()
    page.get_by_role("button", name="raw.bin", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("It is not text.")

    assert taken.value.path().read_bytes() == body
    assert taken.value.suggested_filename == "report.html"
    assert is_unharmed(page)


def test_aliases_are_given_and_taken_and_a_version_is_deleted(page: Page, library: Library) -> None:
    """Deleting asks first, and says which aliases hold the version."""
    name = logged(library, "model", {"a": b"1"})
    page.goto(f"{ARTIFACTS}/{name}")
    page.get_by_label("New alias").fill("prod")
    page.get_by_label("New alias").press("Enter")
    expect(page.get_by_role("button", name="Remove the alias prod")).to_be_visible()
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("It is held by prod")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Remove the alias prod").click()
    expect(page.get_by_role("button", name="Remove the alias prod")).to_have_count(0)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(page.get_by_role("heading", name="No artifact yet")).to_be_visible()


def test_lineage_leads_from_what_was_made_to_what_used_it(page: Page, library: Library) -> None:
    """Each node of the graph is a link to its run or version."""
    data = logged(library, "data", {"a": b"1"}, run="prepare")
    assert library.artifacts.use("data:latest", run="train").status == 200
    logged(library, "model", {"w": b"2"}, run="train")
    page.goto(f"{ARTIFACTS}/{data}")
    graph = page.get_by_role("region", name="Lineage")
    expect(graph.get_by_role("link")).to_have_count(4)
    ends = [graph.get_by_role("link", name=each).bounding_box() for each in ("run prepare", "model:v0")]
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0]["x"] < ends[1]["x"]
    graph.get_by_role("link", name="run train").click()
    page.wait_for_url("**/runs/train")
    tabs = page.get_by_role("navigation", name="Run", exact=True)
    tabs.get_by_role("link", name="Artifacts").click()

    expect(page.get_by_role("table", name="Versions")).to_contain_text("model")
    expect(page.get_by_role("region", name="Lineage").get_by_role("link")).to_have_count(4)


def test_an_artifact_that_is_not_there_is_said(page: Page, library: Library) -> None:
    """The server's words stand there, and another attempt is possible."""
    page.goto(f"{ARTIFACTS}/art_nothing")

    expect(page.get_by_role("alert")).to_contain_text("could not be shown")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_nothing_that_is_planted_in_artifacts_runs(page: Page, library: Library) -> None:
    """Types, metadata, paths, runs, addresses of references: all are texts."""
    more = {
        "artifactType": PLANTED,
        "metadata": {PLANTED: PLANTED},
        "references": [{"path": PLANTED, "uri": "javascript:window.harmed=1"}],
    }
    path = PLANTED.replace("/", "")
    library.site.post(
        "/api/v1/runs/start", {"projectId": library.project_id, "runId": "run", "runName": PLANTED}
    )
    name = logged(library, "odd", {path: PLANTED.encode()}, **more)
    page.goto(ARTIFACTS)
    expect(page.get_by_role("table", name="Versions")).to_contain_text(PLANTED)
    page.goto(f"{ARTIFACTS}/{name}")
    expect(page.get_by_role("region", name="Metadata")).to_contain_text(PLANTED)
    expect(page.get_by_role("region", name="Files")).to_contain_text("javascript:window.harmed=1")
    expect(page.get_by_role("region", name="Lineage")).to_contain_text(PLANTED)
    page.get_by_role("button", name=path, exact=True).click()
    expect(page.get_by_role("dialog").locator("pre")).to_have_text(PLANTED)

    assert page.locator("a[href^=javascript]").count() == 0
    assert is_unharmed(page)
