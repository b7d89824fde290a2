/** Colours of lines: told apart by hue and lightness, on both grounds, also by most who see few colours. */

import { isDark } from "../app/theme.js";

const LIGHT = ["#2f4fd0", "#c2410c", "#0f766e", "#a21caf", "#a16207", "#be123c", "#4d7c0f", "#6d28d9", "#0369a1", "#57534e"];
const DARK = ["#91a8ff", "#fb923c", "#2dd4bf", "#e879f9", "#facc15", "#fb7185", "#a3e635", "#c4b5fd", "#38bdf8", "#d6d3d1"];

/**
 * The colour of the line with a number; after the last one they begin again.
 * @param {number} number From 0.
 */
export function lineColour(number) {
  const colours = isDark() ? DARK : LIGHT;
  return /** @type {string} */ (colours[number % colours.length]);
}

/**
 * The same colour, seen through.
 * @param {string} hex Such as `#2f4fd0`.
 * @param {number} alpha From 0 to 1.
 */
export function faint(hex, alpha) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}
