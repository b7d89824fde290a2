/** What a run made, and what it and others used. */

import { html } from "../../app/html.js";
import { Lineage } from "./lineage.js";
import { Versions } from "./list.js";

/** @param {import("../run/view.js").TabProps} props */
export function ArtifactsTab({ workspace, project, run }) {
  return html`<${Versions} workspace=${workspace} project=${project} run=${run} />
    <${Lineage} workspace=${workspace} project=${project} of=${{ runId: run }} />`;
}
