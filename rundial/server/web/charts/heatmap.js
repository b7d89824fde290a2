/** A heat map on a canvas: steps to the right, values upwards, the more the stronger. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../app/html.js";
import { colour, onTheme } from "../app/theme.js";
import { short, whole } from "../data/format.js";

const HEIGHT = 200;

/**
 * @param {{ name: string, heat: import("./heat.js").Heat, at: number | null, onStep: (step: number) => void }} props
 *   `at` is the step that is marked.
 */
export function HeatMap({ name, heat, at, onStep }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [hint, setHint] = useState("");
  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const draw = () => paint(element, heat, at);
    const watcher = new ResizeObserver(draw);
    watcher.observe(element);
    const done = onTheme(draw);
    return () => {
      watcher.disconnect();
      done();
    };
  }, [heat, at]);
  const { columns, cells, least, most } = heat;
  if (columns.length === 0) return html`<p class="muted">None of them holds a value.</p>`;
  /** @param {MouseEvent} event */
  const place = (event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const index = Math.min(columns.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * columns.length)));
    const up = 1 - (event.clientY - box.top) / box.height;
    return { index, column: columns[index], up };
  };
  const read = (/** @type {MouseEvent} */ event) => {
    const { index, column, up } = place(event);
    const rows = cells[index]?.length ?? 1;
    const share = cells[index]?.[Math.min(rows - 1, Math.max(0, Math.floor(up * rows)))] ?? 0;
    setHint(`step ${whole(column?.step ?? 0)}, about ${short(Number((least + up * (most - least)).toPrecision(3)))}: ${short(share * 100)} %`);
  };
  const first = columns[0]?.step ?? 0;
  const last = columns.at(-1)?.step ?? 0;
  return html`<div class="heat"><div class="heat-axis muted"><span>${short(most)}</span><span>${short(least)}</span></div>
    <canvas ref=${canvas} role="img" aria-label=${`Histograms of ${name}: ${columns.length} steps from ${first} to ${last}, values from ${short(least)} to ${short(most)}`}
      style=${{ height: `${HEIGHT}px` }} onClick=${(/** @type {MouseEvent} */ event) => onStep(place(event).column?.step ?? 0)} onMouseMove=${read} onMouseLeave=${() => setHint("")}></canvas>
    <div class="heat-steps muted"><span>${whole(first)}</span><span class="cut">${hint || "step"}</span><span>${whole(last)}</span></div></div>`;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./heat.js").Heat} heat
 * @param {number | null} at
 */
function paint(canvas, heat, at) {
  const context = canvas.getContext("2d");
  if (!context) return;
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
  canvas.width = width;
  canvas.height = height;
  context.fillStyle = colour("--sunken");
  context.fillRect(0, 0, width, height);
  const across = width / heat.columns.length;
  context.fillStyle = colour("--accent");
  heat.cells.forEach((column, index) => {
    const [left, right] = [Math.round(index * across), Math.round((index + 1) * across)];
    column.forEach((share, row) => {
      if (share === 0) return;
      context.globalAlpha = 0.08 + 0.92 * Math.sqrt(share / heat.densest);
      const [top, bottom] = [Math.round(height * (1 - (row + 1) / column.length)), Math.round(height * (1 - row / column.length))];
      context.fillRect(left, top, right - left, bottom - top);
    });
  });
  context.globalAlpha = 1;
  const marked = heat.columns.findIndex((each) => each.step === at);
  if (marked < 0) return;
  context.strokeStyle = colour("--text");
  context.lineWidth = scale;
  context.strokeRect(Math.round(marked * across) + 0.5, 0.5, Math.max(2, across), height - 1);
}
