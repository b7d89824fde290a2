/** Runs: the table's rows, one run's details, and what people do to runs. */

import { api, get, post, send } from "./api.js";

/**
 * @typedef {object} Run A row of the table.
 * @property {string} runId
 * @property {string} runName
 * @property {string} kind
 * @property {string} status
 * @property {number} startedAtMs
 * @property {number} updatedAtMs
 * @property {boolean} archived
 * @property {Record<string, any>} [columns]
 */
/**
 * @typedef {object} Query
 * @property {string} [filter]
 * @property {string} [search]
 * @property {string} [orderBy]
 * @property {"asc" | "desc"} [order]
 * @property {string} [columns]
 * @property {string} [archived]
 * @property {number} [limit]
 * @property {string | null} [cursor]
 */

/**
 * @param {string} workspace
 * @param {string} project
 * @param {Query} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ runs: Run[], next: string | null }>}
 */
export async function queryRuns(workspace, project, query, signal) {
  const found = await get(api("workspaces", workspace, "projects", project, "runs", "query"), { ...query }, signal);
  return { runs: found.runs, next: found.page.nextCursor ?? null };
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function runDetails(workspace, project, run, signal) {
  return get(api("workspaces", workspace, "projects", project, "runs", run), {}, signal);
}

/**
 * The fields of configs, summaries and tags that the project's runs have.
 * @param {string} workspace
 * @param {string} project
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ field: string, runs: number }[]>}
 */
export async function runFields(workspace, project, signal) {
  return (await get(api("workspaces", workspace, "projects", project, "fields"), {}, signal)).fields;
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {{ runName?: string, tags?: string[], notes?: string }} changes
 */
export function editRun(workspace, project, run, changes) {
  return send("PATCH", api("workspaces", workspace, "projects", project, "runs", run), { body: changes });
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {boolean} isArchived
 */
export function archiveRun(workspace, project, run, isArchived) {
  return post(api("workspaces", workspace, "projects", project, "runs", run, isArchived ? "archive" : "restore"), {});
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 */
export function deleteRun(workspace, project, run) {
  return send("DELETE", api("workspaces", workspace, "projects", project, "runs", run));
}

/**
 * Ask a run to stop by itself.
 * @param {string} projectId
 * @param {string} run
 * @param {string} reason
 */
export function stopRun(projectId, run, reason) {
  return post(api("runs", run, "stop"), { projectId, reason });
}

/**
 * A text as the filter language writes it.
 * @param {string} text
 */
export function quoted(text) {
  return JSON.stringify(text);
}
