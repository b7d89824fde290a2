/** Exponential smoothing that begins at the first value, not at zero. */

/**
 * @param {(number | null)[]} values
 * @param {number} weight Of what was before, from 0 (none) to below 1.
 * @returns {(number | null)[]}
 */
export function smoothed(values, weight) {
  if (weight <= 0) return values;
  let last = 0;
  let mass = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return value;
    last = last * weight + (1 - weight) * value;
    mass = mass * weight + (1 - weight);
    return last / mass;
  });
}
