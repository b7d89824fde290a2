/** The bar at the top: which workspace and project, the project's views, who is signed in. */

import { useState } from "preact/hooks";

import { projects, workspaces } from "../data/places.js";
import { useResource } from "../data/resource.js";
import { signOut } from "../data/session.js";
import { html } from "./html.js";
import { showShortcuts } from "./keyboard.js";
import { Menu } from "./menu.js";
import { pathOf } from "./router.js";
import { messageOf } from "./states.js";
import { setTheme, theme } from "./theme.js";

const icon = new URL("../icon.svg", import.meta.url).pathname;

/** What a project holds, by the last part of the address. */
const VIEWS = [
  { name: "Runs", part: "", views: ["runs", "run", "compare"] },
  { name: "Artifacts", part: "/artifacts", views: ["artifacts", "artifact"] },
  { name: "Evaluations", part: "/evals", views: ["evals", "eval", "eval-diff"] },
];

/** @param {{ who: import("../data/session.js").Who, match: import("./views.js").Match | null }} props */
export function Header({ who, match }) {
  const { workspace, project } = match?.parts ?? {};
  return html`<header class="top">
    <a class="brand" href="/" aria-label="Rundial, all projects"><img src=${icon} alt="" /><span>Rundial</span></a>
    <${Places} workspace=${workspace} project=${project} />
    ${workspace && project && project !== "-" && html`<nav aria-label="Project">
      ${VIEWS.map(({ name, part, views }) => html`<a
        href=${pathOf("w", workspace, project) + part}
        aria-current=${views.includes(match?.view ?? "") ? "page" : undefined}>${name}</a>`)}
    </nav>`}
    <span class="grow"></span>
    <${Account} who=${who} workspace=${workspace} />
  </header>`;
}

/** @param {{ workspace: string | undefined, project: string | undefined }} props */
function Places({ workspace, project }) {
  const label = project && project !== "-" ? project : (workspace ?? "Workspaces");
  return html`<${Menu} kind="quiet" label=${html`<span class="cut">${label}</span><span aria-hidden="true">▾</span>`} name=${`Project: ${label}`}>
    ${(/** @type {() => void} */ close) => html`<${PlaceList} workspace=${workspace} project=${project} close=${close} />`}
  </${Menu}>`;
}

/** @param {{ workspace: string | undefined, project: string | undefined, close: () => void }} props */
function PlaceList({ workspace, project, close }) {
  const found = useResource("places", async (signal) => {
    const all = await workspaces(signal);
    return Promise.all(all.map(async (each) => ({ ...each, projects: await projects(each.workspaceSlug, signal) })));
  });
  if (found.error) return html`<p class="notice bad">${messageOf(found.error)}</p>`;
  if (!found.value) return html`<p class="muted">Loading…</p>`;
  return html`<ul>${found.value.map((each) => html`<li>
    <a class="entry" href=${pathOf("w", each.workspaceSlug)} onClick=${close}><strong>${each.name}</strong></a>
    <ul>${each.projects.map((one) => html`<li><a class="entry" href=${pathOf("w", each.workspaceSlug, one.projectSlug)}
      aria-current=${one.projectSlug === project && each.workspaceSlug === workspace ? "page" : undefined} onClick=${close}>
      <span class="grow cut">${one.projectSlug}</span><span class="muted number">${one.runCount}</span></a></li>`)}</ul>
  </li>`)}</ul>`;
}

/** @param {() => void} close */
function openShortcuts(close) {
  close();
  showShortcuts();
}

/** @param {{ who: import("../data/session.js").Who, workspace: string | undefined }} props */
function Account({ who, workspace }) {
  const [shown, setShown] = useState(theme());
  /** @param {import("./theme.js").Theme} chosen */
  const choose = (chosen) => {
    setTheme(chosen);
    setShown(chosen);
  };
  const themes = /** @type {const} */ ([["system", "As the system"], ["light", "Light"], ["dark", "Dark"]]);
  return html`<${Menu} kind="quiet icon" atEnd label=${html`<svg width="18" height="18" viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><circle cx="9" cy="6" r="3.2" /><path d="M2.5 16c.6-3.4 3.2-5 6.5-5s5.9 1.6 6.5 5" stroke-linecap="round" /></svg>`} name="Account and appearance">
    ${(/** @type {() => void} */ close) => html`<div class="stack">
      <p class="entry cut"><strong>${who.name}</strong></p>
      ${workspace && html`<a class="entry" href=${pathOf("w", workspace, "-", "settings")} onClick=${close}>Settings of ${workspace}</a>`}
      <fieldset class="choices"><legend class="muted">Appearance</legend>
        ${themes.map(([value, text]) => html`<label class="entry"><input type="radio" name="theme" checked=${shown === value} onChange=${() => choose(value)} />${text}</label>`)}
      </fieldset>
      <button class="entry" onClick=${() => openShortcuts(close)}>Keyboard</button>
      <button class="entry" onClick=${() => signOut().catch(() => location.assign("/sign-in"))}>Sign out</button>
    </div>`}
  </${Menu}>`;
}
