/** The page begins here. */

import { render } from "preact";

import { App } from "./app/app.js";
import { html } from "./app/html.js";
import { startRouting } from "./app/router.js";
import { startTheme } from "./app/theme.js";

startTheme();
startRouting();
const root = document.createElement("div");
root.id = "app";
document.body.append(root);
render(html`<${App} />`, root);
