// The viewer: two whole pictures of one image, by wipe, by flip, or side by side.
"use strict";

const ORIGINAL = "original";
const SAME = "the same rate";
const ZOOMS = [0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16];

class Viewer {
  constructor(viewer, pictures) {
    this.viewer = viewer;
    this.pictures = pictures;
    this.front = 0; // the side that flip shows
    this.images = [0, 1].map(() => element("img", { draggable: "false" }));
    this.line = element("div", { class: "divider" });
    this.frames = this.images.map((image) => element("div", { class: "frame" }, image));
    this.canvas = element("div", { class: "canvas-of-two" }, ...this.frames, this.line);
    byId("viewer-stage").append(this.canvas);
    this.fillImages();
    this.fillCodecs();
    this.listen();
    this.startAtNearestPair();
    this.chooseImage();
  }

  // ---- choices -------------------------------------------------------------------------------------------

  fillImages() {
    this.viewer.images.forEach((image, index) => {
      const first = index === Math.floor(this.viewer.images.length / 2) ? { checked: "" } : {};
      const box = element("input", { type: "radio", name: "viewer-image", value: String(index), ...first });
      const shown = image.thumbnail === null ? element("span", {}, image.id) : element("img", { src: this.pictures[image.thumbnail], alt: image.id });
      byId("viewer-images").append(element("label", { title: image.id }, box, shown));
    });
  }

  fillCodecs() {
    const { codecs } = this.viewer;
    const choices = [...codecs, ORIGINAL];
    const [a, b] = this.preferred(codecs);
    [a, b].forEach((chosen, side) => {
      byId(`viewer-codec-${side}`).append(...choices.map((codec) => element("option", { value: codec, ...(codec === chosen ? { selected: "" } : {}) }, codec)));
    });
  }

  // The codecs of A and B at first: B has a picture at a rate of A, and is JPEG if possible.
  preferred(codecs) {
    if (codecs.length < 2) return [ORIGINAL, codecs[0]];
    const first = codecs.includes("uqdm") ? "uqdm" : codecs[0];
    const others = codecs.filter((codec) => codec !== first);
    others.sort((one, other) => Number(other.startsWith("jpeg")) - Number(one.startsWith("jpeg")));
    return [first, others.find((codec) => this.nearPairs(first, codec).length) ?? others[0]];
  }

  // Lossy pictures of two codecs whose rates count as one, lowest rate first; of the present image.
  nearPairs(codec, other) {
    return this.pairs(codec, other).filter((pair) => pair.factor <= this.viewer.tolerance);
  }

  pairs(codec, other) {
    const [entries, others] = [codec, other].map((name) => this.best(this.image.codecs[name] ?? []));
    return entries.flatMap((one) => others.map((two) => ({ one, factor: this.factor(one.bpp, two.bpp) })));
  }

  get image() {
    return this.viewer.images[Number(byId("viewer-controls").elements["viewer-image"].value)];
  }

  codec(side) {
    return byId(`viewer-codec-${side}`).value;
  }

  // The pictures that a side may show: those of its codec, or the original alone.
  entries(side) {
    const codec = this.codec(side);
    if (codec === ORIGINAL) return this.image.original === null ? [] : [{ where: "", bpp: 24, psnr_db: null, exact: true, picture: this.image.original, ideal: "" }];
    return this.image.codecs[codec] ?? [];
  }

  entry(side) {
    return this.entries(side)[byId(`viewer-entry-${side}`).selectedIndex];
  }

  get isEqualRate() {
    return byId("viewer-equal").checked && this.codec(0) !== ORIGINAL && this.codec(1) !== ORIGINAL;
  }

  // At first A has a setting at whose rate B has a picture, in the middle of all such; or else the nearest one.
  startAtNearestPair() {
    const near = this.nearPairs(this.codec(0), this.codec(1));
    const all = this.pairs(this.codec(0), this.codec(1)).sort((one, other) => one.factor - other.factor);
    const pair = near[Math.floor(near.length / 2)] ?? all[0];
    this.wanted = pair ? pair.one.where : "";
  }

