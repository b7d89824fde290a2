/** What a run showed beside numbers: pictures, tables, histograms and figures, all at one step. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { useOnceSeen } from "../../app/seen.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { whole } from "../../data/format.js";
import { mediaKeys, shownAt, stepBeside } from "../../data/media.js";
import { useResource } from "../../data/resource.js";
import { FigureView } from "./figure.js";
import { FileView } from "./file.js";
import { HistogramView } from "./histogram.js";
import { Images } from "./images.js";
import { TableView } from "./table.js";

/** @typedef {import("../../data/media.js").Key} Key */
/** @typedef {import("../../data/media.js").Shown} Shown */
/** @typedef {import("../../data/media.js").Place} Place */

const LIVE_MS = 3_000;
const TYPING_MS = 120;
const ORDER = ["image", "figure", "table", "histogram"];

/** @param {import("../run/view.js").TabProps} props */
export function MediaTab({ workspace, project, run, isLive }) {
  const place = { workspace, project, run };
  const { params } = usePlace();
  const keys = useResource(`media ${workspace} ${project} ${run}`, (signal) => mediaKeys(place, signal), isLive ? { everyMs: LIVE_MS } : {});
  const waiting = unready(keys, "the media");
  if (waiting || !keys.value) return waiting;
  if (keys.value.length === 0) {
    return html`<${Empty} title="Nothing was shown yet"><p><code>run.log({"samples": rd.Image(picture)})</code>, and so
      ${" "}do <code>rd.Table</code>, <code>rd.Histogram</code>, <code>rd.Figure</code>, puts it here, at its step.</p></${Empty}>`;
  }
  const find = params.get("find") ?? "";
  const shown = keys.value.filter((each) => each.mediaKey.toLowerCase().includes(find.toLowerCase())).sort((one, other) => rank(one) - rank(other));
  return html`<div class="media-view">
    <${Steps} place=${place} keys=${keys.value} step=${stepOf(params)} find=${find} />
    ${shown.length === 0 && html`<${Empty} title="No name fits" />`}
    ${shown.map((each) => html`<${Shelf} key=${`${each.mediaType} ${each.mediaKey}`} place=${place} of=${each} step=${stepOf(params)} />`)}
  </div>`;
}

/**
 * The slider over the steps; it has an effect once it stands still.
 * @param {{ place: Place, keys: Key[], step: number | null, find: string }} props
 */
function Steps({ place, keys, step, find }) {
  const least = Math.min(...keys.map((each) => each.firstStep));
  const most = Math.max(...keys.map((each) => each.lastStep));
  const [held, setHeld] = useState(/** @type {number | null} */ (null));
  const [error, setError] = useState("");
  useEffect(() => {
    if (held === null) return undefined;
    const timer = setTimeout(() => {
      setParams({ step: held >= most ? null : String(held) });
      setHeld(null);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [held]);
  const now = held ?? step ?? most;
  /** @param {-1 | 1} way */
  const beside = (way) =>
    stepBeside(place, now, way)
      .then((found) => {
        setError("");
        if (found !== null) setParams({ step: found >= most ? null : String(found) });
      })
      .catch((failure) => setError(messageOf(failure)));
  return html`<div class="bar controls media-steps" role="group" aria-label="Steps">
    <button type="button" class="icon" aria-label="The step before" title="The step before" disabled=${now <= least} onClick=${() => beside(-1)}>‹</button>
    <input type="range" class="grow" aria-label="Step" min=${least} max=${most} value=${now} disabled=${least === most}
      onInput=${(/** @type {any} */ event) => setHeld(Number(event.target.value))} />
    <button type="button" class="icon" aria-label="The next step" title="The next step" disabled=${now >= most} onClick=${() => beside(1)}>›</button>
    <span class="media-step number" role="status">${step === null && held === null ? `latest, ${whole(most)}` : whole(now)}</span>
    <input type="search" aria-label="Search names" placeholder="Search names" value=${find} onInput=${(/** @type {any} */ event) => setParams({ find: event.target.value })} />
    ${error && html`<p class="notice bad" role="alert">${error}</p>`}
  </div>`;
}

/** @param {{ place: Place, of: Key, step: number | null }} props */
function Shelf({ place, of: key, step }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const isSeen = useOnceSeen(box);
  const wanted = step === null ? key.lastStep : Math.min(step, key.lastStep);
  const found = useResource(
    isSeen ? `shown ${JSON.stringify([place, key.mediaKey, key.mediaType, wanted])} ${wanted === key.lastStep ? key.count : ""}` : null,
    async (signal) => (await shownAt(place, key.mediaKey, wanted, signal)).filter((each) => each.mediaType === key.mediaType),
    { keeps: true },
  );
  const at = found.value?.[0]?.step;
  return html`<section class="card shelf" ref=${box} aria-label=${`${key.mediaType} ${key.mediaKey}`} aria-busy=${String(found.isStale)}>
    <div class="head"><h2 class="cut" title=${key.mediaKey}>${key.mediaKey}</h2><span class="tag">${key.mediaType}</span>
      ${at !== undefined && html`<span class="muted">step ${whole(at)}</span>`}
      ${found.error && found.value && html`<span class="notice bad">${messageOf(found.error)}</span>`}</div>
    ${isSeen ? (unready(found, key.mediaKey) ?? html`<${Content} place=${place} of=${key} rows=${found.value} />`) : html`<div class="shelf-ahead"></div>`}
  </section>`;
}

/** @param {{ place: Place, of: Key, rows: Shown[] }} props */
function Content({ place, of: key, rows }) {
  const first = rows[0];
  if (!first) return html`<p class="muted">It showed nothing up to this step; its first is step ${whole(key.firstStep)}.</p>`;
  if (key.mediaType === "image") return html`<${Images} rows=${rows} />`;
  if (key.mediaType === "histogram") return html`<${HistogramView} place=${place} of=${key} rows=${rows} />`;
  return rows.map((each) => {
    const shown = key.mediaType === "table" ? html`<${TableView} row=${each} />` : key.mediaType === "figure" || key.mediaType === "html" ? html`<${FigureView} row=${each} />` : html`<${FileView} row=${each} />`;
    return html`<div class="stack" key=${each.sha256 + each.path}>${shown}${each.caption && html`<p class="caption">${each.caption}</p>`}</div>`;
  });
}

/** @param {Key} key */
function rank(key) {
  const found = ORDER.indexOf(key.mediaType);
  return found < 0 ? ORDER.length : found;
}

/**
 * @param {URLSearchParams} params
 * @returns {number | null} Null is the latest.
 */
function stepOf(params) {
  const text = params.get("step") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
