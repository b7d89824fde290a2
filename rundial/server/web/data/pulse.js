/**
 * Asking again and again, without hurting the server: never two requests at once, never in a hidden tab, more
 * and more slowly while it fails, and never all tabs at the same moment.
 */

const SLOWEST_MS = 60_000;

/**
 * Run a job now and then again, each time so long after it has ended.
 * @param {(signal: AbortSignal) => Promise<unknown>} job
 * @param {number} everyMs
 * @returns {() => void} Ends it, and the request that is on its way.
 */
export function pulse(job, everyMs) {
  const leaving = new AbortController();
  let failures = 0;
  let isBusy = false;
  let isDue = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const beat = async () => {
    timer = undefined;
    if (document.hidden) {
      isDue = true;
      return;
    }
    isBusy = true;
    isDue = false;
    try {
      await job(leaving.signal);
      failures = 0;
    } catch {
      failures += 1;
    }
    isBusy = false;
    if (leaving.signal.aborted) return;
    const wait = Math.min(SLOWEST_MS, everyMs * 2 ** Math.min(failures, 6));
    timer = setTimeout(beat, wait * (0.9 + 0.2 * Math.random()));
  };
  const seen = () => {
    if (!document.hidden && isDue && !isBusy) void beat();
  };

  document.addEventListener("visibilitychange", seen);
  void beat();
  return () => {
    leaving.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}
