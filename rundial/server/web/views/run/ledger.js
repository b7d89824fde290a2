/** Whether everything that was logged is here, or exactly what is missing and why. */

import { html } from "../../app/html.js";
import { whole } from "../../data/format.js";

const SIGNALS = { points: "points", lines: "lines of text", spans: "spans", artifacts: "files" };
/** @type {Record<string, string>} */
const REASONS = {
  queue_full: "refused by a full memory ring",
  spool_full: "gone from a full disk spool",
  spool_expired: "waited on disk for too long",
  too_large: "above the limit for one record",
  invalid: "not a value that can be recorded",
  non_finite: "NaN or infinite",
  rejected: "refused by the server",
  after_finish: "logged after the run had finished",
  internal_error: "lost by an error of Rundial",
};

/** @param {{ details: any }} props */
export function Ledger({ details }) {
  const { ledger } = details;
  const losses = lossesOf(ledger);
  const isRunning = details.status === "running";
  return html`<section class="card values-card" aria-label="Ledger">
    <div class="head"><h2>Ledger</h2><${Verdict} ledger=${ledger} losses=${losses} isRunning=${isRunning} /></div>
    <div class="values-scroll"><table class="values"><thead><tr><th scope="col">Signal</th><th scope="col" class="number">Recorded</th><th scope="col" class="number">Stored</th><th scope="col" class="number">Missing</th><th scope="col" class="number">Lost</th></tr></thead>
      <tbody>${Object.entries(SIGNALS).map(([signal, name]) => {
        const part = ledger[signal];
        return part && html`<tr><th scope="row">${name}</th><td class="number">${whole(part.recorded)}</td>
          <td class="number">${part.stored === undefined ? "–" : whole(part.stored)}</td><td class="number">${part.missing === undefined ? "–" : whole(part.missing)}</td><td class="number">${whole(lostOf(part))}</td></tr>`;
      })}</tbody></table></div>
    ${losses.length > 0 && html`<ul class="losses">${losses.map((each) => html`<li>${each}</li>`)}</ul>`}
  </section>`;
}

/** @param {{ ledger: any, losses: string[], isRunning: boolean }} props */
function Verdict({ ledger, losses, isRunning }) {
  if (ledger.complete) return html`<span class="notice good">Complete: every record is here</span>`;
  if (ledger.reporting < ledger.instances) {
    const rest = ledger.instances - ledger.reporting;
    return html`<span class="notice">${rest} of ${ledger.instances} processes ${rest === 1 ? "has" : "have"} not said yet how much ${rest === 1 ? "it" : "they"} recorded</span>`;
  }
  if (losses.length > 0) return html`<span class="notice warn">Not complete: see below</span>`;
  return html`<span class="notice">${isRunning ? "On its way" : "Not complete"}</span>`;
}

/** @param {any} part */
function lostOf(part) {
  const dropped = Object.values(part.dropped ?? {}).reduce((/** @type {number} */ sum, each) => sum + Number(each), 0);
  return dropped + (part.evicted ?? 0) + (part.rejected ?? 0);
}

/**
 * @param {any} ledger
 * @returns {string[]}
 */
function lossesOf(ledger) {
  return Object.entries(SIGNALS).flatMap(([signal, name]) => {
    const part = ledger[signal];
    if (!part) return [];
    const said = Object.entries(part.dropped ?? {}).map(([reason, count]) => `${whole(Number(count))} ${name}: ${REASONS[reason] ?? reason}`);
    if (part.evicted) said.push(`${whole(part.evicted)} ${name}: ${REASONS["spool_full"]}`);
    if (part.rejected) said.push(`${whole(part.rejected)} ${name}: ${REASONS["rejected"]}`);
    if (part.missing) said.push(`${whole(part.missing)} ${name} were recorded and are not here yet`);
    return said;
  });
}
