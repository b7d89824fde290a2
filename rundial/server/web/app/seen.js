/** Whether a box is in sight or nearly so: what is far below is not loaded before it is scrolled to. */

import { useEffect, useState } from "preact/hooks";

/**
 * Once seen, it stays so: what was loaded is not taken away again.
 * @param {{ current: HTMLElement | null }} box
 * @returns {boolean}
 */
export function useOnceSeen(box) {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    if (!box.current || isSeen) return undefined;
    const watcher = new IntersectionObserver((entries) => setSeen((before) => before || entries.some((each) => each.isIntersecting)), { rootMargin: "300px" });
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, [isSeen]);
  return isSeen;
}
