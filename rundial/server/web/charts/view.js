/** How charts are looked at, as the address says it: axis, smoothing, logarithms, zoom, which metrics. */

import { setParams, usePlace } from "../app/router.js";

/**
 * @typedef {object} ChartView
 * @property {import("./lines.js").XAxis} axis
 * @property {string} xMetric When the axis is another metric.
 * @property {number} smoothing
 * @property {boolean} isLogX
 * @property {boolean} isLogY
 * @property {[number, number] | null} zoom In the axis' own units.
 * @property {string} search Part of a metric's name.
 */

/** @returns {ChartView} */
export function useChartView() {
  const { params } = usePlace();
  const x = params.get("x") ?? "step";
  const isOwn = x === "step" || x === "time" || x === "relative";
  const zoom = (params.get("zoom") ?? "").split("~").map(Number);
  const [low, high] = zoom;
  const isZoomed = zoom.length === 2 && low !== undefined && high !== undefined && low < high;
  return {
    axis: isOwn ? x : "metric",
    xMetric: isOwn ? "" : x,
    smoothing: Math.min(0.99, Math.max(0, Number(params.get("smooth")) || 0)),
    isLogX: params.get("logx") === "1",
    isLogY: params.get("logy") === "1",
    zoom: isZoomed ? [low, high] : null,
    search: params.get("m") ?? "",
  };
}

/** @param {[number, number] | null} zoom */
export function setZoom(zoom) {
  setParams({ zoom: zoom ? zoom.map((each) => String(Number(each.toPrecision(8)))).join("~") : null }, { replaces: false });
}

/**
 * The part of the curves that a zoom shows, a little more on each side.
 * @param {ChartView} view
 * @param {number} startedAtMs
 * @returns {import("../data/series.js").Range}
 */
export function rangeOf({ axis, zoom }, startedAtMs) {
  if (!zoom || axis === "metric") return {};
  const room = (zoom[1] - zoom[0]) * 0.05;
  const [low, high] = [zoom[0] - room, zoom[1] + room];
  if (axis === "step") return { startStep: Math.max(0, Math.floor(low)), endStep: Math.max(0, Math.ceil(high)) };
  const base = axis === "relative" ? startedAtMs : 0;
  return { startMs: Math.max(0, Math.floor(base + low * 1000)), endMs: Math.ceil(base + high * 1000) };
}
