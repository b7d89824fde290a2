/** Which columns the table has: fields of configs and summaries, and small curves. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { Menu } from "../../app/menu.js";
import { setParams } from "../../app/router.js";
import { projectId } from "../../data/places.js";
import { runFields } from "../../data/runs.js";
import { seriesKeys } from "../../data/series.js";
import { useResource } from "../../data/resource.js";
import { labelOf, setColumns } from "./state.js";

const PLAIN = ["status", "startedAtMs", "updatedAtMs", "tags", "kind", "group", "jobType", "runId"];
const MOST_SHOWN = 200;

/** @param {{ workspace: string, project: string, state: import("./state.js").TableState }} props */
export function Columns(props) {
  return html`<${Menu} label="Columns" atEnd>${() => html`<${Picker} ...${props} />`}</${Menu}>`;
}

/**
 * What a project's runs may be shown by.
 * @param {string} workspace
 * @param {string} project
 */
export function useFields(workspace, project) {
  return useResource(`columns ${workspace} ${project}`, async (signal) => {
    const [fields, keys] = await Promise.all([
      runFields(workspace, project, signal),
      projectId(workspace, project).then((id) => seriesKeys(id, null, signal)),
    ]);
    const metrics = [...new Set(keys.map((each) => each.metricKey))].filter((each) => !each.startsWith("system/"));
    const written = fields.map((each) => each.field).filter((each) => /^(config|summary)\./.test(each));
    return {
      config: written.filter((each) => each.startsWith("config.")),
      summary: [...new Set([...metrics.map((each) => `summary.${each}`), ...written.filter((each) => each.startsWith("summary."))])].sort(),
      curves: metrics.map((each) => `spark.${each}`),
    };
  });
}

/** @param {{ workspace: string, project: string, state: import("./state.js").TableState }} props */
function Picker({ workspace, project, state }) {
  const [text, setText] = useState("");
  const found = useFields(workspace, project);
  const groups = [
    ["Run", PLAIN],
    ["Config", found.value?.config ?? []],
    ["Summary", found.value?.summary ?? []],
    ["Curves", found.value?.curves ?? []],
  ];
  /** @param {string} field */
  const toggle = (field) => {
    const own = state.columns.filter((each) => each !== "-");
    setColumns(own.includes(field) ? own.filter((each) => each !== field) : [...own, field]);
  };
  const wanted = text.toLowerCase();
  return html`<div class="stack">
    <input type="search" placeholder="Search fields" aria-label="Search fields" value=${text} autofocus onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    ${groups.map(([title, fields]) => {
      const shown = /** @type {string[]} */ (fields).filter((each) => each.toLowerCase().includes(wanted)).slice(0, MOST_SHOWN);
      return shown.length > 0 && html`<fieldset class="choices"><legend class="muted">${title}</legend>
        ${shown.map((each) => html`<label class="entry"><input type="checkbox" checked=${state.columns.includes(each)} onChange=${() => toggle(each)} /><span class="cut" title=${each}>${labelOf(each)}</span></label>`)}
      </fieldset>`;
    })}
    ${!found.value && !found.error && html`<p class="muted">Loading…</p>`}
  </div>`;
}

/** @param {{ workspace: string, project: string, state: import("./state.js").TableState }} props */
export function Grouping({ workspace, project, state }) {
  const found = useFields(workspace, project);
  const fields = ["group", "jobType", "status", ...(found.value?.config ?? [])];
  return html`<label><span class="muted">Group by</span><select value=${state.group} onChange=${(/** @type {any} */ event) => setParams({ group: event.target.value })}>
    <option value="">nothing</option>
    ${[...new Set([...(state.group ? [state.group] : []), ...fields])].map((each) => html`<option value=${each} selected=${each === state.group}>${labelOf(each)}</option>`)}
  </select></label>`;
}
