/** How long each project keeps its runs. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { html } from "../../app/html.js";
import { pathOf } from "../../app/router.js";
import { Empty, unready } from "../../app/states.js";
import { keepRuns } from "../../data/access.js";
import { some } from "../../data/format.js";
import { projects } from "../../data/places.js";
import { useResource } from "../../data/resource.js";
import { submitted, useDeed } from "./deed.js";

/** @typedef {{ slug: string, days: number | null }} Change */

/** @param {{ workspace: string }} props */
export function ProjectsTab({ workspace }) {
  const found = useResource(`kept ${workspace}`, (signal) => projects(workspace, signal));
  const [asking, setAsking] = useState(/** @type {Change | null} */ (null));
  const { act, said } = useDeed(found.reload);
  const waiting = unready(found, "the projects");
  if (waiting) return waiting;
  if (found.value?.length === 0) return html`<${Empty} title="No project yet" />`;
  /** @param {Change} change */
  const wanted = (change) => (change.days === null ? act(() => keepRuns(workspace, change.slug, null)) : setAsking(change));
  return html`${said}<ul class="stack">${found.value?.map((each) => html`<${Project} key=${`${each.projectSlug} ${each.retentionDays}`} workspace=${workspace} project=${each} onChange=${wanted} />`)}</ul>
    ${asking && html`<${Confirm} title="Delete old runs from now on?" action="Delete them" onClose=${() => setAsking(null)} onConfirm=${() => act(() => keepRuns(workspace, asking.slug, asking.days))}>
      <p>Every run of <strong>${asking.slug}</strong> that was not heard of for ${some(asking.days ?? 0, "day")} is deleted, now and later, for ever.</p></${Confirm}>`}`;
}

/** @param {{ workspace: string, project: any, onChange: (change: Change) => void }} props */
function Project({ workspace, project, onChange }) {
  /** @param {Event} event */
  const submit = (event) => {
    const days = Number(submitted(event).text("days"));
    onChange({ slug: project.projectSlug, days: days || null });
  };
  return html`<li class="card shelf"><form class="row" onSubmit=${submit}>
    <a class="grow cut" href=${pathOf("w", workspace, project.projectSlug)}>${project.name}</a><span class="muted">${some(project.runCount, "run")}</span>
    <label>Days that runs are kept <input class="days" name="days" type="number" min="1" max="36500" placeholder="for ever" aria-label=${`Days that runs of ${project.projectSlug} are kept; empty is for ever`} defaultValue=${project.retentionDays ?? ""} /></label>
    <button>Set</button></form></li>`;
}
