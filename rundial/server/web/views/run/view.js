/** `/w/{workspace}/{project}/runs/{run}`: one run, live while it goes on. */

import { useMemo } from "preact/hooks";

import { html } from "../../app/html.js";
import { pathOf } from "../../app/router.js";
import { Boundary, Empty, unready } from "../../app/states.js";
import { useResource } from "../../data/resource.js";
import { runDetails } from "../../data/runs.js";
import { ArtifactsTab } from "../artifacts/runtab.js";
import { MediaTab } from "../media/view.js";
import { ChartsTab } from "./charts.js";
import { RunHead } from "./head.js";
import { LogsTab } from "./logs.js";
import { OverviewTab } from "./overview.js";
import { TracesTab } from "./traces.js";

/**
 * @typedef {object} TabProps
 * @property {string} workspace
 * @property {string} project
 * @property {string} run
 * @property {any} details
 * @property {boolean} isLive
 */

/** @type {{ tab: string, name: string, component: (props: TabProps) => any }[]} */
const TABS = [
  { tab: "", name: "Charts", component: ChartsTab },
  { tab: "logs", name: "Logs", component: LogsTab },
  { tab: "traces", name: "Traces", component: TracesTab },
  { tab: "media", name: "Media", component: MediaTab },
  { tab: "artifacts", name: "Artifacts", component: ArtifactsTab },
  { tab: "overview", name: "Overview", component: OverviewTab },
  { tab: "system", name: "System", component: (props) => html`<${ChartsTab} ...${props} isSystem />` },
];

const LIVE_MS = 3_000;
const OVER_MS = 60_000;

/** @param {{ workspace: string, project: string, run: string, tab?: string }} props */
export function View({ workspace, project, run, tab = "" }) {
  const found = useDetails(workspace, project, run);
  const waiting = unready(found, "the run");
  if (waiting) return waiting;
  const details = found.value;
  document.title = `${details.runName} · ${project} · Rundial`;
  const shown = TABS.find((each) => each.tab === tab);
  const base = pathOf("w", workspace, project, "runs", run);
  return html`
    <${RunHead} workspace=${workspace} project=${project} details=${details} onChange=${found.reload} isUnreached=${Boolean(found.error)} />
    <nav class="tabs" aria-label="Run">${TABS.map((each) => html`<a href=${each.tab ? `${base}/${each.tab}` : base} aria-current=${each === shown ? "page" : undefined}>${each.name}</a>`)}</nav>
    <${Boundary} of=${tab}>${shown
      ? html`<${shown.component} key=${tab} workspace=${workspace} project=${project} run=${run} details=${details} isLive=${isLive(details)} />`
      : html`<${Empty} title="A run has no such view" />`}</${Boundary}>`;
}

/** @param {any} details */
function isLive(details) {
  return details.status === "running";
}

/**
 * @param {string} workspace
 * @param {string} project
 * @param {string} run
 */
function useDetails(workspace, project, run) {
  const load = useMemo(() => (/** @type {AbortSignal} */ signal) => runDetails(workspace, project, run, signal), [workspace, project, run]);
  const key = `run ${workspace} ${project} ${run}`;
  const first = useResource(key, load, { everyMs: OVER_MS });
  const live = useResource(first.value && isLive(first.value) ? `live ${key}` : null, load, { everyMs: LIVE_MS });
  const value = live.value ?? first.value;
  return { ...first, value, error: live.value ? live.error : first.error };
}
