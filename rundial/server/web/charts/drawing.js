/** A figure of curves, bars and cells as SVG. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../app/html.js";
import { onTheme } from "../app/theme.js";
import { short } from "../data/format.js";
import { lineColour } from "./palette.js";

/** @typedef {import("./plotly.js").Trace} Trace */
/** @typedef {{ x: (value: number) => number, y: (value: number) => number, xs: [number, number], ys: [number, number] }} Scales */

const [WIDTH, HEIGHT] = [760, 380];
const EDGE = { left: 64, right: 12, top: 12, bottom: 40 };
const TICKS = 6;

/** @param {{ name: string, drawing: import("./plotly.js").Drawing }} props */
export function Drawing({ name, drawing }) {
  const [, setTheme] = useState(0);
  useEffect(() => onTheme(() => setTheme((before) => before + 1)), []);
  const { traces, title, xTitle, yTitle, xNames, yNames } = drawing;
  const scales = scalesOf(traces);
  const bars = traces.filter((each) => each.form === "bars").length;
  let bar = 0;
  return html`<figure class="drawing"><figcaption class="row">${title && html`<strong>${title}</strong>`}
      <ul class="legend">${traces.length > 1 && traces.map((each, index) => html`<li><span class="swatch" style=${{ color: lineColour(index) }}></span><span class="cut">${each.name || `trace ${index + 1}`}</span></li>`)}</ul></figcaption>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`Figure ${name}`}>
      <${Axes} scales=${scales} xNames=${xNames} yNames=${yNames} xTitle=${xTitle} yTitle=${yTitle} />
      ${traces.map((each, index) => {
        if (each.form === "heat") return html`<${Cells} trace=${each} scales=${scales} />`;
        if (each.form === "bars") return html`<${Columns} trace=${each} scales=${scales} colour=${lineColour(index)} place=${bar++} of=${bars} />`;
        return html`<${Curve} trace=${each} scales=${scales} colour=${lineColour(index)} />`;
      })}
    </svg></figure>`;
}

/** @param {{ scales: Scales, xNames: string[] | null, yNames: string[] | null, xTitle: string, yTitle: string }} props */
function Axes({ scales, xNames, yNames, xTitle, yTitle }) {
  const bottom = HEIGHT - EDGE.bottom;
  return html`<g class="axes">
    ${ticks(scales.ys, yNames).map(({ at, text }) => html`<line x1=${EDGE.left} x2=${WIDTH - EDGE.right} y1=${scales.y(at)} y2=${scales.y(at)} /><text x=${EDGE.left - 6} y=${scales.y(at) + 4} text-anchor="end">${text}</text>`)}
    ${ticks(scales.xs, xNames).map(({ at, text }) => html`<text x=${scales.x(at)} y=${bottom + 16} text-anchor="middle">${text}</text>`)}
    <text x=${(WIDTH + EDGE.left) / 2} y=${HEIGHT - 6} text-anchor="middle">${xTitle}</text>
    <text transform=${`translate(12 ${HEIGHT / 2}) rotate(-90)`} text-anchor="middle">${yTitle}</text>
  </g>`;
}

/** @param {{ trace: Trace, scales: Scales, colour: string }} props */
function Curve({ trace, scales, colour }) {
  let isOn = false;
  const path = trace.x.map((x, index) => {
    const y = trace.y[index] ?? null;
    const wasOn = isOn;
    isOn = x !== null && y !== null;
    return x === null || y === null ? "" : `${wasOn ? "L" : "M"}${scales.x(x).toFixed(1)} ${scales.y(y).toFixed(1)}`;
  });
  return html`<g stroke=${colour} fill=${colour}>
    ${trace.hasLine && html`<path d=${path.join("")} fill="none" stroke-width="1.6" />`}
    ${trace.hasMarks && trace.x.map((x, index) => {
      const y = trace.y[index] ?? null;
      return x !== null && y !== null && html`<circle cx=${scales.x(x)} cy=${scales.y(y)} r="3" stroke="none" />`;
    })}</g>`;
}

