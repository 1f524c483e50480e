// The interactive plots: traces out of the page's data, redrawn whenever a control changes.
"use strict";

const GREY = "#8a8a8a";
const POWERS = [-5, -4, -3, -2, -1, 0, 1, 2, 3];
const LEAST_BPP = 0.02; // rates below stretch no axis
const TICK_WIDTH = 30; // pixels that a number below a logarithmic axis takes

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Plotly reads some tags in its texts; what comes from elsewhere must stay text.
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function wrapped(text, width = 44) {
  const lines = [""];
  for (const part of String(text).split(/(?<=[,;]| )/)) {
    if (lines.at(-1) && lines.at(-1).length + part.length > width) lines.push("");
    lines[lines.length - 1] += part;
  }
  return lines.map(plain).join("<br>");
}

const count = (value) => value.toLocaleString("en");

function number(value) {
  if (value === null || value === undefined) return "none";
  return Math.abs(value) >= 10000 ? count(Math.round(value)) : String(Number(value.toPrecision(4)));
}

function withInterval([value, low, high]) {
  return low === null || high === null ? number(value) : `${number(value)} (${number(low)} to ${number(high)})`;
}

const defined = (metric) => `${metric.label}: ${metric.comment} (${metric.source}).`;
const titled = (metric) => (metric.unit ? `${metric.label}, ${metric.unit}` : metric.label);

// ---- marks of the legend ------------------------------------------------------------------------------------

function polygon(corners, turn = 0, inner = 1, stretch = 1) {
  const points = [];
  for (let index = 0; index < corners; index += 1) {
    const angle = Math.PI * (turn + (2 * index) / corners - 0.5);
    const radius = 5 * (index % 2 ? inner : 1);
    points.push(`${(radius * stretch * Math.cos(angle)).toFixed(2)},${(radius * Math.sin(angle)).toFixed(2)}`);
  }
  return `M${points.join("L")}Z`;
}

const CROSS = "M-1.6,-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z";
const SHAPES = {
  circle: "M-4.4,0A4.4,4.4 0 1 1 4.4,0A4.4,4.4 0 1 1 -4.4,0Z",
  square: polygon(4, 0.25),
  diamond: polygon(4),
  "diamond-tall": polygon(4, 0, 1, 0.65),
  "triangle-up": polygon(3),
  "triangle-down": polygon(3, 1),
  "triangle-left": polygon(3, 1.5),
  "triangle-right": polygon(3, 0.5),
  pentagon: polygon(5),
  hexagon: polygon(6),
  hexagon2: polygon(6, 1 / 6),
  octagon: polygon(8, 1 / 8),
  star: polygon(10, 0, 0.45),
  cross: CROSS,
  x: CROSS,
};
const STROKES = { solid: "", dash: "6 3", dot: "1.5 3", dashdot: "6 3 1.5 3", longdash: "10 4", "4px,3px": "4 3" };

function swatch(colour, symbol, dash) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  const shape = symbol.replace("-open", "");
  const set = (tag, attributes) => {
    const made = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    picture.append(made);
  };
  for (const [name, value] of Object.entries({ viewBox: "-17 -7 34 14", width: 34, height: 14, "aria-hidden": true })) {
    picture.setAttribute(name, value);
  }
  if (dash) set("line", { x1: -17, x2: 17, y1: 0, y2: 0, stroke: colour, "stroke-width": 1.8, "stroke-dasharray": STROKES[dash] });
  set("path", {
    d: SHAPES[shape] ?? SHAPES.circle,
    fill: shape === symbol ? colour : "#fff",
    stroke: colour,
    transform: shape === "x" ? "rotate(45)" : "",
  });
  return picture;
}

// ---- what a point says --------------------------------------------------------------------------------------

