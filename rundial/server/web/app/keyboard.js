/** Keys: `/` to search, `j` and `k` through rows, Enter to open one, `x` to select, `?` for this list. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "./html.js";

const KEYS = [
  ["/", "search"],
  ["j", "next row"],
  ["k", "row before"],
  ["Enter", "open the row"],
  ["x", "select the row"],
  ["?", "show these keys"],
  ["Esc", "close what is open, leave the search"],
];

/** @type {() => void} */
let show = () => {};

/** Show the list of keys. */
export function showShortcuts() {
  show();
}

/** Listens to keys, and shows the list of them. */
export function Shortcuts() {
  const [isShown, setShown] = useState(false);
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    show = () => setShown(true);
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
  useEffect(() => {
    if (isShown) dialog.current?.showModal();
  }, [isShown]);
  return isShown && html`<dialog ref=${dialog} aria-labelledby="keys-title" onClose=${() => setShown(false)}>
    <h2 id="keys-title">Keyboard</h2>
    <table class="values"><tbody>${KEYS.map(([key, what]) => html`<tr><th scope="row"><kbd>${key}</kbd></th><td>${what}</td></tr>`)}</tbody></table>
    <div class="row"><span class="grow"></span><button type="button" autofocus onClick=${() => dialog.current?.close()}>Close</button></div>
  </dialog>`;
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const target = event.target instanceof HTMLElement ? event.target : document.body;
  const isWriting = target.matches("input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select") || target.isContentEditable;
  if (isWriting && event.key === "Escape") target.blur();
  if (isWriting || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    event.preventDefault();
    const search = document.querySelector("[data-search], input[type=search]");
    if (search instanceof HTMLInputElement) search.select();
  } else if (event.key === "?") showShortcuts();
  else if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
  else if (event.key === "x") rowAt()?.querySelector("input[type=checkbox]")?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
}

/** Rows that keys go through: what opens when one is entered. */
const OPENERS = "[data-run] a, .trace-entry, .values td button.link, .values td a, .projects a, .waterfall-row button.plain";

/** @param {1 | -1} way */
function move(way) {
  const all = [...document.querySelectorAll(OPENERS)].filter((each) => each instanceof HTMLElement && each.offsetParent !== null);
  const rows = [...new Map(all.map((each) => [rowOf(each), each])).entries()].map(([row]) => all.find((each) => rowOf(each) === row));
  rows.sort((one, other) => (one?.getBoundingClientRect().top ?? 0) - (other?.getBoundingClientRect().top ?? 0));
  const at = rows.findIndex((each) => rowOf(each) === rowAt());
  const next = rows[at < 0 ? (way > 0 ? 0 : rows.length - 1) : at + way];
  if (next instanceof HTMLElement) {
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

/** @param {Element | undefined} element */
function rowOf(element) {
  return element?.closest("[data-run], tr, li, .waterfall-row, .projects a") ?? element ?? null;
}

function rowAt() {
  return document.activeElement ? rowOf(document.activeElement) : null;
}
