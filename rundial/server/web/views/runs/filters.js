/** Which runs: a part of a name, conditions as chips, and the whole filter as a text for whoever prefers it. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { Menu } from "../../app/menu.js";
import { setParams } from "../../app/router.js";
import { runFields } from "../../data/runs.js";
import { useResource } from "../../data/resource.js";
import { partsOf, withPart, written } from "./state.js";

const OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "~", "!~", "exists"];
const STATUSES = ["running", "completed", "failed", "crashed", "aborted"];
const TYPING_MS = 250;

/**
 * @param {{ workspace: string, project: string, state: import("./state.js").TableState, error: unknown }} props
 */
export function Filters({ workspace, project, state, error }) {
  const [isText, setText] = useState(false);
  const parts = partsOf(state.filter);
  return html`<div class="bar" role="search">
    <${Typed} name="Search runs by name" placeholder="Search by name" value=${state.search} onValue=${(/** @type {string} */ name) => setParams({ name })} isSearch />
    ${isText
      ? html`<${Typed} name="Filter" className="grow mono" placeholder='status = "running" and config.lr > 0.01' value=${state.filter} onValue=${(/** @type {string} */ q) => setParams({ q })} />`
      : parts.map((part, index) => html`<span class="chip"><span class="mono cut" title=${part}>${part}</span><button type="button" aria-label=${`Remove the filter ${part}`}
          onClick=${() => setParams({ q: parts.filter((_, at) => at !== index).join(" and ") })}>×</button></span>`)}
    ${!isText && html`<${Menu} label="+ Filter">${(/** @type {() => void} */ close) => html`<${NewFilter} workspace=${workspace} project=${project} state=${state} close=${close} />`}</${Menu}>`}
    <button type="button" class="quiet" aria-pressed=${String(isText)} onClick=${() => setText(!isText)}>Edit as text</button>
    <${Archive} state=${state} />
    ${error && html`<p class="notice bad grow" role="alert">${error instanceof Error ? error.message : String(error)}</p>`}
  </div>`;
}

/** @param {{ state: import("./state.js").TableState }} props */
function Archive({ state }) {
  return html`<button type="button" class="quiet" aria-pressed=${String(state.isArchived)} onClick=${() => setParams({ archived: state.isArchived ? null : "1" })}>Archived</button>`;
}

/**
 * A field that tells what was typed once the typing rests.
 * @param {{ name: string, placeholder: string, value: string, onValue: (text: string) => void, className?: string, isSearch?: boolean }} props
 */
function Typed({ name, placeholder, value, onValue, className = "", isSearch = false }) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  useEffect(() => {
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return undefined;
    const timer = setTimeout(() => {
      sent.current = text;
      onValue(text);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<input type=${isSearch ? "search" : "text"} data-search=${isSearch ? "" : undefined} class=${className} aria-label=${name} placeholder=${placeholder}
    value=${text} spellcheck=${false} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />`;
}

/** @param {{ workspace: string, project: string, state: import("./state.js").TableState, close: () => void }} props */
function NewFilter({ workspace, project, state, close }) {
  const fields = useResource(`fields ${workspace} ${project}`, (signal) => runFields(workspace, project, signal));
  const known = ["status", "runName", "group", "jobType", "tags", "kind", "startedAtMs", ...(fields.value ?? []).map((each) => each.field)];
  /** @param {string} condition */
  const add = (condition) => {
    setParams({ q: withPart(state.filter, condition) });
    close();
  };
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const field = String(form.get("field")).trim();
    const operator = String(form.get("operator"));
    if (field) add(operator === "exists" ? `${written(field)} exists` : `${written(field)} ${operator} ${literal(String(form.get("value")).trim(), operator)}`);
  };
  return html`<div class="stack">
    <div class="row" role="group" aria-label="By status">${STATUSES.map((each) => html`<button type="button" class="small" onClick=${() => add(`status = "${each}"`)}><span class="status" data-status=${each}>${each}</span></button>`)}</div>
    <form class="stack" onSubmit=${submit}>
      <input name="field" list="filter-fields" placeholder="Field, such as config.lr" aria-label="Field" required autofocus />
      <datalist id="filter-fields">${[...new Set(known)].map((each) => html`<option value=${each} />`)}</datalist>
      <span class="row"><select name="operator" aria-label="Comparison">${OPERATORS.map((each) => html`<option>${each}</option>`)}</select>
        <input name="value" class="grow" aria-label="Value" placeholder="Value" /></span>
      <button class="primary">Add filter</button>
    </form>
  </div>`;
}

/**
 * A value as the filter language writes it: numbers, true, false and null as they are, all else as a text.
 * @param {string} text
 * @param {string} operator
 */
function literal(text, operator) {
  const isPlain = /^(-?\d+(\.\d+)?([eE][-+]?\d+)?|true|false|null)$/.test(text) && !operator.endsWith("~");
  return isPlain || /^".*"$/.test(text) ? text : JSON.stringify(text);
}
