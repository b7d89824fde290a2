/** Every result of an evaluation run. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf } from "../../app/router.js";
import { Empty, unready } from "../../app/states.js";
import { api, get } from "../../data/api.js";
import { short, value as shownValue, whole } from "../../data/format.js";
import { useResource } from "../../data/resource.js";

/** @param {{ workspace: string, project: string, id: string }} props */
export function EvalResults({ workspace, project, id }) {
  const [outcome, setOutcome] = useState("");
  const [cursors, setCursors] = useState(/** @type {(string | null)[]} */ ([null]));
  const base = api("workspaces", workspace, "projects", project, "evals", "runs", id);
  const head = useResource(`eval ${id}`, (signal) => get(base, {}, signal));
  const cursor = cursors.at(-1) ?? null;
  const found = useResource(`results ${id} ${outcome} ${cursor}`, (signal) => get(`${base}/results`, { outcome, limit: 100, cursor }, signal), { keeps: true });
  const waiting = unready(head, "the evaluation");
  if (waiting) return waiting;
  const { runId, stats } = head.value;
  const rows = found.value?.rows ?? [];
  const next = found.value?.page.nextCursor ?? null;
  return html`<section class="card values-card" aria-label="Results"><div class="head"><h2>Results</h2>
      <label><span class="muted">Outcome</span><select onChange=${(/** @type {any} */ event) => { setCursors([null]); setOutcome(event.target.value); }}>${["", "failed", "passed", "unjudged"].map((each) => html`<option value=${each}>${each || "all"}</option>`)}</select></label></div>
    <div class="row">${(stats ?? []).map((/** @type {any} */ each) => html`<span class="tag">${each.scorer}: ${whole(each.passed)} passed, ${whole(each.failed)} failed${each.mean !== null ? `, mean ${short(each.mean)}` : ""}</span>`)}</div>
    ${unready(found, "the results") ?? (rows.length === 0 ? html`<${Empty} title="No result fits" />` : html`<div class="values-scroll"><table class="values"><thead><tr><th scope="col">Example</th><th scope="col">Scorer</th><th scope="col" class="number">Score</th><th scope="col">Outcome</th><th scope="col">Said with it</th><th scope="col"></th></tr></thead>
      <tbody>${rows.map((/** @type {any} */ each) => html`<tr><td class="mono">${each.exampleId}</td><td>${each.scorer}</td><td class="number">${each.score === null ? "–" : shownValue(each.score)}</td><td><${Outcome} passed=${each.passed} /></td><td class="mono">${each.meta && Object.keys(each.meta).length > 0 ? JSON.stringify(each.meta) : ""}</td>
        <td>${each.traceId && html`<a href=${`${pathOf("w", workspace, project, "runs", runId, "traces")}?${new URLSearchParams({ trace: each.traceId, span: each.spanId ?? "" })}`}>trace</a>`}</td></tr>`)}</tbody></table></div>
      <div class="bar">${cursors.length > 1 && html`<button type="button" onClick=${() => setCursors(cursors.slice(0, -1))}>Back</button>`}${next && html`<button type="button" onClick=${() => setCursors([...cursors, next])}>More</button>`}</div>`)}
  </section>`;
}

/** @param {{ passed: boolean | null }} props */
export function Outcome({ passed }) {
  if (passed === null || passed === undefined) return html`<span class="muted">not judged</span>`;
  return html`<span class="status" data-status=${passed ? "completed" : "failed"}>${passed ? "passed" : "failed"}</span>`;
}
