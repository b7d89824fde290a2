/** Who did what in the workspace, the newest first. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { Empty, unready } from "../../app/states.js";
import { date } from "../../data/format.js";
import { useResource } from "../../data/resource.js";
import { deeds } from "../../data/settings.js";

/** @param {{ workspace: string }} props */
export function Audit({ workspace }) {
  const [cursors, setCursors] = useState(/** @type {(string | null)[]} */ ([null]));
  const cursor = cursors.at(-1) ?? null;
  const found = useResource(`audit ${workspace} ${cursor}`, (signal) => deeds(workspace, cursor, signal), { keeps: true });
  const waiting = unready(found, "the audit log");
  if (waiting) return waiting;
  const { events, page } = found.value;
  if (events.length === 0) return html`<${Empty} title="Nothing was done yet" />`;
  return html`<div class="card values-scroll"><table class="values"><thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">To</th><th scope="col">Details</th></tr></thead>
    <tbody>${events.map((/** @type {any} */ each) => html`<tr><td>${date(each.createdAtMs)}</td><td class="mono">${each.actorKind} ${each.actorId}</td><td>${each.action}</td><td class="mono">${each.targetKind} ${each.targetId}</td><td class="mono">${each.details && Object.keys(each.details).length > 0 ? JSON.stringify(each.details) : ""}</td></tr>`)}</tbody></table></div>
    <div class="bar">${cursors.length > 1 && html`<button type="button" onClick=${() => setCursors(cursors.slice(0, -1))}>Newer</button>`}${page.nextCursor && html`<button type="button" onClick=${() => setCursors([...cursors, page.nextCursor])}>Older</button>`}</div>`;
}
