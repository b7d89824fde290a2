/** What became of each example between two evaluation runs, regressions first. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf } from "../../app/router.js";
import { Empty, unready } from "../../app/states.js";
import { api, post } from "../../data/api.js";
import { date, value as shownValue, whole } from "../../data/format.js";
import { projectId } from "../../data/places.js";
import { useResource } from "../../data/resource.js";
import { Outcome } from "./results.js";

/** @param {{ workspace: string, project: string, baseline: any, candidate: any }} props */
export function EvalDiff({ workspace, project, baseline, candidate }) {
  const [cursors, setCursors] = useState(/** @type {(string | null)[]} */ ([null]));
  const cursor = cursors.at(-1) ?? null;
  const found = useResource(`diff ${baseline.evalRunId} ${candidate.evalRunId} ${cursor}`, async (signal) => {
    const ids = { projectId: await projectId(workspace, project), baselineEvalRunId: baseline.evalRunId, candidateEvalRunId: candidate.evalRunId };
    return post(api("query", "evals", "diff"), { ...ids, limit: 100, ...(cursor ? { cursor } : {}) }, signal);
  }, { keeps: true });
  const waiting = unready(found, "the comparison");
  if (waiting) return waiting;
  const { rows, summary, page } = found.value;
  const link = (/** @type {any} */ run, /** @type {string | null} */ trace, /** @type {string} */ text) => trace && html`<a href=${`${pathOf("w", workspace, project, "runs", run.runId, "traces")}?${new URLSearchParams({ trace })}`}>${text}</a>`;
  return html`<section class="card values-card" aria-label="Comparison"><div class="head"><h2>Comparison</h2><span class="muted">${date(baseline.startedAtMs)} against ${date(candidate.startedAtMs)}</span></div>
    <div class="row">${Object.entries(summary).filter(([, count]) => typeof count === "number").map(([status, count]) => html`<span class=${`tag ${status === "regressed" || status === "regressions" ? "bad" : ""}`}>${whole(Number(count))} ${status}</span>`)}</div>
    ${rows.length === 0 ? html`<${Empty} title="Nothing to compare" />` : html`<div class="values-scroll"><table class="values"><thead><tr><th scope="col">Example</th><th scope="col">Scorer</th><th scope="col">What became of it</th><th scope="col">Before</th><th scope="col">After</th><th scope="col" class="number">Difference</th><th scope="col">Traces</th></tr></thead>
      <tbody>${rows.map((/** @type {any} */ each) => html`<tr class=${each.regressed ? "regressed" : ""}><td class="mono">${each.exampleId}</td><td>${each.scorer}</td><td>${each.status}</td>
        <td><${Outcome} passed=${each.baselinePassed} /> ${shownValue(each.baselineScore)}</td><td><${Outcome} passed=${each.candidatePassed} /> ${shownValue(each.candidateScore)}</td><td class="number">${each.delta === null ? "" : shownValue(each.delta)}</td>
        <td class="row">${link(baseline, each.baselineTraceId, "before")}${link(candidate, each.candidateTraceId, "after")}</td></tr>`)}</tbody></table></div>
      <div class="bar">${cursors.length > 1 && html`<button type="button" onClick=${() => setCursors(cursors.slice(0, -1))}>Back</button>`}${page.nextCursor && html`<button type="button" onClick=${() => setCursors([...cursors, page.nextCursor])}>More</button>`}</div>`}
  </section>`;
}
