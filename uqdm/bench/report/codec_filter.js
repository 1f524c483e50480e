// The codec filter of the page: what it hides is hidden in plots and tables, and stands in the fragment of the address.
"use strict";

const HIDDEN_CODEC = "hide";
const HIDDEN_CURVE = "hide-curve";
const PLACE = "at"; // the section that the address points to

class CodecFilter {
  // `codecs` are { name, look, curves }, and their curves { label, title, look }.
  constructor(codecs, holder) {
    this.codecs = codecs;
    this.holder = holder;
    this.off = new Set();
    this.listeners = [];
    for (const codec of codecs) holder.append(this.family(codec));
    holder.append(...allOrNone((isOn) => this.turnAll(isOn)));
    window.addEventListener("hashchange", () => this.read());
    this.read();
  }

  onChange(redraw) {
    this.listeners.push(redraw);
  }

  // Whether a codec is shown, and any of the curves, if there are any.
  shows(codec, curves = []) {
    return !this.off.has(codec) && (!curves.length || curves.some((curve) => !this.off.has(`${codec}\n${curve}`)));
  }

  turn(key, isOn) {
    if (isOn) this.off.delete(key);
    else this.off.add(key);
    this.write();
    this.apply();
  }

  turnAll(isOn) {
    this.off = new Set(isOn ? [] : this.codecs.map((codec) => codec.name));
    this.write();
    this.apply();
  }

  family(codec) {
    const { name, curves } = codec;
    if (curves.length < 2) {
      const [curve] = curves;
      return this.chip(name, curve?.title ?? name, swatch(curve?.look ?? codec.look));
    }
    const parts = curves.map((curve) => {
      const text = curve.title.startsWith(`${name} `) ? curve.title.slice(name.length + 1) : curve.title;
      return this.chip(`${name}\n${curve.label}`, text, swatch(curve.look));
    });
    return element("span", { class: "family", role: "group", "aria-label": name }, this.chip(name, name), ...parts);
  }

  chip(key, text, ...mark) {
    return chip(key, text, (isOn) => this.turn(key, isOn), ...mark);
  }

  apply() {
    for (const label of this.holder.querySelectorAll(".chip")) {
      const [codec, curve] = label.dataset.key.split("\n");
      label.firstElementChild.checked = !this.off.has(label.dataset.key);
      label.firstElementChild.disabled = Boolean(curve) && this.off.has(codec);
    }
    for (const part of document.querySelectorAll("[data-codec]")) {
      part.toggleAttribute("data-off", !this.shows(part.dataset.codec, part.dataset.curve?.split("\n")));
    }
    this.tell();
    for (const redraw of this.listeners) redraw();
  }

  tell() {
    const shown = this.codecs.filter((codec) => this.shows(codec.name)).length;
    byId("shown-codecs").hidden = false;
    byId("shown-codecs").textContent = `${shown} of ${this.codecs.length} codecs`;
    for (const note of document.querySelectorAll(".hidden-rows")) this.tellOf(note);
  }

  tellOf(note) {
    const rows = byId(note.dataset.table).querySelectorAll("tr[data-off]").length;
    const text = `${rows} ${rows === 1 ? "row is" : "rows are"} hidden by the codec filter. `;
    note.hidden = rows === 0;
    note.replaceChildren(text, button("Show all codecs", () => this.turnAll(true)));
  }

  // The fragment holds what is hidden. A link to a section replaces it, and hides nothing else.
  read() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const place = parts.get(PLACE) ?? "";
    const isLink = ![PLACE, HIDDEN_CODEC, HIDDEN_CURVE].some((name) => parts.has(name)) && location.hash.length > 1;
    if (isLink) this.write(decodeURIComponent(location.hash.slice(1)));
    else this.off = this.known([...parts.getAll(HIDDEN_CODEC), ...parts.getAll(HIDDEN_CURVE)]);
    this.apply();
    if (place) byId(place)?.scrollIntoView();
  }

  // Names of an older page may be unknown here.
  known(keys) {
    const all = this.codecs.flatMap(({ name, curves }) => [name, ...curves.map((curve) => `${name}\n${curve.label}`)]);
    return new Set(keys.filter((key) => all.includes(key)));
  }

  write(place = "") {
    const parts = new URLSearchParams();
    for (const key of this.off) parts.append(key.includes("\n") ? HIDDEN_CURVE : HIDDEN_CODEC, key);
    if (place && parts.size) parts.append(PLACE, place);
    history.replaceState(null, "", `#${parts.size ? parts : place}`);
  }
}

function button(text, act) {
  const made = element("button", { type: "button", class: "small" }, text);
  made.addEventListener("click", act);
  return made;
}

const allOrNone = (turn) => ["all", "none"].map((text) => button(text, () => turn(text === "all")));

// A box with a mark and a name; a long name is cut, and shown when the pointer rests on it.
function chip(key, text, turn, ...mark) {
  const box = element("input", { type: "checkbox" });
  box.checked = true;
  box.addEventListener("input", () => turn(box.checked));
  return element("label", { class: "chip", "data-key": key }, box, ...mark, element("span", { title: text }, text));
}