  // Lossy pictures, of several at one rate the one with the highest PSNR.
  best(entries) {
    const lossy = entries.filter((entry) => entry.bpp > 0 && !entry.exact);
    return lossy.filter((entry) => !lossy.some((other) => other.bpp === entry.bpp && other.psnr_db > entry.psnr_db));
  }

  factor(rate, other) {
    if (Math.min(rate, other) <= 0) return rate === other ? 1 : Infinity;
    return Math.max(rate, other) / Math.min(rate, other);
  }

  chooseImage() {
    this.fillEntries(0, this.wanted);
    this.fillEntries(1, byId("viewer-entry-1").selectedOptions[0]?.dataset.where);
    this.fillZooms();
    this.show();
  }

  fillEntries(side, where) {
    const entries = this.entries(side);
    const place = entries.findIndex((entry) => entry.where === where);
    const chosen = place >= 0 ? place : Math.floor(entries.length / 2);
    byId(`viewer-entry-${side}`).replaceChildren(...entries.map((entry, index) =>
      element("option", { "data-where": entry.where, ...(index === chosen ? { selected: "" } : {}) }, this.option(side, entry))));
    byId(`viewer-entry-${side}`).parentElement.hidden = this.codec(side) === ORIGINAL;
    if (side === 0) this.wanted = entries[chosen]?.where;
  }

  option(side, entry) {
    if (this.codec(side) === ORIGINAL) return "24 bpp";
    return [entry.where, this.rate(entry), quality(entry)].filter(Boolean).join(", ");
  }

  rate(entry) {
    return `${entry.bpp.toFixed(3)} bpp${entry.ideal ? ` ${entry.ideal}` : ""}`;
  }

  // The entry of B at the rate of A, and whether it is within the tolerance.
  matchRate() {
    const a = this.entry(0);
    const others = this.entries(1);
    if (!a || !others.length) return;
    const factors = others.map((entry) => this.factor(a.bpp, entry.bpp));
    const nearest = Math.min(...factors);
    const places = factors.flatMap((factor, index) => (factor === nearest ? [index] : []));
    places.sort((one, other) => (others[other].psnr_db ?? Infinity) - (others[one].psnr_db ?? Infinity));
    byId("viewer-entry-1").selectedIndex = places[0];
  }

  // ---- what is shown -------------------------------------------------------------------------------------

  show() {
    if (this.isEqualRate) this.matchRate();
    byId("viewer-entry-1").disabled = this.isEqualRate;
    const chosen = [this.entry(0), this.entry(1)];
    const blank = this.blank(chosen);
    this.images.forEach((image, side) => this.load(image, side, side === 1 && blank ? undefined : chosen[side]));
    this.isBlank = Boolean(blank) || !chosen[1];
    byId("viewer-rates").replaceChildren(...this.captions(chosen, blank));
    byId("viewer-notes").textContent = this.notes();
    this.arrange();
  }

  // Why B is left blank, or nothing.
  blank([a, b]) {
    if (!a || !b) return `${this.codec(a ? 1 : 0)} has no picture of this image.`;
    if (!this.isEqualRate || this.factor(a.bpp, b.bpp) <= this.viewer.tolerance * (1 + 1e-9)) return "";
    const allowed = `${Math.round(100 * (this.viewer.tolerance - 1))} %`;
    const where = b.where ? ` (${b.where})` : "";
    return `No picture of ${this.codec(1)} within ${allowed} of ${a.bpp.toFixed(3)} bpp; the nearest has ${this.rate(b)}${where}. Choose another setting of A, or switch off "the rate of A".`;
  }

  load(image, side, entry) {
    const source = entry ? this.viewer.sources[entry.picture] : undefined;
    image.alt = entry ? `${this.image.id}: ${this.codec(side)} ${this.option(side, entry)}` : "no picture";
    this.frames[side].classList.toggle("blank", !source);
    this.frames[side].replaceChildren(...(source ? [image] : []));
    if (source && image.getAttribute("src") !== source) image.src = source;
  }

