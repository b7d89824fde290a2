/** `/w/{workspace}/{project}/artifacts`: all versions, the newest first; also those of one run. */

import { html } from "../../app/html.js";
import { pathOf, setParams, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, messageOf, unready } from "../../app/states.js";
import { versions } from "../../data/artifacts.js";
import { ago, date, size, whole } from "../../data/format.js";
import { usePages } from "../../data/pages.js";

/** @typedef {import("../../data/artifacts.js").Version} Version */

const KINDS = [["artifact", "Artifacts"], ["media", "Media files"], ["evidence", "Evidence of evaluations"], ["all", "All kinds"]];

/** @param {{ workspace: string, project: string }} props */
export function View({ workspace, project }) {
  document.title = `Artifacts · ${project} · Rundial`;
  return html`<div class="head"><h1>Artifacts</h1></div><${Versions} workspace=${workspace} project=${project} />`;
}

/** @param {{ workspace: string, project: string, run?: string }} props `run` shows what that run made. */
export function Versions({ workspace, project, run }) {
  const { params } = usePlace();
  const [name, type, kind] = ["name", "type", "kind"].map((each) => params.get(each) ?? "");
  const filter = { name, type, kind: kind === "all" ? null : kind || "artifact", runId: run ?? null };
  const key = JSON.stringify(["versions", workspace, project, filter]);
  const found = usePages(key, "artifacts", (cursor, signal) => versions(workspace, project, filter, cursor, signal));
  const isFiltered = Boolean(name || type || kind);
  return html`<div class="bar" role="search" aria-label="Artifacts">
      <${Exact} field="name" label="Name" value=${name} /><${Exact} field="type" label="Type" value=${type} />
      <select aria-label="Kind" value=${kind || "artifact"} onChange=${(/** @type {any} */ event) => setParams({ kind: event.target.value === "artifact" ? null : event.target.value })}>
        ${KINDS.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select>
      ${found.error && found.value && html`<span class="notice bad" role="alert">${messageOf(found.error)}</span>`}</div>
    ${unready(found, "the artifacts") ?? (found.rows.length === 0 && !found.isStale
      ? html`<${Empty} title=${isFiltered ? "No version fits" : "No artifact yet"}>${isFiltered ? html`<p>Name and type are compared whole.</p>` : html`<p><code>run.log_artifact("model", "weights.pt")</code> puts one here.</p>`}</${Empty}>`
      : html`<${Sheet} name="Versions" columns=${columnsOf(workspace, project)} rows=${found.rows} keyOf=${(/** @type {Version} */ row) => row.artifactId}
          hasMore=${found.hasMore} onReach=${found.reach} isStale=${found.isStale} />`)}`;
}

/** @param {{ field: string, label: string, value: string | undefined }} props */
function Exact({ field, label, value }) {
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    const { elements } = /** @type {HTMLFormElement} */ (event.currentTarget);
    setParams({ [field]: /** @type {HTMLInputElement} */ (elements[0]).value.trim() });
  };
  return html`<form onSubmit=${submit} onChange=${submit}><input type="search" aria-label=${`${label}, whole`} placeholder=${`${label}, whole`} value=${value ?? ""} /></form>`;
}

/**
 * @param {string} workspace
 * @param {string} project
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(workspace, project) {
  return [
    { id: "name", label: "Name", width: 220, title: (row) => row.name, cell: (row) => html`<a href=${pathOf("w", workspace, project, "artifacts", row.artifactId)}>${row.name}</a>` },
    { id: "version", label: "Version", width: 72, cell: (row) => row.versionName },
    { id: "aliases", label: "Aliases", width: 160, title: (row) => row.aliases.join(", "), cell: (row) => html`<span class="tags">${row.aliases.map((/** @type {string} */ each) => html`<span class="tag"><span class="cut">${each}</span></span>`)}</span>` },
    { id: "type", label: "Type", width: 120, title: (row) => row.type, cell: (row) => row.type },
    { id: "size", label: "Size", width: 96, isNumeric: true, cell: (row) => size(row.sizeBytes) },
    { id: "files", label: "Files", width: 72, isNumeric: true, cell: (row) => whole(row.fileCount) },
    { id: "created", label: "Created", width: 110, title: (row) => date(row.createdAtMs), cell: (row) => html`<span class="muted">${ago(row.createdAtMs)}</span>` },
    { id: "run", label: "Run", width: 160, title: (row) => row.runId ?? "", cell: (row) => row.runId && html`<a href=${pathOf("w", workspace, project, "runs", row.runId)}>${row.runId}</a>` },
  ];
}
