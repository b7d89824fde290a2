/** Spans and traces of a run. */

import { api, get } from "./api.js";

/**
 * @typedef {object} Span
 * @property {string} traceId
 * @property {string} spanId
 * @property {string | null} parentSpanId
 * @property {string} name
 * @property {string} kind
 * @property {string} startNs
 * @property {string | null} endNs
 * @property {string | null} durationNs
 * @property {string} status
 * @property {string} statusMessage
 * @property {boolean} interrupted
 * @property {boolean} running
 * @property {Record<string, any>} attributes
 * @property {{ name: string, timestampNs: string, attributes: Record<string, any> }[]} events
 * @property {any[]} links
 * @property {any} genai
 * @property {number} [childCount]
 * @property {number} [depth]
 * @property {string | null} [parentProblem]
 * @property {string | null} [clockSkewNs]
 */

/**
 * The tops of a run's trees, the newest first.
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ spans: Span[], next: string | null }>}
 */
export async function rootSpans(workspace, project, run, cursor, signal) {
  const path = api("workspaces", workspace, "projects", project, "runs", run, "spans");
  const found = await get(path, { parent: "none", order: "desc", limit: 100, cursor }, signal);
  return { spans: found.spans, next: found.page.nextCursor ?? null };
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {string} trace
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ totalSpans: number, truncated: boolean, spans: Span[] }>}
 */
export function wholeTrace(workspace, project, run, trace, signal) {
  return get(api("workspaces", workspace, "projects", project, "traces", trace), { runId: run }, signal);
}

/** @param {string} ns Nanoseconds as text. @returns {number} Milliseconds. */
export function ms(ns) {
  // A number holds 53 bits: microseconds since 1970 fit, nanoseconds do not.
  return Number(ns.slice(0, -3)) / 1000;
}
