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

/**
 * The mean of several lines, and a band from the least mean to the greatest; between its places a line is straight.
 * @param {Line[]} lines
 * @param {string} name
 * @param {string} colour
 * @returns {Line}
 */
export function meanOf(lines, name, colour) {
  const xs = [...new Set(lines.flatMap((each) => each.xs))].sort((one, other) => one - other);
  const columns = lines.map((each) => valuesAt(each, xs));
  /** @type {Line} */
  const found = { name, colour, xs, means: [], lows: [], highs: [], hasBand: lines.length > 1 };
  xs.forEach((_, index) => {
    const values = columns.map((each) => each[index] ?? null).filter((each) => each !== null);
    const isEmpty = values.length === 0;
    found.means.push(isEmpty ? null : values.reduce((sum, each) => sum + each, 0) / values.length);
    found.lows.push(isEmpty ? null : Math.min(...values));
    found.highs.push(isEmpty ? null : Math.max(...values));
  });
  return found;
}

/**
 * A line's values at given places; null before its first and after its last.
 * @param {Line} line
 * @param {number[]} xs Ascending.
 * @returns {(number | null)[]}
 */
function valuesAt(line, xs) {
  let at = 0;
  return xs.map((x) => {
    while (at < line.xs.length && /** @type {number} */ (line.xs[at]) < x) at += 1;
    const [after, value] = [line.xs[at], line.means[at]];
    if (after === undefined || value === undefined || value === null) return null;
    if (after === x) return value;
    const [before, known] = [line.xs[at - 1], line.means[at - 1]];
    if (before === undefined || known === undefined || known === null) return null;
    return known + ((value - known) * (x - before)) / (after - before);
  });
}
