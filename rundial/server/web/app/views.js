/** Which view an address means, and the module that draws it, loaded when it is first wanted. */

/**
 * @typedef {object} Match
 * @property {string} view Its name, for the navigation.
 * @property {Record<string, string>} parts What the address names.
 * @property {() => Promise<any>} load The module, whose `View` is the component.
 */

/** @type {[string, string, () => Promise<any>][]} */
const ROUTES = [
  ["/", "home", () => import("../views/home.js")],
  ["/sign-in", "sign-in", () => import("../views/signin.js")],
  ["/w/:workspace", "projects", () => import("../views/projects.js")],
  ["/w/:workspace/:project", "runs", () => import("../views/runs/view.js")],
  ["/w/:workspace/:project/compare", "compare", () => import("../views/compare/view.js")],
  ["/w/:workspace/:project/runs/:run", "run", () => import("../views/run/view.js")],
  ["/w/:workspace/-/settings", "settings", () => import("../views/settings/view.js")],
  ["/w/:workspace/-/settings/:tab", "settings", () => import("../views/settings/view.js")],
  ["/w/:workspace/:project/artifacts", "artifacts", () => import("../views/artifacts/list.js")],
  ["/w/:workspace/:project/artifacts/:artifact", "artifact", () => import("../views/artifacts/version.js")],
  ["/w/:workspace/:project/evals", "evals", () => import("../views/evals/list.js")],
  ["/w/:workspace/:project/evals/:evalRun", "eval", () => import("../views/evals/results.js")],
  ["/w/:workspace/:project/evals/:evalRun/against/:baseline", "eval-diff", () => import("../views/evals/diff.js")],
  ["/w/:workspace/:project/runs/:run/:tab", "run", () => import("../views/run/view.js")],
];

/**
 * @param {string} path
 * @returns {Match | null}
 */
export function match(path) {
  const given = path.split("/").filter(Boolean);
  for (const [pattern, view, load] of ROUTES) {
    const wanted = pattern.split("/").filter(Boolean);
    if (wanted.length !== given.length) continue;
    /** @type {Record<string, string>} */
    const parts = {};
    const fits = wanted.every((each, index) => {
      const part = decoded(given[index] ?? "");
      if (each.startsWith(":")) parts[each.slice(1)] = part;
      return each.startsWith(":") || each === part;
    });
    if (fits) return { view, parts, load };
  }
  return null;
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
