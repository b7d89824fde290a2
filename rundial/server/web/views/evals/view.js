/** `/w/{workspace}/{project}/evals`: evaluation runs, one's results, and what became of two. */

import { html } from "../../app/html.js";
import { pathOf, setParams, usePlace } from "../../app/router.js";
import { Empty, unready } from "../../app/states.js";
import { api, get } from "../../data/api.js";
import { ago, date, short, whole } from "../../data/format.js";
import { useResource } from "../../data/resource.js";
import { EvalDiff } from "./diff.js";
import { EvalResults } from "./results.js";

/** @param {{ workspace: string, project: string }} props */
export function View({ workspace, project }) {
  const { params } = usePlace();
  const suite = params.get("suite") ?? "";
  const path = api("workspaces", workspace, "projects", project, "evals", "runs");
  const found = useResource(`evals ${workspace} ${project} ${suite}`, (signal) => get(path, { suite, limit: 100 }, signal), { everyMs: 10_000 });
  document.title = `Evaluations · ${project} · Rundial`;
  const waiting = unready(found, "the evaluations");
  if (waiting) return waiting;
  const runs = found.value?.evalRuns ?? [];
  if (runs.length === 0) return html`<${Empty} title="No evaluations yet"><p><code>rundial.eval.suite(…)</code> judges every example of a dataset, and compares with the last time.</p></${Empty}>`;
  const chosen = params.get("id") ?? "";
  const [baseline, candidate] = (params.get("diff") ?? "").split("~");
  /** @param {string} id */
  const toggle = (id) => {
    const now = [baseline, candidate].filter(Boolean);
    const next = now.includes(id) ? now.filter((each) => each !== id) : [...now, id].slice(-2);
    setParams({ diff: next.join("~"), id: null });
  };
  // The one that began first is what the other is held against.
  const picked = runs.filter((/** @type {any} */ each) => each.evalRunId === baseline || each.evalRunId === candidate).sort((/** @type {any} */ one, /** @type {any} */ other) => one.startedAtMs - other.startedAtMs);
  return html`<div class="head"><h1>Evaluations</h1><span class="muted">Tick two to compare them</span>
      ${suite && html`<span class="chip"><span class="cut">${suite}</span><button type="button" aria-label="All suites" onClick=${() => setParams({ suite: null })}>×</button></span>`}</div>
    <div class="card values-scroll"><table class="values"><thead><tr><th scope="col"><span class="unseen">Compare</span></th><th scope="col">Suite</th><th scope="col">Evaluation</th><th scope="col">Run</th><th scope="col">Status</th><th scope="col" class="number">Examples</th><th scope="col" class="number">Passed</th><th scope="col" class="number">Failed</th><th scope="col">Began</th></tr></thead>
      <tbody>${runs.map((/** @type {any} */ each) => html`<tr class=${each.evalRunId === chosen ? "chosen" : ""}>
        <td><input type="checkbox" aria-label=${`Compare ${each.evalRunId}`} checked=${each.evalRunId === baseline || each.evalRunId === candidate} onChange=${() => toggle(each.evalRunId)} /></td>
        <td><button type="button" class="link" onClick=${() => setParams({ suite: each.suiteName })}>${each.suiteName}</button></td>
        <td><button type="button" class="link mono" onClick=${() => setParams({ id: each.evalRunId === chosen ? null : each.evalRunId, diff: null })}>${each.evalRunId.slice(0, 13)}</button></td>
        <td><a href=${pathOf("w", workspace, project, "runs", each.runId)}>${each.runName}</a></td>
        <td><span class="status" data-status=${each.runStatus}>${each.runStatus}</span></td>
        <td class="number">${whole(each.counts.examples)}</td><td class="number">${whole(each.counts.passed)} <span class="muted">${share(each.counts)}</span></td><td class="number">${whole(each.counts.failed)}</td>
        <td class="muted" title=${date(each.startedAtMs)}>${ago(each.startedAtMs)}</td></tr>`)}</tbody></table></div>
    ${chosen && html`<${EvalResults} key=${chosen} workspace=${workspace} project=${project} id=${chosen} />`}
    ${picked.length === 2 && html`<${EvalDiff} key=${params.get("diff")} workspace=${workspace} project=${project} baseline=${picked[0]} candidate=${picked[1]} />`}`;
}

/** @param {{ passed: number, failed: number }} counts */
function share({ passed, failed }) {
  return passed + failed > 0 ? `${short(Math.round((1000 * passed) / (passed + failed)) / 10)} %` : "";
}
