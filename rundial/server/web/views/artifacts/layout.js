/** Where the nodes of a lineage graph stand: in columns, the data going to the right. Pure. */

/** @typedef {import("../../data/artifacts.js").Node} Node */
/** @typedef {{ from: string, to: string, kind: string }} Edge */
/** @typedef {{ node: Node, x: number, y: number }} Placed */

export const BOX = { width: 184, height: 44 };
const GAP = { x: 72, y: 16 };
const SWEEPS = 4;

/**
 * @param {Node[]} nodes
 * @param {Edge[]} edges
 * @returns {{ placed: Map<string, Placed>, width: number, height: number }}
 */
export function laidOut(nodes, edges) {
  const columns = columnsOf(nodes, edges);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) straighten(columns, edges, sweep % 2 === 1);
  const tallest = Math.max(0, ...columns.map((each) => each.length));
  /** @type {Map<string, Placed>} */
  const placed = new Map();
  columns.forEach((column, across) => {
    const top = ((tallest - column.length) * (BOX.height + GAP.y)) / 2;
    column.forEach((node, down) => placed.set(node.id, { node, x: across * (BOX.width + GAP.x), y: top + down * (BOX.height + GAP.y) }));
  });
  return { placed, width: Math.max(1, columns.length) * (BOX.width + GAP.x) - GAP.x, height: tallest * (BOX.height + GAP.y) - GAP.y };
}

/**
 * A node stands one column after the last of those that lead to it. A run that uses what it made goes round in
 * a circle: the edges that close one are not followed.
 * @param {Node[]} nodes
 * @param {Edge[]} edges
 * @returns {Node[][]}
 */
function columnsOf(nodes, edges) {
  /** @type {Map<string, string[]>} */
  const sources = new Map(nodes.map((each) => [each.id, []]));
  for (const { from, to } of edges) if (sources.has(from)) sources.get(to)?.push(from);
  /** @type {Map<string, number>} */
  const depths = new Map();
  for (const { id } of nodes) depthOf(id, sources, depths);
  /** @type {Node[][]} */
  const columns = [];
  for (const node of nodes) (columns[depths.get(node.id) ?? 0] ??= []).push(node);
  return Array.from(columns, (each) => each ?? []).filter((each) => each.length > 0);
}

/**
 * Walks without calling itself: a chain may be two thousand long.
 * @param {string} first
 * @param {Map<string, string[]>} sources
 * @param {Map<string, number>} depths Grows.
 */
function depthOf(first, sources, depths) {
  const path = [first];
  const isOnPath = new Set(path);
  while (path.length > 0) {
    const id = /** @type {string} */ (path.at(-1));
    const before = sources.get(id) ?? [];
    const waiting = before.find((each) => !depths.has(each) && !isOnPath.has(each));
    if (waiting !== undefined) {
      path.push(waiting);
      isOnPath.add(waiting);
      continue;
    }
    if (!depths.has(id)) depths.set(id, 1 + Math.max(-1, ...before.map((each) => (isOnPath.has(each) && !depths.has(each) ? -1 : (depths.get(each) ?? -1)))));
    path.pop();
    isOnPath.delete(id);
  }
}

/**
 * Order each column by where its neighbours stand.
 * @param {Node[][]} columns
 * @param {Edge[]} edges
 * @param {boolean} isBackwards
 */
function straighten(columns, edges, isBackwards) {
  /** @type {Map<string, string[]>} */
  const beside = new Map();
  for (const { from, to } of edges) {
    const [own, other] = isBackwards ? [from, to] : [to, from];
    beside.set(own, [...(beside.get(own) ?? []), other]);
  }
  const heights = new Map(columns.flatMap((column) => column.map((node, down) => [node.id, down - column.length / 2])));
  for (const column of isBackwards ? [...columns].reverse() : columns) {
    const wanted = new Map(
      column.map((node) => {
        const near = (beside.get(node.id) ?? []).map((each) => Number(heights.get(each) ?? 0));
        return [node.id, near.length > 0 ? near.reduce((sum, each) => sum + each, 0) / near.length : Number(heights.get(node.id) ?? 0)];
      }),
    );
    column.sort((one, other) => (wanted.get(one.id) ?? 0) - (wanted.get(other.id) ?? 0));
    column.forEach((node, down) => heights.set(node.id, down - column.length / 2));
  }
}
