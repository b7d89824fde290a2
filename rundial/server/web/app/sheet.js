/** A table of any length of which only the rows in sight are drawn. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "./html.js";
import { useSight } from "./sight.js";

const ROW = 36;
const HEAD = 38;
const MARGIN = 8;

/**
 * @typedef {object} Column
 * @property {string} id
 * @property {string} label
 * @property {number} width The least, pixels.
 * @property {boolean} [isNumeric]
 * @property {boolean} [isSortable]
 * @property {(row: any) => import("./html.js").Children} cell
 * @property {(row: any) => string} [title] The whole text, where the cell may cut it.
 */
/** @typedef {{ by: string, order: "asc" | "desc" }} Sort */

/**
 * @param {{
 *   name: string,
 *   columns: Column[],
 *   rows: any[],
 *   keyOf: (row: any) => string,
 *   sort?: Sort | null,
 *   onSort?: (sort: Sort) => void,
 *   hasMore?: boolean,
 *   onReach?: (last: number) => void,
 *   isStale?: boolean,
 * }} props `name` is the accessible name.
 */
export function Sheet({ name, columns, rows, keyOf, sort = null, onSort, hasMore = false, onReach, isStale = false }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [first, last] = useSight(box, ROW);
  const from = Math.max(0, first - MARGIN);
  const shown = rows.slice(from, last + MARGIN);
  useEffect(() => onReach?.(last), [last, rows]);

  const grid = { gridTemplateColumns: columns.map((each) => `minmax(${each.width}px, ${each.width}fr)`).join(" ") };
  const least = { minWidth: `${columns.reduce((sum, each) => sum + each.width, 0)}px` };
  return html`<div class="grid sheet" ref=${box} role="table" tabindex="0" aria-label=${name} aria-rowcount=${hasMore ? -1 : rows.length + 1} aria-busy=${String(isStale)}
      style=${{ height: `${Math.max(2, rows.length) * ROW + HEAD + 16}px` }}>
    <div role="rowgroup" class="grid-head" style=${least}><div role="row" class="grid-row" style=${grid} aria-rowindex="1">
      ${columns.map((each) => html`<${Head} key=${each.id} column=${each} sort=${sort} onSort=${onSort} />`)}
    </div></div>
    <div role="rowgroup" class="grid-body" style=${{ ...least, height: `${rows.length * ROW}px` }}>
      ${shown.map((row, index) => html`<div key=${keyOf(row)} role="row" class="grid-row" aria-rowindex=${from + index + 2} style=${{ ...grid, top: `${(from + index) * ROW}px` }}>
        ${columns.map((each) => html`<span key=${each.id} role="cell" class=${`cut ${each.isNumeric ? "number" : ""}`} title=${each.title?.(row)}>${each.cell(row)}</span>`)}
      </div>`)}
    </div>
  </div>`;
}

/** @param {{ column: Column, sort: Sort | null, onSort: ((sort: Sort) => void) | undefined }} props */
function Head({ column, sort, onSort }) {
  const isSorted = sort?.by === column.id;
  const isUp = sort?.order === "asc";
  const next = () => onSort?.({ by: column.id, order: isSorted && isUp ? "desc" : "asc" });
  return html`<span role="columnheader" class=${column.isNumeric ? "number" : ""} aria-sort=${isSorted ? (isUp ? "ascending" : "descending") : undefined} title=${column.label}>
    ${column.isSortable
      ? html`<button type="button" class="head-button" onClick=${next}><span class="cut">${column.label}</span>${isSorted && html`<span aria-hidden="true">${isUp ? "↑" : "↓"}</span>`}</button>`
      : html`<span class="cut">${column.label}</span>`}
  </span>`;
}
