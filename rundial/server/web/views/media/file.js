/** A row whose kind is not drawn: what is known of it, and its bytes as a file. */

import { html } from "../../app/html.js";
import { size } from "../../data/format.js";
import { ownUrl } from "../../data/media.js";

/** @param {{ row: import("../../data/media.js").Shown, why?: string }} props */
export function FileView({ row, why }) {
  if (row.url === null) return html`<${Pending} />`;
  const name = row.path.split("/").at(-1) ?? row.path;
  return html`<p class="row">${why && html`<span>${why}</span>`}
    <a class="button" href=${ownUrl(row.url)} download>Download <span class="cut">${name}</span></a>
    <span class="muted">${row.contentType}${row.sizeBytes !== null && `, ${size(row.sizeBytes)}`}</span></p>`;
}

export function Pending() {
  return html`<p class="muted pending" role="status">Its bytes have not arrived yet.</p>`;
}
