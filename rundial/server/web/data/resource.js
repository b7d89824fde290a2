/** A value of the server in a view: loaded, kept fresh, and let go when the view is left. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { pulse } from "./pulse.js";

/**
 * @template T
 * @typedef {object} Resource
 * @property {T | undefined} value What was loaded last; undefined until then.
 * @property {unknown} error Why the last attempt failed; null when it did not.
 * @property {boolean} isStale Whether the value is of another key, kept until the new one comes.
 * @property {() => void} reload
 */

/**
 * Load a value whenever its key changes, and again while `everyMs` says so.
 * @template T
 * @param {string | null} key Names what is wanted; null wants nothing.
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {{ everyMs?: number, keeps?: boolean }} [how] `keeps` shows the old key's value until the new one's comes.
 * @returns {Resource<T>}
 */
export function useResource(key, load, how = {}) {
  const [found, setFound] = useState(/** @type {{ key: string | null, value?: T, error: unknown }} */ ({ key: null, error: null }));
  const [round, setRound] = useState(0);
  const loading = useRef(load);
  loading.current = load;
  const everyMs = how.everyMs ?? 0;

  useEffect(() => {
    if (key === null) return undefined;
    const job = async (/** @type {AbortSignal} */ signal) => {
      try {
        const value = await loading.current(signal);
        if (!signal.aborted) setFound({ key, value, error: null });
      } catch (error) {
        if (!signal.aborted) {
          setFound((before) => (before.key === key && "value" in before ? { ...before, error } : { key, error }));
        }
        throw error;
      }
    };
    if (everyMs > 0) return pulse(job, everyMs);
    const leaving = new AbortController();
    job(leaving.signal).catch(() => {});
    return () => leaving.abort();
  }, [key, everyMs, round]);

  const reload = useCallback(() => setRound((before) => before + 1), []);
  const isOwn = found.key === key;
  const isShown = isOwn || (how.keeps === true && found.value !== undefined);
  return {
    value: isShown ? found.value : undefined,
    error: isOwn ? found.error : null,
    isStale: isShown && !isOwn,
    reload,
  };
}
