/** `/w/{workspace}/{project}`: the run table. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { Empty, Failed, Waiting } from "../../app/states.js";
import { FirstRun } from "../firstrun.js";
import { Bulk } from "./bulk.js";
import { Columns, Grouping } from "./columns.js";
import { Filters } from "./filters.js";
import { useRows } from "./rows.js";
import { useTableState } from "./state.js";
import { Table } from "./table.js";

/** @param {{ workspace: string, project: string }} props */
export function View({ workspace, project }) {
  const state = useTableState();
  const rows = useRows(workspace, project, state);
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  document.title = `${project} · Rundial`;

  const isFiltered = Boolean(state.filter || state.search || state.isArchived);
  let content;
  if (rows.isLoading) content = html`<${Waiting} what="the runs" />`;
  else if (rows.error && rows.rows.length === 0 && !state.filter) content = html`<${Failed} error=${rows.error} what="The runs" onRetry=${rows.reload} />`;
  else if (rows.rows.length === 0 && !isFiltered && !rows.isStale) content = html`<${FirstRun} workspace=${workspace} project=${project} />`;
  else if (rows.rows.length === 0 && !rows.isStale) content = html`<${Empty} title="No run fits"><p>Change the filter, or take a part of it away.</p></${Empty}>`;
  else content = html`<${Table} workspace=${workspace} project=${project} state=${state} rows=${rows} chosen=${chosen} onChoose=${setChosen} />`;

  return html`<div class="runs-view">
    <div class="head"><h1>Runs</h1>
      <span class="muted" aria-live="polite">${rows.rows.length > 0 && `${rows.rows.length}${rows.hasMore ? "+" : ""}`}</span>
      <span class="grow"></span>
      <${Grouping} workspace=${workspace} project=${project} state=${state} />
      <${Columns} workspace=${workspace} project=${project} state=${state} />
    </div>
    <${Filters} workspace=${workspace} project=${project} state=${state} error=${rows.error} />
    ${content}
    ${chosen.size > 0 && html`<${Bulk} workspace=${workspace} project=${project} isArchived=${state.isArchived} chosen=${chosen}
      runs=${rows.rows.filter((each) => chosen.has(each.runId))} onDone=${rows.reload} onClear=${() => setChosen(new Set())} />`}
  </div>`;
}
