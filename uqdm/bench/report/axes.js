// Axes, layout and the band of lossless codecs.
"use strict";

const POWERS = [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5];
const LEAST_BPP = 0.02; // rates below stretch no axis
const MOST_DECADES = 5; // of a logarithmic axis of quality, below its largest value
const TICK_WIDTH = 30; // pixels that a number below a logarithmic axis takes
const TICK_HEIGHT = 22; // pixels that a number beside one takes

const defined = (metric) => `${metric.label}: ${metric.comment} (${metric.source}).`;
const titled = (metric) => (metric.unit ? `${metric.label}, ${metric.unit}` : metric.label);
const shortened = (text) => (text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 1)}…` : text);

function axisLook(colours) {
  return { zeroline: false, gridcolor: colours.grid, linecolor: colours.axis, ticks: "outside", tickcolor: colours.axis };
}

// The values that the axes must reach. Neither published curves nor files without bits of the image stretch them,
// unless nothing else is drawn, and ideal rates may be next to nothing.
function reached(traces, axis) {
  const measured = traces.filter((trace) => !trace.published);
  const pick = (trace) => trace[axis].filter((_, index) => !trace.apart?.[index] && trace.x[index] > LEAST_BPP);
  const values = (measured.length ? measured : traces).flatMap(pick);
  return values.length ? values : traces.flatMap((trace) => trace[axis]);
}

const ends = (values) => (values.length ? [Math.min(...values), Math.max(...values)] : null);

// The digits that are written in each decade, by the number of labels that there is room for.
const DIGITS = [[18, [1, 1.5, 2, 3, 4, 5, 7]], [8, [1, 2, 3, 5, 7]], [3, [1, 2, 5]], [2, [1, 3]], [0, [1]]];

function logTicks(decades, length, each) {
  const room = length / each / decades;
  const [, digits] = DIGITS.find(([least]) => room >= least);
  const values = POWERS.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)));
  return { tickmode: "array", tickvals: values, ticktext: values.map(String), tickangle: 0 };
}

function rateAxis(isLog, traces, width, colours) {
  const [low, high] = ends(reached(traces, "x")) ?? [0.1, 10];
  const shared = { ...axisLook(colours), title: { text: "rate, bits per pixel" } };
  if (!isLog) return { ...shared, type: "linear", range: [0, high * 1.04], tickangle: 0 };
  const margin = Math.max(high / low, 2) ** 0.04;
  const range = [Math.log10(low / margin), Math.log10(high * margin)];
  return { ...shared, type: "log", range, ...logTicks(range[1] - range[0], width - 72, TICK_WIDTH) };
}

function qualityAxis(traces, metric, options, extra, colours) {
  const better = metric.direction === "higher" ? "more is better" : "less is better";
  const values = [...reached(traces.filter((trace) => trace.yaxis !== "y2"), "y"), ...(extra.levels ?? [])];
  const shared = {
    ...axisLook(colours),
    title: { text: `${plain(titled(metric))} <span style="color:${colours.soft}">(${better})</span>` },
    domain: [0, extra.top],
  };
  if (isLogQuality(traces, metric, options)) {
    const [low, high] = ends(values.filter((value) => value > 0));
    const least = Math.max(low, high / 10 ** MOST_DECADES);
    const margin = Math.max(high / least, 2) ** 0.06;
    const range = [Math.log10(least / margin), Math.log10(high * margin)];
    return { ...shared, type: "log", range, ...logTicks(range[1] - range[0], extra.height * extra.top, TICK_HEIGHT) };
  }
  const [low, high] = ends(values) ?? [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  return { ...shared, type: "linear", range: [low - margin, high + margin] };
}

// A logarithmic axis needs a positive value.
function isLogQuality(traces, metric, options) {
  return metric.log && options.logQuality && traces.some((trace) => trace.yaxis !== "y2" && trace.y.some((value) => value > 0));
}

// A curve has a gap where a logarithmic axis cannot show a point.
function withoutNegatives(trace) {
  if (trace.yaxis !== "y2") trace.y = trace.y.map((value) => (value > 0 ? value : null));
}

// Points that a logarithmic axis cannot show.
function leftOut(traces, metric, options) {
  if (!isLogQuality(traces, metric, options)) return "";
  const hidden = traces.filter((trace) => trace.mode === "lines+markers").flatMap((trace) => trace.y.filter((value) => value <= 0));
  if (!hidden.length) return "";
  const points = hidden.length === 1 ? "1 point" : `${count(hidden.length)} points`;
  return ` ${points} at or below 0 cannot be shown on a logarithmic axis.`;
}

function layoutOf(traces, metric, options, extra, colours) {
  return {
    xaxis: rateAxis(options.logRate, traces, extra.width, colours),
    yaxis: qualityAxis(traces, metric, options, extra, colours),
    margin: { l: 62, r: 14, t: 10, b: 48 },
    width: extra.width,
    height: extra.height,
    font: { family: 'system-ui, "Segoe UI", Helvetica, Arial, sans-serif', size: 12, color: colours.ink },
    hovermode: "closest",
    hoverlabel: {
      align: "left", bgcolor: colours.paper, bordercolor: colours.axis, font: { size: 12, color: colours.ink }, namelength: -1,
    },
    showlegend: false,
    dragmode: "zoom",
    paper_bgcolor: colours.paper,
    plot_bgcolor: colours.paper,
    shapes: extra.shapes ?? [],
    annotations: extra.annotations ?? [],
    ...extra.axes,
  };
}

// The rates of lossless coding stand above the curves, a line for each codec.
function losslessBand(points, height, isLog, colours) {
  if (!points.length) return { top: 1, axes: {}, shapes: [], annotations: [] };
  const share = Math.min(0.4, (18 * points.length + 14) / height);
  const text = { xanchor: "right", yanchor: "middle", showarrow: false };
  const names = points.map((point, row) => {
    const rate = point.rate_bpp[1] ?? point.rate_bpp[0];
    return {
      ...text, xref: "x", x: isLog ? Math.log10(rate) : rate, yref: "y2", y: points.length - 1 - row, xshift: -8,
      text: `${plain(shortened(point.name))}  ${point.rate_bpp[0].toFixed(2)}`, font: { size: 11 },
    };
  });
  const title = { ...text, xref: "paper", x: 0, xanchor: "left", xshift: 6, yref: "paper", y: 1 - share / 2, text: "<b>lossless</b>" };
  const ground = { type: "rect", xref: "paper", x0: 0, x1: 1, yref: "paper", y0: 1 - share, y1: 1, fillcolor: colours.shade };
  return {
    top: 1 - share - 0.015,
    axes: { yaxis2: { domain: [1 - share, 1], range: [-0.8, points.length - 0.2], visible: false, fixedrange: true } },
    shapes: [{ ...ground, line: { width: 0 }, layer: "below" }],
    annotations: [title, ...names],
  };
}

// What a metric of sets gives for originals alone is a dotted line, explained below the plot.
function floorMark(floor, metric, colours) {
  const value = floor?.values[metric.name] ?? null;
  if (value === null) return { shapes: [] };
  const line = { color: colours.soft, width: 1.2, dash: "dot" };
  return { levels: [value], shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: value, y1: value, line }] };
}

function floorText(floor, metric) {
  const value = floor?.values[metric.name] ?? null;
  if (value === null) return "";
  const images = floor.set_n === null ? "" : ` (n = ${count(floor.set_n)})`;
  return `${floor.text}${images}: ${number(value)}`;
}
