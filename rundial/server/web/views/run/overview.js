/** What a run says of itself: summary, config, environment, and whether all of it arrived. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { date, value as shownValue } from "../../data/format.js";
import { Ledger } from "./ledger.js";

/** @param {import("./view.js").TabProps} props */
export function OverviewTab({ details }) {
  return html`<div class="overview">
    <${Ledger} details=${details} />
    <${Values} title="Summary" values=${details.summary} omitted=${details.summaryOmitted} nothing="Nothing was set and no metric was logged." />
    <${Values} title="Config" values=${details.config} omitted=${details.configOmitted} nothing="The run was started without a config." />
    <${Run} details=${details} />
    <${Environment} found=${details.environment} />
  </div>`;
}

/** @param {{ title: string, values: Record<string, unknown>, omitted: number, nothing: string }} props */
function Values({ title, values, omitted, nothing }) {
  const [text, setText] = useState("");
  const wanted = text.toLowerCase();
  const rows = leaves(values ?? {}).filter(([name, value]) => !wanted || name.toLowerCase().includes(wanted) || shownValue(value).toLowerCase().includes(wanted));
  const isLong = leaves(values ?? {}).length > 8;
  return html`<section class="card values-card" aria-label=${title}>
    <div class="head"><h2>${title}</h2><span class="grow"></span>
      ${isLong && html`<input type="search" aria-label=${`Search the ${title.toLowerCase()}`} placeholder="Search" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />`}</div>
    ${rows.length === 0 ? html`<p class="muted">${text ? "Nothing fits." : nothing}</p>`
      : html`<div class="values-scroll"><table class="values"><tbody>${rows.slice(0, 1000).map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="mono">${shownValue(value)}</td></tr>`)}</tbody></table></div>`}
    ${rows.length > 1000 && html`<p class="muted">and ${rows.length - 1000} more: search for them</p>`}
    ${omitted > 0 && html`<p class="notice warn">${omitted} more were too many to be kept</p>`}
  </section>`;
}

/** @param {{ details: any }} props */
function Run({ details }) {
  const facts = {
    Id: details.runId, Kind: details.kind, Group: details.group, "Job type": details.jobType,
    Started: date(details.startedAtMs), Ended: details.finishedAtMs ? date(details.finishedAtMs) : "", Notes: details.notes,
  };
  return html`<section class="card values-card" aria-label="Run"><h2>Run</h2>
    <table class="values"><tbody>
      ${Object.entries(facts).filter(([, value]) => value).map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}
      ${details.instances.map((/** @type {any} */ each) => html`<tr><th scope="row">Attempt ${each.attempt}${each.rank === null ? "" : `, rank ${each.rank}`}</th><td>${each.host || "unknown host"}${each.startedAtMs ? `, since ${date(each.startedAtMs)}` : ""}</td></tr>`)}
    </tbody></table></section>`;
}

/** @param {{ found: any }} props */
function Environment({ found }) {
  if (!found) return html`<section class="card values-card" aria-label="Environment"><h2>Environment</h2><p class="muted">It did not say where it ran.</p></section>`;
  const { git, packages, command, ...rest } = found;
  const { diff, ...facts } = git ?? {};
  return html`
    <section class="card values-card" aria-label="Git"><h2>Git</h2>
      ${git ? html`<table class="values"><tbody>${leaves(facts).map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="mono">${shownValue(value)}</td></tr>`)}</tbody></table>
        ${diff && html`<details><summary>Changes that were not committed</summary><pre>${diff}</pre></details>`}` : html`<p class="muted">Not in a git repository.</p>`}</section>
    <section class="card values-card" aria-label="Environment"><h2>Environment</h2>
      ${command && html`<pre class="code">${Array.isArray(command) ? command.join(" ") : String(command)}</pre>`}
      <table class="values"><tbody>${leaves(rest).map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="mono">${shownValue(value)}</td></tr>`)}</tbody></table>
      ${packages && html`<details><summary>${Object.keys(packages).length} packages</summary><table class="values"><tbody>${Object.entries(packages).map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="mono">${String(value)}</td></tr>`)}</tbody></table></details>`}
    </section>`;
}

/**
 * Values by their paths.
 * @param {Record<string, unknown>} values
 * @param {string} [path]
 * @returns {[string, unknown][]}
 */
export function leaves(values, path = "") {
  return Object.entries(values).flatMap(([name, value]) => {
    const own = path ? `${path}.${name}` : name;
    const isNested = value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0;
    return isNested ? leaves(/** @type {Record<string, unknown>} */ (value), own) : [/** @type {[string, unknown]} */ ([own, value])];
  });
}
