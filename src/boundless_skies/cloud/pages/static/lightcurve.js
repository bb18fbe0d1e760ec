// Draws a target's light curve: magnitude axis inverted, error bars, colour by
// band, shape by node, hollow marks for poor quality, rings around outliers,
// faint marks for what was rejected; folded on the period where one is known.
"use strict";

(function () {
  const UNIX_EPOCH_JD = 2440587.5;
  const DAY_MS = 86400000;
  // Band: colour on light, colour on dark.
  const BANDS = {
    U: ["#7a3fb0", "#c79bf2"], B: ["#2456c9", "#86aefc"], V: ["#1c7d43", "#6fd79a"],
    R: ["#c0341d", "#ff9078"], I: ["#8a1f3d", "#f28bab"], CV: ["#3346a8", "#a9b8ff"],
    g: ["#17786c", "#64d3c4"], r: ["#b4471a", "#ffa877"], i: ["#8c2a5c", "#f094c4"],
    z: ["#5d3a1a", "#d9b28c"], Clear: ["#44506e", "#b9c3de"],
  };
  const OTHERS = [["#8a6100", "#f0c75e"], ["#0e6f96", "#6cc8ee"], ["#6b5b00", "#d8cb62"], ["#5a4a9c", "#b7a8f5"]];
  const SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "pentagon", "hexagon", "x"];
  const GLYPHS = ["●", "■", "◆", "▲", "✚", "★", "▼", "⬟", "⬢", "✖"];

  const plot = document.getElementById("plot");
  const legend = document.getElementById("legend");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)");
  const foldButton = document.getElementById("fold");
  const rejectedButton = document.getElementById("rejected");
  const picked = document.getElementById("picked");
  const period = Number(plot.dataset.period);
  const epoch = Number(plot.dataset.epoch);
  let offset = 0;
  let series = [];
  let folded = false;

  function style(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function colour(item) {
    const pair = BANDS[item.band] || OTHERS[item.bandIndex % OTHERS.length];
    return pair[dark.matches ? 1 : 0];
  }

  function calendar(bjd) {
    const date = new Date((bjd - UNIX_EPOCH_JD) * DAY_MS);
    return date.toISOString().slice(0, 16).replace("T", " ") + " TDB";
  }

  function group(points) {
    const bands = [...new Set(points.map((p) => p.filter))].sort();
    const nodes = [...new Set(points.map((p) => p.node_id))].sort();
    const found = new Map();
    for (const point of points) {
      const key = JSON.stringify([point.filter, point.node_id]);
      if (!found.has(key)) {
        found.set(key, {
          band: point.filter, bandIndex: bands.indexOf(point.filter), node: point.node_id,
          shape: nodes.indexOf(point.node_id) % SHAPES.length, points: [], shown: true,
        });
      }
      found.get(key).points.push(point);
    }
    const name = (item) => `${item.band} · ${item.node}`;
    return [...found.values()].sort((a, b) => name(a).localeCompare(name(b)));
  }

  function describe(point) {
    const lines = [
      escape(`${point.filter} · ${point.node_id}`),
      `<b>${point.magnitude.toFixed(3)} ± ${point.uncertainty.toFixed(3)}</b>`,
      calendar(point.bjd),
      `BJD_TDB ${point.bjd.toFixed(6)}`,
    ];
    const more = [];
    if (point.snr !== null) more.push(`SNR ${point.snr.toFixed(0)}`);
    if (point.airmass !== null) more.push(`airmass ${point.airmass.toFixed(2)}`);
    if (point.quality_flag) more.push(point.quality_flag);
    if (point.revision > 1) more.push(`revision ${point.revision}`);
    if (point.validation !== "single") more.push(point.validation);
    if (point.review) more.push(point.review);
    if (more.length) lines.push(more.join(" · "));
    return lines.join("<br>");
  }

  function escape(text) {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function phase(bjd) {
    const turns = (bjd - epoch) / period;
    return turns - Math.floor(turns);
  }

  // A folded curve is drawn twice over, so that nothing is cut at phase 0.
  function place(points) {
    if (!folded) return { x: points.map((p) => p.bjd - offset), points };
    const phases = points.map((p) => phase(p.bjd));
    return { x: [...phases, ...phases.map((x) => x + 1)], points: [...points, ...points] };
  }

  function toTraces(item) {
    const traces = [toTrace(item)];
    const outliers = item.points.filter((p) => p.validation === "outlier" && p.review !== "rejected");
    if (outliers.length) traces.push(toRings(item, outliers));
    return traces;
  }

  function toTrace(item) {
    const { x, points } = place(item.points);
    const many = points.length > 400;
    const shape = SHAPES[item.shape];
    const faint = points.map((p) => (p.review === "rejected" ? 0.3 : many ? 0.7 : 0.9));
    return {
      type: "scatter", mode: "markers", visible: item.shown,
      name: escape(`${item.band} · ${item.node}`),
      x, y: points.map((p) => p.magnitude),
      error_y: {
        type: "data", array: points.map((p) => p.uncertainty),
        color: colour(item), thickness: 1, width: 0,
      },
      marker: {
        color: colour(item), size: many ? 5 : 7, opacity: faint,
        symbol: points.map((p) => (p.quality_flag === "poor" || p.review === "rejected" ? shape + "-open" : shape)),
        line: { width: 1 },
      },
      customdata: points.map((p) => p.id),
      text: points.map(describe),
      hovertemplate: "%{text}<extra></extra>",
    };
  }

  function toRings(item, outliers) {
    const { x, points } = place(outliers);
    return {
      type: "scatter", mode: "markers", visible: item.shown, hoverinfo: "skip",
      x, y: points.map((p) => p.magnitude),
      marker: { symbol: "circle-open", size: 16, color: style("--bad"), line: { width: 2 } },
    };
  }

  function axis(title) {
    return {
      title: { text: title, standoff: 10 }, gridcolor: style("--line"), linecolor: style("--line"),
      zeroline: false, ticks: "outside", tickcolor: style("--line"), automargin: true, exponentformat: "none",
      separatethousands: false,
    };
  }

  function layout() {
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style("--font"), size: 13, color: style("--ink") },
      margin: { l: 56, r: 16, t: 12, b: 48 }, showlegend: false, hovermode: "closest",
      hoverlabel: {
        bgcolor: style("--surface"), bordercolor: style("--line"), align: "left",
        font: { family: style("--font"), size: 13, color: style("--ink") },
      },
      dragmode: coarse.matches ? false : "zoom",
      xaxis: axis(folded ? "Phase" : `BJD_TDB − ${offset} (days)`),
      yaxis: { ...axis("Magnitude"), autorange: "reversed" },
    };
  }

  function draw() {
    const options = { displayModeBar: false, responsive: true, doubleClick: "reset+autosize" };
    const view = layout();
    const now = plot.layout;
    if (now && now.xaxis && now.xaxis.autorange === false) view.xaxis.range = now.xaxis.range;
    if (now && now.yaxis && now.yaxis.autorange === false) {
      view.yaxis.range = now.yaxis.range;
      delete view.yaxis.autorange;
    }
    return Plotly.react(plot, series.flatMap(toTraces), view, options);
  }

  function drawLegend() {
    legend.replaceChildren(...series.map((item) => {
      const button = document.createElement("button");
      const glyph = document.createElement("span");
      button.type = "button";
      button.className = "chip";
      button.setAttribute("aria-pressed", String(item.shown));
      glyph.textContent = GLYPHS[item.shape];
      glyph.setAttribute("aria-hidden", "true");
      glyph.style.color = colour(item);
      button.append(glyph, ` ${item.band} · ${item.node}`);
      button.addEventListener("click", () => {
        item.shown = !item.shown;
        button.setAttribute("aria-pressed", String(item.shown));
        draw();
      });
      return button;
    }));
  }

  function zoom(factor) {
    if (factor === "reset") {
      return Plotly.relayout(plot, { "xaxis.autorange": true, "yaxis.autorange": "reversed" });
    }
    const change = {};
    for (const name of ["xaxis", "yaxis"]) {
      const [from, to] = plot.layout[name].range;
      const middle = (from + to) / 2;
      const half = ((to - from) / 2) * Number(factor);
      change[`${name}.range`] = [middle - half, middle + half];
    }
    return Plotly.relayout(plot, change);
  }

  function fold() {
    folded = !folded;
    foldButton.setAttribute("aria-pressed", String(folded));
    // The view of one axis means nothing on the other.
    plot.layout.xaxis.autorange = true;
    return draw();
  }

  async function showRejected() {
    const shown = rejectedButton.getAttribute("aria-pressed") === "true";
    rejectedButton.setAttribute("aria-pressed", String(!shown));
    await load(shown ? "" : "?rejected=1");
    await draw();
    drawLegend();
  }

  function pick(id) {
    const point = series.flatMap((item) => item.points).find((p) => p.id === id);
    const link = document.createElement("a");
    link.href = `/measurements/${id}`;
    link.textContent = "Where it comes from";
    const told = `${point.magnitude.toFixed(3)} ± ${point.uncertainty.toFixed(3)} in ${point.filter} by ` +
      `${point.node_id}, ${calendar(point.bjd)}, ${point.validation}${point.review ? `, ${point.review}` : ""}. `;
    picked.replaceChildren(told, link);
    picked.hidden = false;
  }

  function listen() {
    if (foldButton) foldButton.addEventListener("click", fold);
    if (rejectedButton) rejectedButton.addEventListener("click", showRejected);
    plot.on("plotly_click", (event) => {
      const chosen = event.points.find((p) => p.customdata !== undefined);
      if (chosen) pick(chosen.customdata);
    });
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => zoom(button.dataset.zoom));
    }
    document.getElementById("save").addEventListener("click", () => {
      Plotly.downloadImage(plot, {
        format: "png", scale: 2, width: 1200, height: 700,
        filename: `lightcurve ${plot.dataset.target}`.replace(/[^\w.-]+/g, "_"),
      });
    });
    dark.addEventListener("change", () => { draw(); drawLegend(); });
  }

  async function load(query) {
    const reply = await fetch(plot.dataset.curve + query);
    if (!reply.ok) throw new Error(`the cloud answered ${reply.status}`);
    const curve = await reply.json();
    const hidden = new Set(series.filter((item) => !item.shown).map((item) => item.band + "\n" + item.node));
    series = group(curve.points);
    for (const item of series) item.shown = !hidden.has(item.band + "\n" + item.node);
    return curve.points;
  }

  async function start() {
    const points = await load("");
    offset = Math.floor(Math.min(...points.map((p) => p.bjd)));
    plot.replaceChildren();
    await draw();
    drawLegend();
    listen();
    plot.dataset.drawn = String(points.length);
  }

  start().catch((error) => {
    const note = document.createElement("p");
    note.className = "loading";
    note.textContent = `The light curve could not be drawn (${error.message}). The table below has the same points.`;
    plot.replaceChildren(note);
  });
})();
