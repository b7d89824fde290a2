/** What a place without runs shows: the lines that start one, with this server's own address. */

import { Copyable } from "../app/copy.js";
import { Empty } from "../app/states.js";
import { html } from "../app/html.js";
import { pathOf } from "../app/router.js";

/** @param {{ workspace: string, project: string }} props */
export function FirstRun({ workspace, project }) {
  const code = [
    "import rundial as rd",
    `with rd.init(workspace=${JSON.stringify(workspace)}, project=${JSON.stringify(project)}, endpoint=${JSON.stringify(location.origin)}) as run:`,
    '    run.log({"loss": 0.5}, step=0)',
  ].join("\n");
  const setup = `pip install rundial\nrundial init --endpoint ${location.origin}`;
  return html`<${Empty} title="No run has come yet">
    <p>These three lines start one; it appears here as it begins.</p>
    <${Copyable} what="the lines that start a run" text=${code} />
    <p>Whoever started this server needs nothing else on its machine. Elsewhere, install Rundial and give it
      ${" "}an <a href=${pathOf("w", workspace, "-", "settings")}>API key</a> first:</p>
    <${Copyable} what="the lines that set a machine up" text=${setup} />
  </${Empty}>`;
}
