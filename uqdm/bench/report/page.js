// Tables that sort and narrow, pictures, and the start of everything.
"use strict";

function sortKey(row, column) {
  const value = row.cells[column].dataset.value;
  const number = { inf: Infinity, "-inf": -Infinity }[value] ?? Number(value);
  return value === "" || Number.isNaN(number) ? value : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// A click on a heading sorts its table by that column, and a second one the other way round.
function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      headings.forEach((other) => { other.ariaSort = null; });
      heading.ariaSort = sign === 1 ? "ascending" : "descending";
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => sign * compare(sortKey(a, column), sortKey(b, column)));
      table.tBodies[0].append(...rows);
    });
  });
}

function showColumns(form) {
  const group = form.elements.group.value;
  for (const cell of byId("result-table").querySelectorAll("[data-group]")) {
    cell.hidden = group !== "all" && cell.dataset.group !== group;
  }
}

function showDeltas(form) {
  for (const row of byId("delta-table").tBodies[0].rows) {
    row.hidden = row.dataset.metric !== form.elements.metric.value || row.dataset.anchor !== form.elements.anchor.value;
  }
}

function control(form, show) {
  form?.addEventListener("input", () => show(form));
  form?.addEventListener("submit", (event) => event.preventDefault());
  if (form) show(form);
}

// The library is in the page compressed.
async function loadLibrary() {
  const bytes = Uint8Array.from(atob(byId("library").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(element("script", {}, await new Response(stream).text()));
}

async function start() {
  const data = JSON.parse(byId("data").textContent);
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  control(byId("column-controls"), showColumns);
  control(byId("delta-controls"), showDeltas);
  for (const image of document.querySelectorAll("img[data-picture]")) image.src = data.pictures[Number(image.dataset.picture)];
  if (byId("viewer-controls")) new Viewer(data.viewer, data.pictures);
  if (byId("walk-controls")) new Walk(data.walk, data.pictures);
  if (byId("plot-controls")) await startPlots(data.figures);
  document.body.dataset.ready = "true";
}

async function startPlots(figures) {
  try {
    await loadLibrary();
  } catch (error) {
    byId("no-plots").hidden = false;
    byId("no-plots").textContent = `The interactive plots do not run in this browser (${error}); the still plots below do.`;
    return;
  }
  const plots = new Plots(figures);
  window.addEventListener("beforeprint", () => plots.resize(680));
  window.addEventListener("afterprint", () => plots.resize(undefined));
}

start();
