/** What the table shows, as its address says it: filter, order, columns, group. */

import { setParams, usePlace } from "../../app/router.js";

/**
 * @typedef {object} TableState
 * @property {string} filter In the filter language.
 * @property {string} search Part of a name or an id.
 * @property {string} orderBy
 * @property {"asc" | "desc"} order
 * @property {string[]} columns Fields, and `spark.NAME` for a small curve.
 * @property {string} group A field, or empty.
 * @property {boolean} isArchived
 */

export const DEFAULT_COLUMNS = ["status", "startedAtMs", "tags"];

/** @returns {TableState} */
export function useTableState() {
  const { params } = usePlace();
  const sort = params.get("sort") ?? "-startedAtMs";
  const columns = params.get("cols");
  return {
    filter: params.get("q") ?? "",
    search: params.get("name") ?? "",
    orderBy: sort.replace(/^-/, ""),
    order: sort.startsWith("-") ? "desc" : "asc",
    columns: columns === null ? DEFAULT_COLUMNS : columns.split(",").filter(Boolean).map(decodeURIComponent),
    group: params.get("group") ?? "",
    isArchived: params.get("archived") === "1",
  };
}

/** @param {string[]} columns */
export function setColumns(columns) {
  const text = columns.map((each) => each.replaceAll("%", "%25").replaceAll(",", "%2C")).join(",");
  setParams({ cols: text || "-" });
}

/**
 * Sort by a field; by the same one again the other way round.
 * @param {string} field
 * @param {TableState} state
 */
export function sortBy(field, state) {
  const isDown = state.orderBy === field ? state.order === "asc" : isTime(field);
  setParams({ sort: isDown ? `-${field}` : field });
}

/** @param {string} field */
function isTime(field) {
  return field.endsWith("AtMs");
}

/**
 * The parts of a filter that `and` joins at the top: one chip each. A filter that `or` joins is one part.
 * @param {string} filter
 * @returns {string[]}
 */
export function partsOf(filter) {
  const words = filter.match(/"(?:\\.|[^"\\])*"?|[()]|[^\s()"]+|\s+/g) ?? [];
  /** @type {string[]} */
  const parts = [];
  let depth = 0;
  let now = "";
  for (const word of words) {
    depth += word === "(" ? 1 : word === ")" ? -1 : 0;
    if (depth === 0 && word.toLowerCase() === "or") return [filter.trim()];
    if (depth === 0 && word.toLowerCase() === "and") {
      parts.push(now.trim());
      now = "";
    } else now += word;
  }
  parts.push(now.trim());
  return parts.filter(Boolean);
}

/**
 * A filter with one more condition.
 * @param {string} filter
 * @param {string} condition
 */
export function withPart(filter, condition) {
  const parts = partsOf(filter);
  const isOneOfOr = parts.length === 1 && /\sor\s/i.test(` ${filter} `);
  return [...(isOneOfOr ? [`(${filter})`] : parts), condition].join(" and ");
}

/**
 * A field as the filter language and the list of columns write it.
 * @param {string} field
 */
export function written(field) {
  const [space, ...rest] = field.split(".");
  const name = rest.join(".");
  if (!name || /^[\w./:@%+-]+$/.test(name)) return field;
  return `${space}.${JSON.stringify(name)}`;
}

/**
 * A column's field without the quotes of the filter language.
 * @param {string} field
 */
export function labelOf(field) {
  const names = { status: "Status", startedAtMs: "Started", updatedAtMs: "Updated", tags: "Tags", kind: "Kind", group: "Group", jobType: "Job type", runId: "Id", runName: "Name" };
  const known = /** @type {Record<string, string>} */ (names)[field];
  return known ?? field.replace(/^(config|summary|spark)\./, "");
}
