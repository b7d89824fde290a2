/** `/sign-in`: with an API key, or as a person. Neither is kept by the page. */

import { useState } from "preact/hooks";

import { html } from "../app/html.js";
import { go, here } from "../app/router.js";
import { messageOf } from "../app/states.js";
import { ApiError } from "../data/api.js";
import { signIn, signInWithKey } from "../data/session.js";

export function View() {
  const [withKey, setWithKey] = useState(true);
  document.title = "Sign in · Rundial";
  return html`<section class="sign-in card" aria-labelledby="sign-in-title">
    <h1 id="sign-in-title">Sign in to Rundial</h1>
    <div class="tabs" role="tablist" aria-label="How to sign in">
      <button type="button" role="tab" id="tab-key" aria-selected=${String(withKey)} aria-controls="sign-in-panel" onClick=${() => setWithKey(true)}>API key</button>
      <button type="button" role="tab" id="tab-person" aria-selected=${String(!withKey)} aria-controls="sign-in-panel" onClick=${() => setWithKey(false)}>E-mail and password</button>
    </div>
    <div id="sign-in-panel" role="tabpanel" aria-labelledby=${withKey ? "tab-key" : "tab-person"}>
      ${withKey ? html`<${KeyForm} key="key" />` : html`<${PersonForm} key="person" />`}
    </div>
  </section>`;
}

function KeyForm() {
  const [submit, state] = useSubmit((form) => signInWithKey((form.get("key") ?? "").trim()));
  return html`<form onSubmit=${submit}>
    <label>API key<input name="key" type="password" autocomplete="off" spellcheck=${false} placeholder="rdk_…" required autofocus /></label>
    <${Outcome} ...${state} />
    <p class="muted">Whoever started this server finds the owner's key in the file <code>owner.key</code> of its data
      directory: <code>cat ~/.local/share/rundial/owner.key</code>. It goes to the server once and is exchanged for a
      session.</p>
  </form>`;
}

function PersonForm() {
  const [submit, state] = useSubmit((form) => signIn({ email: (form.get("email") ?? "").trim(), password: form.get("password") ?? "" }));
  return html`<form onSubmit=${submit}>
    <label>E-mail<input name="email" type="email" autocomplete="username" required autofocus /></label>
    <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>
    <${Outcome} ...${state} />
    <p class="muted">No account yet? The server's owner makes one: <code>rundial server user add you@example.org</code></p>
  </form>`;
}

/** @param {{ error: string, isBusy: boolean }} state */
function Outcome({ error, isBusy }) {
  return html`<div role="alert">${error && html`<p class="notice bad">${error}</p>`}</div>
    <button class="primary" disabled=${isBusy}>${isBusy ? "Signing in…" : "Sign in"}</button>`;
}

/**
 * @param {(form: Map<string, string>) => Promise<void>} job
 * @returns {[(event: SubmitEvent) => void, { error: string, isBusy: boolean }]}
 */
function useSubmit(job) {
  const [state, setState] = useState({ error: "", isBusy: false });
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    setState({ error: "", isBusy: true });
    try {
      await job(new Map([...form].map(([name, value]) => [name, String(value)])));
      go(next(), { replaces: true });
    } catch (error) {
      const hint = error instanceof ApiError && error.status !== 401 ? error.hint : "";
      setState({ error: [messageOf(error), hint].filter(Boolean).join("; "), isBusy: false });
    }
  };
  return [submit, state];
}

/** Where they wanted to go; an address of this page, whatever a link says. */
function next() {
  const wanted = here().params.get("next") ?? "/";
  const address = new URL(wanted, location.origin);
  const isOwn = wanted.startsWith("/") && address.origin === location.origin;
  return isOwn ? address.pathname + address.search : "/";
}
