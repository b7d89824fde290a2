/** How long a project's runs are kept, and one's own password. */

import { useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { unready } from "../../app/states.js";
import { post } from "../../data/api.js";
import { projects } from "../../data/places.js";
import { useResource } from "../../data/resource.js";
import { setRetention } from "../../data/settings.js";
import { forget } from "../../data/session.js";
import { Form } from "./form.js";

/** @param {{ workspace: string }} props */
export function Retention({ workspace }) {
  const found = useResource(`projects ${workspace}`, (signal) => projects(workspace, signal));
  const [said, setSaid] = useState("");
  const waiting = unready(found, "the projects");
  if (waiting) return waiting;
  /** @param {FormData} form */
  const send = async (form) => {
    const [project, days] = [String(form.get("project")), Number(form.get("days")) || null];
    await setRetention(workspace, project, days);
    setSaid(days ? `Runs of ${project} are deleted ${days} days after they were last heard of.` : `Runs of ${project} are kept for ever.`);
  };
  return html`<section class="card values-card" aria-label="Retention"><p>A run is deleted so many days after it was last heard of, with all that it recorded.</p>
    <${Form} label="Set" onSend=${send}><label>Project<select name="project">${found.value?.map((each) => html`<option>${each.projectSlug}</option>`)}</select></label>
      <label>Days<input name="days" type="number" min="1" max="36500" placeholder="for ever" /></label></${Form}>
    <div role="status">${said && html`<p class="notice good">${said}</p>`}</div></section>`;
}

export function Password() {
  /** @param {FormData} form */
  const send = async (form) => {
    await post("/api/v1/auth/password", { currentPassword: String(form.get("current")), newPassword: String(form.get("new")) });
    forget();
  };
  return html`<section class="card values-card" aria-label="Password"><p>All your sessions end, this one too.</p>
    <${Form} label="Change it" onSend=${send}><label>Current password<input name="current" type="password" autocomplete="current-password" required /></label>
      <label>New password<input name="new" type="password" autocomplete="new-password" required /></label></${Form}></section>`;
}
