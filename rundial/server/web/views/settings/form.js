/** A form that sends what it holds, says what went wrong, and is not sent twice. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { messageOf } from "../../app/states.js";
import { ApiError } from "../../data/api.js";

/**
 * @param {{ label: string, onSend: (form: FormData) => Promise<unknown>, children?: import("../../app/html.js").Children }} props
 */
export function Form({ label, onSend, children }) {
  const [state, setState] = useState({ error: "", isBusy: false });
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const element = /** @type {HTMLFormElement} */ (event.target);
    setState({ error: "", isBusy: true });
    try {
      await onSend(new FormData(element));
      setState({ error: "", isBusy: false });
      element.reset();
    } catch (error) {
      const hint = error instanceof ApiError ? error.hint : "";
      setState({ error: [messageOf(error), hint].filter(Boolean).join("; "), isBusy: false });
    }
  };
  return html`<form class="settings-form" onSubmit=${submit}>${children}
    <button class="primary" disabled=${state.isBusy}>${label}</button>
    <div role="alert">${state.error && html`<p class="notice bad">${state.error}</p>`}</div></form>`;
}
