/** Pictures of one step in a grid; one of them at full size in a window. */

import { useState } from "preact/hooks";

import { Dialog } from "../../app/dialog.js";
import { html } from "../../app/html.js";
import { date, size, value as shownValue } from "../../data/format.js";
import { ownUrl } from "../../data/media.js";
import { leaves } from "../run/overview.js";
import { FileView, Pending } from "./file.js";

/** @typedef {import("../../data/media.js").Shown} Shown */

const MOST = 60;
// What the server hands out as a picture; everything else it hands out as a file.
const SHOWN = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

/** @param {{ rows: Shown[] }} props */
export function Images({ rows }) {
  const [most, setMost] = useState(MOST);
  const [open, setOpen] = useState(/** @type {Shown | null} */ (null));
  return html`<ul class="images">${rows.slice(0, most).map((each, index) => html`<li key=${`${each.sha256} ${index}`}><${Picture} row=${each} onOpen=${() => setOpen(each)} /></li>`)}</ul>
    ${rows.length > most && html`<button type="button" class="small" onClick=${() => setMost(most + MOST)}>Show ${Math.min(MOST, rows.length - most)} more of ${rows.length}</button>`}
    ${open && html`<${Large} row=${open} onClose=${() => setOpen(null)} />`}`;
}

/** @param {{ row: Shown, onOpen: () => void }} props */
export function Picture({ row, onOpen }) {
  const [isBroken, setBroken] = useState(false);
  const name = nameOf(row);
  let picture;
  if (row.url === null) picture = html`<${Pending} />`;
  else if (!SHOWN.has(row.contentType.toLowerCase())) picture = html`<${FileView} row=${row} />`;
  else if (isBroken) picture = html`<${FileView} row=${row} why="This picture cannot be shown." />`;
  else picture = html`<button type="button" class="picture" aria-label=${`Enlarge ${name}`} onClick=${onOpen}>
    <img src=${ownUrl(row.url)} alt=${name} width=${row.width ?? undefined} height=${row.height ?? undefined} loading="lazy" onError=${() => setBroken(true)} /></button>`;
  return html`<figure>${picture}${row.caption && html`<figcaption class="caption" title=${row.caption}>${row.caption}</figcaption>`}</figure>`;
}

/** @param {{ row: Shown, onClose: () => void }} props */
function Large({ row, onClose }) {
  const facts = /** @type {[string, unknown][]} */ ([
    ["Step", row.step],
    ["Logged", date(row.timestampMs)],
    ["Pixels", row.width && row.height ? `${row.width} × ${row.height}` : null],
    ["Size", row.sizeBytes === null ? null : size(row.sizeBytes)],
    ...leaves(row.metadata ?? {}),
  ]).filter(([, value]) => value !== null && value !== undefined);
  return html`<${Dialog} title=${row.mediaKey} onClose=${onClose} isWide>
    <img class="large" src=${ownUrl(row.url ?? "")} alt=${nameOf(row)} />
    ${row.caption && html`<p>${row.caption}</p>`}
    <table class="values"><tbody>${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${shownValue(value)}</td></tr>`)}</tbody></table>
    <${FileView} row=${row} />
  </${Dialog}>`;
}

/** @param {Shown} row */
function nameOf(row) {
  return row.caption || `${row.mediaKey}, step ${row.step}`;
}
