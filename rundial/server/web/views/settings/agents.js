/** Agents: programs that act under a name of their own, with keys of their own. */

import { useState } from "preact/hooks";

import { Confirm } from "../../app/confirm.js";
import { Dialog } from "../../app/dialog.js";
import { html } from "../../app/html.js";
import { pathOf, withParams } from "../../app/router.js";
import { Sheet } from "../../app/sheet.js";
import { Empty, unready } from "../../app/states.js";
import { agents, makeAgent, makeAgentKey, revokeAgent } from "../../data/access.js";
import { date } from "../../data/format.js";
import { projects } from "../../data/places.js";
import { useResource } from "../../data/resource.js";
import { submitted, useDeed } from "./deed.js";
import { NewKey } from "./newkey.js";

/** @typedef {import("../../data/access.js").Agent} Agent */

/** @param {{ workspace: string }} props */
export function AgentsTab({ workspace }) {
  const found = useResource(`agents ${workspace}`, (signal) => agents(workspace, signal));
  const [ending, setEnding] = useState(/** @type {Agent | null} */ (null));
  const [keyed, setKeyed] = useState(/** @type {Agent | null} */ (null));
  const { act, isBusy, said } = useDeed(found.reload);
  /** @param {Event} event */
  const make = async (event) => {
    const { text, form } = submitted(event);
    if (await act(() => makeAgent(workspace, text("name")))) form.reset();
  };
  const waiting = unready(found, "the agents");
  if (waiting) return waiting;
  return html`${said}
    <section class="card shelf" aria-label="New agent"><h2>New agent</h2><form class="row" onSubmit=${make}>
      <label>Name <input name="name" required maxlength="128" autocomplete="off" /></label><button class="primary" disabled=${isBusy}>Make the agent</button></form></section>
    ${found.value?.length === 0 ? html`<${Empty} title="No agent yet"><p>An agent's deeds stand in the audit log under its own name.</p></${Empty}>`
      : html`<${Sheet} name="Agents" columns=${columnsOf(workspace, setKeyed, setEnding)} rows=${found.value} keyOf=${(/** @type {Agent} */ row) => row.agentId} />`}
    ${ending && html`<${Confirm} title="Revoke this agent?" action="Revoke" onClose=${() => setEnding(null)} onConfirm=${() => act(() => revokeAgent(workspace, ending.agentId))}>
      <p><strong>${ending.name}</strong> and every key that it has end at once, for good.</p></${Confirm}>`}
    ${keyed && html`<${Dialog} title=${`A key for ${keyed.name}`} onClose=${() => setKeyed(null)}><${AgentKey} workspace=${workspace} agent=${keyed} /></${Dialog}>`}`;
}

/** @param {{ workspace: string, agent: Agent }} props */
function AgentKey({ workspace, agent }) {
  const places = useResource(`projects of agents ${workspace}`, (signal) => projects(workspace, signal));
  const [chosen, setChosen] = useState("");
  const waiting = unready(places, "the projects");
  if (waiting) return waiting;
  const slugs = (places.value ?? []).map((each) => each.projectSlug);
  if (slugs.length === 0) return html`<p>An agent's key is for one project, and there is none yet.</p>`;
  const project = chosen || slugs[0] || "";
  return html`<${NewKey} isAgents onMade=${() => {}} make=${(/** @type {import("../../data/access.js").Wish} */ wish) => makeAgentKey(workspace, agent.agentId, project, wish)}>
    <label>Project <select value=${project} onChange=${(/** @type {any} */ event) => setChosen(event.target.value)}>${slugs.map((each) => html`<option value=${each}>${each}</option>`)}</select></label></${NewKey}>`;
}

/**
 * @param {string} workspace
 * @param {(agent: Agent) => void} onKey
 * @param {(agent: Agent) => void} onEnd
 * @returns {import("../../app/sheet.js").Column[]}
 */
function columnsOf(workspace, onKey, onEnd) {
  const deeds = (/** @type {Agent} */ row) => withParams(pathOf("w", workspace, "-", "settings", "audit"), new URLSearchParams({ agent: row.agentId }));
  return [
    { id: "name", label: "Name", width: 160, title: (row) => row.name, cell: (row) => row.name },
    { id: "status", label: "State", width: 96, cell: (row) => html`<span class="status" data-status=${row.status === "active" ? "completed" : "stopped"}>${row.status}</span>` },
    { id: "deeds", label: "Actions", width: 200, cell: (row) => html`<span class="row"><a href=${deeds(row)} aria-label=${`Deeds of ${row.name}`}>Deeds</a>${row.status === "active" && html`<button type="button" class="small" aria-label=${`New key for ${row.name}`} onClick=${() => onKey(row)}>New key…</button>
      <button type="button" class="small danger" aria-label=${`Revoke ${row.name}`} onClick=${() => onEnd(row)}>Revoke…</button>`}</span>` },
    { id: "id", label: "Id", width: 160, title: (row) => row.agentId, cell: (row) => html`<span class="mono">${row.agentId}</span>` },
    { id: "made", label: "Made", width: 160, cell: (row) => html`<span class="muted">${date(row.createdAtMs)}</span>` },
  ];
}
