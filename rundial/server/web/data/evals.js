/** Evaluations: runs of suites, their results, and two of them side by side. */

import { api, get, post } from "./api.js";

/**
 * @typedef {object} EvalRun
 * @property {string} evalRunId
 * @property {string} runId
 * @property {string} runName
 * @property {string} runStatus
 * @property {string | null} suiteId
 * @property {string} suiteName
 * @property {number} startedAtMs
 * @property {{ examples: number, results: number, passed: number, failed: number, unjudged: number }} counts
 */
/**
 * @typedef {object} Result
 * @property {string} exampleId
 * @property {string} scorer
 * @property {number | null} score
 * @property {boolean | null} passed
 * @property {string | null} traceId
 * @property {string | null} spanId
 * @property {any} evidenceRef
 * @property {Record<string, unknown>} meta
 */
/** @typedef {"regressed" | "missing" | "improved" | "new" | "unchanged"} Status */
/**
 * @typedef {object} Difference
 * @property {string} exampleId
 * @property {string} scorer
 * @property {Status} status
 * @property {number | null} delta
 * @property {number | null} baselineScore
 * @property {number | null} candidateScore
 * @property {boolean | null} baselinePassed
 * @property {boolean | null} candidatePassed
 * @property {string | null} baselineTraceId
 * @property {string | null} candidateTraceId
 */

/**
 * @param {string} workspace
 * @param {string} project
 * @param {{ suite?: string | null }} filter
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ evalRuns: EvalRun[], page: any }>}
 */
export function evalRuns(workspace, project, filter, cursor, signal) {
  return get(at(workspace, project), { ...filter, limit: 200, cursor }, signal);
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} id
 * @param {AbortSignal} [signal]
 */
export function evalRun(workspace, project, id, signal) {
  return get(at(workspace, project, id), {}, signal);
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} id
 * @param {{ scorer?: string, outcome?: string }} filter
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ rows: Result[], page: any }>}
 */
export function results(workspace, project, id, filter, cursor, signal) {
  return get(at(workspace, project, id, "results"), { ...filter, limit: 200, cursor }, signal);
}

/**
 * @param {string} projectId
 * @param {string} baseline
 * @param {string} candidate
 * @param {{ scorer?: string, status?: string }} filter
 * @param {string | null} cursor
 * @param {AbortSignal} [signal]
 */
export function difference(projectId, baseline, candidate, { scorer, status }, cursor, signal) {
  const body = { projectId, baselineEvalRunId: baseline, candidateEvalRunId: candidate, limit: 200 };
  return post(api("query", "evals", "diff"), { ...body, ...(scorer ? { scorer } : {}), ...(status ? { statuses: [status] } : {}), ...(cursor ? { cursor } : {}) }, signal);
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {...string} more
 */
function at(workspace, project, ...more) {
  return api("workspaces", workspace, "projects", project, "evals", "runs", ...more);
}
