/** The form that makes a key, and the window that shows its text this one time. */

import { useState } from "preact/hooks";

import { Copyable } from "../../app/copy.js";
import { Dialog } from "../../app/dialog.js";
import { html } from "../../app/html.js";
import { SCOPES } from "../../data/access.js";
import { submitted, useDeed } from "./deed.js";

const DAY_MS = 86_400_000;
const LIVES = /** @type {const} */ ([["", "never"], ["7", "in 7 days"], ["30", "in 30 days"], ["90", "in 90 days"], ["365", "in a year"]]);

/**
 * @param {{
 *   make: (wish: import("../../data/access.js").Wish) => Promise<{ key: string }>,
 *   onMade: () => void,
 *   isAgents?: boolean,
 *   children?: import("../../app/html.js").Children,
 * }} props `isAgents` leaves out what an agent's key cannot have.
 */
export function NewKey({ make, onMade, isAgents = false, children }) {
  const [key, setKey] = useState("");
  const { act, isBusy, said } = useDeed(onMade);
  /** @param {Event} event */
  const submit = (event) => {
    const { text, texts, form } = submitted(event);
    const days = Number(text("life"));
    const wish = { label: text("label"), scopes: texts("scope"), expiresAtMs: days ? Date.now() + days * DAY_MS : null };
    void act(async () => {
      setKey((await make(wish)).key);
      form.reset();
    });
  };
  const scopes = SCOPES.filter(([scope]) => !isAgents || scope !== "admin");
  return html`<form class="stack settings-form" onSubmit=${submit}>
      <div class="row"><label>Name <input name="label" maxlength="128" autocomplete="off" placeholder="cluster nodes" /></label>
        <label>Expires <select name="life">${LIVES.map(([days, text]) => html`<option value=${days}>${text}</option>`)}</select></label>${children}</div>
      <fieldset class="scopes"><legend>May</legend>${scopes.map(([scope, text]) => html`<label><input type="checkbox" name="scope" value=${scope} defaultChecked=${scope !== "admin"} /><span>${text} <code class="muted">${scope}</code></span></label>`)}</fieldset>
      ${said}<div class="row"><button class="primary" disabled=${isBusy}>Make the key</button></div></form>
    ${key && html`<${Dialog} title="The new key" onClose=${() => setKey("")}>
      <p class="notice warn">It is shown this one time; the server keeps only its digest.</p><${Copyable} what="the key" text=${key} />
      <p>Use it with <code>rundial login --endpoint ${location.origin}</code> or as <code>RUNDIAL_API_KEY</code>.</p></${Dialog}>`}`;
}
