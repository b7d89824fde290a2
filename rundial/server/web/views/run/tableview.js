/** A table of values: sorted by a click, filtered by a text. */

import { useMemo, useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { value as shownValue, whole } from "../../data/format.js";

const MOST_SHOWN = 500;

/** @param {{ columns: string[], rows: any[][], name: string }} props */
export function TableView({ columns, rows, name }) {
  const [text, setText] = useState("");
  const [sort, setSort] = useState({ column: -1, isDown: false });
  const found = useMemo(() => {
    const wanted = text.toLowerCase();
    const kept = wanted ? rows.filter((row) => row.some((cell) => shownValue(cell).toLowerCase().includes(wanted))) : [...rows];
    if (sort.column >= 0) kept.sort((one, other) => compare(one[sort.column], other[sort.column]) * (sort.isDown ? -1 : 1));
    return kept;
  }, [rows, text, sort]);
  return html`<div class="stack"><div class="bar"><input type="search" aria-label=${`Filter ${name}`} placeholder="Filter rows" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
      <span class="muted">${whole(found.length)} of ${whole(rows.length)} rows${found.length > MOST_SHOWN ? `, the first ${MOST_SHOWN} shown` : ""}</span></div>
    <div class="values-scroll" tabindex="0" role="region" aria-label=${`Rows of ${name}`}><table class="values"><thead><tr>${columns.map((each, index) => html`<th scope="col" class=${typeof found[0]?.[index] === "number" ? "number" : ""} aria-sort=${sort.column === index ? (sort.isDown ? "descending" : "ascending") : undefined}>
        <button type="button" class="head-button" onClick=${() => setSort({ column: index, isDown: sort.column === index && !sort.isDown })}>${each}${sort.column === index && (sort.isDown ? " ↓" : " ↑")}</button></th>`)}</tr></thead>
      <tbody>${found.slice(0, MOST_SHOWN).map((row) => html`<tr>${columns.map((_, index) => html`<td class=${typeof row[index] === "number" ? "number" : ""}>${shownValue(row[index])}</td>`)}</tr>`)}</tbody></table></div></div>`;
}

/**
 * Numbers before texts, nothing last.
 * @param {any} one
 * @param {any} other
 */
function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  const rank = (/** @type {any} */ each) => (each === null || each === undefined ? 2 : typeof each === "number" ? 0 : 1);
  return rank(one) - rank(other) || shownValue(one).localeCompare(shownValue(other));
}
