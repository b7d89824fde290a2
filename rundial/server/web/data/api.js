/** Requests to the server: JSON in and out, failures as `ApiError`, and who is not signed in is told so once. */

export class ApiError extends Error {
  /**
   * @param {number} status 0 when the server was not reached.
   * @param {{ code?: string, message?: string, details?: Record<string, any> }} said
   * @param {string} [requestId]
   */
  constructor(status, said, requestId = "") {
    super(said.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = said.code ?? "";
    /** @type {Record<string, any>} */
    this.details = said.details ?? {};
    this.hint = String(this.details["hint"] ?? "");
    this.requestId = requestId;
  }
}

/** @type {() => void} */
let whenSignedOut = () => {};

/**
 * Say what happens when an answer says that nobody is signed in.
 * @param {() => void} listener
 */
export function onSignedOut(listener) {
  whenSignedOut = listener;
}

/**
 * @typedef {object} Wanted
 * @property {unknown} [body] Sent as JSON.
 * @property {AbortSignal} [signal] Ends the request when its reader has left.
 * @property {string} [key] An API key to send; otherwise the session's cookie speaks.
 * @property {boolean} [isSigningIn] A 401 is the answer then, and no reason to go elsewhere.
 */

/**
 * Send a request.
 * @param {string} method
 * @param {string} path Begins with `/api/v1/`.
 * @param {Wanted} [wanted]
 * @returns {Promise<any>} The JSON of the answer.
 * @throws {ApiError}
 */
export async function send(method, path, wanted = {}) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (wanted.body !== undefined) headers["content-type"] = "application/json";
  if (wanted.key) headers["authorization"] = `Bearer ${wanted.key}`;
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: wanted.body === undefined ? null : JSON.stringify(wanted.body),
      signal: wanted.signal ?? null,
      credentials: "same-origin",
    });
  } catch (error) {
    if (wanted.signal?.aborted) throw error;
    throw new ApiError(0, { code: "UNREACHED", message: "the server cannot be reached", details: { hint: "it may be starting, or the network is away" } });
  }
  const found = await answer.json().catch(() => null);
  if (wanted.signal?.aborted) throw new DOMException("left", "AbortError");
  if (answer.ok && found !== null) return found;
  if (answer.status === 401 && !wanted.isSigningIn) whenSignedOut();
  throw new ApiError(answer.status, found?.error ?? {}, found?.requestId);
}

/**
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [params] Those without a value are left out.
 * @param {AbortSignal} [signal]
 */
export function get(path, params = {}, signal) {
  const kept = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
  return send("GET", text ? `${path}?${text}` : path, signal ? { signal } : {});
}

/**
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal} [signal]
 */
export function post(path, body, signal) {
  return send("POST", path, signal ? { body, signal } : { body });
}

/**
 * A path of the API from its parts.
 * @param {...string} parts
 * @returns {string}
 */
export function api(...parts) {
  return "/api/v1/" + parts.map(encodeURIComponent).join("/");
}
