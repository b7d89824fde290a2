/** The people of a workspace and their roles. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { html } from "../../app/html.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { date } from "../../data/format.js";
import { useResource } from "../../data/resource.js";
import { ROLES, addMember, membersOf, removeMember, setRole } from "../../data/settings.js";
import { Form } from "./form.js";

/** @param {{ workspace: string }} props */
export function Members({ workspace }) {
  const found = useResource(`members ${workspace}`, (signal) => membersOf(workspace, signal));
  const [leaving, setLeaving] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  /** @param {Promise<unknown>} job */
  const act = (job) => job.then(() => { setError(""); found.reload(); }).catch((failure) => { setError(messageOf(failure)); found.reload(); });
  /** @param {FormData} form */
  const add = async (form) => {
    const [email, name, password, role] = ["email", "name", "password", "role"].map((each) => String(form.get(each) ?? ""));
    await addMember(workspace, { email: email ?? "", role: role ?? "", ...(name ? { name } : {}), ...(password ? { password } : {}) });
    found.reload();
  };
  return html`${error && html`<p class="notice bad" role="alert">${error}</p>`}
    <details class="card values-card"><summary>Add a member</summary><${Form} label="Add" onSend=${add}>
      <label>E-mail<input name="email" type="email" required /></label><label>Name<input name="name" /></label>
      <label>Role<select name="role">${ROLES.map((each) => html`<option selected=${each === "member"}>${each}</option>`)}</select></label>
      <label>Password, for a new account<input name="password" type="password" autocomplete="new-password" /></label></${Form}></details>
    ${unready(found, "the members") ?? (found.value?.length === 0 ? html`<${Empty} title="No members yet"><p>Keys work without any; people sign in with e-mail and password.</p></${Empty}>`
      : html`<div class="card values-scroll"><table class="values"><thead><tr><th scope="col">Name</th><th scope="col">E-mail</th><th scope="col">Role</th><th scope="col">Since</th><th scope="col"></th></tr></thead>
      <tbody>${found.value?.map((each) => html`<tr key=${each.userId}><td>${each.name}</td><td>${each.email}</td>
        <td><select aria-label=${`Role of ${each.email}`} onChange=${(/** @type {any} */ event) => act(setRole(workspace, each.userId, event.target.value))}>${ROLES.map((role) => html`<option selected=${role === each.role}>${role}</option>`)}</select></td>
        <td>${date(each.createdAtMs)}</td><td><button type="button" class="small danger" aria-label=${`Remove ${each.email}`} onClick=${() => setLeaving(each)}>Remove…</button></td></tr>`)}</tbody></table></div>`)}
    ${leaving && html`<${Confirm} title=${`Remove ${leaving.email}?`} action="Remove" onClose=${() => setLeaving(null)} onConfirm=${() => act(removeMember(workspace, leaving.userId))}><p>The keys that they made here end, too.</p></${Confirm}>`}`;
}
