// The large picture: before and after with a divider between them, and zoom.

import { byId, refocused } from "./elements.js";

const ZOOMS = [1, 1.5, 2, 3, 4];

export class Stage {
  constructor() {
    this.zoom = 0;
    this.pair = byId("pair");
    this.before = byId("before");
    this.after = byId("after");
    byId("compare").addEventListener("input", () => this.cut());
    byId("larger").addEventListener("click", () => this.scale(1));
    byId("smaller").addEventListener("click", () => this.scale(-1));
    this.before.addEventListener("load", () => this.fit());
    addEventListener("resize", () => this.fit());
    this.drag();
  }

  photograph(url) {
    this.before.src = url;
    for (const id of ["frame", "bar", "actions"]) byId(id).hidden = false;
    refocused(() => { byId("welcome").hidden = true; }, () => byId("frame"));
    this.clear();
  }

  // Waits until the photograph is there, whose shape the masks have.
  async known() {
    await this.before.decode().catch(() => {});
  }

  clear() {
    this.after.hidden = true;
    this.after.removeAttribute("src");
    this.comparing(false);
  }

  // Shows a picture once it is there, so that none flickers.
  async painted(url) {
    this.latest = url;
    const image = new Image();
    image.src = url;
    try {
      await image.decode();
    } catch {
      return; // the next frame is on its way
    }
    if (this.latest !== url) return;
    this.after.src = url;
    this.after.hidden = false;
    this.comparing(true);
  }

  comparing(on) {
    byId("compare-row").hidden = !on;
    byId("divider").hidden = !on;
    this.cut();
  }

  cut() {
    const share = `${byId("compare").value}%`;
    this.pair.style.setProperty("--cut", share);
    byId("divider").hidden = this.after.hidden || byId("compare").value === "0";
  }

  scale(by) {
    this.zoom = Math.min(ZOOMS.length - 1, Math.max(0, this.zoom + by));
    this.pair.style.setProperty("--zoom", ZOOMS[this.zoom]);
    byId("zoom").textContent = this.zoom ? `${Math.round(100 * ZOOMS[this.zoom])} %` : "fit";
  }

  // At zoom 1 the whole picture is seen: as wide as there is room, and no higher than the window.
  fit() {
    const { naturalWidth: width, naturalHeight: height } = this.before;
    if (!width) return;
    const room = byId("drop").clientWidth;
    const high = 0.68 * innerHeight;
    this.pair.style.setProperty("--width", `${Math.min(room, (high * width) / height)}px`);
  }

  // The divider follows a finger or the mouse on the picture itself.
  drag() {
    const move = (event) => {
      if (this.after.hidden || event.buttons === 0 || !byId("mask").hidden) return;
      const box = this.pair.getBoundingClientRect();
      byId("compare").value = (100 * (event.clientX - box.left)) / box.width;
      this.cut();
    };
    this.pair.addEventListener("pointermove", move);
    this.pair.addEventListener("pointerdown", move);
    this.pair.addEventListener("dragstart", (event) => event.preventDefault());
  }
}
