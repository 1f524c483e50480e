// Curves of others that were imported into the run: dashed and hollow, each with a box that switches it.
"use strict";

class ImportedCurves {
  constructor({ imported, imported_note: note }, redraw) {
    this.curves = imported;
    this.off = new Set();
    byId("imported").hidden = byId("imported-note").hidden = !imported.length;
    byId("imported-note").textContent = note;
    byId("imported").append(...imported.map((curve) => this.chip(curve, redraw)));
    if (imported.length > 1) byId("imported").append(...allOrNone((isOn) => this.turnAll(isOn, redraw)));
  }

  turnAll(isOn, redraw) {
    this.off = new Set(isOn ? [] : this.curves.map((curve) => curve.name));
    for (const box of byId("imported").querySelectorAll("input")) box.checked = isOn;
    redraw();
  }

  chip(curve, redraw) {
    const turn = (isOn) => {
      if (isOn) this.off.delete(curve.name);
      else this.off.add(curve.name);
      redraw();
    };
    return chip(`imported\n${curve.name}`, `${curve.name} (${curve.kind})`, turn, swatch(curve.look));
  }

  shown() {
    return this.curves.filter((curve) => !this.off.has(curve.name));
  }
}

function importedText(curve, point, metric) {
  return [
    `<b>${wrapped(curve.name)}</b>, imported`,
    `rate ${number(point.bpp)} bpp (${curve.kind})`,
    `${plain(metric.label)} ${number(point[metric.name])} ${plain(metric.unit)}`.trimEnd(),
    `<i>${wrapped(curve.protocol)}</i>`,
    wrapped(curve.source),
  ].join("<br>");
}

function importedTrace(curve, metric, colours) {
  const points = curve.points.filter((point) => (point[metric.name] ?? null) !== null);
  const colour = colours.of(curve.look);
  return {
    type: "scatter",
    x: points.map((point) => point.bpp),
    y: points.map((point) => point[metric.name]),
    text: points.map((point) => importedText(curve, point, metric)),
    hovertemplate: "%{text}<extra></extra>",
    name: plain(curve.name),
    imported: curve,
    mode: "lines+markers",
    line: { color: colour, dash: curve.look.dash, width: 1.4 },
    marker: { symbol: curve.look.symbol, size: 8, color: colour, line: { width: 1.4, color: colour } },
  };
}

// The legend of the imported curves in a plot.
function importedEntries(curves) {
  if (curves.length > MOST_NAMED) {
    return [element("li", {}, `${curves.length} imported curves: rest the pointer on a curve`)];
  }
  return curves.map((curve) => legendEntry(curve.look, `${curve.name}, imported (${curve.kind})`, curve.protocol));
}
