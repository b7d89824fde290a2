/** A curve as small as a word. */

import { html } from "../app/html.js";

const WIDTH = 96;
const HEIGHT = 22;

/**
 * @param {{ buckets: import("../data/series.js").Bucket[] | undefined, name: string }} props
 */
export function Sparkline({ buckets, name }) {
  if (!buckets || buckets.length === 0) return html`<span class="spark" aria-hidden="true"></span>`;
  const low = Math.min(...buckets.map((each) => each.mean));
  const high = Math.max(...buckets.map((each) => each.mean));
  const span = high - low || 1;
  const points = buckets.map((each, index) => {
    const x = buckets.length === 1 ? WIDTH / 2 : (index / (buckets.length - 1)) * WIDTH;
    return `${x.toFixed(1)},${(HEIGHT - 2 - ((each.mean - low) / span) * (HEIGHT - 4)).toFixed(1)}`;
  });
  return html`<svg class="spark" width=${WIDTH} height=${HEIGHT} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`Curve of ${name}`}>
    <polyline points=${points.join(" ")} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" />
  </svg>`;
}
