// The choice of a style: those that come with the package, paintings of one's own, and blends.

import { byId, element, refocused, title } from "./elements.js";
import { known, preview, upload } from "./api.js";

const REMEMBERED = 12; // paintings of earlier visits

// How a request names a style.
export const like = (style) => (style.kind === "own" ? { painting: style.id } : { style: style.name });

export class Styles {
  constructor(catalogue, changed, trouble) {
    this.styles = catalogue.styles.map((style) => ({
      key: style.name, kind: "shipped", name: style.name, title: title(style.name),
      source: style.source, url: `/api/styles/${style.name}.png`,
    }));
    this.changed = changed;
    this.trouble = trouble;
    this.shares = new Map();
    this.chosen = this.styles[0];
    byId("painting").addEventListener("change", (event) => {
      this.add(event.target.files[0]);
      event.target.value = "";
    });
    this.draw();
  }

  async add(file) {
    if (!file) return;
    try {
      const found = await upload(file);
      this.addUpload(found.id);
    } catch (error) {
      this.trouble(error);
    }
  }

  addUpload(id) {
    this.choose(this.own(id));
  }

  // Returns the style of an uploaded painting.
  own(id) {
    let own = this.styles.find((style) => style.id === id);
    if (!own) {
      const count = this.styles.filter((style) => style.kind === "own").length + 1;
      own = { key: `own-${id}`, kind: "own", id, title: `Your painting ${count}`, source: "", url: preview(id) };
      this.styles.push(own);
    }
    return own;
  }

  choose(style) {
    this.chosen = style;
    this.shares.clear();
    this.draw();
    this.changed();
  }

  // Selects what a picture was made with, its shares too, and paints nothing.
  async take({ options = {}, painting, mix = [], regions = [] }) {
    const rest = regions.find((each) => each.mask === "rest") ?? {};
    const parts = options.blend
      ? options.blend.split(",").map((part) => part.split("=")).map(([style, share]) => [{ style }, Number(share)])
      : [[{ painting: painting ?? rest.painting, style: options.style ?? rest.style }, 1], ...mix.map((part) => [part, part.share])];
    const found = await Promise.all(parts.map(async ([part, share]) => [await this.found(part), share]));
    this.chosen = found[0][0] ?? this.chosen;
    this.shares = new Map(found.slice(1).filter(([style]) => style).map(([style, share]) => [style.key, share]));
    this.draw();
  }

  // Returns the style that a part of a request names, unless its painting is gone.
  async found({ painting, style }) {
    if (!painting) return this.styles.find((each) => each.name === style);
    const there = this.styles.some((each) => each.id === painting) || (await known(painting).catch(() => null));
    return there ? this.own(painting) : undefined;
  }

  // Offers the paintings of earlier pictures, the oldest first.
  async remember(jobs) {
    const named = jobs.flatMap(({ request }) => [
      request.painting, ...(request.mix ?? []).map((each) => each.painting), ...(request.regions ?? []).map((each) => each.painting),
    ]);
    const newest = [...new Set(named.filter(Boolean))].slice(0, REMEMBERED);
    for (const painting of newest.reverse()) await this.found({ painting });
    this.draw();
  }

  named(key) {
    return this.styles.find((style) => style.key === key);
  }

  // The styles that take part, with their shares; the selected one is the first.
  get parts() {
    const others = [...this.shares].filter(([, share]) => share > 0);
    return [[this.chosen, this.rest()], ...others.map(([key, share]) => [this.named(key), share])];
  }

  // Whether a painting of the visitor's own takes part. Then all are taken as paintings.
  get byPaintings() {
    return this.parts.some(([style]) => style.kind === "own");
  }

  // What the request says of the style.
  asked() {
    const parts = this.parts;
    if (!this.byPaintings) {
      if (parts.length === 1) return { options: { style: this.chosen.name } };
      return { options: { blend: parts.map(([style, share]) => `${style.name}=${share.toFixed(3)}`).join(",") } };
    }
    const [main] = parts.find(([style]) => style.kind === "own"); // it has what the others leave
    const mix = parts.filter(([style]) => style !== main).map(([style, share]) => ({ ...like(style), share }));
    return { painting: main.id, ...(mix.length ? { mix } : {}) };
  }

  rest() {
    return Math.max(0.02, 1 - [...this.shares.values()].reduce((sum, share) => sum + share, 0));
  }

  draw() {
    byId("source").textContent = this.chosen.source;
    refocused(
      () => byId("styles").replaceChildren(...this.styles.map((style) => this.tile(style))),
      () => byId("styles").querySelector("input:checked"),
    );
    const others = this.styles.filter((style) => style !== this.chosen);
    byId("shares").replaceChildren(
      element("p", { className: "quiet", textContent: `${this.chosen.title} keeps what the others leave.` }),
      ...others.map((style) => this.share(style)),
    );
  }

  tile(style) {
    const input = element("input", { type: "radio", name: "style", value: style.key, checked: style === this.chosen });
    input.addEventListener("change", () => this.choose(style));
    const image = element("img", { src: style.url, alt: "", loading: "lazy" });
    return element("label", { className: "tile", title: style.source }, input, image, style.title);
  }

  share(style) {
    const value = Math.round(100 * (this.shares.get(style.key) ?? 0));
    const output = element("output", { textContent: `${value} %` });
    const input = element("input", { type: "range", min: 0, max: 100, step: 5, value });
    input.addEventListener("input", () => {
      const others = [...this.shares].reduce((sum, [key, share]) => sum + (key === style.key ? 0 : share), 0);
      input.value = Math.min(input.value, Math.round(100 * (1 - others)));
      output.textContent = `${input.value} %`;
      this.shares.set(style.key, input.value / 100);
    });
    input.addEventListener("change", () => this.changed());
    return element("label", { className: "slider" }, element("span", { textContent: style.title }), input, output);
  }
}
