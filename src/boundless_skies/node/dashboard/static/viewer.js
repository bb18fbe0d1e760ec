// Zooms the frame by keys, buttons, wheel and pointer. Without it the whole frame shows.
"use strict";

(function () {
  const viewer = document.getElementById("viewer");
  const stage = document.getElementById("stage");
  const tools = document.getElementById("tools");
  if (!viewer || !stage || !tools) return;
  const told = document.getElementById("zoomed");
  const STEP = 1.5, MOST = 16;
  let scale = 1, x = 0, y = 0, drag = null;

  tools.hidden = false;
  viewer.tabIndex = 0;

  function show() {
    const box = viewer.getBoundingClientRect();
    x = Math.min(0, Math.max(box.width * (1 - scale), x));
    y = Math.min(0, Math.max(box.height * (1 - scale), y));
    stage.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    viewer.classList.toggle("zoomed", scale > 1);
    told.textContent = scale > 1 ? `${scale.toFixed(1)} times larger` : "";
  }

  function zoom(factor, atX, atY) {
    const box = viewer.getBoundingClientRect();
    const px = atX === undefined ? box.width / 2 : atX - box.left;
    const py = atY === undefined ? box.height / 2 : atY - box.top;
    const next = Math.min(MOST, Math.max(1, scale * factor));
    x = px - (px - x) * (next / scale);
    y = py - (py - y) * (next / scale);
    scale = next;
    show();
  }

  function move(dx, dy) { x += dx; y += dy; show(); }
  function whole() { scale = 1; x = 0; y = 0; show(); }

  const keys = {
    "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), "0": whole,
    ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0),
    ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
  };
  viewer.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    const arrow = event.key.startsWith("Arrow");
    if (!act || event.ctrlKey || event.metaKey || event.altKey || (arrow && scale === 1)) return;
    event.preventDefault();
    act();
  });
  viewer.addEventListener("wheel", (event) => {
    // The page must stay scrollable over a frame that is not zoomed.
    if (!event.ctrlKey && scale === 1) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.clientX, event.clientY);
  }, { passive: false });
  viewer.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));
  viewer.addEventListener("pointerdown", (event) => {
    if (scale === 1) return;
    drag = { x: event.clientX, y: event.clientY };
    viewer.setPointerCapture(event.pointerId);
  });
  viewer.addEventListener("pointermove", (event) => {
    if (!drag) return;
    move(event.clientX - drag.x, event.clientY - drag.y);
    drag = { x: event.clientX, y: event.clientY };
  });
  for (const name of ["pointerup", "pointercancel"]) viewer.addEventListener(name, () => { drag = null; });
  document.getElementById("zoom-in").addEventListener("click", () => zoom(STEP));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(1 / STEP));
  document.getElementById("zoom-all").addEventListener("click", whole);
  const toggle = document.getElementById("apertures");
  toggle?.addEventListener("click", () => {
    const on = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(on));
    stage.querySelector("svg").style.visibility = on ? "" : "hidden";
  });
})();
