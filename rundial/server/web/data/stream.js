/**
 * Following a stream of server-sent events: shut while the tab is hidden, opened again with patience after it
 * was cut, and replaced by asking now and then where streams do not come through.
 */

import { pulse } from "./pulse.js";

const FIRST_WAIT_MS = 1_000;
const SLOWEST_MS = 60_000;
const POLL_MS = 2_000;
/** So often in a row without a single event, and something between here and the server holds streams back. */
const ENOUGH_FAILURES = 3;

/**
 * @param {string} address
 * @param {{
 *   events: Record<string, (data: any, id: string) => void>,
 *   poll: (signal: AbortSignal) => Promise<unknown>,
 *   onState?: (state: "live" | "polling" | "waiting") => void,
 * }} how `poll` asks for what came since; it also catches up after each time that the stream was shut.
 * @returns {() => void} Ends it.
 */
export function follow(address, { events, poll, onState = () => {} }) {
  /** @type {EventSource | null} */
  let source = null;
  /** @type {() => void} */
  let stopPolling = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let failures = 0;
  let isOver = false;
  const catching = new AbortController();

  const shut = () => {
    source?.close();
    source = null;
    clearTimeout(timer);
  };
  const retry = () => {
    shut();
    if (isOver) return;
    failures += 1;
    if (failures === ENOUGH_FAILURES) {
      onState("polling");
      stopPolling = pulse(poll, POLL_MS);
    } else if (failures < ENOUGH_FAILURES) onState("waiting");
    timer = setTimeout(open, Math.min(SLOWEST_MS, FIRST_WAIT_MS * 2 ** failures) * (0.8 + 0.4 * Math.random()));
  };
  const heard = () => {
    failures = 0;
    stopPolling();
    stopPolling = () => {};
    onState("live");
  };
  const open = () => {
    if (isOver || document.hidden || source) return;
    source = new EventSource(address);
    source.addEventListener("error", retry);
    source.addEventListener("end", () => {
      failures = 0;
      retry();
    });
    for (const [name, listener] of Object.entries(events)) {
      source.addEventListener(name, (event) => {
        if (failures > 0) heard();
        listener(JSON.parse(event.data), event.lastEventId);
      });
    }
    source.onopen = () => {
      heard();
      // What came between the last look and now is in no stream.
      poll(catching.signal).catch(() => {});
    };
  };
  const seen = () => {
    if (document.hidden) shut();
    else open();
  };

  document.addEventListener("visibilitychange", seen);
  open();
  return () => {
    isOver = true;
    shut();
    stopPolling();
    catching.abort();
    document.removeEventListener("visibilitychange", seen);
  };
}
