/** What a span says: as a call of a model, a tool or an agent where it is one, and all its attributes. */

import { html } from "../../app/html.js";
import { clock, date, short, some, value as shownValue, whole } from "../../data/format.js";
import { ms } from "../../data/spans.js";
import { lengthOf, SpanMark } from "./traces.js";

/** @param {{ span: import("../../data/spans.js").Span, onClose: () => void }} props */
export function SpanDetails({ span, onClose }) {
  return html`<section class="card span-details" aria-label=${`Span ${span.name}`}>
    <div class="head"><h2 class="cut"><${SpanMark} span=${span} /> ${span.name}</h2><span class="muted">${span.kind}</span>
      <span class="muted" title=${date(ms(span.startNs))}>${clock(ms(span.startNs))}</span><span class="muted">${lengthOf(span)}</span><span class="grow"></span>
      <button type="button" class="quiet icon" aria-label="Close" onClick=${onClose}>×</button></div>
    ${span.statusMessage && html`<p class="notice bad">${span.statusMessage}</p>`}
    ${span.parentProblem && html`<p class="notice warn">${span.parentProblem === "missing" ? "Its parent is not here." : "It is its own ancestor; the circle is cut above it."}</p>`}
    ${span.clockSkewNs && html`<p class="notice warn">It says that it began ${short(Number(span.clockSkewNs) / 1e6)} ms before its parent: another machine's clock.</p>`}
    ${span.genai && html`<${GenAi} genai=${span.genai} />`}
    ${span.events.length > 0 && html`<details open><summary>${some(span.events.length, "event")}</summary>
      ${span.events.map((each) => html`<div class="span-event"><strong>${each.name}</strong> <span class="muted">${clock(ms(each.timestampNs))}</span>
        ${each.attributes["exception.stacktrace"] ? html`<pre class="code">${String(each.attributes["exception.stacktrace"])}</pre>` : html`<${Pairs} values=${each.attributes} />`}</div>`)}</details>`}
    <details open=${!span.genai}><summary>${Object.keys(span.attributes).length} attributes</summary><${Pairs} values=${span.attributes} /></details>
    ${span.links.length > 0 && html`<details><summary>${span.links.length} links</summary><pre class="code">${JSON.stringify(span.links, null, 2)}</pre></details>`}
    <p class="mono muted">span ${span.spanId}</p>
  </section>`;
}

/** @param {{ values: Record<string, unknown> }} props */
function Pairs({ values }) {
  const rows = Object.entries(values);
  return rows.length > 0 && html`<table class="values"><tbody>${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="mono">${shownValue(value)}</td></tr>`)}</tbody></table>`;
}

/** @param {{ genai: any }} props */
function GenAi({ genai }) {
  const facts = [genai.operation, genai.provider, genai.responseModel ?? genai.model, genai.agent && `agent ${genai.agent}`, genai.conversationId && `conversation ${genai.conversationId}`].filter(Boolean);
  return html`<div class="stack">
    <div class="row">${facts.map((each) => html`<span class="tag"><span class="cut">${each}</span></span>`)}<${Usage} usage=${genai.usage} cost=${genai.costUsd} />
      ${(genai.finishReasons ?? []).map((/** @type {string} */ each) => html`<span class="muted">ended: ${each}</span>`)}</div>
    ${genai.tool && html`<div class="said-by"><span class="role">tool ${genai.tool.name}</span>
      ${genai.tool.arguments !== undefined && html`<pre class="code">${text(genai.tool.arguments)}</pre>`}${genai.tool.result !== undefined && html`<pre class="code">${text(genai.tool.result)}</pre>`}</div>`}
    ${[...(genai.system ?? []), ...(genai.inputMessages ?? [])].map((each) => html`<${Message} message=${each} />`)}
    ${(genai.outputMessages ?? []).map((/** @type {any} */ each) => html`<${Message} message=${each} isOutput />`)}
  </div>`;
}

/** @param {{ usage: any, cost: number | undefined }} props */
function Usage({ usage, cost }) {
  if (!usage && cost === undefined) return null;
  const named = [["input", "in"], ["cached", "cached"], ["output", "out"], ["reasoning", "reasoning"]];
  const tokens = named.filter(([field]) => usage?.[field ?? ""] !== undefined && usage[field ?? ""] !== null).map(([field, word]) => `${whole(usage[field ?? ""])} ${word}`);
  return html`${tokens.length > 0 && html`<span class="tag">${tokens.join(" · ")}</span>`}${cost !== undefined && cost !== null && html`<span class="tag">$${cost.toPrecision(3)}</span>`}`;
}

/** @param {{ message: any, isOutput?: boolean }} props */
function Message({ message, isOutput = false }) {
  return html`<div class=${`said-by ${isOutput ? "output" : ""}`}><span class="role">${message.role ?? "system"}</span>
    ${(message.parts ?? [message]).map((/** @type {any} */ part) => html`<${Part} part=${part} />`)}</div>`;
}

/** @param {{ part: any }} props */
function Part({ part }) {
  if (part.type === "text" || typeof part.content === "string") return html`<p class="said">${part.content}</p>`;
  if (part.type === "tool_call") return html`<div><span class="muted">calls </span><strong>${part.name}</strong><pre class="code">${text(part.arguments)}</pre></div>`;
  if (part.type === "tool_call_response") return html`<div><span class="muted">answer of the tool</span><pre class="code">${text(part.response)}</pre></div>`;
  return html`<pre class="code">${text(part)}</pre>`;
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