  captions([a, b], blank) {
    const part = (letter, side, entry) => element("span", { class: "caption" }, element("b", { class: "letter" }, letter), ` ${this.codec(side)}: ${this.option(side, entry)}`);
    const parts = a ? [part("A", 0, a)] : [];
    if (blank) return [...parts, element("span", { class: "warning" }, blank)];
    const both = this.codec(0) !== ORIGINAL && this.codec(1) !== ORIGINAL;
    const note = both ? [element("span", { class: "small" }, `B has ${ratio(a.bpp, b.bpp)}${ratio(a.bpp, b.bpp) === SAME ? " as A" : " of A"}`)] : [];
    return [...parts, part("B", 1, b), ...note];
  }

  notes() {
    const { id, dataset, width, height, cut, changes } = this.image;
    const texts = [`${id} of ${dataset}, ${width} × ${height} pixels.`];
    if (cut) texts.push(`Shown is the centre of ${cut[1]} × ${cut[0]} pixels, as far as the space for pictures allows.`);
    if (changes) texts.push(`Reading its file: ${changes}; exact means equal to these pixels.`);
    if (this.image.original === null) texts.push("The original is not there.");
    for (const [codec, reason] of Object.entries(this.viewer.unreadable)) texts.push(`Not here: ${codec}: ${reason}.`);
    return texts.join(" ");
  }

  get mode() {
    return byId("viewer-controls").elements.mode.value;
  }

  // Sizes and places of the two pictures.
  arrange() {
    const scale = this.scale();
    const { width, height } = this.image;
    this.frames.forEach((frame) => {
      frame.style.width = `${width * scale}px`;
      frame.style.height = `${height * scale}px`;
    });
    const mode = this.mode;
    const stage = byId("viewer-stage");
    stage.dataset.mode = mode;
    stage.classList.toggle("smooth", scale < 1);
    const position = Number(byId("viewer-position").value);
    const cut = mode === "wipe" && !this.isBlank;
    this.frames[1].style.clipPath = cut ? `inset(0 0 0 ${position}%)` : "";
    const showsBoth = mode === "beside" || cut;
    this.frames[0].hidden = !showsBoth && this.front === 1 && !this.isBlank;
    this.frames[1].hidden = !showsBoth && (this.front === 0 || this.isBlank);
    this.line.hidden = !cut;
    this.line.style.left = `${(position / 100) * width * scale}px`;
    byId("viewer-position-choice").hidden = mode !== "wipe";
    byId("viewer-flip").textContent = mode === "flip" ? `Flip: ${"AB"[this.isBlank ? 0 : this.front]} is shown` : "Flip";
  }

  fillZooms() {
    const chosen = byId("viewer-zoom").value || "fit";
    const names = [["fit", "fit"], ...ZOOMS.map((zoom) => [String(zoom), `${zoom * 100} %`])];
    byId("viewer-zoom").replaceChildren(...names.map(([value, name]) => element("option", { value, ...(value === chosen ? { selected: "" } : {}) }, name)));
  }

  // Screen pixels for each picture's pixel; what fits is a whole number where the picture is smaller than its place.
  scale() {
    const chosen = byId("viewer-zoom").value;
    if (chosen !== "fit") return Number(chosen);
    const stage = byId("viewer-stage");
    const share = this.mode === "beside" ? 2 : 1;
    const isFull = document.fullscreenElement === stage;
    const wide = (stage.clientWidth - 12 * (share - 1)) / share;
    const high = isFull ? stage.clientHeight : Math.max(320, 0.75 * window.innerHeight);
    const fitting = Math.min(wide / this.image.width, high / this.image.height, 16);
    return fitting >= 1 ? Math.floor(fitting) : fitting;
  }

  // ---- controls ------------------------------------------------------------------------------------------

