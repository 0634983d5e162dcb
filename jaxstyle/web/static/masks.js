// Regions painted by hand: a mask for each, with a brush, an eraser and a feather.

import { preview } from "./api.js";
import { byId, element, refocused } from "./elements.js";

const COLOURS = ["#e4572e", "#2e86ab", "#76b041", "#a23b72", "#f2b134", "#3fa7a0"];
const SIDE = 768; // the longer side of a mask
const STEP = 0.02; // of the picture's width, for the arrow keys

async function loaded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

export class Masks {
  constructor(styles, changed) {
    this.styles = styles;
    this.changed = changed;
    this.regions = [];
    this.canvas = byId("mask");
    this.erasing = false;
    this.cursor = null;
    byId("before").addEventListener("load", () => this.resize());
    byId("add-region").addEventListener("click", () => this.add());
    byId("clear").addEventListener("click", () => this.clear());
    byId("erase").addEventListener("click", () => this.erase(!this.erasing));
    byId("regions").addEventListener("toggle", () => this.show());
    for (const id of ["brush", "feather"]) {
      byId(id).addEventListener("input", (event) => {
        event.target.nextElementSibling.textContent = event.target.value;
        this.draw();
      });
    }
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.last = this.place(event);
      this.stroke(this.last);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const place = this.place(event);
      this.ring(place);
      if (event.buttons && this.last) this.stroke(place);
    });
    for (const left of ["pointerleave", "blur"]) this.canvas.addEventListener(left, () => this.ring(null));
    this.canvas.addEventListener("focus", () => { if (this.canvas.matches(":focus-visible")) this.move(0, 0); });
    this.canvas.addEventListener("pointerup", () => {
      this.last = null;
      this.changed();
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // Takes the regions of a picture. Until a mask is painted on, it is the one that was sent.
  async take(regions) {
    this.resize();
    this.forget();
    const sent = regions.filter((region) => region.mask !== "rest");
    const images = await Promise.all(sent.map((region) => loaded(preview(region.mask)).catch(() => null)));
    for (const [i, image] of images.entries()) {
      const style = await this.styles.found(sent[i]);
      if (!image || !style) continue; // it was deleted meanwhile
      this.add();
      Object.assign(this.current, { style: style.key, painted: true, sent: sent[i].mask });
      const pen = this.current.canvas.getContext("2d");
      pen.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
      const pixels = pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
      for (let at = 0; at < pixels.data.length; at += 4) {
        pixels.data[at + 3] = pixels.data[at]; // white inside, black outside
        pixels.data.fill(255, at, at + 3);
      }
      pen.putImageData(pixels, 0, 0);
    }
    this.list();
    this.show();
  }

  get used() {
    return this.regions.filter((region) => region.painted);
  }

  add() {
    const canvas = element("canvas", { width: this.canvas.width, height: this.canvas.height });
    const colour = COLOURS[this.regions.length % COLOURS.length];
    this.current = { canvas, colour, painted: false, style: this.styles.chosen.key };
    this.regions.push(this.current);
    this.list();
    this.show();
  }

  remove(region) {
    this.regions = this.regions.filter((each) => each !== region);
    this.current = this.regions.at(-1);
    this.list();
    this.show();
    this.changed();
  }

  clear() {
    for (const region of this.regions) {
      region.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
      region.painted = false;
      region.sent = null;
    }
    this.draw();
    this.changed();
  }

  forget() {
    this.regions = [];
    this.current = null;
    this.list();
    this.show();
  }

  erase(on) {
    this.erasing = on;
    byId("erase").setAttribute("aria-pressed", String(on));
  }

  show() {
    this.canvas.hidden = !byId("regions").open || !this.regions.length;
    if (this.canvas.hidden) this.ring(null);
    this.draw();
  }

  resize() {
    const { naturalWidth: width, naturalHeight: height } = byId("before");
    const scale = SIDE / Math.max(width, height);
    const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    if (size[0] === this.canvas.width && size[1] === this.canvas.height) return;
    [this.canvas.width, this.canvas.height] = size;
    this.forget();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }

  // Paints from the last place to another; the feather is laid over it when it is seen.
  stroke(to) {
    if (!this.current) this.add();
    const from = this.last ?? to;
    const pen = this.current.canvas.getContext("2d");
    pen.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
    pen.strokeStyle = "#fff";
    pen.lineCap = "round";
    pen.lineWidth = (Number(byId("brush").value) / 100) * this.canvas.width;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(to[0] + 0.01, to[1]);
    pen.stroke();
    this.current.painted = true;
    this.current.sent = null;
    this.last = to;
    this.draw();
  }

  // A mask with its feather: the shadow of what was painted, which every browser blurs.
  softened(region) {
    if (region.sent) return region.canvas; // it has its feather
    const { width, height } = region.canvas;
    const soft = element("canvas", { width, height });
    const pen = soft.getContext("2d");
    pen.shadowColor = "#fff";
    pen.shadowBlur = (Number(byId("feather").value) / 1000) * width;
    pen.shadowOffsetX = 2 * width;
    pen.drawImage(region.canvas, -2 * width, 0);
    return soft;
  }

  // Arrows move the brush, and paint with shift; space paints; [ and ] change the brush, E erases.
  key(event) {
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const size = { "[": -1, "]": 1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) {
      if (event.shiftKey) this.last = [...this.cursor ?? this.middle];
      this.move(...arrow);
      if (event.shiftKey) this.touch();
    } else if (event.key === " ") this.touch();
    else if (size) {
      const brush = byId("brush");
      brush.value = Number(brush.value) + size;
      brush.dispatchEvent(new Event("input"));
      this.move(0, 0);
    } else if (event.key.toLowerCase() === "e") this.erase(!this.erasing);
    else return;
    event.preventDefault();
  }

  get middle() {
    return [this.canvas.width / 2, this.canvas.height / 2];
  }

  // Moves the brush of the keyboard, and says where it is.
  move(x, y) {
    const [width, height] = [this.canvas.width, this.canvas.height];
    const [left, top] = this.cursor ?? this.middle;
    this.cursor = [
      Math.min(width, Math.max(0, left + x * STEP * width)),
      Math.min(height, Math.max(0, top + y * STEP * width)),
    ];
    this.ring(this.cursor);
    const [across, down] = [this.cursor[0] / width, this.cursor[1] / height].map((part) => Math.round(100 * part));
    byId("brush-place").textContent = `Brush at ${across} % across and ${down} % down.`;
  }

  // Paints where the brush of the keyboard is, from its last place if there is one.
  touch() {
    this.cursor ??= this.middle;
    this.stroke(this.cursor);
    this.last = null;
    this.changed();
  }

  // Shows how large the brush is, and where; nowhere without a place.
  ring(place) {
    const ring = byId("ring");
    ring.hidden = !place;
    if (!place) return;
    ring.style.left = `${(100 * place[0]) / this.canvas.width}%`;
    ring.style.top = `${(100 * place[1]) / this.canvas.height}%`;
    ring.style.width = `${byId("brush").value}%`;
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.canvas.hidden) return;
    const tinted = element("canvas", { width: this.canvas.width, height: this.canvas.height });
    const brush = tinted.getContext("2d");
    for (const region of this.regions) {
      brush.globalCompositeOperation = "copy";
      brush.drawImage(this.softened(region), 0, 0);
      brush.globalCompositeOperation = "source-in";
      brush.fillStyle = region.colour;
      brush.fillRect(0, 0, tinted.width, tinted.height);
      pen.globalAlpha = 0.55;
      pen.drawImage(tinted, 0, 0);
    }
    pen.globalAlpha = 1;
  }

  list() {
    const rows = this.regions.map((region, i) => this.row(region, i + 1));
    refocused(() => byId("region-list").replaceChildren(...rows), () => byId("add-region"));
    byId("region-count").textContent = this.regions.length ? ` (${this.regions.length})` : "";
  }

  row(region, number) {
    const swatch = element("span", { className: "swatch" });
    swatch.style.backgroundColor = region.colour;
    const select = element("select", {});
    select.setAttribute("aria-label", `Style of region ${number}`);
    for (const style of this.styles.styles) {
      select.append(element("option", { value: style.key, textContent: style.title }));
    }
    select.value = region.style;
    select.addEventListener("change", () => {
      region.style = select.value;
      this.changed();
    });
    select.addEventListener("focus", () => { this.current = region; });
    const remove = element("button", { type: "button", className: "button small", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove region ${number}`);
    remove.addEventListener("click", () => this.remove(region));
    return element("li", {}, swatch, select, remove);
  }

  // The masks as pictures, white inside and black outside, or by the names that they have already.
  async pictures() {
    return Promise.all(this.used.map(async (region) => {
      const style = this.styles.named(region.style);
      if (region.sent) return { sent: region.sent, style };
      const flat = element("canvas", { width: region.canvas.width, height: region.canvas.height });
      const pen = flat.getContext("2d");
      pen.fillRect(0, 0, flat.width, flat.height);
      pen.drawImage(this.softened(region), 0, 0);
      const blob = await new Promise((done) => flat.toBlob(done, "image/png"));
      return { blob, style };
    }));
  }
}
