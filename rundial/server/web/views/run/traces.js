/** A run's traces: the list of their tops, the waterfall of one, and what a span says. */

import { useMemo, useRef, useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { clock, date, duration, some, whole } from "../../data/format.js";
import { useResource } from "../../data/resource.js";
import { ms, rootSpans, wholeTrace } from "../../data/spans.js";
import { SpanDetails } from "./span.js";
import { Waterfall } from "./waterfall.js";

const LIVE_MS = 3_000;

/** @param {import("./view.js").TabProps} props */
export function TracesTab({ workspace, project, run, isLive }) {
  const { params } = usePlace();
  const [isErrorsFirst, setErrorsFirst] = useState(false);
  const roots = useResource(`roots ${workspace} ${project} ${run}`, (signal) => rootSpans(workspace, project, run, null, signal), isLive ? { everyMs: LIVE_MS } : {});
  const older = useOlder(workspace, project, run, roots.value?.next ?? null);
  const listed = useMemo(() => {
    const all = [...(roots.value?.spans ?? []), ...older.spans];
    const isBad = (/** @type {any} */ each) => Number(each.status === "error");
    return isErrorsFirst ? [...all].sort((one, other) => isBad(other) - isBad(one)) : all;
  }, [roots.value, older.spans, isErrorsFirst]);
  const chosen = params.get("trace") || listed[0]?.traceId || "";
  const waiting = unready(roots, "the traces");
  if (waiting) return waiting;
  if (listed.length === 0 && !params.get("trace")) {
    return html`<${Empty} title="No spans yet"><p><code>with run.trace("step"):</code>, <code>run.agent</code>, <code>run.llm_call</code> and any OpenTelemetry instrumentation appear here.</p></${Empty}>`;
  }
  return html`<div class="traces-view">
    <aside class="card trace-list" aria-label="Traces">
      <label class="entry"><input type="checkbox" checked=${isErrorsFirst} onChange=${() => setErrorsFirst(!isErrorsFirst)} /> Errors first</label>
      <ul>${listed.map((each) => html`<li key=${each.spanId}><button type="button" class="entry trace-entry" aria-current=${each.traceId === chosen ? "true" : undefined} onClick=${() => setParams({ trace: each.traceId, span: null })}>
        <span class="cut"><${SpanMark} span=${each} /> ${each.name}</span>
        <span class="muted row"><span title=${date(ms(each.startNs))}>${clock(ms(each.startNs))}</span><span>${lengthOf(each)}</span></span></button></li>`)}</ul>
      ${older.error && html`<p class="notice bad" role="alert">${messageOf(older.error)}</p>`}
      ${older.next !== null && html`<button type="button" class="small" onClick=${older.more}>Older traces</button>`}
    </aside>
    ${chosen && html`<${Trace} key=${chosen} workspace=${workspace} project=${project} run=${run} trace=${chosen} span=${params.get("span") ?? ""} isLive=${isLive} />`}
  </div>`;
}

/** @param {{ workspace: string, project: string, run: string, trace: string, span: string, isLive: boolean }} props */
function Trace({ workspace, project, run, trace, span, isLive }) {
  const found = useResource(`trace ${workspace} ${project} ${run} ${trace}`, (signal) => wholeTrace(workspace, project, run, trace, signal), isLive ? { everyMs: LIVE_MS } : {});
  const waiting = unready(found, "the trace");
  if (waiting || !found.value) return html`<div class="grow">${waiting}</div>`;
  const { spans, totalSpans, truncated } = found.value;
  const chosen = spans.find((each) => each.spanId === span);
  const tokens = sumOf(spans, (each) => each.genai?.usage?.total ?? (each.genai?.usage ? (each.genai.usage.input ?? 0) + (each.genai.usage.output ?? 0) : 0));
  const cost = sumOf(spans, (each) => each.genai?.costUsd ?? 0);
  return html`<section class="trace grow" aria-label="Trace">
    <div class="bar"><span class="mono muted cut">${trace}</span><span class="muted">${some(totalSpans, "span")}</span>
      ${tokens > 0 && html`<span class="tag">${whole(tokens)} tokens</span>`}${cost > 0 && html`<span class="tag">$${cost.toFixed(4)}</span>`}
      ${truncated && html`<span class="notice warn">Only the first ${whole(spans.length)} are shown</span>`}</div>
    <${Waterfall} spans=${spans} chosen=${span} onChoose=${(/** @type {string} */ id) => setParams({ span: id === span ? null : id, trace })} />
    ${chosen && html`<${SpanDetails} key=${chosen.spanId} span=${chosen} onClose=${() => setParams({ span: null })} />`}
  </section>`;
}

/** @param {{ span: import("../../data/spans.js").Span }} props */
export function SpanMark({ span }) {
  const state = span.running ? "running" : span.interrupted ? "aborted" : span.status === "error" ? "failed" : "completed";
  const words = { running: "running", aborted: "interrupted", failed: "error", completed: "ok" };
  return html`<span class="status" data-status=${state}><span class="unseen">${words[state]}</span></span>`;
}

/** @param {import("../../data/spans.js").Span} span */
export function lengthOf(span) {
  if (span.running) return "running";
  if (span.durationNs === null || span.durationNs === undefined) return span.interrupted ? "interrupted" : "";
  return duration(Number(span.durationNs) / 1e6);
}

/**
 * @param {import("../../data/spans.js").Span[]} spans
 * @param {(span: import("../../data/spans.js").Span) => number} value
 */
function sumOf(spans, value) {
  return spans.reduce((sum, each) => sum + value(each), 0);
}

/**
 * Further pages behind the first one, which alone is kept fresh.
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {string | null} first
 */
function useOlder(workspace, project, run, first) {
  const [found, setFound] = useState({ spans: /** @type {import("../../data/spans.js").Span[]} */ ([]), next: /** @type {string | null | undefined} */ (undefined), error: /** @type {unknown} */ (null) });
  const isBusy = useRef(false);
  const next = found.next === undefined ? first : found.next;
  const more = () => {
    if (next === null || isBusy.current) return;
    isBusy.current = true;
    rootSpans(workspace, project, run, next)
      .then((page) => setFound((before) => ({ spans: [...before.spans, ...page.spans], next: page.next, error: null })))
      .catch((error) => setFound((before) => ({ ...before, error })))
      .finally(() => (isBusy.current = false));
  };
  return { spans: found.spans, next, more, error: found.error };
}
