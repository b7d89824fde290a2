/** `/w/{workspace}/{project}/evals`: the evaluation runs, the last one first; two of them are compared. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { go, pathOf, setParams, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { evalRuns } from "../../data/evals.js";
import { ago, date, whole } from "../../data/format.js";
import { usePages } from "../../data/pages.js";
import { rate } from "./parts.js";

/** @typedef {import("../../data/evals.js").EvalRun} EvalRun */

/** @param {{ workspace: string, project: string }} props */
export function View({ workspace, project }) {
  const { params } = usePlace();
  const suite = params.get("suite") ?? "";
  const [chosen, setChosen] = useState(/** @type {string[]} */ ([]));
  const found = usePages(JSON.stringify(["evals", workspace, project, suite]), "evalRuns", (cursor, signal) => evalRuns(workspace, project, { suite: suite || null }, cursor, signal));
  document.title = `Evals · ${project} · Rundial`;
  const toggle = (/** @type {string} */ id) => setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id].slice(-2));
  const waiting = unready(found, "the evaluations");
  if (waiting) return waiting;
  const empty = suite ? html`<${Empty} title="No evaluation of this suite"><p><button type="button" onClick=${() => setParams({ suite: null })}>Show all suites</button></p></${Empty}>`
    : html`<${Empty} title="Nothing was evaluated yet"><p><code>rd.eval.suite(…)</code> with examples and scorers puts its runs here, and so does any program that sends results.</p></${Empty}>`;
  return html`<div class="head"><h1>Evals</h1>
      ${suite && html`<span class="chip"><span class="cut">${suite}</span><button type="button" aria-label=${`Remove the filter ${suite}`} onClick=${() => setParams({ suite: null })}>×</button></span>`}
      <span class="grow"></span>
      <button type="button" disabled=${chosen.length !== 2} onClick=${() => go(comparison(workspace, project, found.rows, chosen))}>Compare ${chosen.length} of 2</button></div>
    ${found.error && html`<p class="notice bad" role="alert">${messageOf(found.error)}</p>`}
    ${found.rows.length === 0 && !found.isStale ? empty
      : html`<${Sheet} name="Evaluation runs" columns=${columnsOf(workspace, project, chosen, toggle)} rows=${found.rows} keyOf=${(/** @type {EvalRun} */ row) => row.evalRunId}
          hasMore=${found.hasMore} onReach=${found.reach} isStale=${found.isStale} />`}`;
}

/**
 * The earlier one is what the later one is measured against.
 * @param {string} workspace
 * @param {string} project
 * @param {EvalRun[]} rows
 * @param {string[]} chosen
 */
function comparison(workspace, project, rows, chosen) {
  const [later, earlier] = rows.filter((each) => chosen.includes(each.evalRunId)).sort((one, other) => other.startedAtMs - one.startedAtMs);
  return pathOf("w", workspace, project, "evals", later?.evalRunId ?? "", "against", earlier?.evalRunId ?? "");
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string[]} chosen
 * @param {(id: string) => void} toggle
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(workspace, project, chosen, toggle) {
  return [
    { id: "tick", label: "Pick", width: 56, cell: (row) => html`<input type="checkbox" aria-label=${`Compare ${row.runName}`} checked=${chosen.includes(row.evalRunId)} onChange=${() => toggle(row.evalRunId)} />` },
    { id: "run", label: "Run", width: 200, title: (row) => `${row.runName}, ${row.evalRunId}`, cell: (row) => html`<a href=${pathOf("w", workspace, project, "evals", row.evalRunId)}>${row.runName}</a>` },
    { id: "suite", label: "Suite", width: 160, title: (row) => row.suiteName, cell: (row) => html`<button type="button" class="link" onClick=${() => setParams({ suite: row.suiteName })}>${row.suiteName}</button>` },
    { id: "status", label: "Status", width: 112, cell: (row) => html`<span class="status" data-status=${row.runStatus}>${row.runStatus}</span>` },
    { id: "examples", label: "Examples", width: 88, isNumeric: true, cell: (row) => whole(row.counts.examples) },
    { id: "passed", label: "Passed", width: 80, isNumeric: true, cell: (row) => whole(row.counts.passed) },
    { id: "failed", label: "Failed", width: 80, isNumeric: true, cell: (row) => whole(row.counts.failed) },
    { id: "rate", label: "Rate", width: 80, isNumeric: true, cell: (row) => rate(row.counts.passed, row.counts.failed) },
    { id: "started", label: "Started", width: 110, title: (row) => date(row.startedAtMs), cell: (row) => html`<span class="muted">${ago(row.startedAtMs)}</span>` },
  ];
}
