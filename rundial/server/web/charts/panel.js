/** One metric in a card: loaded when it comes into sight. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { html } from "../app/html.js";
import { onTheme } from "../app/theme.js";
import { messageOf } from "../app/states.js";
import { Chart } from "./chart.js";
import { contextName, lineOf, meanOf, placeOf } from "./lines.js";
import { lineColour } from "./palette.js";
import { setZoom } from "./view.js";

/**
 * @typedef {object} RunLook What is known of a run whose curves are drawn.
 * @property {string} name
 * @property {number} number Of its colour.
 * @property {number} startedAtMs
 * @property {string} [group] Runs of one group are drawn as their mean and a band.
 * @property {number[]} attempts When each attempt after the first began, in milliseconds.
 */

/**
 * @param {{
 *   name: string,
 *   curves: import("../data/curves.js").Curves,
 *   view: import("./view.js").ChartView,
 *   looks: Map<string, RunLook>,
 *   unit?: string | null,
 * }} props
 */
export function Panel({ name, curves, view, looks, unit }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const isSeen = useSeen(box);
  const [isTall, setTall] = useState(false);
  const found = useCurves(curves, name, isSeen);
  const theme = useThemeCount();
  const lines = useMemo(() => linesOf(found ?? [], view.axis, looks), [found, view.axis, looks, theme]);
  const marks = useMemo(() => marksOf(found ?? [], view.axis, looks), [found, view.axis, looks]);

  return html`<figure class=${`chart card ${isTall ? "tall" : ""}`} ref=${box} data-metric=${name}>
    <figcaption class="chart-head"><h3 class="cut" title=${name}>${name}</h3>${unit && html`<span class="muted">${unit}</span>`}
      <span class="read-out cut"></span>
      <button type="button" class="quiet small icon" aria-pressed=${String(isTall)} aria-label=${`Enlarge ${name}`} title="Enlarge" onClick=${() => setTall(!isTall)}>⤢</button></figcaption>
    ${found
      ? html`<${Chart} title=${name} lines=${lines} axis=${view.axis} xName=${view.xMetric} smoothing=${view.smoothing} isLogX=${view.isLogX} isLogY=${view.isLogY}
          zoom=${view.zoom} onZoom=${setZoom} marks=${marks} sync=${view.axis} height=${isTall ? 480 : 200} />`
      : html`<div class="chart-box">${curves.error && html`<p class="notice bad">${messageOf(curves.error)}</p>`}</div>`}
    ${lines.length > 1 && html`<ul class="legend">${lines.slice(0, 12).map((line) => html`<li><span class="swatch" style=${{ color: line.colour }}></span><span class="cut">${line.name}</span></li>`)}
      ${lines.length > 12 && html`<li class="muted">and ${lines.length - 12} more</li>`}</ul>`}
  </figure>`;
}

/**
 * @param {import("./lines.js").Curve[]} found
 * @param {import("./lines.js").XAxis} axis
 * @param {Map<string, RunLook>} looks
 */
function linesOf(found, axis, looks) {
  const isOneRun = looks.size === 1;
  const isGrouped = [...looks.values()].some((each) => each.group !== undefined);
  if (isGrouped) return groupLines(found, axis, looks);
  return found.map((curve, index) => {
    const look = looks.get(curve.runId);
    const context = contextName(curve.context);
    const name = isOneRun ? context || "value" : [look?.name ?? curve.runId, context].filter(Boolean).join(" · ");
    const colour = lineColour(isOneRun ? index : (look?.number ?? index));
    return lineOf(curve, { axis, startedAtMs: look?.startedAtMs ?? 0, name, colour });
  });
}

/**
 * One line for each group: the mean of its runs, and a band from the least to the greatest of them.
 * @param {import("./lines.js").Curve[]} found
 * @param {import("./lines.js").XAxis} axis
 * @param {Map<string, RunLook>} looks
 */
function groupLines(found, axis, looks) {
  /** @type {Map<string, { number: number, lines: import("./lines.js").Line[] }>} */
  const groups = new Map();
  for (const curve of found) {
    const look = looks.get(curve.runId);
    if (!look?.group) continue;
    const group = groups.get(look.group) ?? { number: look.number, lines: [] };
    groups.set(look.group, group);
    group.lines.push(lineOf(curve, { axis, startedAtMs: look.startedAtMs, name: look.name, colour: "" }));
  }
  return [...groups].map(([name, { number, lines }]) => meanOf(lines, `${name} (${lines.length})`, lineColour(number)));
}

/**
 * Where later attempts began: at their time, or at the first bucket after it.
 * @param {import("./lines.js").Curve[]} found
 * @param {import("./lines.js").XAxis} axis
 * @param {Map<string, RunLook>} looks
 */
function marksOf(found, axis, looks) {
  if (axis === "metric") return [];
  return found.slice(0, 1).flatMap((curve) => {
    const look = looks.get(curve.runId);
    return (look?.attempts ?? []).flatMap((ms, index) => {
      const first = curve.buckets.find((each) => each.endMs >= ms);
      const x = first ? placeOf(first, axis, look?.startedAtMs ?? 0) : null;
      return x === null ? [] : [{ x, text: `attempt ${index + 2}` }];
    });
  });
}

/**
 * A metric's curves while somebody sees them; of a zoom that is left, the old ones until the new ones come.
 * @param {import("../data/curves.js").Curves} curves
 * @param {string} name
 * @param {boolean} isSeen
 */
function useCurves(curves, name, isSeen) {
  const [, setRound] = useState(0);
  const last = useRef(/** @type {import("./lines.js").Curve[] | undefined} */ (undefined));
  useEffect(() => (isSeen ? curves.want(name, () => setRound((before) => before + 1)) : undefined), [curves, name, isSeen]);
  last.current = curves.curvesOf(name) ?? last.current;
  return last.current;
}

/** @param {{ current: HTMLElement | null }} box */
function useSeen(box) {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    if (!box.current) return undefined;
    const watcher = new IntersectionObserver((entries) => setSeen(entries.some((each) => each.isIntersecting)), { rootMargin: "300px" });
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  return isSeen;
}

function useThemeCount() {
  const [count, setCount] = useState(0);
  useEffect(() => onTheme(() => setCount((before) => before + 1)), []);
  return count;
}
