// The picker of published curves: the best of each family, all, none, or single systems; found by family and by search.
"use strict";

const FLAT = 20; // systems of a set that are listed at once; more are folded by family
const MOST_NAMED = 24; // published systems that the legend of a plot names

class PublishedPicker {
  // `published` are the sets, each with `systems` and the initial `choice`. `redraw` is called after a change.
  constructor({ published, families, rate_kinds: kinds }, redraw) {
    Object.assign(this, { published, families, kinds, redraw, on: new Set(), name: "" });
    byId("systems-choice").addEventListener("input", () => this.choose(byId("systems-choice").value));
    byId("systems-search").addEventListener("input", () => this.search());
    byId("systems-doubtful").addEventListener("input", () => {
      this.fill();
      this.redraw();
    });
  }

  get systems() {
    return this.published[this.name]?.systems ?? [];
  }

  // Digitised and doubtful systems are listed if they are asked for, or were named when the report was made.
  get listed() {
    return this.systems.filter((one) => one.plain || byId("systems-doubtful").checked || this.on.has(one.system));
  }

  get isFlat() {
    return this.systems.length <= FLAT;
  }

  // Another set, or none, with its initial choice; the caller draws.
  use(name) {
    this.name = name;
    const choice = this.published[name]?.choice ?? "none";
    const isWord = ["best", "all", "none"].includes(choice);
    this.on = new Set(isWord ? [] : choice.split(",").map((text) => text.trim()));
    byId("systems-choice").value = isWord ? choice : "named";
    byId("systems-search").value = "";
    byId("systems-doubtful").checked = false;
    byId("systems").hidden = !name;
    byId("systems-controls").hidden = this.isFlat;
    byId("plots").classList.toggle("flat-systems", this.isFlat); // its chips are the legend
    this.fill();
  }

  // The systems to draw by a metric.
  shown(metric) {
    const choice = byId("systems-choice").value;
    if (choice === "best") return this.systems.filter((one) => one.best.includes(metric.name));
    if (choice === "named") return this.systems.filter((one) => this.on.has(one.system));
    return choice === "all" ? this.listed : [];
  }

  choose(choice) {
    byId("systems-choice").value = choice;
    this.mark();
    this.redraw();
  }

  // A system turned on or off makes the present choice one of single systems.
  turn(names, isOn) {
    if (byId("systems-choice").value !== "named") this.on = new Set(this.shown(this.metric).map((one) => one.system));
    for (const name of names) {
      if (isOn) this.on.add(name);
      else this.on.delete(name);
    }
    this.choose("named");
  }

  fill() {
    const chips = (systems) => systems.map((one) => this.chip(one));
    const list = byId("systems-list");
    list.className = this.isFlat ? "chips" : "";
    const listed = this.listed;
    const groups = Object.keys(this.families).map((family) => [family, listed.filter((one) => one.family === family)]);
    if (this.isFlat) list.replaceChildren(...chips(listed), ...this.allOrNone(listed));
    else list.replaceChildren(...groups.filter(([, found]) => found.length).map(([family, found]) => this.group(family, found, chips(found))));
    this.search();
    this.mark();
  }

  group(family, systems, chips) {
    const head = element("summary", {}, element("b", {}, family), ` ${this.families[family]} `, element("span", { class: "small" }));
    const held = element("div", { class: "chips" }, ...chips, ...this.allOrNone(systems));
    return element("details", { class: "published-family", "data-family": family }, head, held);
  }

  allOrNone(systems) {
    return allOrNone((isOn) => this.turn(systems.map((one) => one.system), isOn));
  }

  chip(system) {
    const made = chip(`published\n${system.system}`, `${system.label} (${system.kind})`, (isOn) => this.turn([system.system], isOn), swatch(publishedLook(system)));
    made.title = [
      `${system.label}: ${this.kinds[system.kind] ?? system.kind}`, system.protocol, system.source, system.caveat,
    ].filter(Boolean).join("\n");
    made.lastElementChild.removeAttribute("title");
    return made;
  }

  // Families with a system that is found unfold.
  search() {
    const wanted = byId("systems-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const texts = new Map(this.systems.map((one) => [one.system, [one.system, one.label, one.family, one.source].join(" ").toLowerCase()]));
    for (const label of byId("systems-list").querySelectorAll(".chip")) {
      const text = texts.get(label.dataset.key.split("\n")[1]);
      label.hidden = !wanted.every((word) => text.includes(word));
    }
    for (const group of byId("systems-list").querySelectorAll("details")) {
      const found = group.querySelectorAll(".chip:not([hidden])").length;
      group.hidden = found === 0;
      group.open = wanted.length > 0 && found > 0;
    }
  }

  // The boxes and counts, as the plot of the present metric has them.
  mark(metric = this.metric) {
    this.metric = metric;
    if (!metric) return;
    const shown = this.shown(metric);
    const names = new Set(shown.map((one) => one.system));
    for (const label of byId("systems-list").querySelectorAll(".chip")) {
      label.firstElementChild.checked = names.has(label.dataset.key.split("\n")[1]);
    }
    for (const group of byId("systems-list").querySelectorAll("details")) {
      const of = this.listed.filter((one) => one.family === group.dataset.family);
      const count = of.filter((one) => names.has(one.system)).length;
      group.querySelector("summary .small").textContent = `${count} of ${of.length} shown`;
    }
    const drawn = shown.filter((one) => one.points.some((point) => (point[metric.name] ?? null) !== null)).length;
    byId("systems-count").textContent = `${drawn} with ${metric.label}, of ${this.listed.length} systems`;
  }
}

function publishedText(system, point, metric) {
  const lines = [`<b>${wrapped(system.label)}</b>, published (${plain(system.family)})`, `rate ${number(point.bpp)} bpp (${system.kind})`];
  lines.push(`${plain(metric.label)} ${number(point[metric.name])} ${plain(metric.unit)}`.trimEnd());
  lines.push(wrapped(system.source));
  if (system.caveat) lines.push(`<i>${wrapped(system.caveat)}</i>`);
  if (point.suspect) lines.push(`<i>doubtful: ${wrapped(point.suspect)}</i>`);
  return lines.join("<br>");
}

function publishedTrace(system, metric, colours) {
  const points = system.points.filter((point) => (point[metric.name] ?? null) !== null);
  return {
    type: "scatter",
    x: points.map((point) => point.bpp),
    y: points.map((point) => point[metric.name]),
    text: points.map((point) => publishedText(system, point, metric)),
    hovertemplate: "%{text}<extra></extra>",
    name: plain(system.system),
    published: true,
    system,
    mode: "lines+markers",
    line: { color: colours.published, dash: system.dash, width: 1 },
    marker: {
      symbol: system.symbol, size: 7, color: colours.published, line: { width: 1, color: colours.published },
      maxdisplayed: 24, // of a dense curve, markers hide the line
    },
  };
}

function publishedLook(system) {
  return { colour: "var(--published)", dark_colour: "var(--published)", symbol: system.symbol, dash: system.dash };
}

// The legend of the published curves in a plot.
function publishedEntries(systems) {
  if (systems.length > MOST_NAMED) {
    return [element("li", { class: "of-published" }, `${systems.length} published systems: rest the pointer on a curve`)];
  }
  return systems.map((system) => {
    const made = legendEntry(publishedLook(system), `${system.label}, published (${system.kind})`, `${system.source}${system.caveat && `: ${system.caveat}`}`);
    made.className = "of-published";
    return made;
  });
}
