/** The people of a workspace and their roles. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { html } from "../../app/html.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, unready } from "../../app/states.js";
import { addMember, giveRole, members, removeMember, ROLES } from "../../data/access.js";
import { date } from "../../data/format.js";
import { useResource } from "../../data/resource.js";
import { submitted, useDeed } from "./deed.js";

/** @typedef {import("../../data/access.js").Member} Member */

/** @param {{ workspace: string }} props */
export function MembersTab({ workspace }) {
  const found = useResource(`members ${workspace}`, (signal) => members(workspace, signal));
  const [leaving, setLeaving] = useState(/** @type {Member | null} */ (null));
  const { act, isBusy, said } = useDeed(found.reload);
  /** @param {Event} event */
  const add = async (event) => {
    const { text, form } = submitted(event);
    const [name, password] = [text("name"), text("password")];
    const person = { email: text("email"), role: text("role"), ...(name ? { name } : {}), ...(password ? { password } : {}) };
    if (await act(() => addMember(workspace, person))) form.reset();
  };
  const waiting = unready(found, "the members");
  if (waiting) return waiting;
  return html`${said}
    <section class="card shelf" aria-label="New member"><h2>New member</h2><form class="stack settings-form" onSubmit=${add} autocomplete="off">
      <div class="row"><label>E-mail <input name="email" type="email" required autocomplete="off" /></label>
        <label>Role <select name="role">${["member", "viewer", "owner"].map((each) => html`<option value=${each}>${each}</option>`)}</select></label>
        <label>Name <input name="name" maxlength="128" autocomplete="off" /></label>
        <label>First password <input name="password" type="password" autocomplete="new-password" /></label>
        <button class="primary" disabled=${isBusy}>Add</button></div>
      <p class="muted">Somebody with an account needs no password. Only the server's owner makes accounts.</p></form></section>
    ${found.value?.length === 0 ? html`<${Empty} title="No member yet"><p>Whoever has the owner's key of the server may do everything here.</p></${Empty}>`
      : html`<${Sheet} name="Members" columns=${columnsOf((person, role) => act(() => giveRole(workspace, person.userId, role)), setLeaving)} rows=${found.value} keyOf=${(/** @type {Member} */ row) => `${row.userId} ${row.role}`} />`}
    ${leaving && html`<${Confirm} title="Remove this member?" action="Remove" onClose=${() => setLeaving(null)} onConfirm=${() => act(() => removeMember(workspace, leaving.userId))}>
      <p><strong>${leaving.email}</strong> sees nothing of this workspace from then on, and the keys that they made here end.</p></${Confirm}>`}`;
}

/**
 * @param {(person: Member, role: string) => void} onRole
 * @param {(person: Member) => void} onLeave
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(onRole, onLeave) {
  return [
    { id: "email", label: "E-mail", width: 140, title: (row) => row.email, cell: (row) => row.email },
    { id: "role", label: "Role", width: 96, cell: (row) => html`<select class="in-row" aria-label=${`Role of ${row.email}`} value=${row.role} onChange=${(/** @type {any} */ event) => onRole(row, event.target.value)}>${ROLES.map((each) => html`<option value=${each} selected=${each === row.role}>${each}</option>`)}</select>` },
    { id: "leave", label: "Actions", width: 96, cell: (row) => html`<button type="button" class="small danger" aria-label=${`Remove ${row.email}`} onClick=${() => onLeave(row)}>Remove…</button>` },
    { id: "name", label: "Name", width: 140, title: (row) => row.name, cell: (row) => row.name },
    { id: "since", label: "Account since", width: 160, cell: (row) => html`<span class="muted">${date(row.createdAtMs)}</span>` },
  ];
}
