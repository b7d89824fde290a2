/** What differs between runs: their configs and summaries, one column a run. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { Empty } from "../../app/states.js";
import { value as shownValue } from "../../data/format.js";
import { flat } from "./values.js";

/** @param {{ runs: any[] }} props */
export function ConfigDiff({ runs }) {
  const [isAll, setAll] = useState(false);
  const parts = [
    ["Config", runs.map((each) => flat(each.config))],
    ["Summary", runs.map((each) => flat(each.summary))],
  ];
  return html`<label><input type="checkbox" checked=${isAll} onChange=${() => setAll(!isAll)} /> Show what is the same too</label>
    ${parts.map(([title, values]) => html`<${Part} title=${title} runs=${runs} values=${values} isAll=${isAll} />`)}`;
}

/** @param {{ title: string, runs: any[], values: Record<string, any>[], isAll: boolean }} props */
function Part({ title, runs, values, isAll }) {
  const names = [...new Set(values.flatMap((each) => Object.keys(each)))].sort();
  const rows = names
    .map((name) => ({ name, cells: values.map((each) => each[name]) }))
    .map((row) => ({ ...row, differs: new Set(row.cells.map((each) => JSON.stringify(each))).size > 1 }))
    .filter((row) => isAll || row.differs);
  return html`<section class="card values-card" aria-label=${title}><h2>${title}</h2>
    ${rows.length === 0 ? html`<${Empty} title="Nothing differs" />` : html`<div class="values-scroll diff-scroll"><table class="values"><thead><tr><th scope="col"></th>${runs.map((each) => html`<th scope="col">${each.runName}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr class=${isAll && row.differs ? "differs" : ""}><th scope="row">${row.name}</th>${row.cells.map((cell) => html`<td class="mono">${cell === undefined ? html`<span class="muted">–</span>` : shownValue(cell)}</td>`)}</tr>`)}</tbody></table></div>`}
  </section>`;
}
