"""The page of a run in a browser: charts, overview, logs and traces."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.support import otlp
from tests.support.server import LocalServer
from tests.web.browser import WORKSPACE

RUNS = f"{WORKSPACE}/digits/runs"


def log(site: LocalServer, run: str, name: str, values: list[float]) -> None:
    """Send a curve of a run."""
    assert site.export("metrics", otlp.curve(run, name, values)).status == 200


def begin(site: LocalServer, run: str, **more: Any) -> None:
    """Start a run."""
    body = {"projectId": site.project_id(), "runId": run, "runName": run, **more}
    assert site.post("/api/v1/runs/start", body).status == 200


def test_series_are_drawn_in_groups_and_a_running_one_grows(page: Page, site: LocalServer) -> None:
    """A chart for each metric, by prefix; what is logged meanwhile is drawn without a reload."""
    begin(site, "r")
    log(site, "r", "train/loss", [3.0, 2.0, 1.0])
    log(site, "r", "val/loss", [3.0, 2.5])
    page.goto(f"{RUNS}/r")

    expect(page.locator(".section summary")).to_have_text([re.compile("^train"), re.compile("^val")])
    chart = page.get_by_role("img", name="Chart of train/loss")
    expect(chart).to_have_attribute("aria-label", re.compile("1 to 3, last 1"))
    more = otlp.metrics((otlp.resource("r"), [otlp.gauge("train/loss", [otlp.point(9, 0.25)])]))
    assert site.export("metrics", more).status == 200
    expect(chart).to_have_attribute("aria-label", re.compile("last 0.25"))


def test_a_spike_of_one_point_in_a_long_series_is_seen(page: Page, site: LocalServer) -> None:
    """A band reaches from the least to the greatest value of each bucket, so nothing is thinned away."""
    begin(site, "long")
    values = [1.0] * 20_000
    values[12_345] = 100.0
    log(site, "long", "loss", values)
    page.goto(f"{RUNS}/long")
    chart = page.get_by_role("img", name="Chart of loss")

    expect(chart).to_have_attribute("aria-label", re.compile("1 to 100"))


def test_a_zoom_is_shared_kept_in_the_address_and_brings_finer_buckets(page: Page, site: LocalServer) -> None:
    """Drawing over one chart zooms all; a colleague who gets the address sees the same part."""
    begin(site, "r")
    for name in ("a/one", "b/two"):
        log(site, "r", name, [float(step % 7) for step in range(5_000)])
    page.goto(f"{RUNS}/r")
    over = page.locator('[data-metric="a/one"] .u-over')
    box = over.bounding_box()
    assert box is not None
    asked: list[dict[str, Any]] = []
    page.on(
        "request",
        lambda each: asked.append(json.loads(each.post_data or "{}")) if "query/series" in each.url else None,
    )
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=5)
    page.mouse.up()
    page.wait_for_url("**zoom=*")
    page.get_by_role("button", name="Reset zoom").wait_for()
    page.wait_for_function("() => document.querySelectorAll('.uplot').length === 2")

    low, high = (
        float(each) for each in re.search(r"zoom=([^&]+)", page.url).group(1).replace("%7E", "~").split("~")
    )  # type: ignore[union-attr]  # the address was waited for
    assert 1_100 < low < 1_400
    assert 2_350 < high < 2_650
    ranges = [(each["startStep"], each["endStep"]) for each in asked if "endStep" in each]
    assert ranges
    assert all(1_000 < start < end < 2_800 for start, end in ranges)
    page.get_by_role("button", name="Reset zoom").click()
    expect(page.get_by_text("Drag over a chart")).to_be_visible()


def test_smoothing_axis_and_logarithms_are_in_the_address(page: Page, site: LocalServer) -> None:
    """How charts are looked at is a link."""
    begin(site, "r")
    log(site, "r", "loss", [4.0, 2.0, 1.0])
    log(site, "r", "seconds", [10.0, 20.0, 30.0])
    page.goto(f"{RUNS}/r")
    page.get_by_label("Smoothing").fill("0.6")
    page.get_by_label("log y").check()
    page.get_by_label("X axis").select_option("seconds")
    page.wait_for_url("**x=seconds*")

    assert "smooth=0.6" in page.url
    assert "logy=1" in page.url
    expect(page.get_by_role("img", name="Chart of loss")).to_be_visible()


def test_the_overview_says_what_is_missing_and_why(page: Page, site: LocalServer) -> None:
    """The ledger in words: complete, or how many of what went for which reason."""
    begin(site, "r", config={"lr": 0.1, "model": {"depth": 3}})
    log(site, "r", "loss", [1.0, 2.0])
    ledger = {"points": {"recorded": 3, "dropped": {"non_finite": 2}, "evicted": 0, "rejected": 0}}
    assert (
        site.export(
            "logs", otlp.logs(otlp.resource("r"), [otlp.event(9, "rundial.run.ledger", ledger)])
        ).status
        == 200
    )
    page.goto(f"{RUNS}/r/overview")
    shown = page.get_by_role("region", name="Ledger")

    expect(shown).to_contain_text("2 points: NaN or infinite")
    expect(shown).to_contain_text("1 points were recorded and are not here yet")
    expect(page.get_by_role("region", name="Config")).to_contain_text("model.depth")


def test_a_run_is_asked_to_stop_after_a_question(page: Page, site: LocalServer) -> None:
    """The button asks first; then the run's program is told."""
    begin(site, "r")
    page.goto(f"{RUNS}/r")
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("dialog").get_by_role("button", name="Ask it to stop").click()

    expect(page.get_by_text("asked to stop")).to_be_visible()
    project = site.project_id()
    assert site.get(f"/api/v1/runs/r/control?projectId={project}").json["stop"] is True