function hoverText(point, label, metric, isIdeal) {
  const lines = [`<b>${plain(label)}</b>`];
  if (point.setting) lines.push(wrapped(point.setting));
  const where = [point.point, point.picture].filter((text) => text && text !== "full" && text !== "decoded");
  if (where.length) lines.push(plain(where.join(", ")));
  const kind = point.ideal ? "ideal rate (no file)" : "rate";
  lines.push(isIdeal ? `ideal rate ${number(point.ideal_bpp)} bpp` : `${kind} ${withInterval(point.rate_bpp)} bpp`);
  const value = point.values[metric.name];
  if (value && value[0] !== null) {
    const deviation = point.spreads[metric.name] ?? null;
    const spread = deviation === null ? "" : ` ± ${number(deviation)}`;
    lines.push(`${plain(metric.label)} ${withInterval(value)}${spread} ${plain(metric.unit)}`.trimEnd());
  }
  const images = metric.of_sets ? (point.set_n ?? point.n) : point.n;
  lines.push(`n = ${count(images)}${point.exact ? `, ${count(point.exact)} of them exact` : ""}`);
  if (metric.of_sets && point.warning) lines.push(`<i>${wrapped(point.warning)}</i>`);
  return lines.join("<br>");
}

function publishedText(system, point, metric) {
  const lines = [`<b>${plain(system.system)}</b>, published`, `rate ${number(point.bpp)} bpp (${system.kind})`];
  lines.push(`${plain(metric.label)} ${number(point[metric.name])} ${plain(metric.unit)}`.trimEnd());
  if (point.suspect) lines.push(`<i>doubtful: ${wrapped(point.suspect)}</i>`);
  return lines.join("<br>");
}

// ---- traces -------------------------------------------------------------------------------------------------

function errorBars(values, colour) {
  return {
    type: "data",
    symmetric: false,
    array: values.map(([value, , high]) => (high === null ? 0 : Math.max(0, high - value))),
    arrayminus: values.map(([value, low]) => (low === null ? 0 : Math.max(0, value - low))),
    color: colour,
    thickness: 1,
    width: 0,
  };
}

function curveTraces(curve, metric, options) {
  const look = curve.look;
  const points = curve.points.filter((point) => point.values[metric.name]?.[0] !== null);
  const value = (point) => point.values[metric.name];
  const shared = { type: "scatter", hovertemplate: "%{text}<extra></extra>", name: plain(curve.label) };
  const traces = [{
    ...shared,
    x: points.map((point) => point.rate_bpp[0]),
    y: points.map((point) => value(point)[0]),
    text: points.map((point) => hoverText(point, curve.title, metric, false)),
    mode: "lines+markers",
    line: { color: look.colour, dash: look.dash, width: 2 },
    marker: {
      symbol: points.map((point) => (point.exact ? `${look.symbol}-open` : look.symbol)),
      size: 8,
      color: look.colour,
      line: { width: 1.5, color: look.colour },
    },
    ...(options.intervals && {
      error_x: errorBars(points.map((point) => point.rate_bpp), look.colour),
      error_y: errorBars(points.map(value), look.colour),
    }),
  }];
  const ideal = points.filter((point) => point.ideal_bpp > 0);
  if (options.ideal && ideal.length) {
    traces.unshift({
      ...shared,
      x: ideal.map((point) => point.ideal_bpp),
      y: ideal.map((point) => value(point)[0]),
      text: ideal.map((point) => hoverText(point, `${curve.title}, ideal`, metric, true)),
      mode: "lines",
      opacity: 0.6,
      line: { color: look.colour, dash: "dash", width: 1.2 },
    });
  }
  return traces;
}

function publishedTrace(system, metric) {
  const points = system.points.filter((point) => (point[metric.name] ?? null) !== null);
  return {
    type: "scatter",
    x: points.map((point) => point.bpp),
    y: points.map((point) => point[metric.name]),
    text: points.map((point) => publishedText(system, point, metric)),
    hovertemplate: "%{text}<extra></extra>",
    name: plain(system.system),
    published: true,
    mode: "lines+markers",
    line: { color: GREY, dash: system.dash, width: 1 },
    marker: { symbol: system.symbol, size: 7, color: GREY, line: { width: 1, color: GREY } },
  };
}

function losslessTraces(points, metric) {
  return points.map((point, row) => ({
    type: "scatter",
    x: [point.rate_bpp[0]],
    y: [points.length - 1 - row],
    yaxis: "y2",
    text: [hoverText(point, `${point.name}, lossless`, metric, false)],
    hovertemplate: "%{text}<extra></extra>",
    name: plain(point.codec),
    mode: "markers",
    marker: {
      symbol: `${point.look.symbol}${point.ideal ? "-open" : ""}`, size: 8, color: point.look.colour,
    },
    error_x: errorBars([point.rate_bpp], point.look.colour),
  }));
}

