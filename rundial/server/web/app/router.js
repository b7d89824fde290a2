/** Where the page is: path and parameters, kept in the address so that a view can be sent to somebody. */

import { useEffect, useState } from "preact/hooks";

/**
 * @typedef {object} Place
 * @property {string} path Decoded by whoever reads a part of it.
 * @property {URLSearchParams} params
 */

/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {Place} */
export function here() {
  return { path: location.pathname, params: new URLSearchParams(location.search) };
}

/**
 * Go to an address of this page.
 * @param {string} address Begins with a slash.
 * @param {{ replaces?: boolean }} [how] `replaces` leaves no entry to go back to.
 */
export function go(address, how = {}) {
  if (address === location.pathname + location.search) return;
  const isOtherView = address.split("?")[0] !== location.pathname;
  history[how.replaces ? "replaceState" : "pushState"](null, "", address);
  if (isOtherView) scrollTo(0, 0);
  tell();
}

/**
 * Change parameters of this address; null or an empty text takes one away.
 * @param {Record<string, string | null>} changes
 * @param {{ replaces?: boolean }} [how] Replaces by default: a filter that is typed is one entry, not twenty.
 */
export function setParams(changes, how = { replaces: true }) {
  const { path, params } = here();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") params.delete(name);
    else params.set(name, value);
  }
  go(withParams(path, params), how);
}

/**
 * @param {string} path
 * @param {URLSearchParams} params
 * @returns {string}
 */
export function withParams(path, params) {
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * A path of this page from its parts.
 * @param {...string} parts
 * @returns {string}
 */
export function pathOf(...parts) {
  return "/" + parts.map(encodeURIComponent).join("/");
}

/** The place, and again whenever it changes. */
export function usePlace() {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const listener = () => setPlace(here());
    listeners.add(listener);
    listener();
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return place;
}

/** Follow links and the browser's buttons inside the page. */
export function startRouting() {
  addEventListener("popstate", tell);
  document.addEventListener("click", (event) => {
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!isPlain || event.defaultPrevented || !link || !link.href || link.target || link.hasAttribute("download")) return;
    const target = new URL(link.href);
    if (target.origin !== location.origin || target.pathname.startsWith("/api/") || target.hash) return;
    event.preventDefault();
    go(target.pathname + target.search);
  });
}

function tell() {
  for (const listener of [...listeners]) listener();
}
