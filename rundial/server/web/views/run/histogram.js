/** A histogram at a step, and all of them over the steps. */

import { html } from "../../app/html.js";
import { unready } from "../../app/states.js";
import { short } from "../../data/format.js";
import { jsonOf } from "../../data/media.js";
import { useResource } from "../../data/resource.js";

/** @typedef {{ counts: number[], edges: number[] }} Histogram */

const MOST_STEPS = 60;
const WIDTH = 560;
const HEIGHT = 200;
const ROWS = 40;

/** @param {{ items: import("../../data/media.js").MediaItem[], shown: import("../../data/media.js").MediaItem | undefined }} props */
export function HistogramView({ items, shown }) {
  const stored = items.filter((each) => each.url && each.state === "stored");
  const every = Math.max(1, Math.ceil(stored.length / MOST_STEPS));
  const chosen = stored.filter((_, index) => index % every === 0 || index === stored.length - 1);
  const found = useResource(`histograms ${chosen.map((each) => each.path).join(" ")}`, (signal) =>
    Promise.all(chosen.map(async (each) => ({ step: each.step, ...(await jsonOf(each.url ?? "", signal)) }))), { keeps: true });
  const waiting = unready(found, "the histograms");
  if (waiting || !found.value?.length) return waiting;
  const now = found.value.find((each) => each.step === shown?.step) ?? found.value.at(-1);
  return html`<${Bars} histogram=${now} />${found.value.length > 1 && html`<${OverTime} histograms=${found.value} />`}`;
}

/** @param {{ histogram: any }} props */
function Bars({ histogram }) {
  const { counts, edges } = /** @type {Histogram} */ (histogram);
  const most = Math.max(...counts, 1);
  const [low, high] = [edges[0] ?? 0, edges.at(-1) ?? 1];
  const place = (/** @type {number} */ each) => ((each - low) / (high - low || 1)) * WIDTH;
  return html`<svg class="histogram" viewBox=${`0 0 ${WIDTH} ${HEIGHT + 24}`} role="img" aria-label=${`Histogram from ${short(low)} to ${short(high)}, at most ${short(most)} in a bin`}>
    ${counts.map((count, index) => {
      const [from, to] = [place(edges[index] ?? 0), place(edges[index + 1] ?? 0)];
      const height = (count / most) * HEIGHT;
      return html`<rect x=${from} y=${HEIGHT - height} width=${Math.max(0.5, to - from - 0.5)} height=${height}><title>${`${short(edges[index] ?? 0)} to ${short(edges[index + 1] ?? 0)}: ${short(count)}`}</title></rect>`;
    })}
    <text x="0" y=${HEIGHT + 18}>${short(low)}</text><text x=${WIDTH} y=${HEIGHT + 18} text-anchor="end">${short(high)}</text></svg>`;
}

/** @param {{ histograms: any[] }} props */
function OverTime({ histograms }) {
  const low = Math.min(...histograms.map((each) => each.edges[0]));
  const high = Math.max(...histograms.map((each) => each.edges.at(-1)));
  const width = WIDTH / histograms.length;
  return html`<svg class="histogram" viewBox=${`0 0 ${WIDTH} ${HEIGHT + 24}`} role="img" aria-label=${`${histograms.length} histograms over steps ${histograms[0].step} to ${histograms.at(-1).step}`}>
    ${histograms.flatMap((each, column) => {
      const shares = resampled(each, low, high);
      const most = Math.max(...shares, 1e-12);
      return shares.map((share, row) => share > 0 && html`<rect x=${column * width} y=${HEIGHT - ((row + 1) / ROWS) * HEIGHT} width=${width} height=${HEIGHT / ROWS} opacity=${0.1 + 0.9 * (share / most)} />`);
    })}
    <text x="0" y=${HEIGHT + 18}>step ${histograms[0].step}</text><text x=${WIDTH} y=${HEIGHT + 18} text-anchor="end">step ${histograms.at(-1).step}</text></svg>`;
}

/**
 * A histogram over bins that all steps share.
 * @param {Histogram} histogram
 * @param {number} low
 * @param {number} high
 */
function resampled({ counts, edges }, low, high) {
  const shares = new Array(ROWS).fill(0);
  counts.forEach((count, index) => {
    const middle = ((edges[index] ?? 0) + (edges[index + 1] ?? 0)) / 2;
    shares[Math.min(ROWS - 1, Math.max(0, Math.floor(((middle - low) / (high - low || 1)) * ROWS)))] += count;
  });
  return shares;
}
