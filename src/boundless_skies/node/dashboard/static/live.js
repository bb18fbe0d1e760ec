// Keeps the live parts of a page current. Without it a page is what it was when it was opened.
"use strict";

(function () {
  const parts = document.querySelectorAll("[data-live]");
  if (!parts.length || !window.EventSource) return;
  const announcer = document.getElementById("announce");
  const lost = document.getElementById("lost");
  let mark = null;
  let waiting = false;

  function busy(part) {
    const focused = document.activeElement;
    if (!part.contains(focused)) return false;
    return focused.matches("input, select, textarea") || focused.closest("details.confirm[open]");
  }

  function replace(part, next) {
    if (part.innerHTML === next.innerHTML || busy(part)) return;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
    part.replaceChildren(...next.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  async function refresh() {
    if (document.hidden) { waiting = true; return; }
    waiting = false;
    try {
      const reply = await fetch(location.pathname, { headers: { accept: "text/html" } });
      if (reply.redirected) { location.reload(); return; }
      if (!reply.ok) return;
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      for (const part of parts) {
        const next = page.getElementById(part.id);
        if (next) replace(part, next);
      }
      const told = page.getElementById("announce");
      if (announcer && told && announcer.textContent !== told.textContent) {
        announcer.textContent = told.textContent;
      }
    } catch {
      // The node is away for a moment; the next event tries again.
    }
  }

  const source = new EventSource("/events");
  source.addEventListener("mark", (event) => {
    lost?.classList.remove("shown");
    if (mark !== null && event.data !== mark) refresh();
    mark = event.data;
  });
  source.addEventListener("error", () => lost?.classList.add("shown"));
  document.addEventListener("visibilitychange", () => { if (waiting) refresh(); });
  // What is told in minutes grows old by itself.
  setInterval(refresh, 30_000);
})();
