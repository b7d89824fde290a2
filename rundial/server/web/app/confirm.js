/** A question before something that cannot be undone. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "./html.js";

/**
 * @param {{ title: string, action: string, children?: import("./html.js").Children, onConfirm: () => void, onClose: () => void }} props
 */
export function Confirm({ title, action, children, onConfirm, onClose }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  const confirm = () => {
    dialog.current?.close();
    onConfirm();
  };
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" onClose=${onClose}>
    <div class="stack"><h2 id="confirm-title">${title}</h2>${children}
      <div class="row"><span class="grow"></span>
        <button type="button" autofocus onClick=${() => dialog.current?.close()}>Cancel</button>
        <button type="button" class="danger" onClick=${confirm}>${action}</button></div></div>
  </dialog>`;
}
