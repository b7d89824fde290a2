/** API keys of a project or of the whole workspace: made, shown once, ended. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { ago, date } from "../../data/format.js";
import { projects } from "../../data/places.js";
import { useResource } from "../../data/resource.js";
import { DEFAULT_SCOPES, SCOPES, keysOf, makeKey, revokeKey } from "../../data/settings.js";
import { Form } from "./form.js";

/** @param {{ workspace: string }} props */
export function Keys({ workspace }) {
  const project = usePlace().params.get("project") ?? "";
  const places = useResource(`projects ${workspace}`, (signal) => projects(workspace, signal));
  const found = useResource(`keys ${workspace} ${project}`, (signal) => keysOf(workspace, project, signal));
  const [made, setMade] = useState("");
  const [ending, setEnding] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  /** @param {FormData} form */
  const make = async (form) => {
    const days = Number(form.get("days"));
    const scopes = form.getAll("scope").map(String);
    const found = await makeKey(workspace, project, { label: String(form.get("label")), scopes, ...(days ? { expiresAtMs: Date.now() + days * 86_400_000 } : {}) });
    setMade(found.key);
    reload();
  };
  const reload = found.reload;
  return html`<label class="row"><span class="muted">Keys of</span><select onChange=${(/** @type {any} */ event) => setParams({ project: event.target.value })}>
      <option value="" selected=${!project}>the whole workspace</option>${(places.value ?? []).map((each) => html`<option value=${each.projectSlug} selected=${each.projectSlug === project}>${each.projectSlug}</option>`)}</select></label>
    ${made && html`<section class="card values-card" aria-label="New key"><h2>The new key</h2><p>It is shown now and never again.</p><pre class="code" tabindex="0">${made}</pre>
      <div class="row"><button type="button" onClick=${() => navigator.clipboard?.writeText(made)}>Copy</button><button type="button" onClick=${() => setMade("")}>I have it</button></div></section>`}
    ${error && html`<p class="notice bad" role="alert">${error}</p>`}
    <details class="card values-card"><summary>Make a key</summary>
      <${Form} label="Make the key" onSend=${make}>
        <label>Label<input name="label" required maxlength="128" placeholder="nightly training" /></label>
        <label>Ends after days<input name="days" type="number" min="1" max="3650" placeholder="never" /></label>
        <fieldset class="choices"><legend class="muted">It may</legend>${SCOPES.map((each) => html`<label class="entry"><input type="checkbox" name="scope" value=${each} defaultChecked=${DEFAULT_SCOPES.includes(each)} />${each}</label>`)}</fieldset>
      </${Form}></details>
    ${unready(found, "the keys") ?? (found.value?.length === 0 ? html`<${Empty} title="No keys here yet" />`
      : html`<div class="card values-scroll"><table class="values"><thead><tr><th scope="col">Label</th><th scope="col">Id</th><th scope="col">Scopes</th><th scope="col">Made</th><th scope="col">Used last</th><th scope="col">Ends</th><th scope="col"></th></tr></thead>
      <tbody>${found.value?.map((each) => html`<tr><td>${each.label}</td><td class="mono">${each.keyId}</td><td>${each.scopes.join(", ")}</td><td title=${date(each.createdAtMs)}>${ago(each.createdAtMs)}</td><td>${each.lastUsedAtMs ? ago(each.lastUsedAtMs) : "never"}</td>
        <td>${each.revokedAtMs ? `revoked ${ago(each.revokedAtMs)}` : each.expiresAtMs ? date(each.expiresAtMs) : "never"}</td>
        <td>${!each.revokedAtMs && html`<button type="button" class="small danger" aria-label=${`Revoke ${each.label}`} onClick=${() => setEnding(each)}>Revoke…</button>`}</td></tr>`)}</tbody></table></div>`)}
    ${ending && html`<${Confirm} title=${`Revoke ${ending.label}?`} action="Revoke" onClose=${() => setEnding(null)}
      onConfirm=${() => revokeKey(workspace, project, ending.keyId).then(reload).catch((failure) => setError(messageOf(failure)))}><p>What uses it is refused from this moment on, browsers that signed in with it too.</p></${Confirm}>`}`;
}
