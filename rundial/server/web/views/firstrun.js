/** What a place without runs shows: the lines that start one. */

import { Empty } from "../app/states.js";
import { html } from "../app/html.js";

/** @param {{ project: string }} props */
export function FirstRun({ project }) {
  const code = [
    "import rundial as rd",
    "",
    `with rd.init(project=${JSON.stringify(project)}) as run:`,
    "    for step in range(100):",
    '        run.log({"loss": 1 / (step + 1)}, step=step)',
  ].join("\n");
  const setup = `pip install rundial\nrundial login --endpoint ${location.origin}`;
  return html`<${Empty} title="No run has come yet">
    <p>On the machine that runs this server, nothing is to be set up. Elsewhere, install Rundial and give it this
      server's address and an API key:</p>
    <pre>${setup}</pre>
    <p>Then run this. The run appears here as it begins.</p>
    <pre>${code}</pre>
  </${Empty}>`;
}
