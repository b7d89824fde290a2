/** What the views of evaluations share: outcomes, scores, and the way to a trace. */

import { html } from "../../app/html.js";
import { pathOf, setParams, withParams } from "../../app/router.js";
import { short } from "../../data/format.js";

/** @param {{ passed: boolean | null }} props */
export function Outcome({ passed }) {
  if (passed === null) return html`<span class="muted">unjudged</span>`;
  return html`<span class="status" data-status=${passed ? "completed" : "failed"}>${passed ? "passed" : "failed"}</span>`;
}

/** @param {number | null} score */
export function scoreOf(score) {
  return score === null ? "–" : short(score);
}

/**
 * Passed of those that were judged, as people say it.
 * @param {number} passed
 * @param {number} failed
 */
export function rate(passed, failed) {
  return passed + failed > 0 ? `${short((100 * passed) / (passed + failed))} %` : "–";
}

/** @param {{ workspace: string, project: string, run: string, trace: string | null, span?: string | null, name: string }} props */
export function TraceLink({ workspace, project, run, trace, span, name }) {
  if (!trace) return html`<span class="muted" aria-label="no trace">–</span>`;
  const params = new URLSearchParams(span ? { trace, span } : { trace });
  return html`<a href=${withParams(pathOf("w", workspace, project, "runs", run, "traces"), params)} aria-label=${`Trace of ${name}`}>trace</a>`;
}

/** @param {{ label: string, param: string, value: string, choices: (readonly [string, string])[] }} props */
export function Choice({ label, param, value, choices }) {
  return html`<label>${label} <select value=${value} onChange=${(/** @type {any} */ event) => setParams({ [param]: event.target.value })}>
    ${choices.map(([each, text]) => html`<option value=${each} selected=${each === value}>${text}</option>`)}</select></label>`;
}
