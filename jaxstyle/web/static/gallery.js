// The gallery: what was made in this browser, with the settings of each.

import { byId, counted, element, refocused, title } from "./elements.js";
import { ended, jobs, picture, remove } from "./api.js";

export class Gallery {
  constructor(actions) {
    this.actions = actions; // what to do with a picture: show, again, gone, trouble
    this.jobs = new Map();
    byId("older").addEventListener("click", () => this.older().catch(actions.trouble));
  }

  // Shows pictures, the newest first, below those that are there; and whether there are older ones.
  fill({ jobs: found, more }) {
    const cards = [];
    for (const job of found.filter((each) => !this.jobs.has(each.id))) {
      this.jobs.set(job.id, job);
      cards.push(this.card(job));
      this.last = job.id;
    }
    byId("cards").append(...cards);
    refocused(() => { byId("older").hidden = !more; }, () => cards[0]?.querySelector("button"));
    byId("none").hidden = this.jobs.size > 0;
  }

  async older() {
    const last = this.jobs.has(this.last) ? this.last : [...byId("cards").children].at(-1)?.id.replace("card-", "");
    this.fill(await jobs(last));
  }

  put(job) {
    const old = this.jobs.get(job.id);
    this.jobs.set(job.id, job);
    if (old && old.state === job.state && !ended(job)) return;
    const card = this.card(job);
    const shown = byId(`card-${job.id}`);
    if (shown) refocused(() => shown.replaceWith(card), () => card.querySelector("button"));
    else byId("cards").prepend(card);
    byId("none").hidden = this.jobs.size > 0;
  }

  drop(id) {
    this.jobs.delete(id);
    const card = byId(`card-${id}`);
    const beside = card?.nextElementSibling ?? card?.previousElementSibling;
    refocused(() => card?.remove(), () => beside?.querySelector("button") ?? byId("gallery-title"));
    byId("none").hidden = this.jobs.size > 0;
  }

  card(job) {
    const button = (text, act, label) => {
      const made = element("button", { type: "button", className: "button small", textContent: text });
      made.setAttribute("aria-label", `${text}: ${label}`);
      made.addEventListener("click", act);
      return made;
    };
    const called = name(job);
    const shown = element("button", { type: "button", className: "picture" });
    shown.setAttribute("aria-label", `Show: ${called}`);
    if (job.state === "done") shown.append(element("img", { src: picture(job, "picture.jpg"), alt: "", loading: "lazy" }));
    else shown.append(words(job));
    shown.addEventListener("click", () => this.actions.show(this.jobs.get(job.id)));
    const buttons = element(
      "p", { className: "row" },
      button("Run again", () => this.actions.again(job), called),
      button("Delete", async () => {
        try {
          await remove(job.id);
          this.drop(job.id);
          this.actions.gone(job);
        } catch (error) {
          this.actions.trouble(error);
        }
      }, called),
      ...(job.sweep ? [button("Compare", () => this.actions.sweep(job.sweep), called)] : []),
    );
    const facts = element("dl");
    for (const [key, value] of Object.entries(job.made.options ?? job.request.options)) {
      facts.append(element("dt", { textContent: key }), element("dd", { textContent: value }));
    }
    const settings = element("details", {}, element("summary", { textContent: "Settings" }), facts);
    const text = element("div", { className: "text" }, element("p", { textContent: called }));
    if (job.state === "failed") text.append(element("p", { className: "notice", textContent: job.message }));
    text.append(buttons, settings);
    return element("li", { className: "card", id: `card-${job.id}` }, shown, text);
  }
}

export function name(job) {
  const { options = {}, painting, mix = [], regions } = job.request;
  const names = options.blend
    ? options.blend.split(",").map((part) => part.split("=")[0])
    : [options.style ?? (painting ? "your painting" : "a style"), ...mix.map((part) => part.style ?? "your painting")];
  const style = regions ? "Regions" : names.map(title).join(" + ");
  const size = job.made.width ? `, ${job.made.width} × ${job.made.height}` : "";
  const strength = options.strength === undefined ? "" : `, strength ${options.strength}`;
  const steps = job.steps > 1 ? `, ${counted(job.step, "step")}` : "";
  return `${style}${size}${strength}${steps}`;
}

function words(job) {
  return { new: "waiting", queued: "waiting", running: "painting", failed: "not made" }[job.state] ?? job.state;
}
