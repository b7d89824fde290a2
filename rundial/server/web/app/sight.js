/** Which lines of a long list are in sight, so that only those are drawn. */

import { useLayoutEffect, useState } from "preact/hooks";

/**
 * The first and the last line in sight of a box that scrolls.
 * @param {{ current: HTMLElement | null }} box
 * @param {number} row Height of a line, pixels.
 * @returns {[number, number]}
 */
export function useSight(box, row) {
  const [sight, setSight] = useState(/** @type {[number, number]} */ ([0, 40]));
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let frame = 0;
    const look = () => {
      frame = 0;
      const first = Math.floor(element.scrollTop / row);
      const last = first + Math.ceil(element.clientHeight / row);
      setSight((before) => (before[0] === first && before[1] === last ? before : [first, last]));
    };
    const ask = () => {
      if (!frame) frame = requestAnimationFrame(look);
    };
    const watcher = new ResizeObserver(ask);
    watcher.observe(element);
    element.addEventListener("scroll", ask, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      watcher.disconnect();
      element.removeEventListener("scroll", ask);
    };
  }, []);
  return sight;
}
