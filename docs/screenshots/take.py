"""`python docs/screenshots/take.py`: take the documentation's pictures of the web UI anew.

Starts a server over an empty directory, records the project of `project.py`, and looks at it with Chromium.
Needs the development environment, and Chromium on PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
IMAGES = HERE.parent / "images"
PROJECT = "/w/default-workspace/vision"
COLUMNS = "status,startedAtMs,tags,config.lr,config.model.depth,summary.val%252Floss,spark.train%252Floss"
READY = "Rundial is listening on "


def main() -> None:
    """Record, look, and write the pictures."""
    sys.path.insert(0, str(HERE))
    from project import RECORDED

    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rundial-screenshots-") as folder:
        data = Path(folder) / "data"
        environment = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": f"{folder}/config"}
        command = [sys.executable, "-m", "rundial", "server", "--port", "0", "--data", str(data)]
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = next(line for line in server.stdout if line.startswith(READY)).removeprefix(READY).strip()
            key = (data / "owner.key").read_text().strip()
            environment |= {"RUNDIAL_ENDPOINT": url, "RUNDIAL_API_KEY": key}
            for name in RECORDED:
                recorded = subprocess.run(
                    [sys.executable, str(HERE / "project.py"), name], env=environment, cwd=folder, check=False
                )
                if recorded.returncode and name != "crash":
                    raise SystemExit(f"{name} was not recorded")
            look(url, key)
        finally:
            server.terminate()
            server.wait(30)


def look(url: str, key: str) -> None:
    """Take every picture."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        for scheme in ("dark", "light"):
            context = browser.new_context(
                base_url=url, viewport={"width": 1440, "height": 900}, color_scheme=scheme, locale="en-GB"
            )
            context.request.post(
                "/api/v1/auth/login/key", headers={"authorization": f"Bearer {key}"}, data={}
            )
            page = context.new_page()
            ids = _ids(page)
            seeds = ",".join(
                run for name, run in ids.items() if name.startswith("resnet") and "16" not in name
            )
            run = ids["resnet-8-lr0.003-s1"]
            if scheme == "dark":
                _take(page, "run-dark", f"{PROJECT}/runs/{run}?smooth=0.6", ".chart canvas")
            else:
                _take(page, "runs-light", f"{PROJECT}?cols={COLUMNS}", ".spark polyline")
                _take(page, "compare-light", f"{PROJECT}/compare?runs={seeds}&by=group&smooth=0.5", ".legend")
                page.goto(f"{PROJECT}/runs/{ids['research agent']}/traces")
                page.locator(".waterfall-row button.plain").nth(1).click()
                page.locator(".said-by").first.wait_for()
                page.screenshot(path=IMAGES / "trace-light.png")
            context.close()
        browser.close()


def _take(page: Page, name: str, address: str, there: str) -> None:
    page.goto(address)
    page.locator(there).first.wait_for()
    page.wait_for_timeout(1_500)  # for what moves to come to rest
    page.screenshot(path=IMAGES / f"{name}.png")


def _ids(page: Page) -> dict[str, str]:
    path = "/api/v1/workspaces/default-workspace/projects/vision/runs/query?limit=200"
    found: dict[str, Any] = page.context.request.get(path).json()
    return {each["runName"]: each["runId"] for each in found["runs"]}


if __name__ == "__main__":
    main()
