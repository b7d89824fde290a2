/**
 * The curves that charts show: asked for together, kept, and followed while the run goes on.
 *
 * A chart that comes into sight wants its metric and one that leaves it does not, so a page of a thousand
 * metrics asks for those that somebody sees. While one run goes on, its points come by a stream; of several
 * runs, what came after the last known step of each is asked for. Once a curve has grown by half it is asked for
 * anew, so that it stays as coarse as it should be.
 */

import { withTail } from "../charts/lines.js";
import { pulse } from "./pulse.js";
import { api } from "./api.js";
import { buckets, points } from "./series.js";
import { follow } from "./stream.js";

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
    /** @type {Map<number, { name: string, context: string }>} What the stream calls series. */
    this.numbers = new Map();
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
    this.stopPulse = () => {};
    const isWhole = this.range.endStep === undefined && this.range.endMs === undefined;
    if (!isLive || !isWhole) return;
    const [run] = this.runIds;
    if (this.runIds.length > 1 || this.xMetric || run === undefined) {
      this.stopPulse = pulse((signal) => this.#freshen(signal), LIVE_MS);
      return;
    }
    const address = `${api("stream", "metrics")}?${new URLSearchParams({ projectId: this.projectId, runId: run })}`;
    this.stopPulse = follow(address, { events: { points: (data) => this.#take(data) }, poll: (signal) => this.#freshen(signal) });
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
    for (const name of names) this.waiting.delete(name);
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
    if (seen.length === 0) return;
    const whole = seen.filter((name) => this.xMetric !== "" || this.#isOutgrown(name));
    if (whole.length > 0) await this.#load(whole, signal);
    const names = seen.filter((name) => !whole.includes(name));
    if (names.length === 0) return;
    const startStep = tailOf(names.flatMap((name) => this.known.get(name) ?? []));
    const found = await this.#read(names, { ...this.range, startStep }, signal);
    this.error = null;
    this.#tell(names.filter((name) => this.#extend(name, found.filter((each) => each.metricKey === name))));
  }

  /**
   * Add points that the stream brought. Those that go back, as a resumed attempt's do, are read anew.
   * @param {{ series: [number, string, Record<string, unknown>][], rows: [number, number | null, number, number, number][], reread?: number[] }} news
   */
  #take(news) {
    for (const [number, name, context] of news.series ?? []) this.numbers.set(number, { name, context: sorted(context) });
    const stale = new Set((news.reread ?? []).flatMap((each) => this.numbers.get(each)?.name ?? []));
    /** @type {Map<Curve, import("./series.js").Bucket[]>} */
    const fresh = new Map();
    const curves = new Map([...this.numbers].map(([number, place]) => [number, this.#curveAt(place)]));
    for (const [number, step, ms, value] of news.rows ?? []) {
      const curve = curves.get(number);
      const name = this.numbers.get(number)?.name ?? "";
      if (!curve) {
        if (this.known.has(name)) stale.add(name);
        continue;
      }
      const added = fresh.get(curve) ?? [];
      const last = added.at(-1) ?? curve.buckets.at(-1);
      const goesOn = !last || (step !== null && last.lastStep !== null && step > last.lastStep);
      if (!goesOn) stale.add(name);
      else if (added.push(bucketOf({ step, timestampMs: ms, value })) === 1) fresh.set(curve, added);
    }
    const changed = new Set();
    for (const [name, curves] of this.known) {
      if (stale.has(name) || !curves.some((each) => fresh.has(each))) continue;
      this.known.set(name, curves.map((each) => ({ ...each, buckets: [...each.buckets, ...(fresh.get(each) ?? [])] })));
      changed.add(name);
    }
    this.#tell([...changed]);
    const seen = [...this.readers.keys()].filter((name) => stale.has(name) || (changed.has(name) && this.#isOutgrown(name)));
    for (const name of stale) if (!this.readers.has(name)) this.known.delete(name);
    if (seen.length > 0) void this.#load(seen, this.leaving.signal);
  }

  /** @param {{ name: string, context: string }} place */
  #curveAt({ name, context }) {
    return this.known.get(name)?.find((each) => sorted(each.context) === context);
  }

  /** @param {string} name */
  #isOutgrown(name) {
    return this.known.get(name)?.some((each) => each.buckets.length > this.most * 1.5) ?? false;
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

/**
 * A context as a text that is the same for the same context.
 * @param {Record<string, unknown>} context
 */
function sorted(context) {
  return JSON.stringify(Object.entries(context).sort(([one], [other]) => (one < other ? -1 : 1)));
}
