// The interactive plots and their controls: redrawn whenever a control, the codec filter or the theme changes.
"use strict";

const CONFIG = { displayModeBar: false };
const ZOOM = 1.5; // factor of a step
const PRINTED = { main: 700, set: 340 }; // width in pixels on paper

// What stands above, in and below a plot. The buttons are outside the plot, so that they cover no label.
class PlotFigure {
  constructor(name, holder) {
    this.name = name;
    this.title = element("h3", { id: `${name}-title` });
    const named = { role: "group", "aria-labelledby": `${name}-title`, "aria-describedby": `${name}-caption` };
    this.canvas = element("div", { id: `${name}-plot`, class: "canvas", ...named });
    this.caption = element("figcaption", { id: `${name}-caption` });
    this.legend = element("ul", { class: "legend", "aria-label": "Legend" });
    this.head = element("div", { class: "plot-head" }, this.title, this.toolbar());
    this.element = element("figure", { class: "plot" }, this.head, this.canvas, this.legend, this.caption);
    holder.append(this.element);
  }

  toolbar() {
    const tools = {
      "−": ["Zoom out", () => this.zoom(ZOOM)],
      "+": ["Zoom in", () => this.zoom(1 / ZOOM)],
      Reset: ["Reset the axes", () => this.reset()],
      SVG: ["Save as SVG", () => this.save()],
    };
    const buttons = Object.entries(tools).map(([text, [label, act]]) => {
      const made = element("button", { type: "button", title: label, "aria-label": label, "aria-controls": `${this.name}-plot` }, text);
      made.addEventListener("click", act);
      return made;
    });
    return element("div", { class: "tools", role: "toolbar", "aria-label": "Plot" }, ...buttons);
  }

  // `make` gives traces and layout for a palette, so that a saved plot is a light one.
  draw(title, caption, make, theme) {
    this.make = make;
    this.title.textContent = title;
    this.caption.textContent = caption;
    const { traces, layout, floor } = make(palette(theme));
    this.home = [layout.xaxis.range, layout.yaxis.range];
    fillLegend(this.legend, traces, floor);
    Plotly.react(this.canvas, traces, layout, CONFIG);
  }

  // Ranges of logarithmic axes are exponents, so that a step is a factor there.
  zoom(factor) {
    const { xaxis, yaxis } = this.canvas._fullLayout;
    this.show([xaxis, yaxis].map(({ range: [low, high] }) => {
      const middle = (low + high) / 2;
      const half = ((high - low) / 2) * factor;
      return [middle - half, middle + half];
    }));
  }

  reset() {
    this.show(this.home);
  }

  show([x, y]) {
    Plotly.relayout(this.canvas, { "xaxis.range": x, "yaxis.range": y });
  }

  save() {
    const { traces, layout } = this.make(palette("light"));
    const { width, height } = this.canvas._fullLayout;
    const filename = this.title.textContent.replace(/[^A-Za-z0-9]+/g, "-");
    return Plotly.downloadImage({ data: traces, layout }, { format: "svg", width, height, filename });
  }
}

class Plots {
  constructor(figures, filter, theme) {
    Object.assign(this, { figures, filter, theme, printing: false });
    const { metrics, datasets, published } = figures;
    byId("dataset").append(...datasets.map((data) => element("option", {}, data.name)));
    byId("dataset-choice").hidden = datasets.length < 2;
    byId("metric").append(...metrics.map((metric) => element("option", { value: metric.name }, titled(metric))));
    byId("log-quality-choice").hidden = !metrics.some((metric) => metric.log);
    byId("published").append(element("option", { value: "" }, "none"));
    byId("published").append(...Object.keys(published).map((name) => element("option", { value: name }, `of ${name}`)));
    this.main = new PlotFigure("main", byId("plots"));
    this.setMetrics = metrics.filter((metric) => metric.has_plot);
    this.sets = this.setMetrics.map((metric) => new PlotFigure(metric.name, byId("plots")));
    byId("plots").classList.toggle("several", this.sets.length > 0);
    byId("dataset").addEventListener("input", () => this.choose());
    this.picker = new PublishedPicker(figures, () => this.draw());
    byId("published").addEventListener("input", () => this.usePublished());
    this.imported = new ImportedCurves(figures, () => this.draw());
    byId("plot-controls").addEventListener("input", () => this.draw()); // last
    byId("plot-controls").addEventListener("submit", (event) => event.preventDefault());
    filter.onChange(() => this.draw());
    theme.onChange(() => this.draw());
    this.choose();
    this.draw();
    this.followWidth();
  }

