/**
 * The curves that charts show: asked for together, kept, and followed while the run goes on.
 *
 * A chart that comes into sight wants its metric and one that leaves it does not, so a page of a thousand
 * metrics asks for those that somebody sees. While runs go on, what came after the last known step of each is
 * added; once a curve has grown by half it is asked for anew, so that it stays as coarse as it should be.
 */

import { withTail } from "../charts/lines.js";
import { pulse } from "./pulse.js";
import { buckets, points } from "./series.js";

/** @typedef {import("../charts/lines.js").Curve} Curve */

const LIVE_MS = 1_000;

export class Curves {
  /**
   * @param {string} projectId
   * @param {string[]} runIds
   * @param {{ most: number, range?: import("./series.js").Range, xMetric?: string }} how `most` buckets a series;
   *   `xMetric` is a metric to draw all over, instead of steps or times.
   */
  constructor(projectId, runIds, { most, range = {}, xMetric = "" }) {
    this.projectId = projectId;
    this.runIds = runIds;
    this.most = most;
    this.range = range;
    this.xMetric = xMetric;
    /** @type {Map<string, Curve[]>} By metric. */
    this.known = new Map();
    /** @type {Map<string, Set<() => void>>} */
    this.readers = new Map();
    /** @type {Set<string>} */
    this.waiting = new Set();
    /** @type {unknown} */
    this.error = null;
    this.leaving = new AbortController();
    /** @type {() => void} */
    this.stopPulse = () => {};
  }

  /**
   * Want a metric's curves until the returned function is called.
   * @param {string} name
   * @param {() => void} listener Called when they have come or changed.
   * @returns {() => void}
   */
  want(name, listener) {
    const readers = this.readers.get(name) ?? new Set();
    readers.add(listener);
    this.readers.set(name, readers);
    if (!this.known.has(name)) this.#ask(name);
    return () => {
      readers.delete(listener);
      if (readers.size === 0) this.readers.delete(name);
    };
  }

  /** @param {string} name */
  curvesOf(name) {
    return this.known.get(name);
  }

  /**
   * Follow the runs from now on, or no more.
   * @param {boolean} isLive
   */
  follow(isLive) {
    this.stopPulse();
    this.stopPulse = isLive ? pulse((signal) => this.#freshen(signal), LIVE_MS) : () => {};
  }

  /** End all requests. */
  close() {
    this.stopPulse();
    this.leaving.abort();
    this.readers.clear();
  }

  /** @param {string} name */
  #ask(name) {
    // Charts that come into sight in one moment are one request.
    if (this.waiting.size === 0) queueMicrotask(() => void this.#load([...this.waiting], this.leaving.signal));
    this.waiting.add(name);
  }

  /**
   * @param {string[]} names
   * @param {AbortSignal} signal
   */
  async #load(names, signal) {
    this.waiting.clear();
    try {
      const found = await this.#read(names, this.range, signal);
      this.error = null;
      for (const name of names) this.known.set(name, found.filter((each) => each.metricKey === name));
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
    }
    this.#tell(names);
  }

  /** @param {AbortSignal} signal */
  async #freshen(signal) {
    const seen = [...this.readers.keys()].filter((name) => this.known.has(name));
    if (seen.length === 0 || this.range.endStep !== undefined || this.range.endMs !== undefined) return;
    const isOutgrown = (/** @type {string} */ name) => this.known.get(name)?.some((each) => each.buckets.length > this.most * 1.5) ?? false;
    const whole = seen.filter((name) => this.xMetric !== "" || isOutgrown(name));
    if (whole.length > 0) await this.#load(whole, signal);
    const names = seen.filter((name) => !whole.includes(name));
    if (names.length === 0) return;
    const startStep = tailOf(names.flatMap((name) => this.known.get(name) ?? []));
    const found = await this.#read(names, { ...this.range, startStep }, signal);
    this.error = null;
    this.#tell(names.filter((name) => this.#extend(name, found.filter((each) => each.metricKey === name))));
  }

  /**
   * @param {string} name
   * @param {Curve[]} found
   * @returns {boolean} Whether something has changed.
   */
  #extend(name, found) {
    const known = this.known.get(name) ?? [];
    let isChanged = found.length > known.length;
    const next = found.map((fresh) => {
      const own = known.find((each) => each.runId === fresh.runId && JSON.stringify(each.context) === JSON.stringify(fresh.context));
      if (!own) return fresh;
      const joined = withTail(own.buckets, fresh.buckets);
      const [before, after] = [own.buckets.at(-1), joined.at(-1)];
      if (JSON.stringify(before) === JSON.stringify(after) && joined.length === own.buckets.length) return own;
      isChanged = true;
      return { ...own, buckets: joined };
    });
    if (isChanged) this.known.set(name, next);
    return isChanged;
  }

  /**
   * @param {string[]} names
   * @param {import("./series.js").Range} range
   * @param {AbortSignal} signal
   * @returns {Promise<Curve[]>}
   */
  async #read(names, range, signal) {
    const how = { most: this.most, range, signal };
    if (!this.xMetric) return buckets(this.projectId, this.runIds, names, how);
    const found = await points(this.projectId, this.runIds, names, { ...how, xMetric: this.xMetric });
    return found.map((each) => ({ ...each, buckets: each.points.map(bucketOf) }));
  }

  /** @param {string[]} names */
  #tell(names) {
    for (const name of names) for (const listener of this.readers.get(name) ?? []) listener();
  }
}

/**
 * From which step on curves may have changed: where the last bucket of each begins, and no bucket is cut in two.
 * @param {Curve[]} curves
 */
function tailOf(curves) {
  let from = Infinity;
  for (const { buckets: known } of curves) from = Math.min(from, known.at(-1)?.firstStep ?? 0);
  if (!Number.isFinite(from)) return 0;
  for (;;) {
    const step = from;
    for (const { buckets: known } of curves) {
      const cut = known.find((each) => (each.lastStep ?? 0) >= step);
      from = Math.min(from, cut?.firstStep ?? from);
    }
    if (from === step) return step;
  }
}

/**
 * A point as a bucket of one, with its place on the axis.
 * @param {{ step: number | null, timestampMs: number, value: number, x?: number | null }} point
 */
function bucketOf({ step, timestampMs: ms, value, x }) {
  return { firstStep: step, lastStep: step, startMs: ms, endMs: ms, count: 1, min: value, max: value, mean: value, x: x ?? null };
}
