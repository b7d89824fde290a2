/** What a run logged beside numbers: pictures by step, tables, histograms over time, figures. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { Empty, unready } from "../../app/states.js";
import { bytesAddress, jsonOf, mediaKeys, mediaOf } from "../../data/media.js";
import { size } from "../../data/format.js";
import { useResource } from "../../data/resource.js";
import { HistogramView } from "./histogram.js";
import { TableView } from "./tableview.js";

const LIVE_MS = 5_000;

/** @typedef {import("../../data/media.js").MediaItem} MediaItem */

/** @param {import("./view.js").TabProps} props */
export function MediaTab({ workspace, project, run, isLive }) {
  const found = useResource(`media ${workspace} ${project} ${run}`, (signal) => mediaKeys(workspace, project, run, signal), isLive ? { everyMs: LIVE_MS } : {});
  const waiting = unready(found, "the media");
  if (waiting) return waiting;
  if (!found.value?.length) return html`<${Empty} title="No media"><p><code>run.log({"samples": rundial.Image(…)})</code>, tables, histograms and figures appear here.</p></${Empty}>`;
  return html`<div class="media-grid">${found.value.map((each) => html`<${MediaCard} key=${each.mediaKey + each.mediaType} workspace=${workspace} project=${project} run=${run} entry=${each} />`)}</div>`;
}

/** @param {{ workspace: string, project: string, run: string, entry: import("../../data/media.js").MediaKey }} props */
function MediaCard({ workspace, project, run, entry }) {
  const found = useResource(`media ${workspace} ${project} ${run} ${entry.mediaKey} ${entry.count}`, (signal) => mediaOf(workspace, project, run, entry.mediaKey, signal), { keeps: true });
  const [chosen, setChosen] = useState(/** @type {number | null} */ (null));
  const items = (found.value ?? []).filter((each) => each.mediaType === entry.mediaType);
  const steps = [...new Set(items.map((each) => each.step))].sort((one, other) => one - other);
  const at = chosen === null ? steps.length - 1 : Math.min(chosen, steps.length - 1);
  const shown = items.filter((each) => each.step === steps[at]);
  return html`<section class="card media-card" aria-label=${entry.mediaKey}>
    <div class="head"><h2 class="cut">${entry.mediaKey}</h2><span class="muted">${entry.mediaType}</span><span class="grow"></span>
      ${steps.length > 1 && html`<label class="step">Step ${steps[at]}<input type="range" min="0" max=${steps.length - 1} value=${at} aria-label=${`Step of ${entry.mediaKey}`} aria-valuetext=${`step ${steps[at]}`}
        onInput=${(/** @type {any} */ event) => setChosen(Number(event.target.value))} /></label>`}</div>
    ${unready(found, "it") ?? (entry.mediaType === "histogram"
      ? html`<${HistogramView} items=${items} shown=${shown[0]} />`
      : html`<div class=${entry.mediaType === "image" ? "pictures" : "stack"}>${shown.map((each) => html`<${Item} key=${each.path} item=${each} />`)}</div>`)}
  </section>`;
}

/** @param {{ item: MediaItem }} props */
function Item({ item }) {
  if (!item.url || item.state !== "stored") return html`<p class="muted">Its bytes are still on their way.</p>`;
  if (/^image\/(png|jpeg|gif|webp)$/.test(item.contentType)) return html`<${Picture} item=${item} />`;
  if (item.mediaType === "table") return html`<${TableFile} item=${item} />`;
  return html`<p class="row"><a class="button" href=${bytesAddress(item.url)} download>Download</a>
    <span class="muted">${item.contentType}, ${size(item.sizeBytes)}: not drawn here</span></p>`;
}

/** @param {{ item: MediaItem }} props */
function Picture({ item }) {
  const name = item.caption || `${item.mediaKey}, step ${item.step}`;
  return html`<figure class="picture"><a href=${bytesAddress(item.url ?? "")} target="_blank" rel="noopener" aria-label=${`${name}, in full size`}>
    <img src=${bytesAddress(item.url ?? "")} alt=${name} loading="lazy" width=${item.width ?? undefined} height=${item.height ?? undefined} /></a>
    ${item.caption && html`<figcaption class="muted cut" title=${item.caption}>${item.caption}</figcaption>`}</figure>`;
}

/** @param {{ item: MediaItem }} props */
function TableFile({ item }) {
  const found = useResource(`table ${item.path} ${item.sizeBytes}`, (signal) => jsonOf(item.url ?? "", signal));
  return unready(found, "the table") ?? html`<${TableView} columns=${found.value.columns ?? []} rows=${found.value.rows ?? []} name=${item.mediaKey} />`;
}
