/** The spans of a trace over time, of which those in sight are drawn. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { useSight } from "../../app/sight.js";
import { duration, some } from "../../data/format.js";
import { ms } from "../../data/spans.js";
import { SpanMark, lengthOf } from "./traces.js";

/** @typedef {import("../../data/spans.js").Span} Span */

const ROW = 28;
const MARGIN = 10;
const DEEPEST = 24;

/** @param {{ spans: Span[], chosen: string, onChoose: (span: string) => void }} props */
export function Waterfall({ spans, chosen, onChoose }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [first, last] = useSight(box, ROW);
  const [folded, setFolded] = useState(/** @type {Set<string>} */ (new Set()));
  const rows = useMemo(() => unfolded(spans, folded), [spans, folded]);
  const [from, to] = useMemo(() => extentOf(spans), [spans]);
  const errors = useMemo(() => spans.filter((each) => each.status === "error"), [spans]);
  const parents = useMemo(() => new Set(spans.map((each) => each.parentSpanId)), [spans]);
  const top = Math.max(0, first - MARGIN);

  const reveal = (/** @type {string} */ id) => {
    const at = rows.findIndex((each) => each.spanId === id);
    const element = box.current;
    if (at < 0 || !element) return;
    const y = at * ROW;
    if (y < element.scrollTop || y > element.scrollTop + element.clientHeight - ROW) element.scrollTop = Math.max(0, y - element.clientHeight / 2);
  };
  useEffect(() => {
    if (chosen) reveal(chosen);
  }, [chosen]);
  /** @param {string} id */
  const fold = (id) => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    setFolded(next);
  };
  const nextError = () => {
    const at = errors.findIndex((each) => each.spanId === chosen);
    const next = errors[(at + 1) % errors.length];
    if (next) onChoose(next.spanId);
  };
  return html`<div class="stack">
    ${errors.length > 0 && html`<div class="bar"><button type="button" class="small danger" onClick=${nextError}>${some(errors.length, "error")}: next</button></div>`}
    <div class="waterfall card" ref=${box} role="tree" aria-label="Spans" tabindex="0">
      <div class="waterfall-scale muted" aria-hidden="true"><span>0</span><span>${duration((to - from) / 2)}</span><span>${duration(to - from)}</span></div>
      <div class="waterfall-body" style=${{ height: `${rows.length * ROW}px` }}>
        ${rows.slice(top, last + MARGIN).map((span, index) => html`<${Row} key=${span.spanId} span=${span} at=${top + index} from=${from} to=${to} isChosen=${span.spanId === chosen}
          isFolded=${folded.has(span.spanId)} isParent=${parents.has(span.spanId)} onChoose=${onChoose} onFold=${fold} />`)}
      </div>
    </div>
  </div>`;
}

/**
 * @param {{ span: Span, at: number, from: number, to: number, isChosen: boolean, isFolded: boolean, isParent: boolean, onChoose: (id: string) => void, onFold: (id: string) => void }} props
 */
function Row({ span, at, from, to, isChosen, isFolded, isParent, onChoose, onFold }) {
  const [start, end] = [ms(span.startNs), endOf(span, to)];
  const scale = 100 / (to - from || 1);
  const bar = { left: `${(start - from) * scale}%`, width: `${Math.max(0, end - start) * scale}%` };
  const depth = Math.min(span.depth ?? 0, DEEPEST);
  const kind = span.running ? "running" : span.interrupted ? "interrupted" : span.status;
  return html`<div class=${`waterfall-row ${isChosen ? "chosen" : ""}`} role="treeitem" aria-level=${(span.depth ?? 0) + 1} aria-expanded=${isParent ? String(!isFolded) : undefined} aria-selected=${String(isChosen)} style=${{ top: `${at * ROW}px` }}>
    <span class="waterfall-name" style=${{ paddingInlineStart: `${depth * 12}px` }}>
      ${isParent ? html`<button type="button" class="fold" aria-label=${isFolded ? "Unfold" : "Fold"} onClick=${() => onFold(span.spanId)}>${isFolded ? "▸" : "▾"}</button>` : html`<span class="fold"></span>`}
      <button type="button" class="plain cut" title=${span.name} onClick=${() => onChoose(span.spanId)}><${SpanMark} span=${span} /> ${span.name}</button></span>
    <span class="waterfall-track" onClick=${() => onChoose(span.spanId)}><span class="waterfall-bar" data-kind=${kind} data-genai=${span.genai ? "" : undefined} style=${bar}></span></span>
    <span class="waterfall-length muted number">${lengthOf(span)}</span>
  </div>`;
}

/**
 * The spans whose ancestors are all unfolded; they come in the order of their tree.
 * @param {Span[]} spans
 * @param {Set<string>} folded
 */
function unfolded(spans, folded) {
  if (folded.size === 0) return spans;
  let hiddenBelow = Infinity;
  return spans.filter((span) => {
    const depth = span.depth ?? 0;
    if (depth > hiddenBelow) return false;
    hiddenBelow = folded.has(span.spanId) ? depth : Infinity;
    return true;
  });
}

/**
 * @param {Span[]} spans
 * @returns {[number, number]} Milliseconds.
 */
function extentOf(spans) {
  let [from, to] = [Infinity, -Infinity];
  for (const span of spans) {
    from = Math.min(from, ms(span.startNs));
    to = Math.max(to, span.endNs ? ms(span.endNs) : span.running ? Date.now() : ms(span.startNs));
  }
  return [from, to];
}

/**
 * @param {Span} span
 * @param {number} last
 */
function endOf(span, last) {
  return span.endNs ? ms(span.endNs) : last;
}
