/** A button that opens a panel: closed by Escape, by a click elsewhere, and by leaving it with Tab. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "./html.js";

/**
 * @param {{
 *   label: import("./html.js").Children,
 *   name?: string,
 *   kind?: string,
 *   atEnd?: boolean,
 *   children: (close: () => void) => import("./html.js").Children,
 * }} props `name` is the accessible name where the label is no text.
 */
export function Menu({ label, name, kind = "", atEnd = false, children }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));

  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (/** @type {Event} */ event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    const escape = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", escape, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", escape, true);
    };
  }, [isOpen]);

  const close = () => setOpen(false);
  return html`<div class=${`menu ${atEnd ? "end" : ""}`} ref=${box}>
    <button type="button" ref=${button} class=${kind} aria-expanded=${String(isOpen)} aria-label=${name} title=${name}
      onClick=${() => setOpen(!isOpen)}>${label}</button>
    ${isOpen && html`<div class="panel">${children(close)}</div>`}
  </div>`;
}
