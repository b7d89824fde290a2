/** The table's rows: pages loaded as they are scrolled to, those in sight kept fresh, new runs put on top. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { pulse } from "../../data/pulse.js";
import { queryRuns, quoted } from "../../data/runs.js";
import { written } from "./state.js";

/** @typedef {import("../../data/runs.js").Run} Run */

const PAGE = 200;
// Whoever scrolls on wants to get somewhere: as many as the server gives at once.
const FURTHER = 1_000;
const FRESH_MS = 3_000;
const MOST_IN_SIGHT = 80;

/**
 * @typedef {object} Rows
 * @property {Run[]} rows
 * @property {boolean} hasMore
 * @property {boolean} isLoading Whether the first page is on its way.
 * @property {boolean} isStale Whether the rows are those of the state before.
 * @property {unknown} error
 * @property {(last: number) => void} reach Say which row is the last in sight.
 * @property {(first: number, last: number) => void} see Say which rows are in sight.
 * @property {() => void} reload
 */

/**
 * @param {string} workspace
 * @param {string} project
 * @param {import("./state.js").TableState} state
 * @returns {Rows}
 */
export function useRows(workspace, project, state) {
  const fields = [...new Set([...state.columns.filter((each) => !each.startsWith("spark.") && each !== "-"), "tags", ...(state.group ? [state.group] : [])])];
  const query = {
    filter: state.filter,
    search: state.search,
    orderBy: written(state.group || state.orderBy),
    order: state.group ? /** @type {const} */ ("asc") : state.order,
    columns: fields.map(written).join(","),
    archived: state.isArchived ? "true" : "",
  };
  const key = JSON.stringify([workspace, project, query]);
  const [shown, setShown] = useState({ key: "", rows: /** @type {Run[]} */ ([]), next: /** @type {string | null} */ (null), error: /** @type {unknown} */ (null) });
  const [round, setRound] = useState(0);
  const latest = useRef({ key, query, shown, isBusy: false, sight: [0, 40] });
  Object.assign(latest.current, { key, query, shown });

  useEffect(() => {
    const leaving = new AbortController();
    latest.current.isBusy = true;
    queryRuns(workspace, project, { ...query, limit: PAGE }, leaving.signal)
      .then((found) => setShown({ key, rows: found.runs, next: found.next, error: null }))
      .catch((error) => {
        if (!leaving.signal.aborted) setShown((before) => ({ ...before, key, rows: before.key === key ? before.rows : [], error }));
      })
      .finally(() => (latest.current.isBusy = false));
    return () => leaving.abort();
  }, [key, round]);

  const reach = useCallback((/** @type {number} */ last) => {
    const now = latest.current;
    const { rows, next, key: own } = now.shown;
    if (now.isBusy || next === null || own !== now.key || last < rows.length - PAGE / 2) return;
    now.isBusy = true;
    queryRuns(workspace, project, { ...now.query, limit: FURTHER, cursor: next })
      .then((found) => {
        setShown((before) => {
          if (before.key !== own || before.next !== next) return before;
          const known = new Set(before.rows.map((each) => each.runId));
          return { ...before, rows: [...before.rows, ...found.runs.filter((each) => !known.has(each.runId))], next: found.next, error: null };
        });
      })
      .catch((error) => setShown((before) => ({ ...before, error })))
      .finally(() => (now.isBusy = false));
  }, [workspace, project]);

  const see = useCallback((/** @type {number} */ first, /** @type {number} */ last) => {
    latest.current.sight = [first, last];
  }, []);

  useEffect(() => pulse((signal) => freshen(workspace, project, latest.current, setShown, signal), FRESH_MS), [workspace, project]);

  const isOwn = shown.key === key;
  return {
    rows: shown.rows,
    hasMore: shown.next !== null,
    isLoading: !isOwn && shown.rows.length === 0 && !shown.error,
    isStale: !isOwn,
    error: isOwn ? shown.error : null,
    reach,
    see,
    reload: useCallback(() => setRound((before) => before + 1), []),
  };
}

/**
 * Ask again for the rows in sight, and whether runs have come since.
 * @param {string} workspace
 * @param {string} project
 * @param {any} now
 * @param {(change: (before: any) => any) => void} setShown
 * @param {AbortSignal} signal
 */
async function freshen(workspace, project, now, setShown, signal) {
  const { key, query } = now;
  /** @type {Run[]} */
  const rows = now.shown.rows;
  if (now.shown.key !== key || now.isBusy) return;
  const [first, last] = now.sight;
  const seen = rows.slice(first, Math.min(last + 1, first + MOST_IN_SIGHT)).map((each) => each.runId);
  const isNewestFirst = query.orderBy === "startedAtMs" && query.order === "desc";
  const [known, top] = await Promise.all([
    seen.length
      ? queryRuns(workspace, project, { columns: query.columns, archived: query.archived, filter: `runId in (${seen.map(quoted).join(", ")})`, limit: seen.length }, signal)
      : { runs: /** @type {Run[]} */ ([]) },
    isNewestFirst || rows.length === 0 ? queryRuns(workspace, project, { ...query, limit: 20 }, signal) : { runs: /** @type {Run[]} */ ([]) },
  ]);
  if (signal.aborted) return;
  setShown((before) => (before.key === key ? { ...before, rows: merged(before.rows, known.runs, top.runs), error: null } : before));
}

/**
 * @param {Run[]} rows
 * @param {Run[]} fresh
 * @param {Run[]} top
 * @returns {Run[]} The same list when nothing has changed.
 */
function merged(rows, fresh, top) {
  const byId = new Map([...fresh, ...top].map((each) => [each.runId, each]));
  const have = new Set(rows.map((each) => each.runId));
  const fresher = top.filter((each) => !have.has(each.runId));
  let isChanged = fresher.length > 0;
  const kept = rows.map((row) => {
    const found = byId.get(row.runId);
    if (!found || JSON.stringify(found) === JSON.stringify(row)) return row;
    isChanged = true;
    return found;
  });
  return isChanged ? [...fresher, ...kept] : rows;
}
