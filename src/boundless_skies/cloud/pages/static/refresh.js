// Keeps a page's live part current while somebody looks at it.
"use strict";

(function () {
  const live = document.querySelector("[data-refresh-s]");
  if (!live) return;

  async function refresh() {
    if (document.hidden || live.contains(document.activeElement)) return;
    try {
      const reply = await fetch(location.pathname);
      if (!reply.ok) return;
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const next = page.querySelector("[data-refresh-s]");
      if (next) live.replaceChildren(...next.childNodes);
    } catch {
      // The cloud is away for a moment; the next round tries again.
    }
  }

  setInterval(refresh, Number(live.dataset.refreshS) * 1000);
})();
