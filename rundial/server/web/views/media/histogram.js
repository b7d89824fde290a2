/** Histograms of a key over all steps as a heat map, and the one of the chosen step as bars. */

import { html } from "../../app/html.js";
import { setParams } from "../../app/router.js";
import { messageOf, unready } from "../../app/states.js";
import { Bars } from "../../charts/bars.js";
import { HeatMap } from "../../charts/heatmap.js";
import { columnOf, heatOf } from "../../charts/heat.js";
import { short, whole } from "../../data/format.js";
import { inTurn, json, overSteps } from "../../data/media.js";
import { useResource } from "../../data/resource.js";
import { Pending } from "./file.js";

/** @typedef {import("../../data/media.js").Shown} Shown */

const MOST_STEPS = 100;

/** @param {{ place: import("../../data/media.js").Place, of: import("../../data/media.js").Key, rows: Shown[] }} props */
export function HistogramView({ place, of: key, rows }) {
  const first = rows[0];
  const now = useResource(first?.url ? `histogram ${first.sha256} ${first.step}` : null, async (signal) => columnOf(first?.step ?? 0, await json(first ?? { url: null }, signal)), { keeps: true });
  const all = useResource(
    key.firstStep === key.lastStep ? null : `histograms ${JSON.stringify(place)} ${key.mediaKey} ${key.count} ${key.lastStep}`,
    async (signal) => {
      const shown = (await overSteps(place, key, MOST_STEPS, signal)).filter((each) => each.url !== null && each.mediaType === "histogram");
      return heatOf(await inTurn(shown, async (each) => columnOf(each.step, await json(each, signal))));
    },
    { keeps: true },
  );
  const isThinned = key.count > MOST_STEPS;
  return html`<div class="histograms">
    ${key.firstStep !== key.lastStep && html`<div class="stack">${unready(all, "the histograms") ?? html`<${HeatMap} name=${key.mediaKey} heat=${all.value} at=${first?.step ?? null} onStep=${(/** @type {number} */ step) => setParams({ step: String(step) })} />`}
      ${isThinned && all.value && html`<p class="muted">${whole(all.value.columns.length)} of ${whole(key.count)} are drawn, at even distances.</p>`}
      ${all.error && all.value && html`<p class="notice bad">${messageOf(all.error)}</p>`}</div>`}
    ${first?.url === null ? html`<${Pending} />` : (unready(now, "the histogram") ?? html`<figure class="stack"><${Bars} name=${`${key.mediaKey}, step ${first?.step}`} column=${now.value} />
      <figcaption class="caption">${first?.caption} <span class="muted">${summary(now.value)}</span></figcaption></figure>`)}
  </div>`;
}

/** @param {import("../../charts/heat.js").HeatColumn | undefined} column */
function summary(column) {
  if (!column) return "";
  const range = `${whole(column.total)} values from ${short(column.edges[0] ?? 0)} to ${short(column.edges.at(-1) ?? 0)}`;
  return column.nonFinite ? `${range}, ${whole(column.nonFinite)} not finite` : range;
}
