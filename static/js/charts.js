// The one place where Plotly is called. A figure comes as JSON beside its <div>; it names tones, the theme paints them.
(() => {
  const WEEK = 7 * 86400000;
  const CONFIG = {
    displayModeBar: false,
    displaylogo: false,
    showSendToCloud: false,
    showEditInChartStudio: false,
    plotlyServerURL: "",
    responsive: true,
    scrollZoom: false,
    doubleClick: false,
  };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const tone = (name) => css(`--tone-${name}`);

  const withAlpha = (hex, alpha) => {
    const value = Number.parseInt(hex.slice(1), 16);
    return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
  };

  const painted = (trace) => {
    const colour = tone(trace.meta.tone);
    const copy = { ...trace, marker: { ...trace.marker, color: colour, line: { width: 0 } } };
    if (trace.marker?.pattern) {
      copy.marker.pattern = { ...trace.marker.pattern, fgcolor: colour, bgcolor: "rgba(0,0,0,0)" };
    }
    if (trace.type === "scatter") {
      copy.line = { ...trace.line, color: colour };
      if (trace.fill) copy.fillcolor = withAlpha(colour, 0.12);
    }
    return copy;
  };

  const axis = (given, small) => ({
    ...given,
    gridcolor: css("--chart-grid"),
    linecolor: css("--chart-grid"),
    zerolinecolor: css("--line-2"),
    tickcolor: css("--chart-grid"),
    showline: false,
    automargin: true,
    title: given.title && !small ? { ...given.title, font: { size: 11 }, standoff: 8 } : undefined,
  });

  const laidOut = (layout, box) => {
    const small = box.clientWidth < 480;
    const done = {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: css("--font"), size: 11.5, color: css("--chart-ink") },
      margin: { l: 8, r: layout.meta?.labels ? 62 : 8, t: layout.shapes?.length ? 26 : 10, b: 8 },
      hoverlabel: {
        bgcolor: css("--surface"),
        bordercolor: css("--line-2"),
        font: { family: css("--font"), color: css("--ink"), size: 12 },
      },
      shapes: (layout.shapes ?? []).map((shape) => ({ ...shape, line: { ...shape.line, color: tone(shape.name) } })),
      annotations: (layout.annotations ?? []).map((note) => ({
        ...note,
        font: { size: 11, color: note.name === "muted" ? css("--chart-ink") : tone(note.name) },
      })),
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      done[name] = axis(layout[name], small);
      if (name.startsWith("x")) Object.assign(done[name], { showgrid: false, dtick: WEEK * (box.clientWidth < 620 ? 2 : 1) });
    }
    return done;
  };

  const draw = (box) => {
    const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
    Plotly.react(box, figure.data.map(painted), laidOut(figure.layout, box), CONFIG);
  };

  const all = () => document.querySelectorAll("[data-figure]").forEach(draw);
  all();
  new MutationObserver(all).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  window.addEventListener("beforeprint", () => {
    document.documentElement.dataset.screenTheme = document.documentElement.dataset.bsTheme;
    document.documentElement.dataset.bsTheme = "light";
    document.documentElement.classList.add("printing");
    all();
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    document.documentElement.dataset.bsTheme = document.documentElement.dataset.screenTheme;
    all();
  });
})();
