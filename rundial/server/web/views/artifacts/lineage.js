/** Which runs made and used an artifact, and what those used and made: the way of the data, left to right. */

import { html } from "../../app/html.js";
import { pathOf } from "../../app/router.js";
import { unready } from "../../app/states.js";
import { api, get } from "../../data/api.js";
import { useResource } from "../../data/resource.js";

const COLUMN = 260;
const LINE = 48;
const NODE_WIDTH = 200;
const NODE_HEIGHT = 32;

/** @param {{ workspace: string, project: string, id: string }} props */
export function Lineage({ workspace, project, id }) {
  const found = useResource(`lineage ${id}`, (signal) => get(api("workspaces", workspace, "projects", project, "lineage"), { artifactId: id, depth: 3 }, signal));
  const waiting = unready(found, "the lineage");
  if (waiting) return waiting;
  const { nodes, edges, truncated } = found.value;
  const places = placed(nodes, edges);
  const width = Math.max(...[...places.values()].map((each) => each.x)) + NODE_WIDTH + 8;
  const height = Math.max(...[...places.values()].map((each) => each.y)) + NODE_HEIGHT + 8;
  return html`<h3>Lineage</h3><div class="values-scroll" tabindex="0" role="region" aria-label="Lineage"><svg class="lineage" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="group" aria-label=${`${nodes.length} runs and artifacts`}>
    ${edges.map((/** @type {any} */ each) => {
      const [from, to] = [places.get(each.from), places.get(each.to)];
      if (!from || !to) return null;
      const [x1, y1, x2, y2] = [from.x + NODE_WIDTH, from.y + NODE_HEIGHT / 2, to.x, to.y + NODE_HEIGHT / 2];
      return html`<path d=${`M${x1},${y1} C${x1 + 30},${y1} ${x2 - 30},${y2} ${x2},${y2}`}><title>${each.kind}</title></path>`;
    })}
    ${nodes.map((/** @type {any} */ each) => {
      const at = /** @type {{ x: number, y: number }} */ (places.get(each.id));
      const isRun = each.kind === "run";
      const name = each.versionName ? `${each.name}:${each.versionName}` : each.name || each.id;
      const href = isRun ? pathOf("w", workspace, project, "runs", each.runId ?? each.id) : `${pathOf("w", workspace, project, "artifacts")}?id=${encodeURIComponent(each.artifactId ?? each.id)}`;
      return html`<a href=${href}><g class=${isRun ? "node run" : "node"} transform=${`translate(${at.x},${at.y})`}><rect width=${NODE_WIDTH} height=${NODE_HEIGHT} rx=${isRun ? 16 : 4} /><text x="12" y="21">${name.length > 26 ? `${name.slice(0, 25)}…` : name}</text><title>${`${each.kind} ${name}`}</title></g></a>`;
    })}</svg></div>${truncated && html`<p class="muted">There is more of it than is shown.</p>`}`;
}

/**
 * A place for each node: as far right as the way to it is long. Ways that go round in a circle are cut.
 * @param {any[]} nodes
 * @param {any[]} edges
 * @returns {Map<string, { x: number, y: number }>}
 */
function placed(nodes, edges) {
  const depth = new Map(nodes.map((each) => [each.id, 0]));
  for (let round = 0; round < nodes.length; round += 1) {
    let isChanged = false;
    for (const { from, to } of edges) {
      const wanted = (depth.get(from) ?? 0) + 1;
      if (wanted > (depth.get(to) ?? 0) && wanted < nodes.length) {
        depth.set(to, wanted);
        isChanged = true;
      }
    }
    if (!isChanged) break;
  }
  /** @type {Map<number, number>} */
  const used = new Map();
  return new Map(nodes.map((each) => {
    const column = depth.get(each.id) ?? 0;
    const line = used.get(column) ?? 0;
    used.set(column, line + 1);
    return [each.id, { x: column * COLUMN + 4, y: line * LINE + 4 }];
  }));
}
