// The slider through a progressive stream, with other codecs at the nearest rate beside it.
"use strict";

const quality = (entry) => (entry.exact ? "exact" : entry.psnr_db === null ? "no PSNR" : `${entry.psnr_db.toFixed(2)} dB`);

function ratio(rate, other) {
  const times = other / rate;
  if (times > 0.995 && times < 1.005) return "the same rate";
  return times >= 1 ? `${times.toPrecision(3)} × the rate` : `1/${(1 / times).toPrecision(3)} of the rate`;
}

// Where in its codec a picture is, as the viewer names it.
function placeIn({ setting, point, name }) {
  return [setting, point === "full" ? "" : point, name === "decoded" ? "" : name].filter(Boolean).join(", ");
}

class Walk {
  constructor(walk, pictures, viewer = null) {
    this.walk = walk;
    this.viewer = viewer;
    this.pictures = pictures;
    const name = (stream) => [stream.codec, stream.setting].filter(Boolean).join(", ");
    byId("walk-stream").append(...walk.streams.map((stream) => element("option", {}, name(stream))));
    byId("walk-stream-choice").hidden = walk.streams.length < 2;
    walk.images.forEach((image, index) => byId("walk-images").append(this.thumb(image, index)));
    byId("walk-stream").addEventListener("input", () => this.start());
    byId("walk-controls").addEventListener("input", () => this.show());
    byId("walk-whole").addEventListener("click", () => this.viewer.open(this.whole));
    byId("walk-controls").addEventListener("submit", (event) => event.preventDefault());
    this.start();
  }

  thumb(image, index) {
    const first = index === Math.floor(this.walk.images.length / 2) ? { checked: "" } : {};
    const box = element("input", { type: "radio", name: "image", value: String(index), ...first });
    const place = image.original ?? image.streams[0].at(-1).pictures[0].picture;
    return element("label", { title: image.id }, box, element("img", { src: this.pictures[place], alt: image.id }));
  }

  get stream() {
    return this.walk.streams[byId("walk-stream").selectedIndex];
  }

  get image() {
    return this.walk.images[Number(byId("walk-controls").elements.image.value)];
  }

  get steps() {
    return this.image.streams[byId("walk-stream").selectedIndex];
  }

  // What depends on the stream: its steps, its kinds of pictures, and the codecs that may be shown with it.
  start() {
    const slider = byId("walk-step");
    slider.max = String(this.steps.length - 1);
    slider.value = String(Math.floor((this.steps.length - 1) / 2));
    const kinds = [...new Set(this.steps.flatMap((step) => step.pictures.map((picture) => picture.name)))];
    const lasting = kinds.filter((kind) => this.steps.some((step) => step.pictures.length > 1 && step.pictures.some((one) => one.name === kind)));
    byId("walk-kind").replaceChildren(...lasting.map((kind) => element("option", {}, kind)));
    byId("walk-kind-choice").hidden = lasting.length < 2;
    const others = this.walk.companions.filter((codec) => codec !== this.stream.codec);
    [byId("walk-left"), byId("walk-right")].forEach((select, place) => {
      const chosen = others.includes(select.value) ? select.value : others[place];
      select.replaceChildren(...others.map((codec) => element("option", codec === chosen ? { selected: "" } : {}, codec)));
      select.parentElement.hidden = others.length <= place;
    });
    this.show();
  }

  show() {
    const place = Number(byId("walk-step").value);
    const step = this.steps[place];
    const whole = this.steps.at(-1).bytes;
    const share = (100 * step.bytes) / whole;
    const text = `${step.point}: the first ${count(step.bytes)} of ${count(whole)} bytes (${share.toFixed(share < 10 ? 1 : 0)} %)`;
    byId("walk-text").textContent = text;
    byId("walk-step").setAttribute("aria-valuetext", text);
    this.showBytes(place, whole);
    const own = step.pictures.find((picture) => picture.name === byId("walk-kind").value) ?? step.pictures[0];
    const beside = [byId("walk-left"), byId("walk-right")].filter((select) => !select.parentElement.hidden).map((select) => select.value);
    byId("walk-pictures").replaceChildren(
      ...(this.image.original === null ? [] : [this.card("original", "", this.image.original, ["24 bpp", "uncompressed"])]),
      this.card(this.stream.codec, `${step.point}, ${own.name}`, own.picture, [`${step.bpp.toFixed(3)} bpp`, quality(own)], true),
      ...beside.map((codec) => this.companion(codec, step)),
    );
    byId("walk-notes").textContent = this.notes();
    this.offerWhole(step, own, beside);
  }

