// Regions painted by hand: a mask for each, with a brush, an eraser and a feather.

import { byId, element } from "./elements.js";

const COLOURS = ["#e4572e", "#2e86ab", "#76b041", "#a23b72", "#f2b134", "#3fa7a0"];
const SIDE = 768; // the longer side of a mask
const STEP = 0.02; // of the picture's width, for the arrow keys

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
      if (!this.current) this.add();
      this.canvas.setPointerCapture(event.pointerId);
      this.last = this.place(event);
      this.stroke(this.last);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons && this.last) this.stroke(this.place(event));
    });
    this.canvas.addEventListener("pointerup", () => {
      this.last = null;
      this.changed();
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
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
    this.draw();
    this.changed();
  }

  clear() {
    for (const region of this.regions) {
      region.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
      region.painted = false;
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
    this.last = to;
    this.draw();
  }

  // A mask with its feather: the shadow of what was painted, which every browser blurs.
  softened(region) {
    const { width, height } = region.canvas;
    const soft = element("canvas", { width, height });
    const pen = soft.getContext("2d");
    pen.shadowColor = "#fff";
    pen.shadowBlur = (Number(byId("feather").value) / 1000) * width;
    pen.shadowOffsetX = 2 * width;
    pen.drawImage(region.canvas, -2 * width, 0);
    return soft;
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const [width, height] = [this.canvas.width, this.canvas.height];
    this.cursor ??= [width / 2, height / 2];
    if (moves[event.key]) {
      const [x, y] = moves[event.key];
      this.cursor = [
        Math.min(width, Math.max(0, this.cursor[0] + x * STEP * width)),
        Math.min(height, Math.max(0, this.cursor[1] + y * STEP * width)),
      ];
      this.draw();
    } else if (event.key === " ") {
      this.last = null;
      this.stroke(this.cursor);
      this.last = null;
      this.changed();
    } else return;
    event.preventDefault();
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
    if (this.cursor && document.activeElement === this.canvas) {
      pen.strokeStyle = "#fff";
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(...this.cursor, (Number(byId("brush").value) / 200) * this.canvas.width, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  list() {
    byId("region-list").replaceChildren(...this.regions.map((region, i) => this.row(region, i + 1)));
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

  // The masks as pictures: white inside, black outside.
  async pictures() {
    return Promise.all(this.used.map(async (region) => {
      const flat = element("canvas", { width: region.canvas.width, height: region.canvas.height });
      const pen = flat.getContext("2d");
      pen.fillRect(0, 0, flat.width, flat.height);
      pen.drawImage(this.softened(region), 0, 0);
      const blob = await new Promise((done) => flat.toBlob(done, "image/png"));
      return { blob, style: this.styles.named(region.style) };
    }));
  }
}