  listen() {
    const form = byId("viewer-controls");
    form.addEventListener("submit", (event) => event.preventDefault());
    byId("viewer-images").addEventListener("input", () => this.chooseImage());
    [0, 1].forEach((side) => {
      byId(`viewer-codec-${side}`).addEventListener("input", () => { this.fillEntries(side, ""); this.show(); });
      byId(`viewer-entry-${side}`).addEventListener("input", () => { if (side === 0) this.wanted = this.entry(0).where; this.show(); });
    });
    byId("viewer-equal").addEventListener("input", () => this.show());
    byId("viewer-mode").addEventListener("input", () => this.arrange());
    byId("viewer-zoom").addEventListener("input", () => this.arrange());
    byId("viewer-position").addEventListener("input", () => this.arrange());
    byId("viewer-flip").addEventListener("click", () => this.flip());
    byId("viewer-full").addEventListener("click", () => byId("viewer-stage").requestFullscreen?.());
    document.addEventListener("fullscreenchange", () => this.arrange());
    window.addEventListener("resize", () => this.arrange());
    form.addEventListener("reset", () => setTimeout(() => { this.startAtNearestPair(); this.chooseImage(); }));
    this.images.forEach((image) => image.addEventListener("error", () => this.missing()));
    this.listenOnStage(byId("viewer-stage"));
    for (const button of document.querySelectorAll("button.view")) {
      const { image, codec, where } = button.dataset;
      button.hidden = !this.has(image, codec, where);
      const other = this.has(image, ORIGINAL) ? ORIGINAL : codec;
      button.addEventListener("click", () => this.open({ image, sides: [{ codec: other, where }, { codec, where }] }));
    }
  }

  listenOnStage(stage) {
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const act = this.keys()[event.key.toLowerCase()];
      if (!act) return;
      event.preventDefault();
      act();
    });
    const move = (event) => {
      const box = this.canvas.getBoundingClientRect();
      byId("viewer-position").value = String(Math.max(0, Math.min(100, (100 * (event.clientX - box.left)) / (this.image.width * this.scale()))));
      this.arrange();
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      if (this.mode === "flip") this.flip();
      if (this.mode !== "wipe") return;
      this.canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.mode === "wipe" && this.canvas.hasPointerCapture(event.pointerId)) move(event);
    });
  }

  keys() {
    const flip = () => this.flip();
    return {
      f: flip,
      " ": flip,
      w: () => this.setMode("wipe"),
      b: () => this.setMode("beside"),
      ",": () => this.step(byId("viewer-entry-0"), -1),
      ".": () => this.step(byId("viewer-entry-0"), 1),
      "[": () => this.stepImage(-1),
      "]": () => this.stepImage(1),
      "+": () => this.step(byId("viewer-zoom"), 1),
      "=": () => this.step(byId("viewer-zoom"), 1),
      "-": () => this.step(byId("viewer-zoom"), -1),
    };
  }

  step(select, by) {
    const place = select.selectedIndex + by;
    if (place < 0 || place >= select.options.length) return;
    select.selectedIndex = place;
    select.dispatchEvent(new Event("input", { bubbles: true }));
  }

  stepImage(by) {
    const boxes = byId("viewer-controls").elements["viewer-image"];
    const place = Number(boxes.value) + by;
    if (place < 0 || place >= this.viewer.images.length) return;
    boxes.value = String(place);
    this.chooseImage();
  }

  // Another part of the page asks for two pictures: the codec of each side, and where in it.
  open({ image, sides }) {
    const place = this.viewer.images.findIndex((one) => one.id === image);
    if (place < 0) return;
    byId("viewer-controls").elements["viewer-image"].value = String(place);
    byId("viewer-equal").checked = false;
    sides.forEach(({ codec, where }, side) => {
      byId(`viewer-codec-${side}`).value = codec;
      this.fillEntries(side, where);
    });
    this.setMode("wipe");
    this.show();
    byId("viewer").scrollIntoView({ block: "start" });
    byId("viewer-stage").focus({ preventScroll: true });
  }

  has(image, codec, where) {
    const found = this.viewer.images.find((one) => one.id === image);
    if (!found) return false;
    return codec === ORIGINAL ? found.original !== null : (found.codecs[codec] ?? []).some((entry) => entry.where === where);
  }

  setMode(mode) {
    byId("viewer-controls").elements.mode.value = mode;
    this.arrange();
  }

  flip() {
    if (this.mode === "flip") this.front = 1 - this.front;
    else this.front = 0;
    this.setMode("flip");
  }

  missing() {
    byId("viewer-rates").replaceChildren(element("span", { class: "warning" }, `The pictures are not beside this page: they lie in the folder ${this.viewer.folder}, which belongs next to it.`));
  }
}