// ---- layout -------------------------------------------------------------------------------------------------

const AXIS = { zeroline: false, gridcolor: "#e6e6e6", linecolor: "#888", ticks: "outside", tickcolor: "#888" };

// Published curves don't stretch the axes, unless nothing else is drawn.
function extent(traces, axis, levels = []) {
  const measured = traces.filter((trace) => !trace.published);
  const values = (measured.length ? measured : traces).flatMap((trace) => trace[axis]);
  // Ideal rates may be next to nothing.
  const ends = [...(axis === "x" ? values.filter((rate) => rate > LEAST_BPP) : values), ...levels];
  return ends.length ? [Math.min(...ends), Math.max(...ends)] : null;
}

// As many of 1, 2 and 5 times a power of ten as there is room for.
function logTicks(decades, width) {
  const room = width / TICK_WIDTH / decades;
  const digits = room >= 3 ? [1, 2, 5] : room >= 2 ? [1, 3] : [1];
  const values = POWERS.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)));
  return { tickmode: "array", tickvals: values, ticktext: values.map(String), tickangle: 0 };
}

function rateAxis(isLog, traces, width) {
  const [low, high] = extent(traces, "x") ?? [0.1, 10];
  const title = { text: "rate, bits per pixel" };
  if (!isLog) return { ...AXIS, title, type: "linear", range: [0, high * 1.04], tickangle: 0 };
  const margin = Math.max(high / low, 2) ** 0.04;
  const range = [Math.log10(low / margin), Math.log10(high * margin)];
  return { ...AXIS, title, type: "log", range, ...logTicks(range[1] - range[0], width - 72) };
}

function qualityAxis(traces, metric, extra) {
  const better = metric.direction === "higher" ? "more is better" : "less is better";
  const [low, high] = extent(traces.filter((trace) => trace.yaxis !== "y2"), "y", extra.levels) ?? [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  return {
    ...AXIS,
    title: { text: `${plain(titled(metric))} <span style="color:#777">(${better})</span>` },
    domain: [0, extra.top],
    range: [low - margin, high + margin],
  };
}

function layoutOf(traces, metric, options, extra) {
  return {
    xaxis: rateAxis(options.logRate, traces, extra.width),
    yaxis: qualityAxis(traces, metric, extra),
    margin: { l: 58, r: 14, t: 8, b: 48 },
    height: extra.height,
    font: { family: 'system-ui, "Segoe UI", Helvetica, Arial, sans-serif', size: 12, color: "#333" },
    hovermode: "closest",
    hoverlabel: { align: "left", bgcolor: "#fff", bordercolor: "#777", font: { size: 12, color: "#222" }, namelength: -1 },
    showlegend: false,
    dragmode: "zoom",
    paper_bgcolor: "#fff",
    plot_bgcolor: "#fff",
    shapes: extra.shapes ?? [],
    annotations: extra.annotations ?? [],
    ...extra.axes,
  };
}

const CONFIG = {
  responsive: true,
  displaylogo: false,
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  toImageButtonOptions: { format: "svg" },
};

// The rates of lossless coding stand above the curves, a line for each codec.
function losslessBand(points, height, isLog) {
  if (!points.length) return { top: 1, axes: {}, shapes: [], annotations: [] };
  const share = Math.min(0.4, (18 * points.length + 14) / height);
  const text = { xanchor: "right", yanchor: "middle", showarrow: false };
  const names = points.map((point, row) => {
    const rate = point.rate_bpp[1] ?? point.rate_bpp[0];
    return {
      ...text, xref: "x", x: isLog ? Math.log10(rate) : rate, yref: "y2", y: points.length - 1 - row, xshift: -8,
      text: `${plain(point.name)}  ${point.rate_bpp[0].toFixed(2)}`, font: { size: 11 },
    };
  });
  const title = { ...text, xref: "paper", x: 0, xanchor: "left", xshift: 6, yref: "paper", y: 1 - share / 2, text: "<b>lossless</b>" };
  const ground = { type: "rect", xref: "paper", x0: 0, x1: 1, yref: "paper", y0: 1 - share, y1: 1, fillcolor: "#f5f5f5" };
  return {
    top: 1 - share - 0.015,
    axes: { yaxis2: { domain: [1 - share, 1], range: [-0.8, points.length - 0.2], visible: false, fixedrange: true } },
    shapes: [{ ...ground, line: { width: 0 }, layer: "below" }],
    annotations: [title, ...names],
  };
}

// What a metric of sets gives for originals alone is a dotted line, explained below the plot.
function floorMark(floor, metric) {
  const value = floor?.values[metric.name] ?? null;
  if (value === null) return { shapes: [] };
  const line = { color: "#444", width: 1.2, dash: "dot" };
  return { levels: [value], shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: value, y1: value, line }] };
}

