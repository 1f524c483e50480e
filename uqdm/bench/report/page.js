// The start of everything.
"use strict";

// The library is in the page compressed.
async function loadLibrary() {
  const bytes = Uint8Array.from(atob(byId("library").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(element("script", {}, await new Response(stream).text()));
}

// The codecs of all data sets, each with its curves.
function allCodecs(datasets) {
  const found = new Map();
  for (const data of datasets) {
    for (const name of data.codecs) {
      const look = data.lossless.find((point) => point.codec === name)?.look;
      if (!found.has(name)) found.set(name, { name, look: { ...look, dash: undefined }, curves: [] });
    }
    for (const curve of data.curves) {
      const { curves } = found.get(curve.codec);
      if (!curves.some((one) => one.label === curve.label)) curves.push(curve);
    }
  }
  return [...found.values()];
}

async function start() {
  const data = JSON.parse(byId("data").textContent);
  const codecs = allCodecs(data.figures.datasets);
  byId("theme-choice").hidden = false;
  const theme = new Theme(byId("theme"));
  markRows(codecs);
  startTables();
  const filter = byId("codecs") ? new CodecFilter(codecs, byId("codecs")) : null;
  for (const image of document.querySelectorAll("img[data-picture]")) image.src = data.pictures[Number(image.dataset.picture)];
  const viewer = byId("viewer-controls") ? new Viewer(data.viewer, data.pictures) : null;
  if (byId("walk-controls")) new Walk(data.walk, data.pictures, viewer);
  if (byId("plot-controls")) await startPlots(data.figures, filter, theme);
  document.body.dataset.ready = "true";
}

async function startPlots(figures, filter, theme) {
  try {
    await loadLibrary();
  } catch (error) {
    byId("no-plots").hidden = false;
    byId("no-plots").textContent = `The interactive plots do not run in this browser (${error}); the still plots below do.`;
    return;
  }
  const plots = new Plots(figures, filter, theme);
  window.addEventListener("beforeprint", () => plots.print(true));
  window.addEventListener("afterprint", () => plots.print(false));
}

start();
