/** A logged table: sorted and searched in the browser, drawn as far as it is in sight. */

import { useMemo, useState } from "preact/hooks";

import { Dialog } from "../../app/dialog.js";
import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { unready } from "../../app/states.js";
import { some, value as shownValue, whole } from "../../data/format.js";
import { json } from "../../data/media.js";
import { useResource } from "../../data/resource.js";
import { FileView } from "./file.js";
import { arranged, tableOf } from "./tablerows.js";

/** @param {{ row: import("../../data/media.js").Shown }} props */
export function TableView({ row }) {
  const found = useResource(row.url === null ? null : `table ${row.sha256}`, async (signal) => tableOf(await json(row, signal)));
  if (row.url === null) return html`<${FileView} row=${row} />`;
  return unready(found, "the table") ?? html`<${Rows} name=${row.mediaKey} table=${found.value} row=${row} />`;
}

/** @param {{ name: string, table: import("./tablerows.js").LoggedTable, row: import("../../data/media.js").Shown }} props */
function Rows({ name, table, row }) {
  const { params } = usePlace();
  const [open, setOpen] = useState(/** @type {number | null} */ (null));
  const find = params.get(`find.${name}`) ?? "";
  const sort = sortOf(params.get(`sort.${name}`) ?? "", table.columns.length);
  const rows = useMemo(() => arranged(table, find, sort), [table, find, sort?.by, sort?.order]);
  const columns = useMemo(() => columnsOf(table, setOpen), [table]);
  return html`<div class="row"><input type="search" aria-label=${`Search the rows of ${name}`} placeholder="Search rows" value=${find}
      onInput=${(/** @type {any} */ event) => setParams({ [`find.${name}`]: event.target.value })} />
    <span class="muted" role="status">${find ? `${whole(rows.length)} of ${some(table.rows.length, "row")}` : some(rows.length, "row")}</span><span class="grow"></span>
    <${FileView} row=${row} /></div>
    <${Sheet} name=${name} columns=${columns} rows=${rows} keyOf=${String} sort=${sort}
      onSort=${(/** @type {import("../../app/sheet.js").Sort} */ next) => setParams({ [`sort.${name}`]: `${next.order === "desc" ? "-" : ""}${next.by}` })} />
    ${open !== null && html`<${Dialog} title=${`Row ${open + 1}`} onClose=${() => setOpen(null)}><div class="values-scroll"><table class="values"><tbody>
      ${table.columns.map((each, at) => html`<tr><th scope="row">${each}</th><td>${textOf(table.rows[open]?.[at])}</td></tr>`)}</tbody></table></div></${Dialog}>`}`;
}

/**
 * @param {import("./tablerows.js").LoggedTable} table
 * @param {(row: number) => void} onOpen
 * @returns {import("../../app/sheet.js").Column[]} Of rows that are numbers of the table's rows.
 */
function columnsOf(table, onOpen) {
  const first = { id: "#", label: "#", width: 64, cell: (/** @type {number} */ row) => html`<button type="button" class="small quiet" aria-label=${`Row ${row + 1} at length`} onClick=${() => onOpen(row)}>${row + 1}</button>` };
  return [
    first,
    ...table.columns.map((label, at) => ({
      id: String(at),
      label,
      width: 120,
      isSortable: true,
      isNumeric: table.isNumeric[at] ?? false,
      title: (/** @type {number} */ row) => textOf(table.rows[row]?.[at]),
      cell: (/** @type {number} */ row) => {
        const cell = table.rows[row]?.[at];
        return cell === null || cell === undefined ? html`<span class="muted" aria-label="none">–</span>` : shownValue(cell);
      },
    })),
  ];
}

/** @param {unknown} cell */
function textOf(cell) {
  if (cell === null || cell === undefined) return "";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

/**
 * @param {string} text
 * @param {number} count
 * @returns {import("../../app/sheet.js").Sort | null}
 */
function sortOf(text, count) {
  const by = text.replace(/^-/, "");
  return /^\d{1,4}$/.test(by) && Number(by) < count ? { by, order: text.startsWith("-") ? "desc" : "asc" } : null;
}