function floorText(floor, metric) {
  const value = floor?.values[metric.name] ?? null;
  if (value === null) return "";
  const images = floor.set_n === null ? "" : ` (n = ${count(floor.set_n)})`;
  return ` Dotted: ${floor.text}${images}: ${number(value)}.`;
}

// ---- the plots and their controls ---------------------------------------------------------------------------

class Plots {
  constructor(figures) {
    this.figures = figures;
    this.off = new Set();
    const { metrics, datasets, published } = figures;
    byId("dataset").append(...datasets.map((data) => element("option", {}, data.name)));
    byId("dataset-choice").hidden = datasets.length < 2;
    byId("metric").append(...metrics.map((metric) => element("option", { value: metric.name }, titled(metric))));
    byId("published").append(element("option", { value: "" }, "none"));
    byId("published").append(...Object.keys(published).map((name) => element("option", { value: name }, `of ${name}`)));
    this.setMetrics = metrics.filter((metric) => metric.has_plot);
    for (const metric of this.setMetrics) byId("set-plots").append(this.figure(metric));
    byId("dataset").addEventListener("input", () => this.choose());
    byId("published").addEventListener("input", () => this.fillSystems());
    for (const id of ["plot-controls", "codecs", "systems"]) byId(id).addEventListener("input", () => this.draw()); // last
    this.choose();
    this.draw();
  }

  figure(metric) {
    const canvas = element("div", { id: `${metric.name}-plot`, class: "canvas", role: "group", "aria-labelledby": `${metric.name}-title` });
    const title = element("h3", { id: `${metric.name}-title` }, `Rate and ${metric.label}`);
    return element("figure", { class: "plot" }, title, canvas, element("figcaption", { id: `${metric.name}-caption` }));
  }

  get data() {
    return this.figures.datasets[byId("dataset").selectedIndex];
  }

  choose() {
    byId("log-rate").checked = this.data.log_rate;
    byId("published").value = this.data.published ?? "";
    byId("ideal-choice").hidden = !this.data.curves.some((curve) => curve.points.some((point) => point.ideal_bpp > 0));
    this.off.clear();
    this.fillCodecs();
    this.fillSystems();
  }

  chip(key, text, ...mark) {
    const box = element("input", { type: "checkbox" });
    box.checked = !this.off.has(key);
    box.addEventListener("input", () => this.turn(key, box.checked));
    return element("label", { class: "chip", "data-key": key }, box, ...mark, element("span", {}, text));
  }

  turn(key, isOn) {
    if (isOn) this.off.delete(key);
    else this.off.add(key);
  }

  allOrNone(holder) {
    return ["all", "none"].map((text) => {
      const button = element("button", { type: "button", class: "small" }, text);
      button.addEventListener("click", () => {
        for (const chip of holder.querySelectorAll(".chip")) {
          chip.firstElementChild.checked = text === "all";
          this.turn(chip.dataset.key, text === "all");
        }
        this.draw();
      });
      return button;
    });
  }

