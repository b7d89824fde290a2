/** The bar that says how charts are looked at. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../app/html.js";
import { setParams } from "../app/router.js";
import { setZoom } from "./view.js";

/** @param {{ view: import("./view.js").ChartView, metrics: string[] }} props `metrics` may be the axis. */
export function Controls({ view, metrics }) {
  const axis = view.xMetric || view.axis;
  return html`<div class="controls bar">
    <${Search} value=${view.search} />
    <label>X axis <select value=${axis} onChange=${(/** @type {any} */ event) => setParams({ x: event.target.value, zoom: null })}>
      <option value="step" selected=${axis === "step"}>Step</option>
      <option value="relative" selected=${axis === "relative"}>Time since the start</option>
      <option value="time" selected=${axis === "time"}>Time of day</option>
      ${metrics.length > 0 && html`<optgroup label="Another metric">${metrics.slice(0, 500).map((each) => html`<option value=${each} selected=${axis === each}>${each}</option>`)}</optgroup>`}
    </select></label>
    <${Smoothing} value=${view.smoothing} />
    <label><input type="checkbox" checked=${view.isLogX} onChange=${() => setParams({ logx: view.isLogX ? null : "1" })} /> log x</label>
    <label><input type="checkbox" checked=${view.isLogY} onChange=${() => setParams({ logy: view.isLogY ? null : "1" })} /> log y</label>
    ${view.zoom
      ? html`<button type="button" class="small" onClick=${() => setZoom(null)}>Reset zoom</button>`
      : html`<span class="muted zoom-hint">Drag over a chart to zoom all of them</span>`}
  </div>`;
}

/** @param {{ value: string }} props */
function Search({ value }) {
  return html`<input type="search" data-search="" aria-label="Search metrics" placeholder="Search metrics" value=${value}
    onInput=${(/** @type {any} */ event) => setParams({ m: event.target.value })} />`;
}

/** @param {{ value: number }} props */
function Smoothing({ value }) {
  // The address follows when the slider rests; the charts would follow each pixel otherwise.
  const [now, setNow] = useState(value);
  useEffect(() => setNow(value), [value]);
  return html`<label>Smoothing <input type="range" min="0" max="0.99" step="0.01" value=${now}
    onInput=${(/** @type {any} */ event) => setNow(Number(event.target.value))}
    onChange=${(/** @type {any} */ event) => setParams({ smooth: Number(event.target.value) ? event.target.value : null })} />
    <span class="number smoothing-value">${now.toFixed(2)}</span></label>`;
}
