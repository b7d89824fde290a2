"""The web UI in Debian's Chromium on this machine: how long it takes until somebody sees something.

Server, browser and whoever drives it share the machine's cores.
"""

from __future__ import annotations

import gzip
import json
import shutil
import time
from typing import Final

import urllib3
from playwright.sync_api import Browser, Page

from rundial.server.webfiles import FOLDER
from tests.perf.plan import Plan, Skipped
from tests.perf.report import Figure
from tests.support import otlp
from tests.support.program import ServerProgram
from tests.web.browser import chromium

SERIES: Final = 100
POINTS: Final = 4_000
_RUN: Final = "/w/default-workspace/digits/runs/bench"
_TIMEOUT_MS: Final = 60_000
# In the page: when something stood there for the first time, in milliseconds since the navigation.
_WATCH: Final = """(() => {
  const look = () => {
    const drawn = document.querySelectorAll(".chart canvas").length;
    if (!window.firstRow && document.querySelector(".grid-row a")) window.firstRow = performance.now();
    const seen = [...document.querySelectorAll(".chart")].filter((each) =>
      each.getBoundingClientRect().top < innerHeight && each.getBoundingClientRect().bottom > 0);
    if (!window.allDrawn && seen.length > 0 && seen.every((each) => each.querySelector("canvas"))) {
      window.allDrawn = performance.now();
      window.drawnCharts = drawn;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
# When the last value of the first chart is another one; the clock is the machine's.
_CHANGED: Final = """(text) => new Promise((done) => {
  const look = () => document.querySelector(".chart-box[aria-label*='last " + text + "']")
    ? done(Date.now()) : requestAnimationFrame(look);
  look();
})"""


def run_section(plan: Plan) -> list[Figure]:
    """Measure."""
    if shutil.which("chromium") is None:
        raise Skipped("no Chromium is installed; on Debian: apt-get install chromium")
    scripts = [each for each in FOLDER.rglob("*") if each.suffix in (".js", ".mjs")]
    packed = sum(len(gzip.compress(each.read_bytes(), 9)) for each in scripts) / 1e3
    with ServerProgram(plan.place("web") / "data") as live, chromium() as browser:
        _fill(live)
        first = [
            _opened(browser, live, "/w/default-workspace/digits", "firstRow") for _ in range(plan.repeats)
        ]
        charts = [_opened(browser, live, _RUN, "allDrawn") for _ in range(plan.repeats)]
        tall = [_opened(browser, live, _RUN, "allDrawn", height=12_000) for _ in range(plan.repeats)]
        seen = _updates(browser, live, plan)
    return [
        Figure("web: the table of runs, nothing cached", first, "ms", at_most=1_000),
        Figure("web: a run of 100 series of 1,000 buckets, all in sight", charts, "ms", at_most=1_500),
        Figure("the same in a window so tall that all 100 are in sight", tall, "ms"),
        Figure("web: a point from its acknowledgement to the screen", seen, "ms", at_most=100),
        Figure("web: all JavaScript, gzipped", [packed], "KB", at_most=200),
    ]


def _fill(live: ServerProgram) -> None:
    pool = urllib3.PoolManager(retries=False, timeout=60.0)
    headers = {"authorization": f"Bearer {live.key}", "content-type": "application/x-protobuf"}
    for first in range(0, SERIES, 20):
        curves = [
            otlp.gauge(
                f"group{number // 10}/metric{number}",
                [otlp.point(step, (step * (number + 7)) % 1000 / 1000) for step in range(POINTS)],
            )
            for number in range(first, first + 20)
        ]
        body = otlp.metrics((otlp.resource("bench"), curves))
        if pool.request("POST", f"{live.url}/v1/metrics", body=body, headers=headers).status != 200:
            raise RuntimeError("the points were not stored")


def _tab(browser: Browser, live: ServerProgram, height: int) -> Page:
    context = browser.new_context(base_url=live.url, viewport={"width": 1440, "height": height})
    context.set_default_timeout(_TIMEOUT_MS)
    headers = {"authorization": f"Bearer {live.key}"}
    if not context.request.post("/api/v1/auth/login/key", headers=headers, data={}).ok:
        raise RuntimeError("the key signed nobody in")
    return context.new_page()


def _opened(browser: Browser, live: ServerProgram, address: str, what: str, *, height: int = 900) -> float:
    """Milliseconds from the navigation, in a browser that knows nothing, until something is there."""
    tab = _tab(browser, live, height)
    tab.add_init_script(_WATCH)
    tab.goto(address)
    found = float(tab.wait_for_function(f"() => window.{what}").json_value())
    tab.context.close()
    return found


def _updates(browser: Browser, live: ServerProgram, plan: Plan) -> list[float]:
    """Milliseconds from the server's answer for a point until the page shows it."""
    pool = urllib3.PoolManager(retries=False, timeout=10.0)
    headers = {"authorization": f"Bearer {live.key}", "content-type": "application/x-protobuf"}
    tab = _tab(browser, live, 900)
    tab.goto(f"{_RUN}?m=metric0")
    tab.locator(".chart canvas").first.wait_for()
    took = []
    for number in range(plan.repeats + 1):
        value = 100 + number
        body = otlp.metrics(
            (otlp.resource("bench"), [otlp.gauge("group0/metric0", [otlp.point(POINTS + number, value)])])
        )
        answer = pool.request("POST", f"{live.url}/v1/metrics", body=body, headers=headers)
        stored_ms = time.time() * 1e3
        if answer.status != 200:
            raise RuntimeError(json.loads(answer.data))
        took.append(max(0.0, float(tab.evaluate(_CHANGED, str(value))) - stored_ms))
    tab.context.close()
    return took[1:]  # the first one may wait for the stream to open