/** @param {{ trace: Trace, scales: Scales, colour: string, place: number, of: number }} props */
function Columns({ trace, scales, colour, place, of: count }) {
  const width = Math.max(1, (stepOf(trace.x, scales) * 0.84) / count);
  const zero = scales.y(0);
  return html`<g fill=${colour}>${trace.x.map((x, index) => {
    const y = trace.y[index] ?? null;
    if (x === null || y === null) return null;
    const top = Math.min(zero, scales.y(y));
    return html`<rect x=${scales.x(x) + width * (place - count / 2)} y=${top} width=${Math.max(0.5, width - 0.5)} height=${Math.abs(zero - scales.y(y))} />`;
  })}</g>`;
}

/** @param {{ trace: Trace, scales: Scales }} props */
function Cells({ trace, scales }) {
  const values = trace.z.flat().filter((each) => each !== null);
  const least = values.reduce((before, each) => Math.min(before, each), Infinity);
  const most = values.reduce((before, each) => Math.max(before, each), -Infinity);
  const [wide, high] = [stepOf(trace.x, scales), Math.abs(scales.y(1) - scales.y(0))];
  return html`<g class="cells">${trace.z.flatMap((row, up) => row.map((value, across) => {
    const [x, y] = [trace.x[across] ?? null, trace.y[up] ?? null];
    if (value === null || x === null || y === null) return null;
    return html`<rect x=${scales.x(x) - wide / 2} y=${scales.y(y) - high / 2} width=${wide + 0.3} height=${high + 0.3} fill-opacity=${0.06 + (0.94 * (value - least)) / (most - least || 1)}><title>${short(value)}</title></rect>`;
  }))}</g>`;
}

/**
 * How far neighbours lie apart on the page.
 * @param {(number | null)[]} xs
 * @param {Scales} scales
 */
function stepOf(xs, scales) {
  const kept = [...new Set(xs.filter((each) => each !== null))].sort((one, other) => one - other);
  const gaps = kept.slice(1).map((each, index) => each - (kept[index] ?? 0));
  const least = gaps.reduce((before, each) => Math.min(before, each), Infinity);
  return Number.isFinite(least) ? scales.x(least) - scales.x(0) : 40;
}

/**
 * @param {Trace[]} traces
 * @returns {Scales}
 */
function scalesOf(traces) {
  const isWide = traces.some((each) => each.form !== "curve");
  const xs = reach(traces.flatMap((each) => each.x), isWide ? 0.5 : 0);
  const ys = reach(traces.flatMap((each) => (each.form === "bars" ? [...each.y, 0] : each.y)), traces.some((each) => each.form === "heat") ? 0.5 : 0);
  const [wide, high] = [WIDTH - EDGE.left - EDGE.right, HEIGHT - EDGE.top - EDGE.bottom];
  return {
    xs,
    ys,
    x: (value) => EDGE.left + ((value - xs[0]) / (xs[1] - xs[0])) * wide,
    y: (value) => HEIGHT - EDGE.bottom - ((value - ys[0]) / (ys[1] - ys[0])) * high,
  };
}

/**
 * @param {(number | null)[]} values
 * @param {number} beyond How much of a neighbour's distance is added on both sides.
 * @returns {[number, number]}
 */
function reach(values, beyond) {
  const kept = values.filter((each) => each !== null);
  const least = kept.reduce((before, each) => Math.min(before, each), Infinity);
  const most = kept.reduce((before, each) => Math.max(before, each), -Infinity);
  if (!Number.isFinite(least)) return [0, 1];
  const distinct = new Set(kept).size;
  const more = beyond * (distinct > 1 ? (most - least) / (distinct - 1) : 1);
  return most + more > least - more ? [least - more, most + more] : [least - 0.5, most + 0.5];
}

/**
 * Round numbers over a range, or names at their places.
 * @param {[number, number]} range
 * @param {string[] | null} names
 * @returns {{ at: number, text: string }[]}
 */
function ticks([least, most], names) {
  if (names) {
    const every = Math.ceil(names.length / (TICKS * 2));
    return names.map((text, at) => ({ at, text: text.length > 12 ? `${text.slice(0, 11)}…` : text })).filter(({ at }) => at % every === 0 && at >= least && at <= most);
  }
  const rough = (most - least) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const width = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  const found = [];
  for (let at = Math.ceil(least / width) * width; at <= most + width * 1e-9; at += width) found.push({ at, text: short(Number(at.toPrecision(12))) });
  return found;
}
