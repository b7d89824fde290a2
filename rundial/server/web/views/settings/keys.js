/** API keys of the whole workspace or of one project: made, listed, ended. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, unready } from "../../app/states.js";
import { keys, makeKey, revokeKey } from "../../data/access.js";
import { ago, date } from "../../data/format.js";
import { projects } from "../../data/places.js";
import { useResource } from "../../data/resource.js";
import { useDeed } from "./deed.js";
import { NewKey } from "./newkey.js";

/** @typedef {import("../../data/access.js").Key} Key */

/** @param {{ workspace: string }} props */
export function KeysTab({ workspace }) {
  const { params } = usePlace();
  const project = params.get("project") ?? "";
  const places = useResource(`projects of keys ${workspace}`, (signal) => projects(workspace, signal));
  const found = useResource(`keys ${workspace} ${project}`, (signal) => keys(workspace, project, signal));
  const [ending, setEnding] = useState(/** @type {Key | null} */ (null));
  const { act, said } = useDeed(found.reload);
  const slugs = [...new Set([...(project ? [project] : []), ...(places.value ?? []).map((each) => each.projectSlug)])];
  return html`<div class="bar"><label>Keys of <select value=${project} onChange=${(/** @type {any} */ event) => setParams({ project: event.target.value })}>
      <option value="">the whole workspace</option>${slugs.map((each) => html`<option value=${each} selected=${each === project}>${each}</option>`)}</select></label></div>
    ${said}
    ${unready(found, "the keys") ?? html`
      <section class="card shelf" aria-label="New key"><h2>New key ${project ? `for ${project}` : "for the whole workspace"}</h2>
        <${NewKey} make=${(/** @type {import("../../data/access.js").Wish} */ wish) => makeKey(workspace, project, wish)} onMade=${found.reload} /></section>
      ${found.value?.length === 0 ? html`<${Empty} title="No key yet" />` : html`<${Sheet} name="Keys" columns=${columnsOf(setEnding)} rows=${found.value} keyOf=${(/** @type {Key} */ row) => row.keyId} />`}`}
    ${ending && html`<${Confirm} title="Revoke this key?" action="Revoke" onClose=${() => setEnding(null)} onConfirm=${() => act(() => revokeKey(workspace, project, ending.keyId))}>
      <p><strong>${ending.label || ending.keyId}</strong> opens nothing from then on, for good. Programs that use it keep what they record on their disks until they get another.</p></${Confirm}>`}`;
}

/**
 * @param {Key} key
 * @returns {"active" | "revoked" | "expired"}
 */
function stateOf(key) {
  if (key.revokedAtMs !== null) return "revoked";
  return key.expiresAtMs !== null && key.expiresAtMs <= Date.now() ? "expired" : "active";
}

/**
 * @param {(key: Key) => void} onEnd
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(onEnd) {
  const when = (/** @type {number | null} */ ms, /** @type {string} */ none) => (ms === null ? html`<span class="muted">${none}</span>` : ago(ms));
  const title = (/** @type {number | null} */ ms) => (ms === null ? "" : date(ms));
  return [
    { id: "label", label: "Name", width: 120, title: (row) => row.label ?? row.keyId, cell: (row) => row.label ?? html`<span class="muted">unnamed</span>` },
    { id: "state", label: "State", width: 88, cell: (row) => html`<span class="status" data-status=${stateOf(row) === "active" ? "completed" : "stopped"}>${stateOf(row)}</span>` },
    { id: "end", label: "Actions", width: 88, cell: (row) => stateOf(row) === "active" && html`<button type="button" class="small danger" aria-label=${`Revoke ${row.label ?? row.keyId}`} onClick=${() => onEnd(row)}>Revoke…</button>` },
    { id: "id", label: "Id", width: 130, title: (row) => row.keyId, cell: (row) => html`<span class="mono">${row.keyId}</span>` },
    { id: "used", label: "Last used", width: 110, title: (row) => title(row.lastUsedAtMs), cell: (row) => when(row.lastUsedAtMs, "never") },
    { id: "expires", label: "Expires", width: 110, title: (row) => title(row.expiresAtMs), cell: (row) => when(row.expiresAtMs, "never") },
    { id: "created", label: "Made", width: 110, title: (row) => title(row.createdAtMs), cell: (row) => when(row.createdAtMs, "") },
    { id: "scopes", label: "May", width: 240, title: (row) => row.scopes.join(", "), cell: (row) => html`<span class="muted">${row.scopes.join(", ")}</span>` },
  ];
}
