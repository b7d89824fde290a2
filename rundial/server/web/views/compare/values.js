/** Values of runs by their paths. Pure. */

/**
 * A field of a run.
 * @param {any} run
 * @param {string} field
 */
export function valueAt(run, field) {
  if (field.startsWith("config.")) return flat(run.config)[field.slice(7)];
  if (field.startsWith("summary.")) return flat(run.summary)[field.slice(8)];
  return run[field];
}

/**
 * Values by their paths.
 * @param {Record<string, any>} values
 * @param {string} [path]
 * @returns {Record<string, any>}
 */
export function flat(values, path = "") {
  return Object.fromEntries(Object.entries(values ?? {}).flatMap(([name, value]) => {
    const own = path ? `${path}.${name}` : name;
    const isNested = value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0;
    return isNested ? Object.entries(flat(value, own)) : [[own, value]];
  }));
}
