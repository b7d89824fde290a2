/** Runs and versions, and which made or used which: edges in SVG, nodes as links over them. */

import { useEffect, useMemo, useRef } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf, setParams, usePlace } from "../../app/router.js";
import { unready } from "../../app/states.js";
import { lineage } from "../../data/artifacts.js";
import { useResource } from "../../data/resource.js";
import { BOX, laidOut } from "./layout.js";

/** @typedef {import("../../data/artifacts.js").Node} Node */

const MARGIN = 12;

/** @param {{ workspace: string, project: string, of: { runId?: string, artifactId?: string } }} props */
export function Lineage({ workspace, project, of }) {
  const { params } = usePlace();
  const given = Number(params.get("depth"));
  const depth = Number.isInteger(given) && given >= 1 && given <= 10 ? given : 3;
  const found = useResource(JSON.stringify(["lineage", workspace, project, of, depth]), (signal) => lineage(workspace, project, of, depth, signal), { keeps: true });
  return html`<section class="card shelf" aria-label="Lineage" aria-busy=${String(found.isStale)}>
    <div class="head"><h2>Lineage</h2><span class="grow"></span>
      <label>Steps away <select value=${String(depth)} onChange=${(/** @type {any} */ event) => setParams({ depth: event.target.value === "3" ? null : event.target.value })}>
        ${[1, 2, 3, 5, 10].map((each) => html`<option value=${String(each)}>${each}</option>`)}</select></label></div>
    ${unready(found, "the lineage") ?? html`<${Graph} graph=${found.value} workspace=${workspace} project=${project} own=${of.runId ?? of.artifactId ?? ""} />`}
  </section>`;
}

/** @param {{ graph: import("../../data/artifacts.js").Graph, workspace: string, project: string, own: string }} props */
function Graph({ graph, workspace, project, own }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const { placed, width, height } = useMemo(() => laidOut(graph.nodes, graph.edges), [graph]);
  useEffect(() => {
    const at = placed.get(own);
    if (at && box.current) box.current.scrollTo(at.x + BOX.width / 2 - box.current.clientWidth / 2, at.y - box.current.clientHeight / 2);
  }, [placed, own]);
  if (graph.edges.length === 0) return html`<p class="muted">It made and used nothing that is recorded here.</p>`;
  const size = { width: `${width + 2 * MARGIN}px`, height: `${height + 2 * MARGIN}px` };
  return html`${graph.truncated && html`<p class="notice warn">There is more: only the first ${graph.nodes.length} are shown.</p>`}
    <div class="lineage" ref=${box} tabindex="0" role="group" aria-label=${`${graph.nodes.length} runs and artifacts, ${graph.edges.length} links`}><div class="lineage-room" style=${size}>
      <svg width=${width + 2 * MARGIN} height=${height + 2 * MARGIN} aria-hidden="true">
        ${graph.edges.map((each) => html`<path class=${each.kind} d=${curve(placed.get(each.from), placed.get(each.to))} />`)}</svg>
      ${[...placed.values()].map(({ node, x, y }) => html`<a key=${node.id} class="lineage-node" data-kind=${node.kind} aria-current=${node.id === own ? "true" : undefined}
        href=${node.kind === "run" ? pathOf("w", workspace, project, "runs", node.id) : pathOf("w", workspace, project, "artifacts", node.id)}
        title=${`${nameOf(node)}, ${sayingOf(node)}`} style=${{ left: `${x + MARGIN}px`, top: `${y + MARGIN}px` }}>
        <span class="unseen">${node.kind} </span><span class="cut">${nameOf(node)}</span><span class="cut muted">${sayingOf(node)}</span></a>`)}
    </div></div>
    <p class="muted">Data goes to the right; a solid line leads from a run to what it made, a dashed one to a run that used it.</p>`;
}

/**
 * @param {import("./layout.js").Placed | undefined} from
 * @param {import("./layout.js").Placed | undefined} to
 */
function curve(from, to) {
  if (!from || !to) return "";
  const [x1, y1] = [from.x + BOX.width + MARGIN, from.y + BOX.height / 2 + MARGIN];
  const [x2, y2] = [to.x + MARGIN, to.y + BOX.height / 2 + MARGIN];
  const bend = Math.max(36, (x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

/** @param {Node} node */
function nameOf(node) {
  return node.kind === "artifact" ? `${node.name}:${node.versionName}` : node.name;
}

/** @param {Node} node */
function sayingOf(node) {
  if (node.kind === "run") return [node.runKind, node.status].filter(Boolean).join(", ");
  return [node.type, node.state === "deleted" ? "deleted" : ""].filter(Boolean).join(", ");
}
