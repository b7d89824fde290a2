/** Lines that somebody takes along: shown as text, copied with one press. */

import { useEffect, useState } from "preact/hooks";

import { html } from "./html.js";

const SHOWN_MS = 2_000;

/** @param {{ text: string, what: string }} props `what` names the lines for whoever does not see them. */
export function Copyable({ text, what }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = () => copied(text).then((isDone) => setSaid(isDone ? "Copied" : "Select and copy it"));
  return html`<div class="copyable"><pre aria-label=${what}>${text}</pre>
    <button type="button" class="small" aria-label=${`Copy ${what}`} onClick=${copy}>${said || "Copy"}</button>
    <span class="unseen" role="status">${said}</span></div>`;
}

/**
 * Put a text on the clipboard; browsers allow it on secure pages and on this machine's own.
 * @param {string} text
 * @returns {Promise<boolean>} Whether it is there.
 */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
