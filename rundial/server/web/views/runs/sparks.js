/** The small curves of the rows in sight, loaded together and kept for a while. */

import { useEffect, useState } from "preact/hooks";

import { projectId } from "../../data/places.js";
import { buckets } from "../../data/series.js";

const MOST = 48;
const STALE_MS = 15_000;
const DELAY_MS = 120;

/** @typedef {Map<string, { atMs: number, buckets: import("../../data/series.js").Bucket[] }>} Sparks */

/**
 * @param {string} workspace
 * @param {string} project
 * @param {import("../../data/runs.js").Run[]} runs Those in sight.
 * @param {string[]} names
 * @returns {Sparks} By `run name`.
 */
export function useSparks(workspace, project, runs, names) {
  const [found, setFound] = useState(/** @type {Sparks} */ (new Map()));
  const now = Date.now();
  const due = runs.filter((run) => names.some((name) => isDue(found.get(`${run.runId} ${name}`), run, now)));
  const key = JSON.stringify([names, due.map((each) => each.runId)]);

  useEffect(() => {
    if (due.length === 0 || names.length === 0) return undefined;
    const leaving = new AbortController();
    // A fast scroll passes rows whose curves nobody sees.
    const timer = setTimeout(() => {
      const ids = due.map((each) => each.runId);
      projectId(workspace, project)
        .then((id) => buckets(id, ids, names, { most: MOST, signal: leaving.signal }))
        .then((all) => {
          const atMs = Date.now();
          setFound((before) => {
            const next = new Map(before);
            for (const id of ids) for (const name of names) next.set(`${id} ${name}`, { atMs, buckets: [] });
            for (const each of all) {
              const place = `${each.runId} ${each.metricKey}`;
              if (!next.get(place)?.buckets.length) next.set(place, { atMs, buckets: each.buckets });
            }
            return next;
          });
        })
        .catch(() => {});
    }, DELAY_MS);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [key]);
  return found;
}

/**
 * @param {{ atMs: number } | undefined} known
 * @param {import("../../data/runs.js").Run} run
 * @param {number} nowMs
 */
function isDue(known, run, nowMs) {
  return !known || (run.status === "running" && nowMs - known.atMs > STALE_MS);
}
