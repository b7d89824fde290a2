/** The rows in sight of a table of any length. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf } from "../../app/router.js";
import { useSight } from "../../app/sight.js";
import { Sparkline } from "../../charts/sparkline.js";
import { ago, date, value as shownValue } from "../../data/format.js";
import { useSparks } from "./sparks.js";
import { labelOf, sortBy } from "./state.js";

const ROW = 36;
const MARGIN = 8;
/** @type {Record<string, number>} */
const WIDTHS = { status: 120, startedAtMs: 120, updatedAtMs: 120, tags: 200, kind: 96, group: 160, jobType: 120, runId: 200 };

/** @typedef {import("../../data/runs.js").Run} Run */

/**
 * @param {{
 *   workspace: string,
 *   project: string,
 *   state: import("./state.js").TableState,
 *   rows: import("./rows.js").Rows,
 *   chosen: Set<string>,
 *   onChoose: (chosen: Set<string>) => void,
 * }} props
 */
export function Table({ workspace, project, state, rows, chosen, onChoose }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [first, last] = useSight(box, ROW);
  const lines = linesOf(rows.rows, state.group);
  const from = Math.max(0, first - MARGIN);
  const shown = lines.slice(from, last + MARGIN);
  const runs = shown.flatMap((line) => (line.run ? [line.run] : []));
  const columns = state.columns.filter((each) => each !== "-");
  const sparks = useSparks(workspace, project, runs, columns.filter((each) => each.startsWith("spark.")).map((each) => each.slice(6)));

  useEffect(() => {
    const before = lines.slice(0, first).filter((line) => line.run).length;
    rows.see(before, before + last - first);
    rows.reach(last);
  }, [first, last, rows.rows]);

  const template = ["40px", "minmax(220px, 2fr)", ...columns.map((each) => `minmax(${WIDTHS[each] ?? 112}px, 1fr)`)].join(" ");
  const grid = { gridTemplateColumns: template };
  const least = { minWidth: `${260 + columns.reduce((sum, each) => sum + (WIDTHS[each] ?? 112), 0)}px` };
  const numeric = new Set(columns.filter((each) => runs.some((run) => typeof valueOf(run, each) === "number" && !each.endsWith("AtMs"))));
  /** @param {Run} run */
  const toggle = (run) => {
    const next = new Set(chosen);
    if (!next.delete(run.runId)) next.add(run.runId);
    onChoose(next);
  };
  const isAll = rows.rows.length > 0 && rows.rows.every((each) => chosen.has(each.runId));
  const toggleAll = () => onChoose(isAll ? new Set() : new Set(rows.rows.map((each) => each.runId)));

  return html`<div class="grid" ref=${box} role="table" aria-label="Runs" aria-rowcount=${rows.hasMore ? -1 : rows.rows.length + 1} aria-busy=${String(rows.isStale)}>
    <div role="rowgroup" class="grid-head" style=${least}><div role="row" class="grid-row" style=${grid} aria-rowindex="1">
      <span role="columnheader" class="tick"><input type="checkbox" aria-label="Select all loaded runs" checked=${isAll} onChange=${toggleAll} /></span>
      <${Head} field="runName" label="Name" state=${state} />
      ${columns.map((each) => html`<${Head} key=${each} field=${each} label=${labelOf(each)} state=${state} isNumeric=${numeric.has(each)} />`)}
    </div></div>
    <div role="rowgroup" class="grid-body" style=${{ ...least, height: `${lines.length * ROW}px` }}>
      ${shown.map((line, index) => line.run
        ? html`<${Row} key=${line.run.runId} at=${from + index} run=${line.run} columns=${columns} grid=${grid} sparks=${sparks}
            href=${pathOf("w", workspace, project, "runs", line.run.runId)} isChosen=${chosen.has(line.run.runId)} onToggle=${toggle} />`
        : html`<div key=${`group ${line.group}`} role="row" class="grid-row group" style=${{ top: `${(from + index) * ROW}px` }}>
            <span role="cell"><strong>${line.group}</strong> <span class="muted">${line.count}${rows.hasMore && from + index + (line.count ?? 0) + 1 >= lines.length ? "+" : ""}</span></span></div>`)}
    </div>
  </div>`;
}

