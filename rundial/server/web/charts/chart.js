/** A chart of lines over one axis: uPlot in a figure, with bands, shared cursor and shared zoom. */

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";

import { html } from "../app/html.js";
import { colour, onTheme } from "../app/theme.js";
import { duration, short } from "../data/format.js";
import { faint } from "./palette.js";
import { smoothed } from "./smoothing.js";

/**
 * @typedef {object} ChartProps
 * @property {string} title
 * @property {import("./lines.js").Line[]} lines
 * @property {import("./lines.js").XAxis} axis
 * @property {string} [xName] What the axis says.
 * @property {number} [smoothing]
 * @property {boolean} [isLogX]
 * @property {boolean} [isLogY]
 * @property {[number, number] | null} [zoom]
 * @property {(zoom: [number, number] | null) => void} [onZoom]
 * @property {{ x: number, text: string }[]} [marks] Upright lines, such as where an attempt began.
 * @property {string} [sync] Charts of one name share their cursor.
 * @property {number} [height]
 */

/** @param {ChartProps} props */
export function Chart(props) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const latest = useRef(props);
  latest.current = props;
  const data = useMemo(() => dataOf(props.lines, props.smoothing ?? 0), [props.lines, props.smoothing]);
  const shape = JSON.stringify([
    props.lines.map((each) => [each.name, each.colour, each.hasBand]),
    props.axis, props.isLogX, props.isLogY, props.height, props.sync, (props.smoothing ?? 0) > 0,
  ]);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(latest, element.clientWidth), dataOf(latest.current.lines, latest.current.smoothing ?? 0), element);
      applyZoom(plot.current, latest.current);
    };
    make();
    const watcher = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (plot.current && width > 0 && width !== plot.current.width) plot.current.setSize({ width, height: heightOf(latest.current) });
    });
    watcher.observe(element);
    const stop = onTheme(make);
    return () => {
      stop();
      watcher.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    if (!plot.current) return;
    plot.current.setData(data, false);
    applyZoom(plot.current, latest.current);
  }, [data, shape, props.zoom?.[0], props.zoom?.[1], JSON.stringify(props.marks ?? [])]);

  return html`<div class="chart-box" ref=${box} role="img" aria-label=${described(props)}></div>`;
}

/** @param {ChartProps} props */
function heightOf(props) {
  return props.height ?? 200;
}

/**
 * The table that uPlot draws: x, and for each line its mean, its smoothed mean where wanted, its low and high.
 * @param {import("./lines.js").Line[]} lines
 * @param {number} smoothing
 * @returns {uPlot.AlignedData}
 */
function dataOf(lines, smoothing) {
  const tables = lines.map((line) => {
    const columns = [line.xs, line.means, line.lows, line.highs];
    if (smoothing > 0) columns.splice(2, 0, smoothed(line.means, smoothing));
    return columns;
  });
  if (tables.length === 0) return [[]];
  if (tables.length === 1) return /** @type {uPlot.AlignedData} */ (tables[0]);
  return /** @type {uPlot.AlignedData} */ (uPlot.join(/** @type {any} */ (tables)));
}

/**
 * @param {{ current: ChartProps }} latest
 * @param {number} width
 * @returns {uPlot.Options}
 */
function optionsOf(latest, width) {
  const props = latest.current;
  const [text, grid, accent] = [colour("--muted"), colour("--grid"), colour("--accent")];
  const isSmooth = (props.smoothing ?? 0) > 0;
  /** @type {uPlot.Series[]} */
  const series = [{ label: props.xName ?? props.axis }];
  /** @type {uPlot.Band[]} */
  const bands = [];
  for (const line of props.lines) {
    const raw = { label: line.name, stroke: isSmooth ? faint(line.colour, 0.28) : line.colour, width: isSmooth ? 1 : 1.5, spanGaps: true };
    series.push({ ...raw, points: { show: !isSmooth && line.xs.length < 30, size: 5, fill: line.colour } });
    if (isSmooth) series.push({ label: `${line.name} smoothed`, stroke: line.colour, width: 1.75, spanGaps: true, points: { show: false } });
    const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
    series.push({ label: "least", ...edge }, { label: "greatest", ...edge });
    if (line.hasBand) bands.push({ series: [series.length - 1, series.length - 2], fill: faint(line.colour, 0.16) });
  }
  const isTime = props.axis === "time";
  return {
    width: Math.max(50, width),
    height: heightOf(props),
    series,
    bands,
    legend: { show: false },
    padding: [10, 8, 0, 0],
    scales: {
      x: { time: isTime, distr: props.isLogX ? 3 : 1 },
      y: { distr: props.isLogY ? 3 : 1, range: props.isLogY ? undefined : rangeOf },
    },
    axes: [
      { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 28, font: fontOf(), values: isTime ? undefined : (_, ticks) => ticks.map((each) => tick(each, props.axis)) },
      { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 56, font: fontOf(), values: (_, ticks) => ticks.map((each) => tick(each, "metric")) },
    ],
    cursor: {
      ...(props.sync ? { sync: { key: props.sync, setSeries: false } } : {}),
      drag: { x: true, y: false, setScale: false },
      points: { size: 6, width: 1 },
      y: false,
    },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    hooks: {
      setSelect: [(plot) => select(plot, latest.current)],
      draw: [(plot) => drawMarks(plot, latest.current, accent)],
      setCursor: [(plot) => readOut(plot, latest.current)],
      ready: [(plot) => plot.over.addEventListener("dblclick", () => latest.current.onZoom?.(null))],
    },
  };
}

