"""What somebody sees who has no run yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.server import LocalServer
from tests.web.browser import WORKSPACE

ROOT = Path(__file__).parents[2]
# Starting Python and sending the first records, on a machine that does other things too.
RUN_TIMEOUT_S = 15.0


def test_the_lines_that_are_shown_start_a_run_that_appears(
    page: Page, site: LocalServer, tmp_path: Path
) -> None:
    """They are whole: this server's address, this project, and what is copied is what is shown."""
    site.project_id()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{WORKSPACE}/digits")
    page.get_by_role("button", name="Copy the lines that start a run").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    lines = page.evaluate("navigator.clipboard.readText()")
    assert len(lines.splitlines()) == 3
    expect(page.get_by_label("the lines that start a run", exact=True)).to_have_text(lines)
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "RUNDIAL_API_KEY": site.key},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_TIMEOUT_S,
    )

    assert done.returncode == 0, done.stderr
    expect(page.get_by_role("row")).to_have_count(2)


def test_a_workspace_without_projects_shows_how_to_begin(page: Page, site: LocalServer) -> None:
    """The way to a key for another machine is one click away."""
    page.goto(WORKSPACE)
    expect(page.get_by_label("the lines that start a run", exact=True)).to_contain_text(site.url)
    command = page.get_by_label("the lines that set a machine up", exact=True).inner_text().splitlines()[-1]
    known = subprocess.run([sys.executable, "-m", *command.split(), "--help"], capture_output=True, text=True)
    assert known.returncode == 0, known.stderr
    page.get_by_role("link", name="API key").click()

    expect(page.get_by_role("heading", name="New key for the whole workspace")).to_be_visible()
