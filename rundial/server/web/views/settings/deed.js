/** Doing something that may be refused: one at a time, and the refusal in words. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { messageOf } from "../../app/states.js";
import { ApiError } from "../../data/api.js";

/**
 * @param {() => void} onDone Called after each that was done.
 * @returns {{ act: (job: () => Promise<unknown>) => Promise<boolean>, isBusy: boolean, said: any }} `act` tells whether it was done.
 */
export function useDeed(onDone) {
  const [state, setState] = useState({ isBusy: false, error: /** @type {unknown} */ (null) });
  const act = async (/** @type {() => Promise<unknown>} */ job) => {
    setState({ isBusy: true, error: null });
    try {
      await job();
      setState({ isBusy: false, error: null });
      onDone();
      return true;
    } catch (error) {
      setState({ isBusy: false, error });
      return false;
    }
  };
  const hint = state.error instanceof ApiError ? state.error.hint : "";
  const said = html`<div role="alert">${state.error && html`<p class="notice bad">${[messageOf(state.error), hint].filter(Boolean).join("; ")}</p>`}</div>`;
  return { act, isBusy: state.isBusy, said };
}

/**
 * What a form holds, by name; of several fields of one name all.
 * @param {Event} event Of its submission, which goes nowhere else.
 * @returns {{ text: (name: string) => string, texts: (name: string) => string[], form: HTMLFormElement }}
 */
export function submitted(event) {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.currentTarget);
  const data = new FormData(form);
  return { form, text: (name) => String(data.get(name) ?? "").trim(), texts: (name) => data.getAll(name).map(String) };
}
