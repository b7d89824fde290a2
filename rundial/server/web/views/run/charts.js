/** All series of a run, grouped by prefix; those of its machine in a tab of their own. */

import { useMemo } from "preact/hooks";

import { html } from "../../app/html.js";
import { unready } from "../../app/states.js";
import { Sections } from "../../charts/sections.js";
import { useResource } from "../../data/resource.js";
import { seriesKeys } from "../../data/series.js";

const LIVE_MS = 3_000;

/** @param {import("./view.js").TabProps & { isSystem?: boolean }} props */
export function ChartsTab({ run, details, isLive, isSystem = false }) {
  const keys = useResource(`keys ${details.projectId} ${run}`, (signal) => seriesKeys(details.projectId, run, signal), isLive ? { everyMs: LIVE_MS } : {});
  const attempts = attemptsOf(details);
  const looks = useMemo(
    () => new Map([[run, { name: details.runName, number: 0, startedAtMs: details.startedAtMs, attempts }]]),
    [run, details.runName, details.startedAtMs, JSON.stringify(attempts)],
  );
  const waiting = unready(keys, "the series");
  if (waiting) return waiting;
  const shown = (keys.value ?? []).filter((each) => each.metricKey.startsWith("system/") === isSystem);
  return html`<${Sections} projectId=${details.projectId} keys=${shown} looks=${looks} isLive=${isLive} />`;
}

/**
 * When each attempt after the first began.
 * @param {any} details
 * @returns {number[]}
 */
function attemptsOf(details) {
  /** @type {Map<number, number>} */
  const first = new Map();
  for (const { attempt, startedAtMs } of details.instances ?? []) {
    if (startedAtMs !== null) first.set(attempt, Math.min(first.get(attempt) ?? Infinity, startedAtMs));
  }
  return [...first].filter(([attempt]) => attempt > 1).sort(([one], [other]) => one - other).map(([, ms]) => ms);
}
