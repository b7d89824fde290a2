/** What can be done to the runs that are selected. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { html } from "../../app/html.js";
import { Menu } from "../../app/menu.js";
import { messageOf } from "../../app/states.js";
import { pathOf } from "../../app/router.js";
import { archiveRun, deleteRun, editRun } from "../../data/runs.js";
import { some } from "../../data/format.js";

const AT_ONCE = 4;

/**
 * @param {{
 *   workspace: string, project: string, isArchived: boolean,
 *   runs: import("../../data/runs.js").Run[], onDone: () => void, onClear: () => void, chosen: Set<string>,
 * }} props
 */
export function Bulk({ workspace, project, isArchived, runs, chosen, onDone, onClear }) {
  const [state, setState] = useState({ done: 0, of: 0, errors: /** @type {string[]} */ ([]) });
  const [isAsking, setAsking] = useState(false);
  const isBusy = state.done < state.of;

  /** @param {(run: import("../../data/runs.js").Run) => Promise<unknown>} job */
  const each = async (job) => {
    /** @type {string[]} */
    const errors = [];
    const waiting = [...runs];
    setState({ done: 0, of: runs.length, errors });
    const work = async () => {
      for (let run = waiting.shift(); run; run = waiting.shift()) {
        const { runName } = run;
        await job(run).catch((error) => errors.push(`${runName}: ${messageOf(error)}`));
        setState((before) => ({ ...before, done: before.done + 1, errors }));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (errors.length === 0) onClear();
    onDone();
  };
  /** @param {string} tag @param {boolean} adds */
  const tag = (tag, adds) =>
    each((run) => {
      const before = run.columns?.["tags"] ?? [];
      const tags = before.filter((/** @type {string} */ known) => known !== tag);
      return editRun(workspace, project, run.runId, { tags: adds ? [...tags, tag] : tags });
    });

  const compare = `${pathOf("w", workspace, project, "compare")}?${new URLSearchParams({ runs: [...chosen].join(",") })}`;
  return html`<div class="bulk bar" role="region" aria-label="Selected runs">
    <strong aria-live="polite">${isBusy ? `${state.done} of ${state.of} done` : `${chosen.size} selected`}</strong>
    <a class="button primary" href=${compare}>Compare</a>
    <${Menu} label="Tag">${(/** @type {() => void} */ close) => html`<${TagForm} onTag=${(/** @type {string} */ text, /** @type {boolean} */ adds) => { close(); void tag(text, adds); }} />`}</${Menu}>
    <button type="button" disabled=${isBusy} onClick=${() => each((run) => archiveRun(workspace, project, run.runId, !isArchived))}>${isArchived ? "Restore" : "Archive"}</button>
    <button type="button" class="danger" disabled=${isBusy} onClick=${() => setAsking(true)}>Delete…</button>
    <span class="grow"></span>
    <button type="button" class="quiet" onClick=${onClear}>Clear selection</button>
    ${state.errors.length > 0 && html`<p class="notice bad" role="alert">${state.errors.slice(0, 3).join(" · ")}${state.errors.length > 3 && ` and ${state.errors.length - 3} more`}</p>`}
    ${isAsking && html`<${Confirm} title=${`Delete ${some(runs.length, "run")}?`} action="Delete" onClose=${() => setAsking(false)}
      onConfirm=${() => each((run) => deleteRun(workspace, project, run.runId))}>
      <p>All their points, lines, spans and summaries go at once and for ever; their ids are not used again. Artifacts stay.</p>
    </${Confirm}>`}
  </div>`;
}

/** @param {{ onTag: (tag: string, adds: boolean) => void }} props */
function TagForm({ onTag }) {
  const [text, setText] = useState("");
  const tag = text.trim();
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    if (tag) onTag(tag, true);
  };
  return html`<form class="stack" onSubmit=${submit}>
    <input aria-label="Tag" placeholder="Tag" value=${text} autofocus onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    <span class="row"><button class="primary" disabled=${!tag}>Add</button><button type="button" disabled=${!tag} onClick=${() => onTag(tag, false)}>Remove</button></span>
  </form>`;
}
