/** Who is signed in: asked once, and forgotten when the server says that nobody is. */

import { useEffect, useState } from "preact/hooks";

import { send } from "./api.js";

/**
 * @typedef {object} Who
 * @property {"user" | "api_key"} principal
 * @property {string} name What people call them.
 * @property {string} serverId
 */

/** @type {Who | null | undefined} Undefined until it was asked. */
let who;
/** @type {Set<() => void>} */
const listeners = new Set();

/**
 * Ask who this is, unless it is known.
 * @returns {Promise<Who | null>}
 */
export async function ask() {
  if (who !== undefined) return who;
  const found = await send("GET", "/api/v1/auth/whoami", { isSigningIn: true }).catch((error) => {
    if (error.status === 401) return null;
    throw error;
  });
  set(found && read(found));
  return who ?? null;
}

/** @param {{ email: string, password: string }} credentials */
export async function signIn(credentials) {
  set(read(await send("POST", "/api/v1/auth/login/credentials", { body: credentials, isSigningIn: true })));
}

/** @param {string} key An API key; the server keeps it in no address and the page in no storage. */
export async function signInWithKey(key) {
  set(read(await send("POST", "/api/v1/auth/login/key", { body: {}, key, isSigningIn: true })));
}

/** End the session. */
export async function signOut() {
  await send("POST", "/api/v1/auth/logout", { body: {} });
  set(null);
}

/** The session is over, the server said. */
export function forget() {
  set(null);
}

/** Who is signed in, and again when that changes. */
export function useWho() {
  const [shown, setShown] = useState(who);
  useEffect(() => {
    const listener = () => setShown(who);
    listeners.add(listener);
    listener();
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return shown;
}

/**
 * @param {any} found
 * @returns {Who}
 */
function read(found) {
  const { user, apiKey: key, agent } = found;
  return {
    principal: found.principal,
    name: user ? user.name || user.email : agent?.name || key.label || "API key",
    serverId: found.serverId,
  };
}

/** @param {Who | null} next */
function set(next) {
  who = next;
  for (const listener of [...listeners]) listener();
}
