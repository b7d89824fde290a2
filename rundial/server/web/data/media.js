/** Pictures, tables, histograms and figures that a run logged; and files of artifacts. */

import { all } from "./places.js";
import { api, get, post, send } from "./api.js";

/**
 * @typedef {object} MediaKey
 * @property {string} mediaKey
 * @property {string} mediaType
 * @property {number} count
 */
/**
 * @typedef {object} MediaItem
 * @property {string} mediaKey
 * @property {string} mediaType
 * @property {number} step
 * @property {number} timestampMs
 * @property {string} path
 * @property {number} sizeBytes
 * @property {string} contentType
 * @property {string | null} caption
 * @property {number | null} width
 * @property {number | null} height
 * @property {string} state
 * @property {string | null} url
 */

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {AbortSignal} [signal]
 * @returns {Promise<MediaKey[]>}
 */
export async function mediaKeys(workspace, project, run, signal) {
  return (await get(api("workspaces", workspace, "projects", project, "runs", run, "media", "keys"), {}, signal)).keys;
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 * @param {string} key
 * @param {AbortSignal} [signal]
 * @returns {Promise<MediaItem[]>}
 */
export function mediaOf(workspace, project, run, key, signal) {
  return all(api("workspaces", workspace, "projects", project, "runs", run, "media"), "media", signal, { key });
}

/**
 * Where a page of this server finds bytes: below its own address, whichever of the server's names was used.
 * @param {string} url
 */
export function bytesAddress(url) {
  const found = new URL(url, location.origin);
  return found.pathname.startsWith("/api/v1/blobs/") ? found.pathname : url;
}

/**
 * The JSON of a file.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function jsonOf(url, signal) {
  return send("GET", bytesAddress(url), signal ? { signal } : {});
}

/**
 * A URL that downloads a file of an artifact.
 * @param {string} projectId
 * @param {string} artifactId
 * @param {string} path
 * @returns {Promise<string>}
 */
export async function downloadUrl(projectId, artifactId, path) {
  return bytesAddress((await post(api("artifacts", "download"), { projectId, artifactId, path })).url);
}
