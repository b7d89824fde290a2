/** `/w/{workspace}/{project}/artifacts`: what runs made and used, by name; one version's files and lineage. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf, setParams, usePlace } from "../../app/router.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { api, get } from "../../data/api.js";
import { ago, date, size, whole } from "../../data/format.js";
import { downloadUrl } from "../../data/media.js";
import { projectId } from "../../data/places.js";
import { useResource } from "../../data/resource.js";
import { Lineage } from "./lineage.js";

/** @param {{ workspace: string, project: string }} props */
export function View({ workspace, project }) {
  const { params } = usePlace();
  const [cursors, setCursors] = useState(/** @type {(string | null)[]} */ ([null]));
  const kind = params.get("kind") ?? "artifact";
  const name = params.get("name") ?? "";
  const run = params.get("run") ?? "";
  const cursor = cursors.at(-1) ?? null;
  const path = api("workspaces", workspace, "projects", project, "artifacts");
  const found = useResource(`artifacts ${workspace} ${project} ${kind} ${name} ${run} ${cursor}`, (signal) => get(path, { kind: kind === "all" ? null : kind, name, runId: run, limit: 50, cursor }, signal), { keeps: true });
  const chosen = params.get("id") ?? "";
  document.title = `Artifacts · ${project} · Rundial`;
  const artifacts = found.value?.artifacts ?? [];
  const next = found.value?.page.nextCursor ?? null;
  return html`<div class="head"><h1>Artifacts</h1><span class="grow"></span>
      ${(name || run) && html`<span class="chip"><span class="mono cut">${name || run}</span><button type="button" aria-label="Show all" onClick=${() => setParams({ name: null, run: null })}>×</button></span>`}
      <label><span class="muted">Show</span><select onChange=${(/** @type {any} */ event) => { setCursors([null]); setParams({ kind: event.target.value }); }}>
        ${[["artifact", "artifacts"], ["media", "media"], ["evidence", "evidence of spans"], ["all", "everything"]].map(([value, text]) => html`<option value=${value} selected=${value === kind}>${text}</option>`)}</select></label></div>
    ${unready(found, "the artifacts") ?? (artifacts.length === 0
      ? html`<${Empty} title="No artifacts"><p><code>run.log_artifact("model.pt", type="model")</code> keeps a file or a folder, with a version each time that it changes.</p></${Empty}>`
      : html`<div class="card values-scroll artifact-list"><table class="values"><thead><tr><th scope="col">Name</th><th scope="col">Version</th><th scope="col">Type</th><th scope="col">Aliases</th><th scope="col" class="number">Files</th><th scope="col" class="number">Size</th><th scope="col">Made</th></tr></thead>
        <tbody>${artifacts.map((/** @type {any} */ each) => html`<tr class=${each.artifactId === chosen ? "chosen" : ""}>
          <td><button type="button" class="link" aria-pressed=${String(each.artifactId === chosen)} onClick=${() => setParams({ id: each.artifactId === chosen ? null : each.artifactId })}>${each.name}</button></td>
          <td class="mono">${each.versionName}</td><td>${each.type}</td><td><span class="tags">${each.aliases.map((/** @type {string} */ alias) => html`<span class="tag">${alias}</span>`)}</span></td>
          <td class="number">${whole(each.fileCount)}</td><td class="number">${size(each.sizeBytes)}</td><td class="muted" title=${date(each.createdAtMs)}>${ago(each.createdAtMs)}</td></tr>`)}</tbody></table></div>
        <div class="bar">${cursors.length > 1 && html`<button type="button" onClick=${() => setCursors(cursors.slice(0, -1))}>Newer</button>`}${next && html`<button type="button" onClick=${() => setCursors([...cursors, next])}>Older</button>`}</div>`)}
    ${chosen && html`<${Version} key=${chosen} workspace=${workspace} project=${project} id=${chosen} />`}`;
}

/** @param {{ workspace: string, project: string, id: string }} props */
function Version({ workspace, project, id }) {
  const base = api("workspaces", workspace, "projects", project, "artifacts", id);
  const found = useResource(`artifact ${id}`, (signal) => get(base, { limit: 500 }, signal));
  const [error, setError] = useState("");
  const waiting = unready(found, "the version");
  if (waiting) return waiting;
  const version = found.value;
  /** @param {string} path */
  const download = async (path) => {
    try {
      const link = document.createElement("a");
      link.href = await downloadUrl(await projectId(workspace, project), id, path);
      link.download = path.split("/").at(-1) ?? "";
      link.click();
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  return html`<section class="card values-card" aria-label=${`${version.name} ${version.versionName}`}>
    <div class="head"><h2>${version.name}:${version.versionName}</h2><span class="muted">${date(version.createdAtMs)}</span>
      ${version.runId && html`<a href=${pathOf("w", workspace, project, "runs", version.runId)}>made by ${version.runId}</a>`}
      <button type="button" class="small" onClick=${() => setParams({ name: version.name })}>All versions</button><span class="grow"></span>
      <button type="button" class="quiet icon" aria-label="Close" onClick=${() => setParams({ id: null })}>×</button></div>
    <p class="mono muted cut">sha256 ${version.digest}</p>
    ${error && html`<p class="notice bad" role="alert">${error}</p>`}
    ${Object.keys(version.metadata ?? {}).length > 0 && html`<pre class="code">${JSON.stringify(version.metadata, null, 2)}</pre>`}
    <div class="values-scroll"><table class="values"><thead><tr><th scope="col">File</th><th scope="col" class="number">Size</th><th scope="col"></th></tr></thead><tbody>
      ${version.files.map((/** @type {any} */ each) => html`<tr><td class="mono">${each.path}</td><td class="number">${size(each.sizeBytes)}</td><td><button type="button" class="small" aria-label=${`Download ${each.path}`} onClick=${() => download(each.path)}>Download</button></td></tr>`)}
      ${(version.references ?? []).map((/** @type {any} */ each) => html`<tr><td class="mono">${each.path}</td><td class="number">${each.sizeBytes ? size(each.sizeBytes) : "–"}</td><td class="mono muted">${each.uri}</td></tr>`)}</tbody></table></div>
    ${version.page?.hasMore && html`<p class="muted">and more: <code>rundial artifact show ${version.name}:${version.versionName}</code> lists all</p>`}
    <${Lineage} workspace=${workspace} project=${project} id=${id} />
  </section>`;
}
