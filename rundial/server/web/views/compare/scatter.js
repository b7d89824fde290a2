/** Any two numbers of the runs against each other. */

import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { Empty } from "../../app/states.js";
import { lineColour } from "../../charts/palette.js";
import { short, some } from "../../data/format.js";
import { flat, valueAt } from "./values.js";

const WIDTH = 900;
const HEIGHT = 460;
const LEFT = 72;
const BOTTOM = 40;

/** @param {{ runs: any[], looks: Map<string, import("../../charts/panel.js").RunLook> }} props */
export function Scatter({ runs, looks }) {
  const { params } = usePlace();
  const fields = numericFields(runs);
  // What tells the runs apart is what somebody wants to see first.
  const telling = fields.filter((field) => new Set(runs.map((each) => valueAt(each, field))).size > 1);
  const x = params.get("sx") ?? telling.find((each) => each.startsWith("config.")) ?? fields[0] ?? "";
  const y = params.get("sy") ?? telling.find((each) => /^summary\..*loss/.test(each)) ?? telling.find((each) => each.startsWith("summary.")) ?? fields[1] ?? "";
  if (fields.length < 2) return html`<${Empty} title="No two numbers to draw"><p>Config and summary of these runs hold too few numbers.</p></${Empty}>`;
  const points = runs.flatMap((run) => {
    const at = { run, x: valueAt(run, x), y: valueAt(run, y) };
    return typeof at.x === "number" && typeof at.y === "number" ? [at] : [];
  });
  const [placeX, ticksX] = scaleOf(points.map((each) => each.x), LEFT, WIDTH - 16);
  const [placeY, ticksY] = scaleOf(points.map((each) => each.y), HEIGHT - BOTTOM, 16);
  /** @param {string} name @param {string} value @param {string} label */
  const choice = (name, value, label) => html`<label><span class="muted">${label}</span><select onChange=${(/** @type {any} */ event) => setParams({ [name]: event.target.value })}>
    ${fields.map((each) => html`<option value=${each} selected=${each === value}>${each}</option>`)}</select></label>`;
  return html`<div class="bar">${choice("sx", x, "x")}${choice("sy", y, "y")}<span class="muted">${points.length} of ${some(runs.length, "run")} have both</span></div>
    <figure class="card scatter"><svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`${y} over ${x} of ${points.length} runs`}>
      ${ticksX.map((each) => html`<g><line class="grid-line" x1=${placeX(each)} x2=${placeX(each)} y1="16" y2=${HEIGHT - BOTTOM} /><text x=${placeX(each)} y=${HEIGHT - BOTTOM + 20} text-anchor="middle">${short(each)}</text></g>`)}
      ${ticksY.map((each) => html`<g><line class="grid-line" x1=${LEFT} x2=${WIDTH - 16} y1=${placeY(each)} y2=${placeY(each)} /><text x=${LEFT - 8} y=${placeY(each) + 4} text-anchor="end">${short(each)}</text></g>`)}
      ${points.map((each) => html`<circle cx=${placeX(each.x)} cy=${placeY(each.y)} r="6" fill=${lineColour(looks.get(each.run.runId)?.number ?? 0)}><title>${`${each.run.runName}: ${short(each.x)}, ${short(each.y)}`}</title></circle>`)}
    </svg></figure>`;
}

/** @param {any[]} runs */
function numericFields(runs) {
  const found = new Set();
  for (const run of runs) {
    for (const [space, values] of [["config", flat(run.config)], ["summary", flat(run.summary)]]) {
      for (const [name, value] of Object.entries(values ?? {})) if (typeof value === "number") found.add(`${space}.${name}`);
    }
  }
  return /** @type {string[]} */ ([...found]).sort();
}

/**
 * Where a value stands between two edges, and five values to name there.
 * @param {number[]} values
 * @param {number} from
 * @param {number} to
 * @returns {[(value: number) => number, number[]]}
 */
function scaleOf(values, from, to) {
  const [low, high] = [Math.min(...values, Infinity), Math.max(...values, -Infinity)];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  const [first, last] = values.length > 0 ? [low - room, high + room] : [0, 1];
  const ticks = Array.from({ length: 5 }, (_, index) => Number((first + ((last - first) * (index + 0.5)) / 5).toPrecision(3)));
  return [(value) => from + ((value - first) / (last - first)) * (to - from), ticks];
}
