/** Who changed what, the newest first. */

import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { audit } from "../../data/access.js";
import { date, value as shownValue } from "../../data/format.js";
import { usePages } from "../../data/pages.js";
import { leaves } from "../run/overview.js";

/** @typedef {import("../../data/access.js").Deed} Deed */

const KINDS = /** @type {const} */ ([["", "anybody"], ["user", "people"], ["api_key", "keys"], ["agent", "agents"], ["system", "the server"]]);
/** @type {WeakMap<Deed, string>} Deeds have no id of their own. */
const numbers = new WeakMap();
let given = 0;

/** @param {{ workspace: string }} props */
export function AuditTab({ workspace }) {
  const { params } = usePlace();
  const [kind, agent] = [params.get("by") ?? "", params.get("agent") ?? ""];
  const found = usePages(JSON.stringify(["audit", workspace, kind, agent]), "events", (cursor, signal) => audit(workspace, { actorKind: kind || null, agentId: agent || null }, cursor, signal));
  return html`<div class="bar"><label>Done by <select value=${kind} onChange=${(/** @type {any} */ event) => setParams({ by: event.target.value })}>${KINDS.map(([value, text]) => html`<option value=${value} selected=${value === kind}>${text}</option>`)}</select></label>
      ${agent && html`<span class="chip"><span class="mono cut">${agent}</span><button type="button" aria-label="All agents" onClick=${() => setParams({ agent: null })}>×</button></span>`}
      <span class="grow"></span><button type="button" onClick=${found.reload}>Refresh</button></div>
    ${found.error && found.value && html`<p class="notice bad" role="alert">${messageOf(found.error)}</p>`}
    ${unready(found, "the audit log") ?? (found.rows.length === 0 && !found.isStale ? html`<${Empty} title="Nothing of that kind was done" />`
      : html`<${Sheet} name="Audit log" columns=${COLUMNS} rows=${found.rows} keyOf=${numberOf} hasMore=${found.hasMore} onReach=${found.reach} isStale=${found.isStale} />`)}`;
}

/** @param {Deed} deed */
function numberOf(deed) {
  const known = numbers.get(deed) ?? String(++given);
  numbers.set(deed, known);
  return known;
}

/** @param {Deed} deed */
function told(deed) {
  return leaves(deed.details ?? {}).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${shownValue(value)}`).join(", ");
}

/** @type {import("../../app/sheet.js").Column[]} */
const COLUMNS = [
  { id: "when", label: "When", width: 170, cell: (row) => html`<span class="muted">${date(row.createdAtMs)}</span>` },
  { id: "action", label: "What", width: 140, title: (row) => row.action, cell: (row) => html`<span class="mono">${row.action}</span>` },
  { id: "actor", label: "By", width: 180, title: (row) => `${row.actorKind} ${row.actorId}`, cell: (row) => html`<span class="muted">${row.actorKind}</span> ${row.actorId}` },
  { id: "target", label: "On", width: 180, title: (row) => `${row.targetKind} ${row.targetId}`, cell: (row) => html`<span class="muted">${row.targetKind}</span> ${row.targetId}` },
  { id: "details", label: "Details", width: 280, title: told, cell: (row) => html`<span class="muted">${told(row)}</span>` },
];
