/** `/w/{workspace}/-/settings`: keys, members, the record of deeds, how long runs are kept, one's own password. */

import { html } from "../../app/html.js";
import { setParams, usePlace } from "../../app/router.js";
import { useWho } from "../../data/session.js";
import { Audit } from "./audit.js";
import { Keys } from "./keys.js";
import { Members } from "./members.js";
import { Password, Retention } from "./rest.js";

/** @type {[string, string, any][]} */
const TABS = [
  ["", "API keys", Keys],
  ["members", "Members", Members],
  ["audit", "Audit log", Audit],
  ["retention", "Retention", Retention],
];

/** @param {{ workspace: string }} props */
export function View({ workspace }) {
  const { params } = usePlace();
  const who = useWho();
  const tab = params.get("tab") ?? "";
  const tabs = who?.principal === "user" ? [...TABS, /** @type {[string, string, any]} */ (["password", "Password", Password])] : TABS;
  const [, , shown] = tabs.find(([name]) => name === tab) ?? /** @type {[string, string, any]} */ (TABS[0]);
  document.title = `Settings · ${workspace} · Rundial`;
  return html`<div class="head"><h1>Settings</h1><span class="muted">${workspace}</span></div>
    <nav class="tabs" aria-label="Settings">${tabs.map(([name, text]) => html`<button type="button" aria-current=${name === tab ? "page" : undefined} onClick=${() => setParams({ tab: name })}>${text}</button>`)}</nav>
    <${shown} workspace=${workspace} />`;
}
