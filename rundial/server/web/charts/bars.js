/** One histogram as bars. */

import { html } from "../app/html.js";
import { short, whole } from "../data/format.js";

const [WIDTH, HEIGHT] = [640, 180];

/** @param {{ name: string, column: import("./heat.js").HeatColumn }} props */
export function Bars({ name, column }) {
  const { edges, counts } = column;
  const [least, most] = [edges[0] ?? 0, edges.at(-1) ?? 1];
  const across = WIDTH / (most - least || 1);
  const greatest = Math.max(...counts, 1);
  return html`<div class="bars"><svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`Histogram of ${name}: from ${short(least)} to ${short(most)}`}>
      ${counts.map((count, index) => {
        const [from, to] = [edges[index] ?? 0, edges[index + 1] ?? 0];
        const height = (count / greatest) * HEIGHT;
        return html`<rect x=${(from - least) * across} y=${HEIGHT - height} width=${Math.max(0.5, (to - from) * across - 0.5)} height=${height}><title>${`${short(from)} to ${short(to)}: ${whole(count)}`}</title></rect>`;
      })}
    </svg><div class="heat-steps muted"><span>${short(least)}</span><span>greatest count ${short(greatest)}</span><span>${short(most)}</span></div></div>`;
}
