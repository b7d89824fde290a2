/** `/`: on to the only workspace, or the list of them. */

import { useEffect } from "preact/hooks";

import { html } from "../app/html.js";
import { go, pathOf } from "../app/router.js";
import { Empty, unready } from "../app/states.js";
import { workspaces } from "../data/places.js";
import { useResource } from "../data/resource.js";

export function View() {
  const found = useResource("workspaces", workspaces);
  const only = found.value?.length === 1 ? found.value[0] : undefined;
  useEffect(() => {
    if (only) go(pathOf("w", only.workspaceSlug), { replaces: true });
  }, [only]);
  const waiting = unready(found, "the workspaces");
  if (waiting || only) return waiting;
  document.title = "Workspaces · Rundial";
  if (found.value?.length === 0) {
    return html`<${Empty} title="No workspace is yours yet"><p>Ask an owner of one to add you as a member.</p></${Empty}>`;
  }
  return html`<div class="head"><h1>Workspaces</h1></div>
    <div class="projects">${found.value?.map((each) => html`<a class="card" href=${pathOf("w", each.workspaceSlug)}>
      <h2>${each.name}</h2><span class="muted">${each.workspaceSlug}${each.role && ` · ${each.role}`}</span></a>`)}</div>`;
}
