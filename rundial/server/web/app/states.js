/** What a view shows when it has nothing to show: it waits, it failed, or there is nothing yet. */

import { Component } from "preact";

import { ApiError } from "../data/api.js";
import { html } from "./html.js";

/** @param {{ what: string }} props */
export function Waiting({ what }) {
  return html`<div class="state" role="status"><div class="wait"></div><p>Loading ${what}…</p></div>`;
}

/** @param {{ title: string, children?: import("./html.js").Children }} props */
export function Empty({ title, children }) {
  return html`<div class="state"><h2>${title}</h2>${children}</div>`;
}

/** @param {{ error: unknown, what: string, onRetry?: () => void }} props */
export function Failed({ error, what, onRetry }) {
  const hint = error instanceof ApiError ? error.hint : "";
  return html`<div class="state" role="alert">
    <h2>${what} could not be shown</h2>
    <p>${messageOf(error)}${hint && html`<br />${hint}`}</p>
    ${error instanceof ApiError && error.requestId && html`<p class="mono">${error.requestId}</p>`}
    ${onRetry && html`<button onClick=${onRetry}>Try again</button>`}
  </div>`;
}

/**
 * What a resource shows while there is no value of it; null once there is one.
 * @param {{ value: unknown, error: unknown, reload: () => void }} resource
 * @param {string} what
 */
export function unready(resource, what) {
  if (resource.value !== undefined) return null;
  if (resource.error) return html`<${Failed} error=${resource.error} what=${what} onRetry=${resource.reload} />`;
  return html`<${Waiting} what=${what} />`;
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Keeps a view that fails from taking the rest of the page along. */
export class Boundary extends Component {
  /** @param {{ of: string, children: import("./html.js").Children }} props */
  constructor(props) {
    super(props);
    this.state = { error: null };
  }

  /** @param {unknown} error */
  static getDerivedStateFromError(error) {
    return { error };
  }

  /** @param {any} before */
  componentDidUpdate(before) {
    const now = /** @type {any} */ (this.props);
    if (before.of !== now.of && /** @type {any} */ (this.state).error) this.setState({ error: null });
  }

  render() {
    const { error } = /** @type {any} */ (this.state);
    if (!error) return /** @type {any} */ (this.props).children;
    return html`<${Failed} error=${error} what="This view" onRetry=${() => this.setState({ error: null })} />`;
  }
}
