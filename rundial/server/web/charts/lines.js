/** Curves as a chart takes them: columns over one axis. Pure. */

/**
 * @typedef {object} Curve One series of one run, in order.
 * @property {string} runId
 * @property {string} metricKey
 * @property {Record<string, unknown>} context
 * @property {number} totalPoints
 * @property {import("../data/series.js").Bucket[]} buckets
 */
/**
 * @typedef {object} Line
 * @property {string} name What the legend says.
 * @property {string} colour
 * @property {number[]} xs Ascending.
 * @property {(number | null)[]} means
 * @property {(number | null)[]} lows
 * @property {(number | null)[]} highs
 * @property {boolean} hasBand Whether some bucket holds more than one value.
 */
/** @typedef {"step" | "time" | "relative" | "metric"} XAxis */

/**
 * Where a bucket stands on an axis; null where it has no place there.
 * @param {import("../data/series.js").Bucket} bucket
 * @param {XAxis} axis
 * @param {number} startedAtMs Of the run; what relative times count from.
 */
export function placeOf(bucket, axis, startedAtMs) {
  if (axis === "metric") return bucket.x ?? null;
  if (axis === "time") return (bucket.startMs + bucket.endMs) / 2000;
  if (axis === "relative") return ((bucket.startMs + bucket.endMs) / 2 - startedAtMs) / 1000;
  if (bucket.firstStep === null || bucket.lastStep === null) return null;
  return (bucket.firstStep + bucket.lastStep) / 2;
}

/**
 * @param {Curve} curve
 * @param {{ axis: XAxis, startedAtMs: number, name: string, colour: string }} how
 * @returns {Line}
 */
export function lineOf(curve, { axis, startedAtMs, name, colour }) {
  /** @type {Line} */
  const line = { name, colour, xs: [], means: [], lows: [], highs: [], hasBand: false };
  let last = -Infinity;
  const ordered = axis === "metric" ? [...curve.buckets].sort((one, other) => (one.x ?? 0) - (other.x ?? 0)) : curve.buckets;
  for (const bucket of ordered) {
    const x = placeOf(bucket, axis, startedAtMs);
    // Attempts that went back in time, or two points of one moment: an axis has one place for each.
    if (x === null || x <= last) continue;
    last = x;
    line.xs.push(x);
    line.means.push(bucket.mean);
    line.lows.push(bucket.min);
    line.highs.push(bucket.max);
    line.hasBand ||= bucket.count > 1;
  }
  return line;
}

/**
 * What a context adds to a metric's name: `rank 0`, `fold a · split b`.
 * @param {Record<string, unknown>} context
 */
export function contextName(context) {
  return Object.entries(context)
    .map(([name, value]) => `${name.replace(/^rundial\./, "")} ${String(value)}`)
    .join(" · ");
}

/**
 * Add what came after a step to a curve: its last buckets are replaced by the newer ones.
 * @param {import("../data/series.js").Bucket[]} known
 * @param {import("../data/series.js").Bucket[]} tail
 * @returns {import("../data/series.js").Bucket[]}
 */
export function withTail(known, tail) {
  const first = tail[0];
  if (!first) return known;
  if (first.firstStep === null) return [...known.filter((each) => each.endMs < first.startMs), ...tail];
  const from = first.firstStep;
  return [...known.filter((each) => each.lastStep !== null && each.lastStep < from), ...tail];
}
