/** `/w/{workspace}/-/settings/{tab}`: what its owners look after. */

import { html } from "../../app/html.js";
import { pathOf } from "../../app/router.js";
import { Boundary, Empty } from "../../app/states.js";
import { AgentsTab } from "./agents.js";
import { AuditTab } from "./audit.js";
import { KeysTab } from "./keys.js";
import { MembersTab } from "./members.js";
import { ProjectsTab } from "./projects.js";

/** @type {{ tab: string, name: string, component: (props: { workspace: string }) => any }[]} */
const TABS = [
  { tab: "", name: "API keys", component: KeysTab },
  { tab: "members", name: "Members", component: MembersTab },
  { tab: "agents", name: "Agents", component: AgentsTab },
  { tab: "projects", name: "Projects", component: ProjectsTab },
  { tab: "audit", name: "Audit log", component: AuditTab },
];

/** @param {{ workspace: string, tab?: string }} props */
export function View({ workspace, tab = "" }) {
  const shown = TABS.find((each) => each.tab === tab);
  const base = pathOf("w", workspace, "-", "settings");
  document.title = `${shown?.name ?? "Settings"} · ${workspace} · Rundial`;
  return html`<div class="head"><h1>Settings</h1><span class="muted cut">${workspace}</span></div>
    <nav class="tabs" aria-label="Settings">${TABS.map((each) => html`<a href=${each.tab ? `${base}/${each.tab}` : base} aria-current=${each === shown ? "page" : undefined}>${each.name}</a>`)}</nav>
    <${Boundary} of=${tab}>${shown ? html`<${shown.component} key=${`${workspace} ${tab}`} workspace=${workspace} />` : html`<${Empty} title="There are no such settings" />`}</${Boundary}>`;
}
