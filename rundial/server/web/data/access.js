/** Who may do what: keys, people, agents, the audit log, and how long projects keep their runs. */

import { all } from "./places.js";
import { api, get, post, send } from "./api.js";

/**
 * @typedef {object} Key
 * @property {string} keyId
 * @property {string | null} label
 * @property {string[]} scopes
 * @property {number} createdAtMs
 * @property {number | null} expiresAtMs
 * @property {number | null} revokedAtMs
 * @property {number | null} lastUsedAtMs
 * @property {string} [agentId]
 */
/**
 * @typedef {object} Member
 * @property {string} userId
 * @property {string} email
 * @property {string} name
 * @property {string} role
 * @property {number} createdAtMs
 */
/**
 * @typedef {object} Agent
 * @property {string} agentId
 * @property {string} name
 * @property {string} status
 * @property {number} createdAtMs
 * @property {number | null} revokedAtMs
 */
/**
 * @typedef {object} Deed
 * @property {number} createdAtMs
 * @property {string} actorKind
 * @property {string} actorId
 * @property {string} action
 * @property {string} targetKind
 * @property {string} targetId
 * @property {string | null} agentId
 * @property {Record<string, unknown>} details
 */
/** @typedef {{ label: string, scopes: string[], expiresAtMs: number | null }} Wish */

/** What a key may be given, with what each means. */
export const SCOPES = /** @type {const} */ ([
  ["metrics:write", "write points"],
  ["logs:write", "write lines"],
  ["traces:write", "write spans"],
  ["artifacts:write", "write artifacts and media"],
  ["evals:write", "write evaluations"],
  ["project:read", "read everything of its projects"],
  ["stream:read", "follow lines as they come"],
  ["admin", "everything, also keys, people and deletion"],
]);
export const ROLES = /** @type {const} */ (["owner", "member", "viewer"]);

/**
 * The keys of a project, or without one those of the whole workspace.
 * @param {string} workspace
 * @param {string} project
 * @param {AbortSignal} [signal]
 * @returns {Promise<Key[]>}
 */
export async function keys(workspace, project, signal) {
  return (await get(keysAt(workspace, project), {}, signal)).keys;
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {Wish} wish
 * @returns {Promise<{ key: string, keyId: string }>} The one answer that holds the key's text.
 */
export function makeKey(workspace, project, { expiresAtMs, ...wish }) {
  return post(keysAt(workspace, project), expiresAtMs === null ? wish : { ...wish, expiresAtMs });
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} id
 */
export function revokeKey(workspace, project, id) {
  return post(`${keysAt(workspace, project)}/${encodeURIComponent(id)}/revoke`, {});
}

/**
 * @param {string} workspace
 * @param {AbortSignal} [signal]
 * @returns {Promise<Member[]>}
 */
export function members(workspace, signal) {
  return all(api("workspaces", workspace, "members"), "members", signal);
}

/**
 * @param {string} workspace
 * @param {{ email: string, role: string, name?: string, password?: string }} person
 */
export function addMember(workspace, person) {
  return post(api("workspaces", workspace, "members"), person);
}

/**
 * @param {string} workspace
 * @param {string} user
 * @param {string} role
 */
export function giveRole(workspace, user, role) {
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
 * @param {AbortSignal} [signal]
 * @returns {Promise<Agent[]>}
 */
export function agents(workspace, signal) {
  return all(api("workspaces", workspace, "agents"), "agents", signal);
}

/**
 * @param {string} workspace
 * @param {string} name
 */
export function makeAgent(workspace, name) {
  return post(api("workspaces", workspace, "agents"), { name });
}

/**
 * @param {string} workspace
 * @param {string} agent
 */
export function revokeAgent(workspace, agent) {
  return post(api("workspaces", workspace, "agents", agent, "revoke"), {});
}

/**
 * A key of an agent, for one project.
 * @param {string} workspace
 * @param {string} agent
 * @param {string} project
 * @param {Wish} wish
 * @returns {Promise<{ key: string, keyId: string }>}
 */
export function makeAgentKey(workspace, agent, project, { expiresAtMs, ...wish }) {
  return post(api("workspaces", workspace, "agents", agent, "api-keys"), { ...wish, projectSlug: project, ...(expiresAtMs === null ? {} : { expiresAtMs }) });
}

/**
 * A page of what was done, the newest first.
 * @param {string} workspace
 * @param {{ actorKind?: string | null, agentId?: string | null }} filter
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ events: Deed[], page: any }>}
 */
export function audit(workspace, filter, cursor, signal) {
  return get(api("workspaces", workspace, "audit"), { ...filter, limit: 100, cursor }, signal);
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {number | null} days Null keeps runs until somebody deletes them.
 */
export function keepRuns(workspace, project, days) {
  return send("PATCH", api("workspaces", workspace, "projects", project), { body: { retentionDays: days } });
}

/**
 * @param {string} workspace
 * @param {string} project
 */
function keysAt(workspace, project) {
  return project ? api("workspaces", workspace, "projects", project, "api-keys") : api("workspaces", workspace, "api-keys");
}
