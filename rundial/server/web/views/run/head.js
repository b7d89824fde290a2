/** Who the run is, how it stands, and what can be done to it. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { html } from "../../app/html.js";
import { Menu } from "../../app/menu.js";
import { go, pathOf } from "../../app/router.js";
import { messageOf } from "../../app/states.js";
import { ago, date, duration } from "../../data/format.js";
import { archiveRun, deleteRun, editRun, stopRun } from "../../data/runs.js";

/**
 * @param {{ workspace: string, project: string, details: any, onChange: () => void, isUnreached: boolean }} props
 */
export function RunHead({ workspace, project, details, onChange, isUnreached }) {
  const [asking, setAsking] = useState("");
  const [error, setError] = useState("");
  const isRunning = details.status === "running";
  const ended = details.finishedAtMs ?? (isRunning ? Date.now() : details.updatedAtMs);

  /** @param {Promise<unknown>} job */
  const act = (job) => job.then(() => { setError(""); onChange(); }).catch((failure) => setError(messageOf(failure)));
  return html`<div class="stack">
    <div class="head">
      <h1 class="cut">${details.runName}</h1>
      <span class="status" data-status=${details.status} role="status">${details.status}</span>
      ${details.attempt > 1 && html`<span class="tag">attempt ${details.attempt}</span>`}
      ${details.stopRequested && isRunning && html`<span class="tag">asked to stop</span>`}
      <span class="muted" title=${date(details.startedAtMs)}>${ago(details.startedAtMs)} · ${duration(Math.max(0, ended - details.startedAtMs))}</span>
      ${(details.tags ?? []).map((/** @type {string} */ each) => html`<span class="tag"><span class="cut">${each}</span></span>`)}
      <span class="grow"></span>
      ${isUnreached && html`<span class="notice warn" role="status">The server is not reached; this is what was known last</span>`}
      ${isRunning && html`<button type="button" class="danger" disabled=${details.stopRequested} onClick=${() => setAsking("stop")}>Stop…</button>`}
      <${Menu} label="⋯" name="More" kind="icon" atEnd>${(/** @type {() => void} */ close) => html`<div>
        <${TagEditor} tags=${details.tags ?? []} onTags=${(/** @type {string[]} */ tags) => act(editRun(workspace, project, details.runId, { tags }))} />
        <button class="entry" onClick=${() => { close(); act(archiveRun(workspace, project, details.runId, !details.archived)); }}>${details.archived ? "Restore from the archive" : "Archive"}</button>
        <button class="entry danger" onClick=${() => { close(); setAsking("delete"); }}>Delete…</button>
      </div>`}</${Menu}>
    </div>
    ${error && html`<p class="notice bad" role="alert">${error}</p>`}
    <${Trouble} details=${details} />
    ${asking === "stop" && html`<${Confirm} title="Ask this run to stop?" action="Ask it to stop" onClose=${() => setAsking("")}
      onConfirm=${() => act(stopRun(details.projectId, details.runId, "asked for in the web UI"))}>
      <p>Its next call of <code>run.should_stop</code> says so; the program ends where it looks. Nothing is killed.</p></${Confirm}>`}
    ${asking === "delete" && html`<${Confirm} title="Delete this run?" action="Delete" onClose=${() => setAsking("")}
      onConfirm=${() => deleteRun(workspace, project, details.runId).then(() => go(pathOf("w", workspace, project))).catch((failure) => setError(messageOf(failure)))}>
      <p>All its points, lines, spans and summaries go at once and for ever; its id is not used again. Artifacts stay.</p></${Confirm}>`}
  </div>`;
}

/** @param {{ details: any }} props */
function Trouble({ details }) {
  const { error, reason, alerts, preempting, status } = details;
  return html`
    ${error && html`<details class="notice bad"><summary>${error.type}: ${error.message}</summary>${error.traceback && html`<pre>${error.traceback}</pre>`}</details>`}
    ${!error && reason && status !== "completed" && html`<p class="notice bad">${reason}</p>`}
    ${status === "crashed" && html`<p class="notice bad">Nothing was heard of it for a while: the process or its machine has gone. What it recorded before is here.</p>`}
    ${preempting && html`<p class="notice warn">Its machine is being taken away${preempting.reason ? `: ${preempting.reason}` : ""}</p>`}
    ${(alerts ?? []).slice(0, 3).map((/** @type {any} */ each) => html`<p class=${`notice ${each.level === "error" ? "bad" : each.level === "warn" || each.level === "warning" ? "warn" : ""}`}><strong>${each.title}</strong> ${each.text} <span class="muted">${ago(each.timestampMs)}</span></p>`)}`;
}

/** @param {{ tags: string[], onTags: (tags: string[]) => void }} props */
function TagEditor({ tags, onTags }) {
  const [text, setText] = useState(tags.join(", "));
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    onTags([...new Set(text.split(",").map((each) => each.trim()).filter(Boolean))]);
  };
  return html`<form class="row" onSubmit=${submit}><input class="grow" aria-label="Tags, separated by commas" placeholder="Tags, separated by commas" value=${text}
    onInput=${(/** @type {any} */ event) => setText(event.target.value)} /><button class="small">Set tags</button></form>`;
}
