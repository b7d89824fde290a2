/** `/w/{workspace}`: its projects. */

import { html } from "../app/html.js";
import { pathOf } from "../app/router.js";
import { unready } from "../app/states.js";
import { some } from "../data/format.js";
import { projects } from "../data/places.js";
import { useResource } from "../data/resource.js";
import { FirstRun } from "./firstrun.js";

/** @param {{ workspace: string }} props */
export function View({ workspace }) {
  const found = useResource(`projects ${workspace}`, (signal) => projects(workspace, signal), { everyMs: 15_000 });
  document.title = `${workspace} · Rundial`;
  const waiting = unready(found, "the projects");
  if (waiting) return waiting;
  if (!found.value?.length) return html`<${FirstRun} workspace=${workspace} project="first-flight" />`;
  return html`<div class="head"><h1>Projects</h1><span class="muted">${workspace}</span></div>
    <div class="projects">${found.value.map((each) => html`<a class="card" href=${pathOf("w", workspace, each.projectSlug)}>
      <h2 class="cut">${each.name}</h2>
      <span class="muted">${some(each.runCount, "run")}</span></a>`)}</div>`;
}
