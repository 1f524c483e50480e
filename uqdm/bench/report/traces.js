// Curves and points as Plotly draws them, with the texts that the pointer shows.
"use strict";

const LONGEST_NAME = 40; // characters of a name inside a plot

// ---- what a point says --------------------------------------------------------------------------------------

function hoverText(point, label, metric, isIdeal) {
  const lines = [`<b>${wrapped(label)}</b>`];
  if (point.setting) lines.push(wrapped(point.setting));
  const where = [point.point, point.picture].filter((text) => text && text !== "full" && text !== "decoded");
  if (where.length) lines.push(wrapped(where.join(", ")));
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
  const warning = metric.of_sets ? point.warnings[metric.name] : null;
  if (warning) lines.push(`<i>${wrapped(warning)}</i>`);
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

// `apart` marks points that the axes need not reach: those of files without any bits of the image.
function curveTraces(curve, metric, options, colours) {
  const points = curve.points.filter((point) => (point.values[metric.name]?.[0] ?? null) !== null);
  const value = (point) => point.values[metric.name];
  const colour = colours.of(curve.look);
  const shared = { type: "scatter", hovertemplate: "%{text}<extra></extra>", name: plain(curve.label), curve };
  const traces = [{
    ...shared,
    x: points.map((point) => point.rate_bpp[0]),
    y: points.map((point) => value(point)[0]),
    apart: points.map((point) => point.empty),
    text: points.map((point) => hoverText(point, curve.title, metric, false)),
    mode: "lines+markers",
    line: { color: colour, dash: curve.look.dash, width: 2 },
    marker: {
      symbol: points.map((point) => (point.exact ? `${curve.look.symbol}-open` : curve.look.symbol)),
      size: 8,
      color: colour,
      line: { width: 1.5, color: colour },
    },
    ...(options.intervals && {
      error_x: errorBars(points.map((point) => point.rate_bpp), colour),
      error_y: errorBars(points.map(value), colour),
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
      line: { color: colour, dash: "dash", width: 1.2 },
    });
  }
  return traces;
}

function losslessTraces(points, metric, colours) {
  return points.map((point, row) => ({
    type: "scatter",
    x: [point.rate_bpp[0]],
    y: [points.length - 1 - row],
    yaxis: "y2",
    text: [hoverText(point, `${point.name}, lossless`, metric, false)],
    hovertemplate: "%{text}<extra></extra>",
    name: plain(point.codec),
    mode: "markers",
    marker: { symbol: `${point.look.symbol}${point.ideal ? "-open" : ""}`, size: 8, color: colours.of(point.look) },
    error_x: errorBars([point.rate_bpp], colours.of(point.look)),
  }));
}

// ---- the marks and names of what a plot shows -------------------------------------------------------------------

function legendEntry(look, text, title = text) {
  return element("li", {}, swatch(look), element("span", { title }, text));
}

// An entry for each curve that has points in the plot; `floor` is the text of the dotted line, if there is one.
function fillLegend(list, traces, floor) {
  const curves = new Set(traces.map((trace) => trace.curve).filter(Boolean));
  const systems = traces.map((trace) => trace.system).filter(Boolean);
  list.replaceChildren(
    ...[...curves].map((curve) => legendEntry(curve.look, curve.label, curve.title)),
    ...importedEntries(traces.map((trace) => trace.imported).filter(Boolean)),
    ...publishedEntries(systems),
    ...(floor ? [legendEntry({ colour: "var(--soft)", dark_colour: "var(--soft)", dash: "dot" }, floor)] : []),
  );
}
