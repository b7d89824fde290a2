/** A table as it was logged, and its rows as somebody wants to see them. */

/**
 * @typedef {object} LoggedTable
 * @property {string[]} columns
 * @property {unknown[][]} rows
 * @property {boolean[]} isNumeric By column: whether all of its values are numbers.
 */

/**
 * Read the JSON of a table. Where a number was not finite its place is named beside the rows.
 * @param {any} said
 * @returns {LoggedTable}
 */
export function tableOf(said) {
  if (!Array.isArray(said?.columns) || !Array.isArray(said?.rows)) throw new Error("its bytes are no table");
  /** @type {string[]} */
  const columns = said.columns.map(String);
  /** @type {unknown[][]} */
  const rows = said.rows.map((/** @type {unknown} */ row) => (Array.isArray(row) ? row : [row]));
  for (const [row, column, text] of Array.isArray(said.nonFinite) ? said.nonFinite : []) {
    const found = rows[row];
    if (found) found[column] = Number(text);
  }
  const isNumeric = columns.map((_, at) => {
    const values = rows.map((row) => row[at]).filter((each) => each !== null && each !== undefined);
    return values.length > 0 && values.every((each) => typeof each === "number");
  });
  return { columns, rows, isNumeric };
}

/**
 * The numbers of the rows that hold a text, in an order; cells without a value come last either way.
 * @param {LoggedTable} table
 * @param {string} find
 * @param {import("../../app/sheet.js").Sort | null} sort
 * @returns {number[]}
 */
export function arranged(table, find, sort) {
  const wanted = find.toLowerCase();
  const kept = [...table.rows.keys()].filter((at) => !wanted || (table.rows[at] ?? []).some((cell) => String(cell ?? "").toLowerCase().includes(wanted)));
  if (!sort) return kept;
  const column = Number(sort.by);
  const sign = sort.order === "desc" ? -1 : 1;
  return kept.sort((one, other) => compared(table.rows[one]?.[column], table.rows[other]?.[column], sign) || one - other);
}

/**
 * Numbers before texts, those before the rest.
 * @param {unknown} one
 * @param {unknown} other
 * @param {number} sign
 */
function compared(one, other, sign) {
  const ranks = [rank(one), rank(other)];
  if (ranks[0] !== ranks[1]) return (ranks[0] ?? 0) - (ranks[1] ?? 0);
  if (typeof one === "number" && typeof other === "number") return sign * (one < other ? -1 : Number(one > other));
  return ranks[0] === 4 ? 0 : sign * String(one).localeCompare(String(other));
}

/** @param {unknown} cell */
function rank(cell) {
  if (cell === null || cell === undefined || Number.isNaN(cell)) return 4;
  return typeof cell === "number" ? 1 : typeof cell === "string" ? 2 : 3;
}
