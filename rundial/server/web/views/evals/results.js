/** `/w/{workspace}/{project}/evals/{evalRun}`: what each scorer says on the whole, and of each example. */

import { useState } from "preact/hooks";

import { Dialog } from "../../app/dialog.js";
import { html } from "../../app/html.js";
import { go, pathOf, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { evalRun, evalRuns, results } from "../../data/evals.js";
import { ago, date, value as shownValue, whole } from "../../data/format.js";
import { usePages } from "../../data/pages.js";
import { useResource } from "../../data/resource.js";
import { leaves } from "../run/overview.js";
import { Choice, Outcome, rate, scoreOf, TraceLink } from "./parts.js";

/** @typedef {import("../../data/evals.js").Result} Result */

const LIVE_MS = 5_000;
const OUTCOMES = /** @type {const} */ ([["", "All"], ["passed", "Passed"], ["failed", "Failed"], ["unjudged", "Unjudged"]]);

/** @param {{ workspace: string, project: string, evalRun: string }} props */
export function View({ workspace, project, evalRun: id }) {
  const [isLive, setLive] = useState(false);
  const found = useResource(JSON.stringify(["eval", workspace, project, id]), async (signal) => {
    const answer = await evalRun(workspace, project, id, signal);
    setLive(answer.runStatus === "running");
    return answer;
  }, isLive ? { everyMs: LIVE_MS } : {});
  const waiting = unready(found, "the evaluation");
  if (waiting) return waiting;
  const details = found.value;
  document.title = `${details.runName} · Evals · Rundial`;
  return html`<div class="head"><h1 class="cut">${details.runName}</h1>
      <span class="status" data-status=${details.runStatus} role="status">${details.runStatus}</span>
      <span class="muted" title=${date(details.startedAtMs)}>${details.suiteName} · ${ago(details.startedAtMs)}</span>
      <a href=${pathOf("w", workspace, project, "runs", details.runId)}>The run</a><span class="grow"></span>
      <${Against} workspace=${workspace} project=${project} details=${details} /></div>
    ${found.error && html`<p class="notice bad" role="alert">${messageOf(found.error)}</p>`}
    <${Stats} stats=${details.stats} />
    <${About} details=${details} />
    <${Results} workspace=${workspace} project=${project} details=${details} />`;
}

/** @param {{ workspace: string, project: string, details: any }} props */
function Against({ workspace, project, details }) {
  const others = useResource(JSON.stringify(["evals of", workspace, project, details.suiteName]), (signal) => evalRuns(workspace, project, { suite: details.suiteName }, null, signal));
  const listed = (others.value?.evalRuns ?? []).filter((each) => each.evalRunId !== details.evalRunId);
  if (listed.length === 0) return null;
  return html`<label>Compare with <select class="against" value="" onChange=${(/** @type {any} */ event) => go(pathOf("w", workspace, project, "evals", details.evalRunId, "against", event.target.value))}>
    <option value="">…</option>${listed.map((each) => html`<option value=${each.evalRunId}>${`${each.runName}, ${date(each.startedAtMs)}`}</option>`)}</select></label>`;
}

/** @param {{ stats: any[] }} props */
function Stats({ stats }) {
  if (stats.length === 0) return null;
  return html`<section class="card values-card" aria-label="Scorers"><h2>Scorers</h2><div class="values-scroll"><table class="values">
    <thead><tr>${["Scorer", "Results", "Passed", "Failed", "Rate", "Mean", "Least", "Greatest"].map((each, index) => html`<th scope="col" class=${index ? "number" : ""}>${each}</th>`)}</tr></thead>
    <tbody>${stats.map((each) => html`<tr><th scope="row">${each.scorer}</th>${[whole(each.results), whole(each.passed), whole(each.failed), rate(each.passed, each.failed), scoreOf(each.mean), scoreOf(each.min), scoreOf(each.max)].map((text) => html`<td class="number">${text}</td>`)}</tr>`)}</tbody>
  </table></div></section>`;
}

/** @param {{ details: any }} props */
function About({ details }) {
  const facts = [...leaves({ dataset: details.dataset ?? {} }), ...leaves({ config: details.config ?? {} })].filter(([, value]) => value !== null && shownValue(value) !== "{}");
  if (facts.length === 0) return null;
  return html`<details class="card values-card"><summary>Dataset and config</summary><table class="values"><tbody>${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="mono">${shownValue(value)}</td></tr>`)}</tbody></table></details>`;
}

/** @param {{ workspace: string, project: string, details: any }} props */
function Results({ workspace, project, details }) {
  const { params } = usePlace();
  const [open, setOpen] = useState(/** @type {Result | null} */ (null));
  const [scorer, outcome] = [params.get("scorer") ?? "", params.get("outcome") ?? ""];
  const found = usePages(JSON.stringify(["results", workspace, project, details.evalRunId, scorer, outcome, details.counts.results]), "rows",
    (cursor, signal) => results(workspace, project, details.evalRunId, { scorer, outcome }, cursor, signal));
  const scorers = /** @type {[string, string][]} */ ([["", "All"], ...details.stats.map((/** @type {any} */ each) => [each.scorer, each.scorer])]);
  return html`<section class="stack" aria-label="Results"><div class="bar"><h2>Results</h2><span class="muted">${whole(details.counts.results)}</span><span class="grow"></span>
      <${Choice} label="Scorer" param="scorer" value=${scorer} choices=${scorers} /><${Choice} label="Outcome" param="outcome" value=${outcome} choices=${OUTCOMES} /></div>
    ${found.error && found.value && html`<p class="notice bad" role="alert">${messageOf(found.error)}</p>`}
    ${unready(found, "the results") ?? (found.rows.length === 0 && !found.isStale
      ? html`<${Empty} title=${scorer || outcome ? "No result fits" : "No result has come yet"} />`
      : html`<${Sheet} name="Results" columns=${columnsOf(workspace, project, details.runId, setOpen)} rows=${found.rows} keyOf=${(/** @type {Result} */ row) => JSON.stringify([row.exampleId, row.scorer])}
          hasMore=${found.hasMore} onReach=${found.reach} isStale=${found.isStale} />`)}
    ${open && html`<${Dialog} title=${open.exampleId} onClose=${() => setOpen(null)}><table class="values"><tbody>
      ${leaves({ scorer: open.scorer, score: open.score, passed: open.passed, ...open.meta, ...(open.evidenceRef ? { evidence: open.evidenceRef } : {}) }).map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="mono">${shownValue(value)}</td></tr>`)}</tbody></table></${Dialog}>`}
  </section>`;
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {(row: Result) => void} onOpen
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(workspace, project, run, onOpen) {
  return [
    { id: "example", label: "Example", width: 160, title: (row) => row.exampleId, cell: (row) => html`<button type="button" class="link" onClick=${() => onOpen(row)}>${row.exampleId}</button>` },
    { id: "scorer", label: "Scorer", width: 120, title: (row) => row.scorer, cell: (row) => row.scorer },
    { id: "passed", label: "Outcome", width: 104, cell: (row) => html`<${Outcome} passed=${row.passed} />` },
    { id: "score", label: "Score", width: 88, isNumeric: true, cell: (row) => scoreOf(row.score) },
    { id: "trace", label: "Trace", width: 80, cell: (row) => html`<${TraceLink} workspace=${workspace} project=${project} run=${run} trace=${row.traceId} span=${row.spanId} name=${row.exampleId} />` },
    { id: "meta", label: "Said", width: 280, title: (row) => said(row.meta), cell: (row) => html`<span class="muted">${said(row.meta)}</span>` },
  ];
}

/** @param {Record<string, unknown>} meta */
function said(meta) {
  return leaves(meta ?? {}).map(([name, value]) => `${name}: ${shownValue(value)}`).join(", ");
}