function fontOf() {
  return "11px system-ui, sans-serif";
}

/**
 * @param {number | null} number
 * @param {string} axis
 */
function tick(number, axis) {
  if (number === null) return "";
  if (axis === "relative") return duration(number * 1000);
  const away = Math.abs(number);
  if (away >= 1e9) return `${short(number / 1e9)}G`;
  if (away >= 1e6) return `${short(number / 1e6)}M`;
  if (away >= 1e4) return `${short(number / 1e3)}k`;
  return short(number);
}

/**
 * A little room above and below what is drawn.
 * @type {uPlot.Range.Function}
 */
function rangeOf(_plot, low, high) {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

/**
 * @param {uPlot} plot
 * @param {ChartProps} props
 */
function applyZoom(plot, props) {
  const xs = plot.data[0];
  const whole = xs.length > 0 ? [xs[0], xs[xs.length - 1]] : [0, 1];
  let [low, high] = props.zoom ?? /** @type {[number, number]} */ (whole);
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  plot.setScale("x", { min: low, max: high });
}

/**
 * What was drawn over with the pointer becomes the zoom of every chart that shares it.
 * @param {uPlot} plot
 * @param {ChartProps} props
 */
function select(plot, props) {
  const { left, width } = plot.select;
  if (width < 4) return;
  const range = /** @type {[number, number]} */ ([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  props.onZoom?.(range);
}

/**
 * @param {uPlot} plot
 * @param {ChartProps} props
 * @param {string} stroke
 */
function drawMarks(plot, props, stroke) {
  const { ctx, bbox } = plot;
  for (const { x } of props.marks ?? []) {
    const at = Math.round(plot.valToPos(x, "x", true));
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.save();
    ctx.strokeStyle = stroke;
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

/**
 * The values under the cursor, in the figure's own line of text.
 * @param {uPlot} plot
 * @param {ChartProps} props
 */
function readOut(plot, props) {
  const line = plot.root.closest(".chart")?.querySelector(".read-out");
  if (!(line instanceof HTMLElement)) return;
  const index = plot.cursor.idx;
  if (index === null || index === undefined) {
    line.textContent = "";
    return;
  }
  const x = plot.data[0][index];
  const columns = (props.smoothing ?? 0) > 0 ? 4 : 3;
  const values = props.lines.map((each, at) => {
    const value = nearest(plot.data[1 + at * columns], index);
    return value === null ? "" : `${props.lines.length > 1 ? `${each.name} ` : ""}${short(value)}`;
  });
  const place = props.axis === "time" ? new Date((x ?? 0) * 1000).toLocaleTimeString() : props.axis === "relative" ? duration((x ?? 0) * 1000) : short(x ?? 0);
  line.textContent = `${place}: ${values.filter(Boolean).slice(0, 4).join(" · ")}`;
}

/**
 * @param {ArrayLike<number | null | undefined> | undefined} column
 * @param {number} index
 */
function nearest(column, index) {
  for (let away = 0; column && away < 50; away += 1) {
    const found = column[index - away] ?? column[index + away];
    if (found !== null && found !== undefined) return found;
  }
  return null;
}

/**
 * A chart in words, for whoever does not see it.
 * @param {ChartProps} props
 */
function described(props) {
  const said = props.lines.slice(0, 10).map((line) => {
    const values = line.means.filter((each) => each !== null);
    if (values.length === 0) return `${line.name}: no values`;
    const [low, high] = [Math.min(...line.lows.map((each) => each ?? Infinity)), Math.max(...line.highs.map((each) => each ?? -Infinity))];
    return `${line.name}: ${short(low)} to ${short(high)}, last ${short(/** @type {number} */ (values[values.length - 1]))}`;
  });
  return `Chart of ${props.title}. ${said.join("; ")}`;
}
