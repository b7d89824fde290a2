/** Series: their names, and curves in buckets of one run or several. */

import { all } from "./places.js";
import { api, post } from "./api.js";

/**
 * @typedef {object} Key
 * @property {string} metricKey
 * @property {Record<string, unknown>} context
 * @property {string | null} unit
 * @property {number} count
 * @property {number} min
 * @property {number} max
 * @property {number | null} lastStep
 * @property {number} lastValue
 * @property {number} lastTimestampMs
 * @property {string | null} stepMetric
 * @property {string | null} goal
 */
/**
 * @typedef {object} Bucket
 * @property {number | null} firstStep
 * @property {number | null} lastStep
 * @property {number} startMs
 * @property {number} endMs
 * @property {number} count
 * @property {number} min
 * @property {number} max
 * @property {number} mean
 * @property {number | null} [x] Where it is drawn over another metric.
 */
/**
 * @typedef {object} Series
 * @property {string} runId
 * @property {string} metricKey
 * @property {Record<string, unknown>} context
 * @property {string | null} unit
 * @property {number} totalPoints
 * @property {Bucket[]} buckets
 */

const MOST_NAMES = 50;
const MOST_POINTS = 1_000_000;

/**
 * @param {string} projectId
 * @param {string | null} runId All runs of the project when null.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Key[]>}
 */
export function seriesKeys(projectId, runId, signal) {
  return all(api("metrics", "keys"), "keys", signal, { projectId, runId });
}

/**
 * @typedef {object} Range A part of the curves; steps, or times in milliseconds.
 * @property {number} [startStep]
 * @property {number} [endStep]
 * @property {number} [startMs]
 * @property {number} [endMs]
 */

/**
 * Curves in buckets; several requests where one would be too large, none waiting for another's answer.
 * @param {string} projectId
 * @param {string[]} runIds
 * @param {string[]} names
 * @param {{ most: number, range?: Range, signal?: AbortSignal }} how `most` buckets a series.
 * @returns {Promise<Series[]>}
 */
export async function buckets(projectId, runIds, names, { most, range = {}, signal }) {
  const perRequest = Math.max(1, Math.min(MOST_NAMES, Math.floor(MOST_POINTS / (most * runIds.length))));
  const parts = [];
  for (let start = 0; start < names.length; start += perRequest) parts.push(names.slice(start, start + perRequest));
  const answers = await Promise.all(
    parts.map((metricKeys) =>
      post(api("query", "series"), { projectId, runIds, metricKeys, form: "buckets", maxPointsPerSeries: most, ...range }, signal),
    ),
  );
  return answers.flatMap((each) => each.series);
}

/**
 * Points with another metric as x; thinned so that no spike is lost.
 * @param {string} projectId
 * @param {string[]} runIds
 * @param {string[]} names
 * @param {{ most: number, xMetric: string, range?: Range, signal?: AbortSignal }} how
 * @returns {Promise<{ runId: string, metricKey: string, context: Record<string, unknown>, totalPoints: number, points: { step: number | null, timestampMs: number, value: number, x?: number | null }[] }[]>}
 */
export async function points(projectId, runIds, names, { most, xMetric, range = {}, signal }) {
  const body = { projectId, runIds, metricKeys: names, maxPointsPerSeries: most, xMetric, ...range };
  return (await post(api("query", "series"), body, signal)).series;
}
