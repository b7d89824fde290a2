/** Text lines of a run. */

import { api, post } from "./api.js";

/**
 * @typedef {object} LogLine
 * @property {number} timestampMs
 * @property {string} timestampNs
 * @property {number} sequence
 * @property {string} level
 * @property {string} message
 * @property {boolean} truncated
 * @property {number | null} step
 * @property {string | null} traceId
 * @property {string | null} spanId
 */
/**
 * @typedef {object} LogQuery
 * @property {string} [minLevel]
 * @property {string} [text]
 * @property {string} [pattern]
 */

export const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];

/**
 * A page of lines.
 * @param {string} projectId
 * @param {string} runId
 * @param {LogQuery & { order: "asc" | "desc", startMs?: number, endMs?: number, cursor?: string | null, limit: number }} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ rows: LogLine[], next: string | null }>}
 */
export async function queryLogs(projectId, runId, query, signal) {
  const kept = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  let cursor = query.cursor ?? null;
  for (;;) {
    const found = await post(api("query", "logs"), { projectId, runId, ...kept, ...(cursor ? { cursor } : {}) }, signal);
    cursor = found.page.nextCursor ?? null;
    // A search that was cut short has found nothing yet, which is not the same as nothing.
    if (found.rows.length > 0 || !cursor || !found.searchCut) return { rows: found.rows, next: cursor };
  }
}

/**
 * Where lines come as they are stored.
 * @param {string} projectId
 * @param {string} runId
 * @param {LogQuery} query
 */
export function logStream(projectId, runId, query) {
  const params = new URLSearchParams({ projectId, runId });
  for (const [name, value] of Object.entries(query)) if (value) params.set(name, value);
  return `${api("stream", "logs")}?${params}`;
}

/** @param {LogLine} line */
export function keyOf(line) {
  return `${line.timestampNs} ${line.sequence} ${line.message.length}`;
}
