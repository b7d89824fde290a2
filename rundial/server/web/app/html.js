/** Markup in JavaScript: `html` makes virtual nodes of a template, so that every value is text or an attribute. */

import htm from "htm";
import { h } from "preact";

/** @typedef {import("preact").ComponentChildren} Children */

/** @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(/** @type {any} */ (h));
