// Tables: sorting, columns, rows, long texts and the marks of curves.
"use strict";

const MISSING = null;

function sortKey(row, column) {
  const value = row.cells[column].dataset.value;
  if (["", "nan", "-"].includes(value)) return MISSING;
  const number = { inf: Infinity, "-inf": -Infinity }[value] ?? Number(value);
  return Number.isNaN(number) ? value : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// Rows in the order of a column; cells without a value are last in either direction.
function sorted(rows, column, sign) {
  const keyed = rows.map((row) => ({ row, key: sortKey(row, column) }));
  const [known, missing] = [(one) => one.key !== MISSING, (one) => one.key === MISSING].map((kind) => keyed.filter(kind));
  known.sort((a, b) => sign * compare(a.key, b.key));
  return [...known, ...missing].map((one) => one.row);
}

// A click on a heading sorts its table by that column, and a second click reverses the order.
function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      headings.forEach((other) => { other.ariaSort = null; });
      heading.ariaSort = sign === 1 ? "ascending" : "descending";
      table.tBodies[0].append(...sorted([...table.tBodies[0].rows], column, sign));
    });
  });
}

function showColumns(form) {
  const group = form.elements.group.value;
  byId("result-table").dataset.columns = group;
  for (const cell of byId("result-table").querySelectorAll("[data-group]")) {
    cell.hidden = group !== "all" && cell.dataset.group !== group;
  }
}

// All columns are shown at first where the window is wide enough for them.
function chooseColumns(form) {
  const table = byId("result-table");
  form.elements.group.value = "all";
  showColumns(form);
  if (table.offsetWidth > table.parentElement.clientWidth) form.reset();
}

function showDeltas(form) {
  for (const row of document.querySelectorAll("[data-metric][data-anchor]")) {
    row.hidden = row.dataset.metric !== form.elements.metric.value || row.dataset.anchor !== form.elements.anchor.value;
  }
}

function control(form, show) {
  form?.addEventListener("input", () => show(form));
  form?.addEventListener("submit", (event) => event.preventDefault());
  if (form) show(form);
}

// Click, Enter or space unfold a long text, and fold it again.
function makeFoldable(text) {
  const turn = () => text.setAttribute("aria-expanded", String(text.classList.toggle("unfolded")));
  text.addEventListener("click", turn);
  text.addEventListener("keydown", (event) => {
    if (!["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    turn();
  });
}

// Puts the mark of its curve in front of the codec or curve of a row.
function markRows(codecs) {
  const looks = new Map(codecs.flatMap(({ name, curves }) => curves.map((curve) => [`${name}\n${curve.label}`, curve.look])));
  for (const row of document.querySelectorAll("tr[data-curve]")) {
    const look = looks.get(`${row.dataset.codec}\n${row.dataset.curve}`);
    const headings = [...row.closest("table").tHead.rows[0].cells].map((heading) => heading.textContent.trim());
    const place = headings.findIndex((text) => ["codec", "curve"].includes(text));
    if (look) row.cells[Math.max(0, place)].querySelector(".text").prepend(swatch(look));
  }
}

function startTables() {
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  document.querySelectorAll(".fold").forEach(makeFoldable);
  if (byId("column-controls")) chooseColumns(byId("column-controls"));
  control(byId("column-controls"), showColumns);
  control(byId("delta-controls"), showDeltas);
}
