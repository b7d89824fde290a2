/** `/w/{workspace}/{project}/artifacts/{id}`: one version, its files, and where it stands among others. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { Copyable } from "../../app/copy.js";
import { html } from "../../app/html.js";
import { go, pathOf } from "../../app/router.js";
import { messageOf, unready } from "../../app/states.js";
import { removeVersion, rename, version, versions } from "../../data/artifacts.js";
import { date, duration, size, value as shownValue, whole } from "../../data/format.js";
import { usePages } from "../../data/pages.js";
import { useResource } from "../../data/resource.js";
import { leaves } from "../run/overview.js";
import { Files } from "./files.js";
import { Lineage } from "./lineage.js";

/** @param {{ workspace: string, project: string, artifact: string }} props */
export function View({ workspace, project, artifact }) {
  const found = usePages(JSON.stringify(["version", workspace, project, artifact]), "files", (cursor, signal) => version(workspace, project, artifact, cursor, signal));
  const waiting = unready({ ...found, value: found.isStale ? undefined : found.value }, "the artifact");
  if (waiting) return waiting;
  const details = found.first;
  const name = `${details.name}:${details.versionName}`;
  document.title = `${name} · ${project} · Rundial`;
  return html`<${Head} workspace=${workspace} project=${project} details=${details} onChange=${found.reload} />
    <div class="overview">
      <${Facts} workspace=${workspace} project=${project} details=${details} />
      <section class="card values-card" aria-label="Metadata"><h2>Metadata</h2>
        ${leaves(details.metadata ?? {}).length === 0 ? html`<p class="muted">Nothing was said about it.</p>`
          : html`<div class="values-scroll"><table class="values"><tbody>${leaves(details.metadata).map(([key, value]) => html`<tr><th scope="row">${key}</th><td class="mono">${shownValue(value)}</td></tr>`)}</tbody></table></div>`}</section>
      <section class="card values-card" aria-label="Take it along"><h2>Take it along</h2>
        <${Copyable} what="the command that downloads it" text=${`rundial artifact get ${quoted(name)} --project ${quoted(project)}`} />
        <${Copyable} what="the line that uses it" text=${`path = run.use_artifact(${JSON.stringify(name)}).download()`} /></section>
    </div>
    <${Files} pages=${found} details=${details} />
    <${Lineage} workspace=${workspace} project=${project} of=${{ artifactId: details.artifactId }} />`;
}

/** @param {{ workspace: string, project: string, details: any, onChange: () => void }} props */
function Head({ workspace, project, details, onChange }) {
  const [error, setError] = useState("");
  const [isAsking, setAsking] = useState(false);
  const others = useResource(JSON.stringify(["versions of", workspace, project, details.name, details.artifactId]), (signal) => versions(workspace, project, { name: details.name }, null, signal));
  const id = details.artifactId;
  /** @param {Promise<unknown>} job */
  const act = (job) => job.then(() => { setError(""); onChange(); }).catch((failure) => setError(messageOf(failure)));
  const listed = others.value?.artifacts ?? [];
  const all = listed.some((each) => each.artifactId === id) ? listed : [details, ...listed];
  const held = details.aliases.filter((/** @type {string} */ each) => each !== "latest");
  return html`<div class="head"><h1 class="cut" title=${details.name}>${details.name}</h1>
      <select aria-label="Version" value=${id} onChange=${(/** @type {any} */ event) => go(pathOf("w", workspace, project, "artifacts", event.target.value))}>
        ${all.map((each) => html`<option value=${each.artifactId} selected=${each.artifactId === id}>${[each.versionName, ...each.aliases].join(" · ")}</option>`)}</select>
      ${details.aliases.map((/** @type {string} */ each) => html`<span class="chip"><span class="cut">${each}</span>${each === "latest" ? html`<span class="chip-end"></span>`
        : html`<button type="button" aria-label=${`Remove the alias ${each}`} onClick=${() => act(rename(workspace, project, id, { remove: [each] }))}>×</button>`}</span>`)}
      <${NewAlias} onAlias=${(/** @type {string} */ alias) => act(rename(workspace, project, id, { add: [alias] }))} />
      <span class="grow"></span><button type="button" class="danger" onClick=${() => setAsking(true)}>Delete…</button></div>
    ${error && html`<p class="notice bad" role="alert">${error}</p>`}
    ${isAsking && html`<${Confirm} title="Delete this version?" action="Delete" onClose=${() => setAsking(false)}
      onConfirm=${() => removeVersion(workspace, project, id, held.length > 0).then(() => go(pathOf("w", workspace, project, "artifacts"))).catch((failure) => setError(messageOf(failure)))}>
      <p>Its files go, unless another version holds the same bytes. Runs that used it keep saying so.</p>
      ${held.length > 0 && html`<p class="notice warn">It is held by ${held.join(", ")}, which then means nothing.</p>`}</${Confirm}>`}`;
}

/** @param {{ onAlias: (alias: string) => void }} props */
function NewAlias({ onAlias }) {
  const [text, setText] = useState("");
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) onAlias(text.trim());
    setText("");
  };
  return html`<form class="row" onSubmit=${submit}><input class="new-alias" aria-label="New alias" placeholder="New alias" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    <button class="small">Add</button></form>`;
}

/** @param {{ workspace: string, project: string, details: any }} props */
function Facts({ workspace, project, details }) {
  /** @type {[string, import("../../app/html.js").Children][]} */
  const facts = [
    ["Type", details.type],
    ["Files", `${whole(details.fileCount)}, ${size(details.sizeBytes)}`],
    ["Created", date(details.createdAtMs)],
    ["Run", details.runId && html`<a href=${pathOf("w", workspace, project, "runs", details.runId)}>${details.runId}</a>`],
    ["State", details.state],
    ["Kept", kept(details)],
    ["Digest", html`<span class="mono">${details.digest}</span>`],
  ];
  return html`<section class="card values-card" aria-label="Version"><h2>Version</h2><table class="values"><tbody>
    ${facts.filter(([, value]) => value).map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table></section>`;
}

/** @param {any} details */
function kept({ retentionPolicy: policy, expiresAtMs }) {
  const ends = expiresAtMs ? `; it goes ${date(expiresAtMs)}, unless an alias of its own holds it` : "";
  if (policy?.keepLast) return `the last ${policy.keepLast} of its run and name${ends}`;
  if (policy?.ttlSeconds) return `for ${duration(policy.ttlSeconds * 1000)}${ends}`;
  return `until it is deleted${ends}`;
}

/**
 * A text as a shell takes it.
 * @param {string} text
 */
function quoted(text) {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
