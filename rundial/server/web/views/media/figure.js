/** A figure: a picture, curves and bars of plotly's JSON, or a page in a frame that may do nothing. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../../app/html.js";
import { unready } from "../../app/states.js";
import { Drawing } from "../../charts/drawing.js";
import { drawingOf } from "../../charts/plotly.js";
import { bytes, json } from "../../data/media.js";
import { useResource } from "../../data/resource.js";
import { FileView, Pending } from "./file.js";
import { Images } from "./images.js";

/** @typedef {import("../../data/media.js").Shown} Shown */

/** @param {{ row: Shown }} props */
export function FigureView({ row }) {
  const kind = row.contentType.toLowerCase().split(";")[0];
  if (row.url === null) return html`<${Pending} />`;
  if (kind?.startsWith("image/")) return html`<${Images} rows=${[{ ...row, caption: null }]} />`;
  if (kind === "text/html") return html`<${Page} row=${row} />`;
  if (kind?.endsWith("json")) return html`<${Plot} row=${row} />`;
  return html`<${FileView} row=${row} />`;
}

/** @param {{ row: Shown }} props */
function Plot({ row }) {
  const found = useResource(`figure ${row.sha256}`, async (signal) => drawingOf(await json(row, signal)));
  const waiting = unready(found, "the figure");
  if (waiting || !found.value) return waiting;
  const { traces, undrawn } = found.value;
  const why = undrawn.length > 0 ? `Not drawn here: ${undrawn.join(", ")}.` : "";
  return html`${traces.length > 0 && html`<${Drawing} name=${row.caption || row.mediaKey} drawing=${found.value} />`}<${FileView} row=${row} why=${why} />`;
}

/**
 * A page that was logged, without scripts, forms, windows, cookies or this page's origin: it is of no origin, and
 * the policy of this page holds for it too.
 * @param {{ row: Shown }} props
 */
function Page({ row }) {
  const found = useResource(`page ${row.sha256}`, async (signal) => (await bytes(row, signal)).text());
  const [address, setAddress] = useState("");
  useEffect(() => {
    if (found.value === undefined) return undefined;
    const made = URL.createObjectURL(new Blob([found.value], { type: "text/html; charset=utf-8" }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [found.value]);
  return unready(found, "the page") ?? html`${address && html`<iframe class="page" sandbox="" src=${address} title=${row.caption || row.mediaKey} loading="lazy" referrerpolicy="no-referrer"></iframe>`}
    <${FileView} row=${row} why="Its scripts and styles do not run here." />`;
}