  // The viewer may have these pictures too: the stream's, and that of the first codec beside it.
  offerWhole(step, own, beside) {
    const { codec, setting } = this.stream;
    const other = beside.find((name) => step.beside[name] && !step.beside[name].absent);
    const sides = [{ codec, where: placeIn({ ...own, setting, point: step.point }) }];
    if (other) sides.push({ codec: other, where: placeIn(step.beside[other]) });
    else sides.unshift({ codec: "original", where: "" });
    this.whole = { image: this.image.id, sides };
    byId("walk-whole").hidden = !sides.every((side) => this.viewer?.has(this.image.id, side.codec, side.where));
  }

  companion(codec, step) {
    const entry = step.beside[codec];
    if (!entry) return element("figure", { class: "card" }, element("figcaption", {}, element("b", {}, codec), " has no file of this image"));
    if (entry.absent) return this.blank(codec, entry);
    const rates = [`${entry.bpp.toFixed(3)} bpp`, quality(entry)];
    return this.card(codec, placeIn(entry), entry.picture, rates, false, ratio(step.bpp, entry.bpp));
  }

  // A codec without a picture at this rate: why, and what its measured points say of the rate.
  blank(codec, { absent, interpolated_db: psnr }) {
    const { width, height, cut } = this.image;
    const box = element("div", { class: "no-picture", role: "img", "aria-label": `${codec}: ${absent}` });
    box.style.aspectRatio = `${Math.min(width, cut ?? width)} / ${Math.min(height, cut ?? height)}`;
    const caption = element("figcaption", {}, element("b", {}, codec), element("span", { class: "small" }, absent));
    if (psnr !== null) caption.append(element("span", { class: "small" }, `Interpolated between its points: ${psnr.toFixed(2)} dB.`));
    return element("figure", { class: "card" }, box, caption);
  }

  card(name, where, place, [rate, psnr], isOwn = false, note = "") {
    const picture = element("img", { src: this.pictures[place], alt: `${this.image.id}: ${name} ${where}, ${rate}, ${psnr}` });
    const caption = element("figcaption", {}, element("b", {}, name), element("span", { class: "numbers" }, element("b", {}, rate), " ", element("b", {}, psnr)));
    if (note) caption.append(element("span", { class: "small" }, note));
    if (where) caption.append(element("span", { class: "small" }, where.replaceAll(",", ",\u200b"))); // may break there
    return element("figure", { class: isOwn ? "card own" : "card" }, picture, caption);
  }

  // The file as a bar: what is read, and where its points end.
  showBytes(place, whole) {
    const ends = this.steps.map((step) => (100 * step.bytes) / whole);
    const read = element("span", { class: "read" });
    read.style.width = `${ends[place]}%`;
    const marks = ends.map((end) => {
      const mark = element("span", { class: "mark" });
      mark.style.left = `${end}%`;
      return mark;
    });
    byId("walk-bytes").replaceChildren(read, ...marks);
  }

  notes() {
    const { id, width, height, cut } = this.image;
    const texts = [`${id}, ${width} × ${height} pixels.`];
    if (cut) texts.push(`Shown is its centre, at most ${cut} × ${cut}; numbers are those of the whole picture.`);
    for (const [codec, reason] of Object.entries(this.walk.unreadable)) texts.push(`Not here: ${codec}: ${reason}.`);
    return texts.join(" ");
  }
}
