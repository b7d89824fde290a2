/** Artifacts: versions, their files, what they came from, and what people do to them. */

import { api, get, post, send } from "./api.js";
import { ownUrl } from "./media.js";

/**
 * @typedef {object} Version
 * @property {string} artifactId
 * @property {string} name
 * @property {string} type
 * @property {string} kind
 * @property {string} versionName
 * @property {string[]} aliases
 * @property {number} sizeBytes
 * @property {number} fileCount
 * @property {string} digest
 * @property {number} createdAtMs
 * @property {string | null} runId
 * @property {string} state
 */
/**
 * @typedef {object} File
 * @property {string} path
 * @property {number} sizeBytes
 * @property {string} sha256
 * @property {string | null} contentType
 */
/**
 * @typedef {object} Node
 * @property {string} id
 * @property {"run" | "artifact"} kind
 * @property {string} name
 * @property {string} [status] Of a run.
 * @property {string} [runKind]
 * @property {string} [versionName] Of an artifact.
 * @property {string} [type]
 * @property {string} [state]
 */
/** @typedef {{ nodes: Node[], edges: { from: string, to: string, kind: string }[], truncated: boolean }} Graph */
/** @typedef {{ name?: string | null, type?: string | null, kind?: string | null, runId?: string | null }} Filter */

/**
 * A page of versions, the newest first.
 * @param {string} workspace
 * @param {string} project
 * @param {Filter} filter
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ artifacts: Version[], page: any }>}
 */
export function versions(workspace, project, filter, cursor, signal) {
  return get(at(workspace, project), { ...filter, limit: 200, cursor }, signal);
}

/**
 * One version with a page of its files.
 * @param {string} workspace
 * @param {string} project
 * @param {string} id
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 */
export function version(workspace, project, id, cursor, signal) {
  return get(at(workspace, project, id), { limit: 1000, cursor }, signal);
}

/**
 * Where the bytes of a file are for the next hour.
 * @param {string} projectId
 * @param {string} id
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>}
 */
export async function fileUrl(projectId, id, path, signal) {
  const found = await post(api("artifacts", "download"), { projectId, artifactId: id, path }, signal);
  return ownUrl(found.url);
}

/**
 * Give the browser a file to save; it is never shown as a page.
 * @param {string} projectId
 * @param {string} id
 * @param {string} path
 */
export async function save(projectId, id, path) {
  const link = document.createElement("a");
  link.href = await fileUrl(projectId, id, path);
  link.download = path.split("/").at(-1) ?? path;
  link.click();
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} id
 * @param {{ add?: string[], remove?: string[] }} change
 */
export function rename(workspace, project, id, change) {
  return post(at(workspace, project, id, "aliases"), { add: [], remove: [], ...change });
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} id
 * @param {boolean} isForced Also what an alias holds.
 */
export function removeVersion(workspace, project, id, isForced) {
  return send("DELETE", at(workspace, project, id) + (isForced ? "?force=true" : ""));
}

/**
 * What a run or a version came from and went into.
 * @param {string} workspace
 * @param {string} project
 * @param {{ runId?: string, artifactId?: string }} of
 * @param {number} depth
 * @param {AbortSignal} [signal]
 * @returns {Promise<Graph>}
 */
export function lineage(workspace, project, of, depth, signal) {
  return get(api("workspaces", workspace, "projects", project, "lineage"), { ...of, depth }, signal);
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {...string} more
 */
function at(workspace, project, ...more) {
  return api("workspaces", workspace, "projects", project, "artifacts", ...more);
}
