/** A run's text: the latest lines, as they come; filtered by level and text; around a time. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf, setParams, usePlace } from "../../app/router.js";
import { Empty, Failed, Waiting, messageOf } from "../../app/states.js";
import { clock, date } from "../../data/format.js";
import { LEVELS, keyOf, logStream, queryLogs } from "../../data/logs.js";
import { follow } from "../../data/stream.js";

/** @typedef {import("../../data/logs.js").LogLine} LogLine */

const PAGE = 400;
const MOST_SHOWN = 4_000;
const TYPING_MS = 300;

/** @param {import("./view.js").TabProps} props */
export function LogsTab({ workspace, project, run, details, isLive }) {
  const { params } = usePlace();
  const query = useMemo(() => {
    const text = params.get("text") ?? "";
    const isPattern = params.get("re") === "1";
    return { minLevel: params.get("level") ?? "", ...(isPattern ? { pattern: text } : { text }) };
  }, [params.get("text"), params.get("re"), params.get("level")]);
  const at = Number(params.get("at")) || 0;
  const lines = useLines(details.projectId, run, query, at, isLive);
  const base = pathOf("w", workspace, project, "runs", run);

  return html`<div class="logs-view">
    <${LogBar} params=${params} state=${lines.state} isLive=${isLive} at=${at} />
    ${lines.error && lines.rows.length > 0 && html`<p class="notice bad" role="alert">${messageOf(lines.error)}</p>`}
    ${lines.rows.length > 0
      ? html`<${LineList} lines=${lines} base=${base} at=${at} />`
      : lines.error
        ? html`<${Failed} error=${lines.error} what="The lines" onRetry=${lines.reload} />`
        : lines.isLoading
          ? html`<${Waiting} what="the lines" />`
          : html`<${Empty} title=${query.minLevel || params.get("text") ? "No line fits" : "No text yet"}><p>${query.minLevel || params.get("text") ? "Change the level or the text." : html`<code>run.log_text(…)</code>, the console and Python's logging appear here.`}</p></${Empty}>`}
  </div>`;
}

