/**
 * The part of plotly's figures that is drawn here: curves, points, bars, histograms and heat maps. Pure.
 *
 * Plotly itself is larger than everything else together, and makes code and markup of texts.
 */

/**
 * @typedef {object} Trace
 * @property {"curve" | "bars" | "heat"} form
 * @property {string} name
 * @property {boolean} hasLine
 * @property {boolean} hasMarks
 * @property {(number | null)[]} x Numbers, or places of `categories`.
 * @property {(number | null)[]} y
 * @property {(number | null)[][]} z Rows from the bottom; of a heat map alone.
 */
/**
 * @typedef {object} Drawing
 * @property {Trace[]} traces
 * @property {string} title
 * @property {string} xTitle
 * @property {string} yTitle
 * @property {string[] | null} xNames Where x is not a number.
 * @property {string[] | null} yNames
 * @property {string[]} undrawn Types of traces that are not drawn.
 */

const MOST_POINTS = 20_000;
const MOST_TRACES = 50;
const BINS = 40;
/** @type {Record<string, new (buffer: ArrayBuffer) => ArrayLike<number>>} */
const PACKED = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array, i2: Int16Array, u2: Uint16Array, i1: Int8Array, u1: Uint8Array };

/**
 * @param {any} said Plotly's JSON.
 * @returns {Drawing}
 */
export function drawingOf(said) {
  if (!Array.isArray(said?.data)) throw new Error("its bytes are no figure");
  const xNames = /** @type {string[]} */ ([]);
  const yNames = /** @type {string[]} */ ([]);
  /** @type {Set<string>} */
  const undrawn = new Set();
  const traces = said.data.slice(0, MOST_TRACES).flatMap((/** @type {any} */ each) => {
    const found = traceOf(each ?? {}, xNames, yNames);
    if (!found) undrawn.add(`traces of the type ${String(each?.type).slice(0, 40)}`);
    return found ?? [];
  });
  if (said.data.length > MOST_TRACES) undrawn.add(`${said.data.length - MOST_TRACES} more traces`);
  const layout = said.layout ?? {};
  return {
    traces,
    title: titleOf(layout),
    xTitle: titleOf(layout.xaxis),
    yTitle: titleOf(layout.yaxis),
    xNames: xNames.length > 0 ? xNames : null,
    yNames: yNames.length > 0 ? yNames : null,
    undrawn: [...undrawn],
  };
}

/**
 * @param {any} said
 * @param {string[]} xNames
 * @param {string[]} yNames
 * @returns {Trace | null}
 */
function traceOf(said, xNames, yNames) {
  const name = typeof said.name === "string" ? said.name : "";
  const type = said.type ?? "scatter";
  if (type === "heatmap" && Array.isArray(said.z)) {
    const z = said.z.map((/** @type {unknown} */ row) => listOf(row).slice(0, MOST_POINTS).map(numberOf));
    const wide = Math.max(0, ...z.map((/** @type {unknown[]} */ row) => row.length));
    return { form: "heat", name, hasLine: false, hasMarks: false, x: placesOf(said.x, wide, xNames), y: placesOf(said.y, z.length, yNames), z };
  }
  if (type === "histogram") return binned(name, listOf(said.x).map(numberOf));
  if (type !== "scatter" && type !== "scattergl" && type !== "bar") return null;
  const y = listOf(said.y).slice(0, MOST_POINTS);
  if (type === "bar" && said.orientation === "h") return null;
  const mode = typeof said.mode === "string" ? said.mode : "lines";
  return {
    form: type === "bar" ? "bars" : "curve",
    name,
    hasLine: mode.includes("lines"),
    hasMarks: mode.includes("markers") || mode === "text",
    x: placesOf(said.x, y.length, xNames),
    y: y.map(numberOf),
    z: [],
  };
}

/**
 * @param {string} name
 * @param {(number | null)[]} values
 * @returns {Trace}
 */
function binned(name, values) {
  const kept = values.filter((each) => each !== null);
  const least = kept.reduce((before, each) => Math.min(before, each), Infinity);
  const most = kept.reduce((before, each) => Math.max(before, each), -Infinity);
  const width = (most - least || 1) / BINS;
  const counts = new Array(kept.length > 0 ? BINS : 0).fill(0);
  for (const each of kept) counts[Math.min(BINS - 1, Math.floor((each - least) / width))] += 1;
  return { form: "bars", name, hasLine: false, hasMarks: false, x: counts.map((_, index) => least + (index + 0.5) * width), y: counts, z: [] };
}

/**
 * Where values lie: numbers at themselves, texts at their number in the list of names, missing ones at 0, 1, 2, …
 * @param {unknown} said
 * @param {number} count
 * @param {string[]} names Grows.
 * @returns {(number | null)[]}
 */
function placesOf(said, count, names) {
  const list = listOf(said);
  if (list.length === 0) return Array.from({ length: count }, (_, index) => index);
  const isNamed = names.length > 0 || list.some((each) => typeof each === "string" && each !== "" && !Number.isFinite(Number(each)));
  return list.slice(0, Math.max(count, 1)).map((each) => {
    if (!isNamed) return numberOf(each);
    const text = String(each);
    const known = names.indexOf(text);
    return known < 0 ? names.push(text) - 1 : known;
  });
}

/**
 * A list, also where plotly packed it.
 * @param {any} said
 * @returns {unknown[]}
 */
function listOf(said) {
  if (Array.isArray(said)) return said;
  const Type = typeof said?.dtype === "string" ? PACKED[said.dtype.replace(/^[<>|]/, "")] : undefined;
  if (!Type || typeof said.bdata !== "string") return [];
  const raw = Uint8Array.from(atob(said.bdata), (each) => each.charCodeAt(0));
  return Array.from(new Type(raw.buffer));
}

/**
 * @param {unknown} value
 * @returns {number | null}
 */
function numberOf(value) {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : null;
}

/** @param {any} said */
function titleOf(said) {
  const title = said?.title;
  return typeof title === "string" ? title : typeof title?.text === "string" ? title.text : "";
}
