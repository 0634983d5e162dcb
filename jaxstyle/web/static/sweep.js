// Several pictures that differ in one or two settings, as a table to choose from.

import * as api from "./api.js";
import { byId, element, refocused, sentence, title } from "./elements.js";

// What is worth comparing, with values to begin with; whatever of it a command has is offered.
const WORTH = {
  apply: { strength: [40, 70, 100], polish: [10, 30, 60] },
  stylize: {
    strength: [30, 60, 90], strokes: [0.7, 1, 1.5], "style-weight": [0.3, 1, 3],
    smooth: [0, 1, 3], calm: [0, 0.5, 1],
  },
};
const NAMES = { polish: "steps" };
const PAUSE = 1000;

export class Sweep {
  // `actions`: ask for the request, show a picture, and say what goes wrong.
  constructor(limits, actions) {
    this.most = limits.max_sweep;
    this.actions = actions;
    this.command = null;
    this.watched = null;
    for (const axis of ["across", "down"]) {
      byId(axis).addEventListener("change", () => this.begin(axis));
      byId(`${axis}-values`).addEventListener("input", () => this.count());
    }
    byId("sweep-go").addEventListener("click", () => this.paint());
    byId("sweep-close").addEventListener("click", () => this.close());
  }

  // Offers the settings of a command.
  offer(command, known) {
    if (this.command === command) return;
    this.command = command;
    const names = Object.keys(WORTH[command]).filter((name) => known[name]);
    const options = () => names.map((name) => element("option", { value: name, textContent: sentence(words(name)) }));
    byId("across").replaceChildren(...options());
    byId("down").replaceChildren(element("option", { value: "", textContent: "Nothing else" }), ...options());
    this.begin("across");
    this.begin("down");
  }

  begin(axis) {
    const name = byId(axis).value;
    const input = byId(`${axis}-values`);
    input.value = name ? WORTH[this.command][name].join("  ") : "";
    input.disabled = !name;
    this.count();
  }

  // The values of an axis: numbers with anything but digits between them.
  values(axis) {
    const name = byId(axis).value;
    if (!name) return null;
    const found = byId(`${axis}-values`).value.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!found.length || found.some(Number.isNaN)) {
      throw new api.Trouble(`${sentence(words(name))}: give numbers with spaces between them, such as ${WORTH[this.command][name].join(" ")}.`);
    }
    return [name, [...new Set(found)]];
  }

  axes() {
    const [down, across] = [this.values("down"), this.values("across")];
    if (down && down[0] === across[0]) throw new api.Trouble("Take two different settings, or only one.");
    const count = across[1].length * (down ? down[1].length : 1);
    if (count > this.most) throw new api.Trouble(`That is ${count} pictures; at most ${this.most} go together here.`);
    return Object.fromEntries([down, across].filter(Boolean));
  }

  count() {
    let text = "";
    try {
      const count = Object.values(this.axes()).reduce((total, values) => total * values.length, 1);
      text = count === 1 ? "One picture." : `${count} pictures.`;
    } catch (error) {
      text = error.message;
    }
    byId("sweep-count").textContent = text;
  }

  async paint() {
    try {
      const axes = this.axes();
      const request = await this.actions.request(axes);
      if (!request) return;
      const made = await api.sweep({ ...request, axes });
      for (const job of made.jobs) this.actions.put(job);
      await this.open(made.id);
    } catch (error) {
      this.actions.trouble(error);
    }
  }

  // Shows the pictures of a sweep, and what becomes of them.
  async open(id) {
    this.watched = id;
    byId("several").hidden = false;
    const states = new Map();
    let first = true;
    while (this.watched === id) {
      let jobs;
      try {
        ({ jobs } = await api.sweepOf(id));
      } catch (error) {
        if (error.status === 404) return this.close();
        await api.pause(PAUSE);
        continue;
      }
      if (first) this.table(jobs);
      if (first) byId("several").scrollIntoView({ behavior: "smooth", block: "nearest" });
      first = false;
      for (const job of jobs) {
        if (states.get(job.id) === job.version) continue;
        states.set(job.id, job.version);
        this.fill(job);
        this.actions.put(job);
      }
      const done = jobs.filter(api.ended).length;
      byId("several-done").textContent = done < jobs.length ? `${done} of ${jobs.length} are done.` : "All are done. Choose one to see it large.";
      if (done === jobs.length) return;
      await api.pause(PAUSE);
    }
  }

  close() {
    this.watched = null;
    refocused(() => { byId("several").hidden = true; }, () => byId("sweep").querySelector("summary"));
  }

  table(jobs) {
    const [columns, rows] = axesOf(jobs);
    const head = (text, scope) => element("th", { textContent: text, scope });
    const cell = (job) => element("td", {}, job ? this.cell(job) : "");
    const named = ([name, values]) => values.map((value) => (name ? `${sentence(words(name))} ${value}` : ""));
    const top = element("tr", {}, ...(rows[0] ? [element("td")] : []), ...named(columns).map((text) => head(text, "col")));
    const body = rows[1].map((value, i) => element(
      "tr", {}, ...(rows[0] ? [head(named(rows)[i], "row")] : []),
      ...columns[1].map((column) => cell(jobs.find((job) => has(job, columns[0], column) && has(job, rows[0], value)))),
    ));
    byId("several-table").replaceChildren(element("thead", {}, top), element("tbody", {}, ...body));
  }

  cell(job) {
    const button = element("button", { type: "button", className: "picture", id: `several-${job.id}` });
    button.addEventListener("click", () => this.actions.show(button.job));
    return button;
  }

  fill(job) {
    const button = byId(`several-${job.id}`);
    if (!button) return;
    button.job = job;
    button.disabled = job.state === "failed";
    const said = Object.entries(job.request.options).map(([name, value]) => `${words(name)} ${value}`).join(", ");
    button.setAttribute("aria-label", job.state === "failed" ? `Not made: ${job.message}` : `Show: ${said}`);
    const file = { done: "picture.jpg", running: job.frame ? "frame.jpg" : "" }[job.state];
    const state = { failed: job.message, running: "painting" }[job.state] ?? "waiting";
    button.replaceChildren(file ? element("img", { src: api.picture(job, file), alt: "" }) : state);
  }
}

// The settings in which jobs differ, at most two: of the columns, and of the rows.
function axesOf(jobs) {
  const varying = {};
  for (const name of Object.keys(jobs[0].request.options)) {
    const values = [...new Set(jobs.map((job) => job.request.options[name]))];
    if (values.length > 1) varying[name] = values;
  }
  const names = Object.entries(varying).sort((a, b) => a[1].length - b[1].length);
  return [names.at(-1) ?? [null, [null]], names.at(-2) ?? [null, [null]]];
}

const has = (job, name, value) => name === null || job.request.options[name] === value;
const words = (name) => NAMES[name] ?? title(name).toLowerCase();
