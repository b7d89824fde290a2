/** Keys, members, the record of deeds, and how long runs are kept. */

import { all } from "./places.js";
import { api, get, post, send } from "./api.js";

export const SCOPES = ["metrics:write", "logs:write", "traces:write", "evals:write", "artifacts:write", "project:read", "stream:read", "admin"];
export const DEFAULT_SCOPES = SCOPES.filter((each) => each !== "admin");
export const ROLES = ["owner", "member", "viewer"];

/**
 * Where keys are made and listed: a project's, or with an empty one the whole workspace's.
 * @param {string} workspace
 * @param {string} project
 */
function place(workspace, project) {
  return project ? api("workspaces", workspace, "projects", project, "api-keys") : api("workspaces", workspace, "api-keys");
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {AbortSignal} [signal]
 * @returns {Promise<any[]>}
 */
export async function keysOf(workspace, project, signal) {
  return (await get(place(workspace, project), {}, signal)).keys;
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {{ label: string, scopes: string[], expiresAtMs?: number }} wanted
 * @returns {Promise<{ key: string, keyId: string }>}
 */
export function makeKey(workspace, project, wanted) {
  return post(place(workspace, project), wanted);
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} keyId
 */
export function revokeKey(workspace, project, keyId) {
  return post(`${place(workspace, project)}/${encodeURIComponent(keyId)}/revoke`, {});
}

/**
 * @param {string} workspace
 * @param {AbortSignal} [signal]
 * @returns {Promise<any[]>}
 */
export function membersOf(workspace, signal) {
  return all(api("workspaces", workspace, "members"), "members", signal);
}

/**
 * @param {string} workspace
 * @param {{ email: string, role: string, name?: string, password?: string }} member
 */
export function addMember(workspace, member) {
  return post(api("workspaces", workspace, "members"), member);
}

/**
 * @param {string} workspace
 * @param {string} user
 * @param {string} role
 */
export function setRole(workspace, user, role) {
  return post(api("workspaces", workspace, "members", user, "role"), { role });
}

/**
 * @param {string} workspace
 * @param {string} user
 */
export function removeMember(workspace, user) {
  return post(api("workspaces", workspace, "members", user, "remove"), {});
}

/**
 * @param {string} workspace
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 */
export function deeds(workspace, cursor, signal) {
  return get(api("workspaces", workspace, "audit"), { limit: 100, cursor }, signal);
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {number | null} days Null keeps runs for ever.
 */
export function setRetention(workspace, project, days) {
  return send("PATCH", api("workspaces", workspace, "projects", project), { body: { retentionDays: days } });
}
