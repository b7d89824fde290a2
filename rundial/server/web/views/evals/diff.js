/** `/w/{workspace}/{project}/evals/{evalRun}/against/{baseline}`: two evaluation runs, regressions first. */

import { html } from "../../app/html.js";
import { go, pathOf, setParams, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { difference } from "../../data/evals.js";
import { date, short, whole } from "../../data/format.js";
import { usePages } from "../../data/pages.js";
import { projectId } from "../../data/places.js";
import { Choice, Outcome, scoreOf, TraceLink } from "./parts.js";

/** @typedef {import("../../data/evals.js").Difference} Difference */

const STATUSES = /** @type {const} */ (["regressed", "missing", "improved", "new", "unchanged"]);
/** @type {Record<string, string>} */
const KINDS = { regressed: "bad", missing: "warn", improved: "good" };

/** @param {{ workspace: string, project: string, evalRun: string, baseline: string }} props */
export function View({ workspace, project, evalRun, baseline }) {
  const { params } = usePlace();
  const [scorer, status] = [params.get("scorer") ?? "", params.get("status") ?? ""];
  const found = usePages(JSON.stringify(["diff", workspace, project, baseline, evalRun, scorer, status]), "rows",
    async (cursor, signal) => difference(await projectId(workspace, project), baseline, evalRun, { scorer, status }, cursor, signal));
  document.title = `Comparison · Evals · Rundial`;
  const waiting = unready(found, "the comparison");
  if (waiting) return waiting;
  const { summary, scorers, baseline: before, candidate: after } = found.first;
  const names = [...new Set([...(scorer ? [scorer] : []), ...scorers.map((/** @type {any} */ each) => String(each.scorer))])];
  const choices = /** @type {[string, string][]} */ ([["", "All"], ...names.map((each) => [each, each])]);
  return html`<div class="head"><h1>Comparison</h1><span class="grow"></span>
      <button type="button" onClick=${() => go(pathOf("w", workspace, project, "evals", baseline, "against", evalRun))}>Swap</button></div>
    <div class="overview"><${Side} name="Baseline" side=${before} workspace=${workspace} project=${project} /><${Side} name="Candidate" side=${after} workspace=${workspace} project=${project} /></div>
    <div class="bar" role="group" aria-label="Changes">${STATUSES.map((each) => html`<button type="button" class="tally" data-kind=${KINDS[each] ?? ""} aria-pressed=${String(status === each)} onClick=${() => setParams({ status: status === each ? null : each })}>
        <strong>${whole(summary[each] ?? 0)}</strong> ${each}</button>`)}
      <span class="grow"></span><${Choice} label="Scorer" param="scorer" value=${scorer} choices=${choices} /></div>
    ${found.error && html`<p class="notice bad" role="alert">${messageOf(found.error)}</p>`}
    <${Means} scorers=${scorers} />
    ${found.rows.length === 0 && !found.isStale ? html`<${Empty} title=${status ? `Nothing is ${status}` : "Neither has a result"} />`
      : html`<${Sheet} name="Changes" columns=${columnsOf(workspace, project, before.runId, after.runId)} rows=${found.rows} keyOf=${(/** @type {Difference} */ row) => JSON.stringify([row.exampleId, row.scorer])}
          hasMore=${found.hasMore} onReach=${found.reach} isStale=${found.isStale} />`}`;
}

/** @param {{ name: string, side: any, workspace: string, project: string }} props */
function Side({ name, side, workspace, project }) {
  return html`<section class="card values-card" aria-label=${name}><h2>${name}</h2>
    <p><a href=${pathOf("w", workspace, project, "evals", side.evalRunId)}>${side.runName}</a> <span class="muted">${side.suiteName}, ${date(side.startedAtMs)}</span></p></section>`;
}

/** @param {{ scorers: any[] }} props */
function Means({ scorers }) {
  return html`<section class="card values-card" aria-label="Scorers"><div class="values-scroll"><table class="values">
    <thead><tr>${["Scorer", "Mean before", "Mean now", "Passed before", "Passed now"].map((each, index) => html`<th scope="col" class=${index ? "number" : ""}>${each}</th>`)}</tr></thead>
    <tbody>${scorers.map((each) => html`<tr><th scope="row">${each.scorer}</th>${[scoreOf(each.baselineMean), scoreOf(each.candidateMean), whole(each.baselinePassed), whole(each.candidatePassed)].map((text) => html`<td class="number">${text}</td>`)}</tr>`)}</tbody></table></div></section>`;
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} before
 * @param {string} after
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(workspace, project, before, after) {
  const link = (/** @type {Difference} */ row, /** @type {string} */ run, /** @type {string | null} */ trace, /** @type {string} */ side) =>
    html`<${TraceLink} workspace=${workspace} project=${project} run=${run} trace=${trace} name=${`${row.exampleId}, ${side}`} />`;
  return [
    { id: "status", label: "Change", width: 104, cell: (row) => html`<span class="tally-word" data-kind=${KINDS[row.status] ?? ""}>${row.status}</span>` },
    { id: "example", label: "Example", width: 160, title: (row) => row.exampleId, cell: (row) => row.exampleId },
    { id: "scorer", label: "Scorer", width: 120, title: (row) => row.scorer, cell: (row) => row.scorer },
    { id: "delta", label: "Difference", width: 96, isNumeric: true, cell: (row) => (row.delta === null ? "–" : `${row.delta > 0 ? "+" : ""}${short(row.delta)}`) },
    { id: "before", label: "Before", width: 80, isNumeric: true, cell: (row) => scoreOf(row.baselineScore) },
    { id: "after", label: "Now", width: 80, isNumeric: true, cell: (row) => scoreOf(row.candidateScore) },
    { id: "was", label: "Was", width: 96, cell: (row) => html`<${Outcome} passed=${row.baselinePassed} />` },
    { id: "is", label: "Is", width: 96, cell: (row) => html`<${Outcome} passed=${row.candidatePassed} />` },
    { id: "trace-before", label: "Trace before", width: 96, cell: (row) => link(row, before, row.baselineTraceId, "before") },
    { id: "trace-now", label: "Trace now", width: 96, cell: (row) => link(row, after, row.candidateTraceId, "now") },
  ];
}
