/** The whole page: the frame, and in it the view that the address means. */

import { useEffect, useRef, useState } from "preact/hooks";

import { onSignedOut } from "../data/api.js";
import { ask, forget, useWho } from "../data/session.js";
import { html } from "./html.js";
import { go, here, usePlace, withParams } from "./router.js";
import { Header } from "./header.js";
import { Shortcuts } from "./keyboard.js";
import { Boundary, Empty, Failed, Waiting } from "./states.js";
import { match } from "./views.js";

export function App() {
  const place = usePlace();
  const who = useWho();
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  const isSignIn = place.path === "/sign-in";

  useEffect(() => {
    onSignedOut(forget);
    // The view's module comes while the server says who this is.
    match(place.path)?.load().catch(() => {});
    ask().catch(setFailure);
  }, []);
  useEffect(() => {
    if (who === null && !isSignIn) toSignIn();
  }, [who, isSignIn]);

  if (failure && who === undefined) {
    return html`<main><${Failed} error=${failure} what="Rundial" onRetry=${() => location.reload()} /></main>`;
  }
  if (who === undefined || (who === null && !isSignIn)) return html`<main><${Waiting} what="Rundial" /></main>`;
  const found = match(place.path);
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    ${who && !isSignIn && html`<${Header} who=${who} match=${found} />`}
    <${View} match=${found} path=${place.path} />
    <${Shortcuts} />
  `;
}

/** @param {{ match: import("./views.js").Match | null, path: string }} props */
function View({ match: found, path }) {
  const [loaded, setLoaded] = useState(/** @type {{ view: string, View?: any, error?: unknown } | null} */ (null));
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const view = found?.view ?? "";

  useEffect(() => {
    if (!found) return;
    found
      .load()
      .then((module) => setLoaded({ view, View: module.View }))
      .catch((error) => setLoaded({ view, error }));
  }, [view]);
  // Whoever reads with their ears begins at the new view, not in the old one's place.
  const before = useRef(path);
  useEffect(() => {
    if (before.current !== path) main.current?.focus({ preventScroll: true });
    before.current = path;
  }, [path]);

  let content;
  if (!found) {
    document.title = "Nothing here · Rundial";
    content = html`<${Empty} title="There is nothing at this address"><p><a href="/">To the projects</a></p></${Empty}>`;
  } else if (loaded?.view !== view) {
    content = html`<${Waiting} what="the view" />`;
  } else if (loaded.error) {
    // Most likely the server is a newer version by now, and its files are others.
    content = html`<${Failed} error=${loaded.error} what="The view" onRetry=${() => location.reload()} />`;
  } else {
    content = html`<${Boundary} of=${path}><${loaded.View} ...${found.parts} /></${Boundary}>`;
  }
  return html`<main id="main" ref=${main} tabindex="-1">${content}</main>`;
}

function toSignIn() {
  const { path, params } = here();
  const next = withParams(path, params);
  go(next === "/" ? "/sign-in" : withParams("/sign-in", new URLSearchParams({ next })), { replaces: true });
}