/** @param {{ params: URLSearchParams, state: string, isLive: boolean, at: number }} props */
function LogBar({ params, state, isLive, at }) {
  const [text, setText] = useState(params.get("text") ?? "");
  useEffect(() => {
    if (text === (params.get("text") ?? "")) return undefined;
    const timer = setTimeout(() => setParams({ text }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const level = params.get("level") ?? "";
  return html`<div class="bar" role="search">
    <input type="search" data-search="" aria-label="Search lines" placeholder="Search lines" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    <label><input type="checkbox" checked=${params.get("re") === "1"} onChange=${() => setParams({ re: params.get("re") === "1" ? null : "1" })} /> regular expression</label>
    <label>Level <select onChange=${(/** @type {any} */ event) => setParams({ level: event.target.value })}>
      <option value="" selected=${!level}>all</option>${LEVELS.slice(1).map((each) => html`<option value=${each} selected=${each === level}>${each} and above</option>`)}</select></label>
    <label>Jump to <input type="datetime-local" step="1" onChange=${(/** @type {any} */ event) => setParams({ at: event.target.value ? String(new Date(event.target.value).getTime()) : null })} /></label>
    ${at > 0 && html`<button type="button" class="small" onClick=${() => setParams({ at: null })}>To the newest</button>`}
    <span class="grow"></span>
    ${isLive && at === 0 && html`<span class="muted" role="status">${state === "live" ? "following" : state === "polling" ? "asking every 2 s: streams do not come through" : "connecting…"}</span>`}
  </div>`;
}

/** @param {{ lines: ReturnType<typeof useLines>, base: string, at: number }} props */
function LineList({ lines, base, at }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const isAtEnd = useRef(true);
  const height = useRef(0);
  const first = lines.rows[0];
  const before = useRef(first);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    // Older lines that were put on top must not move what is being read.
    if (before.current && first && before.current !== first && !isAtEnd.current) element.scrollTop += element.scrollHeight - height.current;
    else if (isAtEnd.current && at === 0) element.scrollTop = element.scrollHeight;
    before.current = first;
    height.current = element.scrollHeight;
  }, [lines.rows]);
  useLayoutEffect(() => {
    if (at > 0) box.current?.querySelector(".log-line.at")?.scrollIntoView({ block: "center" });
  }, [at, lines.isLoading]);

  const scrolled = () => {
    const element = box.current;
    if (!element) return;
    isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
    if (element.scrollTop < 200) lines.older();
    if (isAtEnd.current) lines.newer();
  };
  const marked = at > 0 ? lines.rows.findIndex((each) => each.timestampMs >= at) : -1;
  return html`<div class="log-lines" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-label="Lines" aria-live="off">
    ${lines.hasOlder && html`<button type="button" class="small" onClick=${lines.older}>Older lines</button>`}
    ${lines.rows.map((line, index) => html`<${Line} key=${keyOf(line)} line=${line} base=${base} isAt=${index === marked} />`)}
  </div>`;
}

/** @param {{ line: LogLine, base: string, isAt: boolean }} props */
function Line({ line, base, isAt }) {
  const seconds = line.timestampMs / 1000;
  return html`<div class=${`log-line ${isAt ? "at" : ""}`} data-level=${line.level}>
    <time title=${date(line.timestampMs)}>${clock(line.timestampMs)}</time>
    <span class="level">${line.level}</span>
    <span class="message">${line.message}${line.truncated && html`<span class="muted"> … cut when it was recorded</span>`}</span>
    <span class="links">${line.step !== null && html`<span class="muted">step ${line.step}</span>`}
      ${line.traceId && html`<a href=${`${base}/traces?${new URLSearchParams({ trace: line.traceId, span: line.spanId ?? "" })}`}>span</a>`}
      <a href=${`${base}?x=time&zoom=${seconds - 30}~${seconds + 30}`}>charts</a></span>
  </div>`;
}

/**
 * The lines in sight and around it, oldest first.
 * @param {string} projectId
 * @param {string} run
 * @param {import("../../data/logs.js").LogQuery} query
 * @param {number} at Around which time, milliseconds; 0 is the newest.
 * @param {boolean} isLive
 */
function useLines(projectId, run, query, at, isLive) {
  const [shown, setShown] = useState({ rows: /** @type {LogLine[]} */ ([]), older: /** @type {string | null} */ (null), newer: /** @type {string | null} */ (null), isLoading: true, error: /** @type {unknown} */ (null) });
  const [state, setState] = useState("waiting");
  const [round, setRound] = useState(0);
  const isBusy = useRef(false);
  const latest = useRef(shown);
  latest.current = shown;
  const key = JSON.stringify([projectId, run, query, at, round]);

  useEffect(() => {
    const leaving = new AbortController();
    setShown((before) => ({ ...before, rows: [], isLoading: true, error: null }));
    isBusy.current = true;
    const ask = async () => {
      const back = queryLogs(projectId, run, { ...query, order: "desc", limit: PAGE, ...(at ? { endMs: at - 1 } : {}) }, leaving.signal);
      const on = at ? queryLogs(projectId, run, { ...query, order: "asc", limit: PAGE, startMs: at }, leaving.signal) : null;
      const [before, after] = await Promise.all([back, on]);
      setShown({ rows: [...before.rows.reverse(), ...(after?.rows ?? [])], older: before.next, newer: after?.next ?? null, isLoading: false, error: null });
    };
    ask()
      .catch((error) => { if (!leaving.signal.aborted) setShown((before) => ({ ...before, isLoading: false, error })); })
      .finally(() => (isBusy.current = false));
    return () => leaving.abort();
  }, [key]);

  useEffect(() => {
    if (!isLive || at > 0) return undefined;
    const add = (/** @type {LogLine[]} */ fresh) => setShown((before) => (before.isLoading ? before : { ...before, rows: joined(before.rows, fresh) }));
    /** @type {LogLine[]} */
    let waiting = [];
    let frame = 0;
    const flush = () => {
      frame = 0;
      add(waiting);
      waiting = [];
    };
    const stop = follow(logStream(projectId, run, query), {
      events: {
        line: (line) => {
          waiting.push(line);
          frame ||= requestAnimationFrame(flush);
        },
      },
      poll: async (signal) => {
        const last = latest.current.rows.at(-1);
        const found = await queryLogs(projectId, run, { ...query, order: "asc", limit: 1000, ...(last ? { startMs: last.timestampMs } : {}) }, signal);
        if (!signal.aborted) add(found.rows);
      },
      onState: setState,
    });
    return () => {
      cancelAnimationFrame(frame);
      stop();
    };
  }, [key, isLive]);

  /** @param {"older" | "newer"} way */
  const more = (way) => {
    const cursor = latest.current[way];
    if (isBusy.current || cursor === null) return;
    isBusy.current = true;
    const order = way === "older" ? "desc" : "asc";
    const range = at ? (way === "older" ? { endMs: at - 1 } : { startMs: at }) : {};
    queryLogs(projectId, run, { ...query, order, limit: PAGE, cursor, ...range })
      .then((found) => setShown((before) => ({ ...before, rows: way === "older" ? [...found.rows.reverse(), ...before.rows] : [...before.rows, ...found.rows], [way]: found.next, error: null })))
      .catch((error) => setShown((before) => ({ ...before, error })))
      .finally(() => (isBusy.current = false));
  };
  return {
    rows: shown.rows,
    isLoading: shown.isLoading,
    error: shown.error,
    hasOlder: shown.older !== null,
    state,
    older: () => more("older"),
    newer: () => more("newer"),
    reload: () => setRound((before) => before + 1),
  };
}

/**
 * Lines with fresh ones at the end; those that are there already are not put twice.
 * @param {LogLine[]} rows
 * @param {LogLine[]} fresh
 */
function joined(rows, fresh) {
  const known = new Set(rows.slice(-2_000).map(keyOf));
  const added = fresh.filter((each) => !known.has(keyOf(each)));
  return added.length === 0 ? rows : [...rows, ...added].slice(-MOST_SHOWN);
}