def lines(site: LocalServer, run: str, messages: list[str], *, first: int = 1, level: int = 9) -> None:
    """Send text of a run."""
    records = []
    for number, message in enumerate(messages, start=first):
        record = otlp.line(number, message)
        record.severity_number = level  # type: ignore[assignment]  # the enum's own number
        record.time_unix_nano = otlp.T0 + number * 10**9
        records.append(record)
    assert site.export("logs", otlp.logs(otlp.resource(run), records)).status == 200


def test_lines_appear_as_they_are_stored(page: Page, site: LocalServer) -> None:
    """The newest line is in sight without a reload, each line once."""
    begin(site, "r")
    lines(site, "r", [f"old {number}" for number in range(100)])
    page.goto(f"{RUNS}/r/logs")
    expect(page.get_by_text("following")).to_be_visible()
    lines(site, "r", ["brand new"], first=500)

    expect(page.get_by_text("brand new", exact=True)).to_be_in_viewport()
    expect(page.locator(".log-line")).to_have_count(101)


def test_lines_go_on_where_streams_are_cut(page: Page, site: LocalServer) -> None:
    """Behind a proxy that lets no stream through, the page asks now and then and says so."""

    def cut(route: Route) -> None:
        route.abort()

    page.route("**/api/v1/stream/**", cut)
    begin(site, "r")
    lines(site, "r", ["first"])
    page.goto(f"{RUNS}/r/logs")
    expect(page.get_by_text("streams do not come through")).to_be_visible(timeout=12_000)
    lines(site, "r", ["second"], first=2)

    expect(page.get_by_text("second", exact=True)).to_be_visible()


def test_lines_are_filtered_by_level_and_text_and_found_by_time(page: Page, site: LocalServer) -> None:
    """What is searched is in the address; a jump shows the line of that moment between its neighbours."""
    begin(site, "r")
    lines(site, "r", [f"line {number}" for number in range(1, 1_001)])
    lines(site, "r", ["something failed"], first=2_000, level=17)
    page.goto(f"{RUNS}/r/logs?level=error")
    expect(page.locator(".log-line")).to_have_count(1)
    page.goto(f"{RUNS}/r/logs?text=line%201%24&re=1")
    expect(page.locator(".log-line .message")).to_have_text(["line 1"])
    page.goto(f"{RUNS}/r/logs?at={(otlp.T0 + 500 * 10**9) // 10**6}")

    expect(page.locator(".log-line.at")).to_contain_text("line 500")
    expect(page.locator(".log-line.at")).to_be_in_viewport()


