/** Charts of many metrics, grouped by the first part of their names. */

import { useEffect, useMemo } from "preact/hooks";

import { html } from "../app/html.js";
import { Empty } from "../app/states.js";
import { Curves } from "../data/curves.js";
import { Controls } from "./controls.js";
import { Panel } from "./panel.js";
import { rangeOf, useChartView } from "./view.js";

const MOST_BUCKETS = 1_000;

/**
 * @param {{
 *   projectId: string,
 *   keys: import("../data/series.js").Key[],
 *   looks: Map<string, import("./panel.js").RunLook>,
 *   isLive: boolean,
 * }} props `looks` by run; keep it the same object while nothing of it changes.
 */
export function Sections({ projectId, keys, looks, isLive }) {
  const view = useChartView();
  const started = Math.min(...[...looks.values()].map((each) => each.startedAtMs));
  const range = rangeOf(view, started);
  const runs = [...looks.keys()];
  const key = JSON.stringify([projectId, runs, range, view.xMetric]);
  const curves = useMemo(() => new Curves(projectId, runs, { most: MOST_BUCKETS, range, xMetric: view.xMetric }), [key]);
  useEffect(() => () => curves.close(), [curves]);
  useEffect(() => curves.follow(isLive), [curves, isLive]);

  const units = new Map(keys.map((each) => [each.metricKey, each.unit]));
  const wanted = view.search.toLowerCase();
  const names = [...units.keys()].filter((each) => each.toLowerCase().includes(wanted));
  const groups = groupsOf(names);
  return html`<${Controls} view=${view} metrics=${[...units.keys()]} />
    ${names.length === 0 && html`<${Empty} title=${wanted ? "No metric is called so" : "No points yet"}><p>${wanted ? "Change the search." : "Charts appear as soon as the run logs its first value."}</p></${Empty}>`}
    ${groups.map(([group, members]) => html`<details class="section" open key=${group}>
      <summary>${group} <span class="muted">${members.length}</span></summary>
      <div class="chart-grid">${members.map((name) => html`<${Panel} key=${name} name=${name} curves=${curves} view=${view} looks=${looks} unit=${units.get(name)} />`)}</div>
    </details>`)}`;
}

// What people look at first: what stands in no group, then these.
const FIRST = ["Metrics", "train", "val", "valid", "validation", "eval", "test"];

/** @param {string} group */
function rank(group) {
  const at = FIRST.indexOf(group);
  return at < 0 ? FIRST.length : at;
}

/**
 * @param {string[]} names
 * @returns {[string, string[]][]}
 */
export function groupsOf(names) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const name of names) {
    const at = name.indexOf("/");
    const group = at > 0 ? name.slice(0, at) : "Metrics";
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  return [...groups].sort(([one], [other]) => rank(one) - rank(other) || one.localeCompare(other));
}