/** @param {{ field: string, label: string, state: import("./state.js").TableState, isNumeric?: boolean }} props */
function Head({ field, label, state, isNumeric = false }) {
  const isSortable = !field.startsWith("spark.") && field !== "tags" && !state.group;
  const isSorted = state.orderBy === field && !state.group;
  const direction = state.order === "asc" ? "ascending" : "descending";
  return html`<span role="columnheader" class=${isNumeric ? "number" : ""} aria-sort=${isSorted ? direction : undefined} title=${field}>
    ${isSortable
      ? html`<button type="button" class="head-button" onClick=${() => sortBy(field, state)}><span class="cut">${label}</span>${isSorted && html`<span aria-hidden="true">${state.order === "asc" ? "↑" : "↓"}</span>`}</button>`
      : html`<span class="cut">${label}</span>`}
  </span>`;
}

/**
 * @param {{ at: number, run: Run, columns: string[], grid: Record<string, string>, sparks: import("./sparks.js").Sparks, href: string, isChosen: boolean, onToggle: (run: Run) => void }} props
 */
function Row({ at, run, columns, grid, sparks, href, isChosen, onToggle }) {
  return html`<div role="row" class=${`grid-row ${isChosen ? "chosen" : ""}`} aria-rowindex=${at + 2} data-run=${run.runId} style=${{ ...grid, top: `${at * ROW}px` }}>
    <span role="cell" class="tick"><input type="checkbox" aria-label=${`Select ${run.runName}`} checked=${isChosen} onChange=${() => onToggle(run)} /></span>
    <span role="cell" class="cut"><a href=${href} title=${run.runName}>${run.runName}</a></span>
    ${columns.map((each) => html`<${Cell} key=${each} field=${each} run=${run} sparks=${sparks} />`)}
  </div>`;
}

/** @param {{ field: string, run: Run, sparks: import("./sparks.js").Sparks }} props */
function Cell({ field, run, sparks }) {
  if (field === "status") return html`<span role="cell"><span class="status" data-status=${run.status}>${run.status}</span></span>`;
  if (field === "startedAtMs" || field === "updatedAtMs") {
    const ms = run[field];
    return html`<span role="cell" class="cut muted" title=${date(ms)}>${ago(ms)}</span>`;
  }
  if (field.startsWith("spark.")) {
    const name = field.slice(6);
    return html`<span role="cell"><${Sparkline} name=${name} buckets=${sparks.get(`${run.runId} ${name}`)?.buckets} /></span>`;
  }
  const found = valueOf(run, field);
  if (field === "tags") {
    return html`<span role="cell" class="tags">${(Array.isArray(found) ? found : []).map((/** @type {string} */ each) => html`<span class="tag"><span class="cut">${each}</span></span>`)}</span>`;
  }
  const text = shownValue(found);
  return html`<span role="cell" class=${`cut ${typeof found === "number" ? "number" : ""}`} title=${text}>${text || html`<span class="muted" aria-label="none">–</span>`}</span>`;
}

/** @param {string} field */
function quotedName(field) {
  const [space, ...rest] = field.split(".");
  return `${space}.${JSON.stringify(rest.join("."))}`;
}

/**
 * What a run shows in a column.
 * @param {Run} run
 * @param {string} field
 */
function valueOf(run, field) {
  return run.columns?.[field] ?? run.columns?.[quotedName(field)] ?? /** @type {any} */ (run)[field];
}

/**
 * Runs, and where they are grouped a line before each group; they come in the group's order.
 * @param {Run[]} rows
 * @param {string} group
 * @returns {{ run?: Run, group?: string, count?: number }[]}
 */
function linesOf(rows, group) {
  if (!group) return rows.map((run) => ({ run }));
  /** @type {{ run?: Run, group?: string, count?: number }[]} */
  const lines = [];
  /** @type {{ group?: string, count?: number } | null} */
  let now = null;
  for (const run of rows) {
    const found = run.columns?.[group] ?? run.columns?.[quotedName(group)];
    const name = found === null || found === undefined ? `no ${labelOf(group)}` : `${labelOf(group)} ${shownValue(found)}`;
    if (!now || now.group !== name) {
      now = { group: name, count: 0 };
      lines.push(now);
    }
    now.count = (now.count ?? 0) + 1;
    lines.push({ run });
  }
  return lines;
}
