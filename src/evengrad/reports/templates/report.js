"use strict";
(function () {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("evengrad-figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const calm = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  // Charts take their colours from the page's, so that they follow light, dark and paper.
  function themed(layout) {
    const text = colour("--text");
    const line = colour("--line");
    const made = {
      margin: { l: 64, r: 24, t: 16, b: 48 },
      ...layout,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: text },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      colorway: [colour("--blue"), colour("--red"), colour("--violet"), colour("--green"), colour("--orange")],
      hoverlabel: { bgcolor: colour("--panel"), bordercolor: line, font: { color: text } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--line"), activecolor: colour("--blue") },
      legend: { orientation: "h", y: 1.08 },
    };
    for (const key of Object.keys(made)) {
      if (/^[xy]axis/.test(key)) {
        made[key] = { exponentformat: "e", ...made[key], gridcolor: line, zerolinecolor: line, linecolor: line };
      }
    }
    made.shapes = (layout.shapes || []).map((shape) => ({ ...shape, line: { color: colour("--red"), width: 1, dash: "dot" } }));
    made.annotations = (layout.annotations || []).map((note) => ({ ...note, bgcolor: colour("--panel"), font: { color: colour("--red") } }));
    return made;
  }

  function coloured(trace) {
    if (trace.type === "heatmap") {
      return { ...trace, colorscale: "Viridis" };
    }
    if (trace.type === "waterfall") {
      return {
        ...trace,
        decreasing: { marker: { color: colour("--red") } },
        increasing: { marker: { color: colour("--violet") } },
        totals: { marker: { color: colour("--blue") } },
        connector: { line: { color: colour("--line"), width: 1 } },
      };
    }
    return trace;
  }

  function draw() {
    for (const figure of figures) {
      Plotly.react(figure.id, figure.traces.map(coloured), themed(figure.layout), calm);
    }
  }

  function paper(on) {
    root.classList.toggle("paper", on);
    draw();
  }

  draw();
  dark.addEventListener("change", draw);
  window.addEventListener("beforeprint", () => paper(true));
  window.addEventListener("afterprint", () => paper(false));
})();
