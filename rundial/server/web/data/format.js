/** Numbers, times and sizes as people read them, in their own language and time zone. */

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const shortDates = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const clocks = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const wholes = new Intl.NumberFormat();
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "narrow" });

/** @param {number | null | undefined} ms */
export function date(ms) {
  return ms === null || ms === undefined ? "–" : dates.format(ms);
}

/** @param {number} ms */
export function clock(ms) {
  return clocks.format(ms);
}

/** @param {number} number */
export function whole(number) {
  return wholes.format(number);
}

/**
 * How many of something, as people say it.
 * @param {number} number
 * @param {string} noun Its plural ends with an s.
 */
export function some(number, noun) {
  return `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * How long ago.
 * @param {number} ms
 * @param {number} [nowMs]
 */
export function ago(ms, nowMs = Date.now()) {
  const seconds = (ms - nowMs) / 1000;
  const away = Math.abs(seconds);
  if (away < 60) return relative.format(Math.round(seconds), "second");
  if (away < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (away < 86_400) return relative.format(Math.round(seconds / 3600), "hour");
  if (away < 30 * 86_400) return relative.format(Math.round(seconds / 86_400), "day");
  return shortDates.format(ms);
}

/**
 * A length of time.
 * @param {number} ms
 */
export function duration(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${three(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${three(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${Math.round(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {number} number */
function three(number) {
  return Number(number.toPrecision(3));
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let index = 0;
  let rest = bytes;
  while (rest >= 1024 && index < units.length - 1) {
    rest /= 1024;
    index += 1;
  }
  return `${index ? three(rest) : rest} ${units[index]}`;
}

/**
 * A number in at most five digits that count.
 * @param {number} number
 */
export function short(number) {
  if (!Number.isFinite(number)) return String(number);
  const away = Math.abs(number);
  if (away !== 0 && (away < 1e-3 || away >= 1e7)) return number.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
  if (Number.isInteger(number)) return wholes.format(number);
  return String(Number(number.toPrecision(5)));
}

/**
 * A value of a config or a summary.
 * @param {unknown} value
 */
export function value(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return short(value);
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}