  // The number of ticks depends on the width.
  followWidth() {
    let waiting = 0;
    let before = byId("plots").clientWidth;
    new ResizeObserver(() => {
      const width = byId("plots").clientWidth;
      if (width === before || this.printing) return;
      before = width;
      clearTimeout(waiting);
      waiting = setTimeout(() => this.draw(), 100);
    }).observe(byId("plots"));
  }

  get data() {
    return this.figures.datasets[byId("dataset").selectedIndex];
  }

  choose() {
    byId("log-rate").checked = this.data.log_rate;
    byId("published").value = this.data.published ?? "";
    byId("ideal-choice").hidden = !this.data.curves.some((curve) => curve.points.some((point) => point.ideal_bpp > 0));
    this.usePublished();
  }

  usePublished() {
    const name = byId("published").value;
    byId("published-note").hidden = !name;
    byId("published-note").textContent = name ? this.data.published_notes[name] : "";
    this.picker.use(name);
  }

  options() {
    const checked = (id) => byId(id).checked;
    return {
      logRate: checked("log-rate"), logQuality: checked("log-quality"), intervals: checked("intervals"), ideal: checked("ideal"),
    };
  }

  traces(metric, options, colours) {
    const systems = this.picker.shown(metric);
    const curves = this.data.curves.filter((curve) => this.filter.shows(curve.codec, [curve.label]));
    return [
      ...systems.map((system) => publishedTrace(system, metric, colours)),
      ...this.imported.shown().map((curve) => importedTrace(curve, metric, colours)),
      ...curves.flatMap((curve) => curveTraces(curve, metric, options, colours)),
    ].filter((trace) => trace.x.length);
  }

  get lossless() {
    return this.data.lossless.filter((point) => this.filter.shows(point.codec, point.curves));
  }

  draw() {
    const options = this.options();
    const metric = this.figures.metrics[byId("metric").selectedIndex];
    const theme = this.printing ? "light" : this.theme.name;
    this.picker.mark(metric);
    const make = (colours) => this.content(this.main, metric, options, colours, this.lossless);
    this.main.draw(`${this.data.name}: rate and ${metric.label}`, this.caption(metric, options), make, theme);
    this.setMetrics.forEach((one, place) => {
      const makeOne = (colours) => this.content(this.sets[place], one, options, colours, []);
      this.sets[place].draw(`${this.data.name}: rate and ${one.label}`, this.setCaption(one, options), makeOne, theme);
    });
  }

  content(figure, metric, options, colours, lossless) {
    const traces = [...this.traces(metric, options, colours), ...losslessTraces(lossless, metric, colours)];
    const { width, height } = this.size(figure);
    const band = losslessBand(lossless, height, options.logRate, colours);
    const floor = floorMark(this.data.floor, metric, colours);
    const extra = { ...band, width, height, levels: floor.levels, shapes: [...band.shapes, ...floor.shapes] };
    const layout = layoutOf(traces, metric, options, extra, colours);
    if (layout.yaxis.type === "log") traces.forEach(withoutNegatives);
    return { traces, layout, floor: floorText(this.data.floor, metric) };
  }

  // Plots that stand side by side are equally high.
  size(figure) {
    const isMain = figure === this.main;
    if (this.printing) return { width: isMain ? PRINTED.main : PRINTED.set, height: isMain ? 350 : 225 };
    const beside = this.sets.length > 0 && this.sets[0].element.offsetTop === this.main.element.offsetTop;
    return { width: figure.canvas.clientWidth, height: isMain || beside ? 500 : 380 };
  }

  caption(metric, options) {
    const texts = [this.setCaption(metric, options), "Rate: all bits of the file."];
    if (this.data.curves.some((curve) => curve.ideal)) {
      texts.push('Dashed and marked "ideal, no file": what ideal channel simulation would cost.');
    }
    if (options.intervals) texts.push("Bars: 95 % bootstrap intervals over images, where there are any.");
    if (this.data.curves.some((curve) => curve.points.some((point) => point.exact))) {
      texts.push("Hollow: some images are exact there.");
    }
    if (this.data.curves.some((curve) => curve.points.some((point) => point.empty))) {
      texts.push("Outside the axes, shown by zooming out: pictures of progressive files before any bits of the image.");
    }
    if (this.data.lossless.length) texts.push("Top: lossless coding, every image exact.");
    return texts.join(" ");
  }

  setCaption(metric, options) {
    const floor = floorText(this.data.floor, metric);
    const missing = leftOut(this.traces(metric, options, { of: () => "" }), metric, options);
    return `${defined(metric)}${floor && ` Dotted: ${floor}.`}${missing}`;
  }

  // On paper plots are light and as wide as the page.
  print(isPrinting) {
    this.printing = isPrinting;
    this.draw();
  }
}
