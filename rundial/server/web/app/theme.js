/** Light, dark, or as the system has it; and colours as a canvas needs them. */

/** @typedef {"system" | "light" | "dark"} Theme */

const KEY = "rundial.theme";
/** @type {Set<() => void>} */
const listeners = new Set();
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {Theme} */
export function theme() {
  const kept = stored();
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** @param {Theme} chosen */
export function setTheme(chosen) {
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // A browser that keeps nothing still shows the choice until it is closed.
  }
  apply(chosen);
}

/** Show the page as was chosen before; follow the system. */
export function startTheme() {
  apply(theme());
  systemIsDark.addEventListener("change", tell);
}

/**
 * Be told when colours change.
 * @param {() => void} listener
 * @returns {() => void} Ends it.
 */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * A colour of the style sheet as it is now.
 * @param {string} name Such as `--text`.
 * @returns {string}
 */
export function colour(name) {
  const probe = document.createElement("i");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** @returns {boolean} */
export function isDark() {
  const chosen = document.documentElement.dataset["theme"];
  return chosen ? chosen === "dark" : systemIsDark.matches;
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** @param {Theme} chosen */
function apply(chosen) {
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
  tell();
}

function tell() {
  for (const listener of [...listeners]) listener();
}
