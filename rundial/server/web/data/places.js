/** Workspaces and their projects. */

import { api, get } from "./api.js";

/**
 * @typedef {object} Workspace
 * @property {string} workspaceSlug
 * @property {string} name
 * @property {string | null} role
 */
/**
 * @typedef {object} Project
 * @property {string} projectSlug
 * @property {string} name
 * @property {string} projectId
 * @property {number} runCount
 * @property {number | null} retentionDays How long runs are kept; null is for ever.
 */

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<Workspace[]>}
 */
export function workspaces(signal) {
  return all(api("workspaces"), "workspaces", signal);
}

/**
 * @param {string} workspace
 * @param {AbortSignal} [signal]
 * @returns {Promise<Project[]>}
 */
export function projects(workspace, signal) {
  return all(api("workspaces", workspace, "projects"), "projects", signal);
}

/** @type {Map<string, Promise<string>>} */
const known = new Map();

/**
 * A project's id, which the routes that read records take.
 * @param {string} workspace
 * @param {string} project
 * @returns {Promise<string>}
 */
export function projectId(workspace, project) {
  const name = JSON.stringify([workspace, project]);
  const before = known.get(name);
  if (before) return before;
  const asked = projects(workspace).then((found) => {
    const own = found.find((each) => each.projectSlug === project);
    if (own) return own.projectId;
    throw new Error(`there is no project ${project} here, or it is not yours to read`);
  });
  asked.catch(() => known.delete(name));
  known.set(name, asked);
  return asked;
}

/**
 * All pages of a list.
 * @param {string} path
 * @param {string} field
 * @param {AbortSignal} [signal]
 * @param {Record<string, string | number | null>} [params]
 * @returns {Promise<any[]>}
 */
export async function all(path, field, signal, params = {}) {
  const found = [];
  let cursor = null;
  do {
    const answer = await get(path, { ...params, limit: 200, cursor }, signal);
    found.push(...answer[field]);
    cursor = answer.page?.nextCursor ?? null;
  } while (cursor !== null);
  return found;
}