def test_ten_thousand_spans_are_a_waterfall_of_which_a_part_is_drawn(page: Page, site: LocalServer) -> None:
    """A large trace opens, scrolls, and leads from error to error."""
    begin(site, "r")
    spans = [
        otlp.span(1, "root"),
        *(otlp.span(number, f"child {number}", parent=1) for number in range(2, 10_001)),
    ]
    spans[7_000].status.code = 2  # type: ignore[assignment]  # the enum's own number
    assert site.export("traces", otlp.spans(otlp.resource("r"), spans)).status == 200
    page.goto(f"{RUNS}/r/traces")
    expect(page.get_by_text("10,000 spans")).to_be_visible()
    assert page.locator(".waterfall-row").count() < 80
    page.get_by_role("button", name="1 error: next").click()

    expect(page.get_by_role("treeitem", selected=True)).to_contain_text("child 7001")
    expect(page.get_by_role("region", name="Span child 7001")).to_be_visible()


def test_older_traces_that_cannot_be_had_are_told_and_asked_for_again(page: Page, site: LocalServer) -> None:
    """The list goes on where it was, with nothing twice."""
    begin(site, "r")
    spans = [otlp.span(number, f"top {number}") for number in range(1, 121)]
    for number, span in enumerate(spans):
        span.trace_id = (number + 1).to_bytes(16, "big")
    assert site.export("traces", otlp.spans(otlp.resource("r"), spans)).status == 200
    older = re.compile(r"/spans\?.*cursor=")
    page.route(older, lambda route: route.abort())
    page.goto(f"{RUNS}/r/traces")
    listed = page.get_by_role("complementary", name="Traces").get_by_role("listitem")
    expect(listed).to_have_count(100)
    page.get_by_role("button", name="Older traces").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.unroute(older)
    page.get_by_role("button", name="Older traces").dblclick()

    expect(listed).to_have_count(120)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_call_of_a_model_is_shown_as_a_conversation(page: Page, site: LocalServer) -> None:
    """Messages, tool calls, tokens and cost, not JSON in attributes."""
    begin(site, "r", kind="agent")
    span = otlp.span(1, "chat small")
    said = [{"role": "user", "parts": [{"type": "text", "content": "what is a ring?"}]}]
    call = {"type": "tool_call", "id": "1", "name": "search", "arguments": {"q": "rings"}}
    span.attributes.extend(
        otlp.pairs(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "small",
                "gen_ai.input.messages": json.dumps(said),
                "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [call]}]),
                "gen_ai.usage.input_tokens": 1200,
                "gen_ai.usage.output_tokens": 30,
                "rundial.cost_usd": 0.0042,
            }
        )
    )
    assert site.export("traces", otlp.spans(otlp.resource("r"), [span])).status == 200
    page.goto(f"{RUNS}/r/traces")
    page.locator(".waterfall-row button.plain").click()
    shown = page.get_by_role("region", name="Span chat small")

    for text in ("what is a ring?", "search", "rings", "1,200 in · 30 out", "$0.0042"):
        expect(shown).to_contain_text(text)


def test_runs_are_compared(page: Page, site: LocalServer) -> None:
    """Curves over each other, what differs in the configs, means of groups, and a scatter of two numbers."""
    for number in range(4):
        begin(site, f"run-{number}", config={"lr": 0.1 * (number + 1), "depth": number % 2, "same": 1})
        log(site, f"run-{number}", "loss", [3.0 + number, 1.0 + number])
    address = f"{WORKSPACE}/digits/compare?runs=run-0,run-1,run-2,run-3"
    page.goto(address)
    chart = page.get_by_role("img", name="Chart of loss")
    expect(chart).to_have_attribute("aria-label", re.compile("run-3: 4 to 6, last 4"))
    page.get_by_label("Mean and band by").select_option("config.depth")
    expect(chart).to_have_attribute("aria-label", re.compile(r"depth 0 \(2\): 1 to 5, last 2"))
    page.get_by_role("button", name="Config and summary").click()
    config = page.get_by_role("region", name="Config")
    expect(config).to_contain_text("lr")
    expect(config).not_to_contain_text("same")
    page.get_by_role("button", name="Scatter").click()

    expect(page.locator(".scatter circle")).to_have_count(4)
