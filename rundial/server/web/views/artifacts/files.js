/** The files of a version: listed, looked into as text or picture, and saved. Never shown as a page. */

import { useState } from "preact/hooks";

import { Dialog } from "../../app/dialog.js";
import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { messageOf, unready } from "../../app/states.js";
import { fileUrl, save } from "../../data/artifacts.js";
import { size, whole } from "../../data/format.js";
import { bytes } from "../../data/media.js";
import { useResource } from "../../data/resource.js";

/** @typedef {import("../../data/artifacts.js").File} File */

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const MOST_BYTES = 512 * 1024;
// More would be a question of the browser for each.
const MOST_AT_ONCE = 20;

/** @param {{ pages: import("../../data/pages.js").Pages, details: any }} props */
export function Files({ pages, details }) {
  const { params } = usePlace();
  const [error, setError] = useState("");
  const shown = pages.rows.find((each) => each.path === params.get("file"));
  /** @param {File[]} files */
  const take = async (files) => {
    setError("");
    try {
      for (const each of files) await save(details.projectId, details.artifactId, each.path);
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  const isFew = !pages.hasMore && pages.rows.length > 1 && pages.rows.length <= MOST_AT_ONCE;
  return html`<section class="card shelf" aria-label="Files"><div class="head"><h2>Files</h2><span class="muted">${whole(details.fileCount)}</span><span class="grow"></span>
      ${isFew && html`<button type="button" onClick=${() => take(pages.rows)}>Download all ${pages.rows.length}</button>`}</div>
    ${(error || pages.error) && html`<p class="notice bad" role="alert">${error || messageOf(pages.error)}</p>`}
    ${pages.rows.length === 0 ? html`<p class="muted">It has no files of its own.</p>`
      : html`<${Sheet} name="Files" columns=${columnsOf(take)} rows=${pages.rows} keyOf=${(/** @type {File} */ row) => row.path} hasMore=${pages.hasMore} onReach=${pages.reach} />`}
    ${details.references?.length > 0 && html`<h3>References</h3><p class="muted">Files elsewhere; the server holds their addresses alone.</p>
      <table class="values"><tbody>${details.references.map((/** @type {any} */ each) => html`<tr><th scope="row">${each.path}</th><td class="mono">${each.uri}</td><td class="number">${each.sizeBytes === null ? "" : size(each.sizeBytes)}</td></tr>`)}</tbody></table>`}
    ${shown && html`<${Content} file=${shown} details=${details} />`}
  </section>`;
}

/**
 * @param {(files: File[]) => void} take
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(take) {
  return [
    { id: "path", label: "Path", width: 240, title: (row) => row.path, cell: (row) => (isShown(row) ? html`<button type="button" class="link" onClick=${() => setParams({ file: row.path })}>${row.path}</button>` : row.path) },
    { id: "take", label: "Take", width: 104, cell: (row) => html`<button type="button" class="small" aria-label=${`Download ${row.path}`} onClick=${() => take([row])}>Download</button>` },
    { id: "size", label: "Size", width: 96, isNumeric: true, cell: (row) => size(row.sizeBytes) },
    { id: "type", label: "Type", width: 140, title: (row) => row.contentType ?? "", cell: (row) => html`<span class="muted">${row.contentType}</span>` },
    { id: "sha256", label: "SHA-256", width: 110, title: (row) => row.sha256, cell: (row) => html`<span class="mono muted">${row.sha256.slice(0, 12)}</span>` },
  ];
}

/** @param {File} file */
function isShown(file) {
  return file.sizeBytes <= MOST_BYTES || PICTURES.has(file.contentType ?? "");
}

/** @param {{ file: File, details: any }} props */
function Content({ file, details }) {
  const isPicture = PICTURES.has(file.contentType ?? "");
  const found = useResource(`content ${file.sha256} ${file.path}`, async (signal) => {
    const url = await fileUrl(details.projectId, details.artifactId, file.path, signal);
    return isPicture ? { url, text: "" } : { url, text: textOf(await (await bytes({ url }, signal)).arrayBuffer()) };
  });
  let content = unready(found, "the file");
  if (found.value) {
    if (isPicture) content = html`<img class="large" src=${found.value.url} alt=${file.path} />`;
    else content = found.value.text === null ? html`<p class="muted">It is not text.</p>` : html`<pre class="code file-text" tabindex="0">${found.value.text}</pre>`;
  }
  return html`<${Dialog} title=${file.path} isWide onClose=${() => setParams({ file: null })}>${content}</${Dialog}>`;
}

/**
 * @param {ArrayBuffer} body
 * @returns {string | null} Null where it is not text.
 */
function textOf(body) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}
