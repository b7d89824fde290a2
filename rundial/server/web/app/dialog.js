/** A window over the page that shows something at length; Escape closes it. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "./html.js";

/** @param {{ title: string, children?: import("./html.js").Children, onClose: () => void, isWide?: boolean }} props */
export function Dialog({ title, children, onClose, isWide = false }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  return html`<dialog ref=${dialog} class=${isWide ? "wide" : ""} aria-label=${title} onClose=${onClose}>
    <div class="stack"><div class="head"><h2 class="cut grow">${title}</h2>
      <button type="button" onClick=${() => dialog.current?.close()}>Close</button></div>${children}</div>
  </dialog>`;
}
