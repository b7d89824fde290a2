/** Media of a run: which keys there are, what was shown at a step, and the bytes. */

import { api, ApiError, get } from "./api.js";

/**
 * @typedef {object} Key
 * @property {string} mediaKey
 * @property {string} mediaType
 * @property {number} count
 * @property {number} firstStep
 * @property {number} lastStep
 */
/**
 * @typedef {object} Shown
 * @property {string} mediaKey
 * @property {string} mediaType
 * @property {number} step
 * @property {number} timestampMs
 * @property {string} path
 * @property {string} sha256
 * @property {number | null} sizeBytes
 * @property {string} contentType
 * @property {string | null} caption
 * @property {number | null} width
 * @property {number | null} height
 * @property {Record<string, unknown>} metadata
 * @property {string | null} artifactId
 * @property {"pending" | "stored"} state
 * @property {string | null} url
 */
/** @typedef {{ workspace: string, project: string, run: string }} Place */

// Of one step: what a grid shows. The server's own limit for a page.
const MOST = 200;
const SMALL = 64 * 1024 * 1024;

/**
 * @param {Place} place
 * @param {AbortSignal} [signal]
 * @returns {Promise<Key[]>}
 */
export async function mediaKeys(place, signal) {
  return (await get(at(place) + "/keys", {}, signal)).keys;
}

/**
 * What a key showed last, up to a step: everything of that one step.
 * @param {Place} place
 * @param {string} key
 * @param {number | null} step The last step that may be shown; null is any.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Shown[]>}
 */
export async function shownAt(place, key, step, signal) {
  const found = await get(at(place), { key, endStep: step, order: "desc", limit: MOST }, signal);
  /** @type {Shown[]} */
  const rows = found.media;
  return rows.filter((each) => each.step === rows[0]?.step).reverse();
}

/**
 * The step before or after one at which anything was shown.
 * @param {Place} place
 * @param {number} step
 * @param {-1 | 1} way
 * @returns {Promise<number | null>}
 */
export async function stepBeside(place, step, way) {
  const found = await get(at(place), way > 0 ? { startStep: step + 1, limit: 1 } : { endStep: step - 1, order: "desc", limit: 1 });
  return found.media[0]?.step ?? null;
}

/**
 * Rows of a key over all its steps: all of them, or so many at even distances.
 * @param {Place} place
 * @param {Key} key
 * @param {number} most
 * @param {AbortSignal} [signal]
 * @returns {Promise<Shown[]>}
 */
export async function overSteps(place, key, most, signal) {
  if (key.count <= most) return (await get(at(place), { key: key.mediaKey, limit: most }, signal)).media;
  const width = (key.lastStep - key.firstStep) / (most - 1);
  const steps = Array.from({ length: most }, (_, index) => Math.round(key.firstStep + width * index));
  const pages = await inTurn(steps, (step) => get(at(place), { key: key.mediaKey, endStep: step, order: "desc", limit: 1 }, signal));
  const rows = new Map(pages.flatMap((each) => each.media).map((each) => [each.step, each]));
  return [...rows.values()];
}

/**
 * The bytes of a row; the server's address for them holds the right to read them.
 * @param {{ url: string | null }} row
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
export async function bytes(row, signal) {
  if (row.url === null) throw new ApiError(0, { message: "its bytes have not arrived yet" });
  const answer = await fetch(ownUrl(row.url), { signal: signal ?? null, credentials: "omit" }).catch((error) => {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { message: "its bytes cannot be fetched", details: { hint: "the store of files may not be reached from this browser" } });
  });
  if (!answer.ok) throw new ApiError(answer.status, { message: "its bytes are not there any more" });
  if (Number(answer.headers.get("content-length") ?? 0) > SMALL) throw new ApiError(0, { message: "it is too large to be shown here" });
  return answer;
}

/**
 * JSON of a row.
 * @param {{ url: string | null }} row
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function json(row, signal) {
  const answer = await bytes(row, signal);
  try {
    return await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { message: "its bytes are not JSON" });
  }
}

/**
 * The address of bytes as this page may ask for it: behind a proxy the server may not know its own name.
 * @param {string} url
 */
export function ownUrl(url) {
  const { pathname } = new URL(url, location.origin);
  return pathname.startsWith("/api/v1/blobs/") ? pathname : url;
}

/**
 * Do a job for each of a list, a few at once.
 * @template T, R
 * @param {T[]} list
 * @param {(each: T) => Promise<R>} job
 * @param {number} [atOnce]
 * @returns {Promise<R[]>} In the list's order.
 */
export async function inTurn(list, job, atOnce = 6) {
  /** @type {R[]} */
  const found = new Array(list.length);
  let next = 0;
  const work = async () => {
    while (next < list.length) {
      const index = next++;
      found[index] = await job(/** @type {T} */ (list[index]));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, list.length) }, work));
  return found;
}

/** @param {Place} place */
function at({ workspace, project, run }) {
  return api("workspaces", workspace, "projects", project, "runs", run, "media");
}