  fillCodecs() {
    const holder = byId("codecs");
    holder.replaceChildren(holder.firstElementChild);
    for (const codec of this.data.codecs) {
      const curves = this.data.curves.filter((curve) => curve.codec === codec);
      if (curves.length < 2) {
        const look = curves[0]?.look ?? this.data.lossless.find((point) => point.codec === codec).look;
        const dash = curves.length ? look.dash : undefined;
        holder.append(this.chip(codec, curves[0]?.title ?? codec, swatch(look.colour, look.symbol, dash)));
        continue;
      }
      const parts = curves.map((curve) => {
        const text = curve.title.startsWith(`${codec} `) ? curve.title.slice(codec.length + 1) : curve.title;
        return this.chip(`${codec}\n${curve.label}`, text, swatch(curve.look.colour, curve.look.symbol, curve.look.dash));
      });
      holder.append(element("span", { class: "family", role: "group", "aria-label": codec }, this.chip(codec, codec), ...parts));
    }
    holder.append(...this.allOrNone(holder));
  }

  fillSystems() {
    const holder = byId("systems");
    const chosen = this.figures.published[byId("published").value];
    holder.hidden = !chosen;
    holder.replaceChildren(holder.firstElementChild);
    for (const system of chosen?.systems ?? []) {
      const text = `${system.system} (${system.kind})`;
      holder.append(this.chip(`published\n${system.system}`, text, swatch(GREY, system.symbol, system.dash)));
    }
    if (chosen) holder.append(...this.allOrNone(holder));
    byId("published-note").hidden = !chosen;
    byId("published-note").textContent = chosen ? this.data.published_notes[byId("published").value] : "";
  }

  shows(curve) {
    return !this.off.has(curve.codec) && !this.off.has(`${curve.codec}\n${curve.label}`);
  }

  options() {
    return { logRate: byId("log-rate").checked, intervals: byId("intervals").checked, ideal: byId("ideal").checked };
  }

  traces(metric, options) {
    const chosen = this.figures.published[byId("published").value];
    const systems = (chosen?.systems ?? []).filter((system) => !this.off.has(`published\n${system.system}`));
    const curves = this.data.curves.filter((curve) => this.shows(curve));
    return [
      ...systems.map((system) => publishedTrace(system, metric)),
      ...curves.flatMap((curve) => curveTraces(curve, metric, options)),
    ].filter((trace) => trace.x.length);
  }

  draw() {
    const options = this.options();
    const metric = this.figures.metrics[byId("metric").selectedIndex];
    this.drawMain(metric, options);
    for (const one of this.setMetrics) {
      const traces = this.traces(one, options);
      const width = byId(`${one.name}-plot`).clientWidth;
      const layout = layoutOf(traces, one, options, { top: 1, height: 380, width, ...floorMark(this.data.floor, one) });
      Plotly.react(`${one.name}-plot`, traces, layout, CONFIG);
      byId(`${one.name}-caption`).textContent = `${defined(one)}${floorText(this.data.floor, one)}`;
    }
  }

  drawMain(metric, options) {
    const lossless = this.data.lossless.filter((point) => !this.off.has(point.codec));
    const traces = [...this.traces(metric, options), ...losslessTraces(lossless, metric)];
    const height = 500;
    const band = losslessBand(lossless, height, options.logRate);
    const floor = floorMark(this.data.floor, metric);
    const extra = { ...band, height, width: byId("main-plot").clientWidth, levels: floor.levels };
    extra.shapes = [...band.shapes, ...floor.shapes];
    byId("main-title").textContent = `${this.data.name}: rate and ${metric.label}`;
    byId("main-caption").textContent = this.caption(metric, options);
    Plotly.react("main-plot", traces, layoutOf(traces, metric, options, extra), CONFIG);
  }

  caption(metric, options) {
    const texts = [`${defined(metric)}${floorText(this.data.floor, metric)}`, "Rate: all bits of the file."];
    if (this.data.curves.some((curve) => curve.ideal)) {
      texts.push('Dashed and marked "ideal, no file": what ideal channel simulation would cost.');
    }
    if (options.intervals) texts.push("Bars: 95 % bootstrap intervals over images, where there are any.");
    if (this.data.curves.some((curve) => curve.points.some((point) => point.exact))) {
      texts.push("Hollow: some images are exact there.");
    }
    if (this.data.lossless.length) texts.push("Top: lossless coding, every image exact.");
    return texts.join(" ");
  }

  resize(width) {
    for (const canvas of document.querySelectorAll(".canvas")) Plotly.relayout(canvas, { width, autosize: !width });
  }
}
