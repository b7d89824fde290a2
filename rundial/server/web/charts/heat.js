/** Histograms over steps as the cells of a heat map. Pure. */

/**
 * @typedef {object} HeatColumn A histogram of one step.
 * @property {number} step
 * @property {number[]} edges Ascending, one more than counts.
 * @property {number[]} counts
 * @property {number} total
 * @property {number} nonFinite Values that lie in no range.
 */
/**
 * @typedef {object} Heat
 * @property {HeatColumn[]} columns By step.
 * @property {number} least
 * @property {number} most
 * @property {Float64Array[]} cells By column and row from the least value: the share of the column's values.
 * @property {number} densest
 */

const ROWS = 64;

/**
 * Read the JSON of a histogram.
 * @param {number} step
 * @param {any} said
 * @returns {HeatColumn}
 */
export function columnOf(step, said) {
  const edges = numbers(said?.edges);
  const counts = numbers(said?.counts);
  if (counts.length === 0 || edges.length !== counts.length + 1) throw new Error("its bytes are no histogram");
  return { step, edges, counts, total: counts.reduce((sum, each) => sum + each, 0), nonFinite: Number(said.nonFinite) || 0 };
}

/**
 * Put columns with edges of their own onto the same rows: a range's values are spread evenly over it.
 * @param {HeatColumn[]} columns
 * @returns {Heat}
 */
export function heatOf(columns) {
  const filled = columns.filter((each) => each.total > 0).sort((one, other) => one.step - other.step);
  const least = Math.min(...filled.map((each) => each.edges[0] ?? 0));
  const greatest = Math.max(...filled.map((each) => each.edges.at(-1) ?? 0));
  const most = greatest > least ? greatest : least + 1;
  const cells = filled.map((each) => spread(each, least, most));
  return { columns: filled, least, most, cells, densest: Math.max(0, ...cells.map((each) => Math.max(...each))) };
}

/**
 * @param {HeatColumn} column
 * @param {number} least
 * @param {number} most
 */
function spread(column, least, most) {
  const found = new Float64Array(ROWS);
  const height = (most - least) / ROWS;
  column.counts.forEach((count, index) => {
    const [from, to] = [column.edges[index] ?? 0, column.edges[index + 1] ?? 0];
    const [first, last] = [from, to].map((each) => Math.min(ROWS - 1, Math.max(0, Math.floor((each - least) / height))));
    for (let row = first ?? 0; row <= (last ?? 0); row += 1) {
      const overlap = Math.min(to, least + (row + 1) * height) - Math.max(from, least + row * height);
      const share = to > from ? Math.max(0, overlap) / (to - from) : Number(row === first);
      found[row] = (found[row] ?? 0) + (count * share) / column.total;
    }
  });
  return found;
}

/**
 * @param {unknown} values
 * @returns {number[]}
 */
function numbers(values) {
  return Array.isArray(values) && values.every((each) => Number.isFinite(each)) ? values : [];
}
