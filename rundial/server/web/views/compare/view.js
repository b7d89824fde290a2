/** `/w/{workspace}/{project}/compare?runs=…`: several runs side by side. */

import { useMemo } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf, setParams, usePlace } from "../../app/router.js";
import { Empty, unready } from "../../app/states.js";
import { lineColour } from "../../charts/palette.js";
import { Sections } from "../../charts/sections.js";
import { useResource } from "../../data/resource.js";
import { runDetails } from "../../data/runs.js";
import { seriesKeys } from "../../data/series.js";
import { ConfigDiff } from "./diff.js";
import { Scatter } from "./scatter.js";
import { flat, valueAt } from "./values.js";
import { some } from "../../data/format.js";

const LIVE_MS = 5_000;
const MOST_RUNS = 50;

/** @type {[string, string][]} */
const TABS = [["", "Charts"], ["diff", "Config and summary"], ["scatter", "Scatter"]];

/** @param {{ workspace: string, project: string }} props */
export function View({ workspace, project }) {
  const { params } = usePlace();
  const asked = (params.get("runs") ?? "").split(",").filter(Boolean);
  const ids = [...new Set(asked)].slice(0, MOST_RUNS);
  document.title = `Compare · ${project} · Rundial`;
  const found = useResource(
    ids.length > 0 ? `compare ${workspace} ${project} ${ids.join(",")}` : null,
    async (signal) => {
      const runs = await Promise.all(ids.map((id) => runDetails(workspace, project, id, signal)));
      const keys = await Promise.all(runs.map((each) => seriesKeys(each.projectId, each.runId, signal)));
      return { runs, keys: unique(keys.flat()) };
    },
    { everyMs: LIVE_MS, keeps: true },
  );
  const groupBy = params.get("by") ?? "";
  const runs = found.value?.runs ?? [];
  const shape = JSON.stringify(runs.map((each) => [each.runId, each.runName, each.startedAtMs, valueAt(each, groupBy)]));
  const looks = useMemo(() => looksOf(runs, groupBy), [shape, groupBy]);
  if (ids.length === 0) return html`<${Empty} title="No runs to compare"><p>Select some in <a href=${pathOf("w", workspace, project)}>the table of runs</a>.</p></${Empty}>`;
  const waiting = unready(found, "the runs");
  if (waiting) return waiting;

  const tab = params.get("view") ?? "";
  const isLive = runs.some((each) => each.status === "running");
  const keys = (found.value?.keys ?? []).filter((each) => !each.metricKey.startsWith("system/"));
  const fields = groupsIn(runs);
  return html`
    <div class="head"><h1>Compare ${some(runs.length, "run")}</h1>
      ${asked.length > MOST_RUNS && html`<span class="notice warn">The first ${MOST_RUNS} of ${asked.length}</span>`}<span class="grow"></span>
      <label><span class="muted">Mean and band by</span><select onChange=${(/** @type {any} */ event) => setParams({ by: event.target.value })}>
        <option value="" selected=${!groupBy}>nothing</option>${fields.map((each) => html`<option value=${each} selected=${each === groupBy}>${each.replace(/^config\./, "")}</option>`)}</select></label></div>
    <ul class="run-chips">${runs.map((each) => html`<li class="chip"><span class="swatch" style=${{ color: lineColour(looks.get(each.runId)?.number ?? 0) }}></span>
      <a class="cut" href=${pathOf("w", workspace, project, "runs", each.runId)}>${each.runName}</a>
      <button type="button" aria-label=${`Leave out ${each.runName}`} onClick=${() => setParams({ runs: ids.filter((id) => id !== each.runId).join(",") })}>×</button></li>`)}</ul>
    <nav class="tabs" aria-label="Compare">${TABS.map(([view, name]) => html`<button type="button" aria-current=${tab === view ? "page" : undefined} onClick=${() => setParams({ view })}>${name}</button>`)}</nav>
    ${tab === "diff" ? html`<${ConfigDiff} runs=${runs} />`
      : tab === "scatter" ? html`<${Scatter} runs=${runs} looks=${looks} />`
      : html`<${Sections} projectId=${runs[0].projectId} keys=${keys} looks=${looks} isLive=${isLive} />`}`;
}

/**
 * Each run's colour; with a group, the group's.
 * @param {any[]} runs
 * @param {string} groupBy
 * @returns {Map<string, import("../../charts/panel.js").RunLook>}
 */
function looksOf(runs, groupBy) {
  /** @type {string[]} */
  const groups = [];
  return new Map(runs.map((run, index) => {
    const group = groupBy ? String(valueAt(run, groupBy) ?? "none") : "";
    if (groupBy && !groups.includes(group)) groups.push(group);
    const number = groupBy ? groups.indexOf(group) : index;
    return [run.runId, { name: run.runName, number, startedAtMs: run.startedAtMs, attempts: [], ...(groupBy ? { group: `${groupBy.replace(/^config\./, "")} ${group}` } : {}) }];
  }));
}

/**
 * What runs may be grouped by: what differs between some and is the same in others.
 * @param {any[]} runs
 */
function groupsIn(runs) {
  const fields = new Set(["group", "jobType", ...runs.flatMap((each) => Object.keys(flat(each.config)).map((name) => `config.${name}`))]);
  return [...fields].filter((field) => {
    const values = new Set(runs.map((each) => JSON.stringify(valueAt(each, field) ?? null)));
    return values.size > 1 || field === "group";
  });
}

/**
 * One key for each metric, whichever runs have it.
 * @param {import("../../data/series.js").Key[]} keys
 */
function unique(keys) {
  return [...new Map(keys.map((each) => [each.metricKey, each])).values()].sort((one, other) => one.metricKey.localeCompare(other.metricKey));
}
