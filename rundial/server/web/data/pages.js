/** Lists that come in pages, each asked for when the one before has nearly been scrolled through. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

const AHEAD = 50;

/**
 * @typedef {object} Pages
 * @property {any[]} rows
 * @property {boolean} hasMore
 * @property {any[] | undefined} value The rows, undefined until the first page is here.
 * @property {any} first The whole first answer.
 * @property {unknown} error
 * @property {boolean} isStale Whether the rows are of the key before.
 * @property {(last: number) => void} reach Say which row is the last in sight.
 * @property {() => void} reload
 */

/**
 * @param {string} key Names what is wanted.
 * @param {string} field Of the answer: where its rows are.
 * @param {(cursor: string | null, signal: AbortSignal | undefined) => Promise<any>} load
 * @returns {Pages}
 */
export function usePages(key, field, load) {
  const [found, setFound] = useState({ key: "", rows: /** @type {any[]} */ ([]), next: /** @type {string | null} */ (null), first: /** @type {any} */ (null), error: /** @type {unknown} */ (null) });
  const [round, setRound] = useState(0);
  const now = useRef({ key, load, found, isBusy: false });
  Object.assign(now.current, { key, load, found });

  useEffect(() => {
    const leaving = new AbortController();
    load(null, leaving.signal)
      .then((answer) => setFound({ key, rows: answer[field], next: answer.page?.nextCursor ?? null, first: answer, error: null }))
      .catch((error) => {
        if (!leaving.signal.aborted) setFound({ key, rows: [], next: null, first: null, error });
      });
    return () => leaving.abort();
  }, [key, round]);

  const reach = useCallback((/** @type {number} */ last) => {
    const { found: held, key: wanted, isBusy } = now.current;
    if (isBusy || held.key !== wanted || held.next === null || last < held.rows.length - AHEAD) return;
    now.current.isBusy = true;
    now.current
      .load(held.next, undefined)
      .then((answer) => setFound((before) => (before === held ? { ...before, rows: [...before.rows, ...answer[field]], next: answer.page?.nextCursor ?? null } : before)))
      .catch((error) => setFound((before) => (before === held ? { ...before, error } : before)))
      .finally(() => (now.current.isBusy = false));
  }, [field]);

  const isOwn = found.key === key;
  return {
    rows: found.rows,
    hasMore: found.next !== null,
    value: found.first ? found.rows : undefined,
    first: found.first,
    error: isOwn ? found.error : null,
    isStale: !isOwn && found.first !== null,
    reach,
    reload: useCallback(() => setRound((before) => before + 1), []),
  };
}
