// The page: what a visitor does, and what becomes of it.

import * as api from "./api.js";
import { byId, counted, refocused } from "./elements.js";
import { Gallery } from "./gallery.js";
import { Masks } from "./masks.js";
import { Options } from "./options.js";
import { Stage } from "./stage.js";
import { Styles, like } from "./styles.js";
import { Sweep } from "./sweep.js";

const QUICK_SIZE = 512;
const WAIT = 350; // after the last change, before it is painted

const stage = new Stage();
let photograph = null; // the upload's id
let shown = null; // the job on the stage
let first = null; // the first picture of this photograph and style, to go on from
let leave = () => {};
let session, styles, options, masks, gallery, sweep, timer;
let asked = 0; // counts what was asked for, so that only the last is shown

function say(text) {
  byId("status").textContent = text;
  byId("trouble").hidden = true;
}

function complain(error) {
  if (!(error instanceof api.Trouble)) console.error(error);
  byId("trouble").textContent = error.message;
  byId("trouble").hidden = false;
  byId("status").textContent = "";
}

const own = () => styles.byPaintings;

// What is asked for: the first picture, or the one that takes its time.
async function request(properly) {
  const regions = await painted();
  const wanted = styles.asked();
  const mine = regions ? regions.some((each) => each.painting) : own();
  const command = regions ? (mine || properly ? "stylize" : "apply") : mine && properly ? "stylize" : "apply";
  const given = { ...options.given(command) };
  const made = { command, photograph, ...wanted, options: { ...given, ...wanted.options } };
  if (regions) {
    made.regions = regions;
    for (const name of ["style", "blend", "polish"]) delete made.options[name];
    delete made.mix;
    delete made.painting; // each region has its own
    if (command === "stylize") {
      if (properly && first) made.after = first.id;
      if (!mine) made.options.steps ??= options.values.apply.polish;
    }
    return made;
  }
  if (command === "stylize") {
    if (first) made.after = first.id;
    return made;
  }
  if (!properly) {
    delete made.options.polish;
    made.options.size = Math.min(made.options.size ?? QUICK_SIZE, QUICK_SIZE);
    if (own()) made.options = { ...quick(made.options), method: "quick" };
  }
  return made;
}

// Of the settings, those that a first picture in a painting's colours has too.
function quick({ size, colors }) {
  return colors === "photo" ? { size, colors } : { size };
}

async function painted() {
  const pictures = await masks.pictures();
  if (!pictures.length) return null;
  const rest = { style: styles.chosen };
  const names = await Promise.all(pictures.map(async (each) => each.sent ?? (await api.upload(each.blob)).id));
  return [
    ...pictures.map((each, i) => ({ mask: names[i], ...like(each.style) })),
    { mask: "rest", ...like(rest.style) },
  ];
}

// Offers the settings of the command that will paint.
function offer() {
  const command = own() ? "stylize" : "apply";
  options.show(command);
  sweep.offer(command, options.commands[command].options);
}

// What all pictures of a sweep have in common.
async function common(axes) {
  if (!photograph) {
    complain(new api.Trouble("Begin with a photograph."));
    return null;
  }
  const made = await request(own() || "polish" in axes);
  delete made.after; // each begins by itself
  return made;
}

async function paint(properly) {
  if (!photograph) return;
  const number = ++asked;
  byId("downloads").hidden = byId("lines").hidden = true;
  try {
    say(properly ? "Asking for it …" : "Painting …");
    const wanted = await request(properly);
    if (shown && !api.ended(shown)) await api.stop(shown.id).catch(() => {});
    const job = await api.paint(wanted);
    if (number === asked) watch(job, { first: !properly });
    gallery.put(job);
  } catch (error) {
    if (shown) progress(shown); // what is on the stage can still be saved
    complain(error);
  }
}

// Shows a job on the stage, and follows it until it has ended.
function watch(job, { first: isFirst = false } = {}) {
  leave();
  leave = () => {};
  let frame = 0;
  const tell = (now) => {
    if (!now) {
      if (shown?.id === job.id) reset();
      return gallery.drop(job.id);
    }
    shown = now;
    gallery.put(now);
    if (now.frame > frame && now.state === "running") {
      frame = now.frame;
      stage.painted(`/api/jobs/${now.id}/frame.jpg?v=${frame}`);
    }
    progress(now);
    if (now.state === "done") {
      if (isFirst) first = now;
      finished(now);
    } else if (now.state === "failed") complain(new api.Trouble(now.message));
  };
  tell(job);
  if (!api.ended(job)) leave = api.follow(job.id, tell);
}

function progress(job) {
  const running = !api.ended(job);
  const long = running && job.steps > 1;
  byId("progress").hidden = !running;
  refocused(() => {
    byId("stop").hidden = !long;
    byId("properly").hidden = long;
  }, () => byId(long ? "stop" : "properly"));
  byId("downloads").hidden = job.state !== "done";
  byId("lines").hidden = job.state !== "done";
  if (!running) return;
  const bar = byId("done");
  if (job.step > 0) bar.value = job.step / job.steps;
  else bar.removeAttribute("value");
  byId("left").textContent = job.step ? `${job.step} of ${job.steps}${remaining(job.seconds_left)}` : "";
  if (job.stopped) say("Stopping …"); // which may wait for a step, or for its program
  else if (job.state !== "running") say(job.preparing ? "The painter is getting ready …" : "Waiting for its turn …");
  else if (job.preparing) say("Preparing for pictures of this size. Only the first of a size takes so long.");
  else say(long ? "Painting. It gets better frame by frame." : "Painting …");
}

function remaining(seconds) {
  if (seconds === null) return "";
  const rounded = Math.max(1, Math.round(seconds));
  return rounded < 90 ? `, about ${rounded} s left` : `, about ${Math.round(rounded / 60)} min left`;
}

function finished(job) {
  stage.painted(api.picture(job, "picture.png"));
  for (const [id, file] of [["png", "picture.png"], ["jpeg", "picture.jpg"], ["deep", "picture-16.png"]]) {
    byId(id).href = api.saved(job, file);
  }
  byId("line").textContent = job.made.line;
  byId("python").textContent = job.made.python;
  byId("files").href = api.saved(job, "made-from.zip");
  say(job.stopped ? `Stopped and kept after ${counted(job.step, "step")}.` : "Done.");
}

function reset() {
  shown = null;
  for (const id of ["progress", "stop", "downloads", "lines"]) byId(id).hidden = true;
  byId("properly").hidden = false;
  stage.clear();
  say("");
}

async function take(file) {
  if (!file) return;
  try {
    say("Uploading …");
    const found = await api.upload(file);
    use(found.id);
    paint(false);
  } catch (error) {
    complain(error);
  }
}

function use(id) {
  photograph = id;
  first = null;
  leave();
  reset();
  masks.forget();
  stage.photograph(api.preview(id));
  byId("repaint").disabled = false;
}

// A change of style, settings or masks: the first picture again, soon.
function changed() {
  first = null;
  offer();
  masks.list();
  clearTimeout(timer);
  if (photograph) timer = setTimeout(() => paint(false), WAIT);
}

// Goes on with the photograph, style and settings of a picture.
async function again(job) {
  const { photograph: id } = job.request;
  try {
    await api.known(id);
    use(id);
    await settle(job);
    scrollTo({ top: 0, behavior: "smooth" });
    say("Change what you like, then paint again.");
  } catch (error) {
    complain(error.status === 404 ? new api.Trouble("The photograph is gone; upload it again.") : error);
  }
}

// Sets all controls to what a picture was made with.
async function settle(job) {
  await styles.take(job.request);
  offer();
  options.set(job.request.options, job.command);
  if (job.request.regions) {
    await stage.known();
    await masks.take(job.request.regions);
  } else masks.forget();
}

async function show(job) {
  const { photograph: id } = job.request;
  const number = ++asked;
  if (id) {
    photograph = id;
    first = job.state === "done" ? job : null;
    byId("repaint").disabled = false;
  }
  stage.photograph(api.picture(job, "before.jpg"));
  leave();
  await settle(job);
  if (number !== asked) return; // another was chosen, or asked for, meanwhile
  watch(job);
  scrollTo({ top: 0, behavior: "smooth" });
}

function listen() {
  for (const id of ["photograph", "camera", "again"]) {
    byId(id).addEventListener("change", (event) => {
      take(event.target.files[0]);
      event.target.value = "";
    });
  }
  byId("sample").addEventListener("click", async () => take(await (await fetch("/api/styles/sample.png")).blob()));
  byId("properly").addEventListener("click", () => paint(true));
  byId("repaint").addEventListener("click", () => paint(false));
  byId("stop").addEventListener("click", () => api.stop(shown.id).then(() => say("Stopping …"), complain));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const place = byId(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(place.textContent);
        say("Copied.");
      } catch { // without HTTPS a browser may not: select it, for the keys
        getSelection().selectAllChildren(place);
        say("Selected; copy it with your keys.");
      }
    });
  }
  const drop = byId("drop");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (event.target.closest("#controls")) styles.add(file);
    else take(file);
  });
  addEventListener("paste", (event) => take(event.clipboardData.files[0]));
}

async function main() {
  try {
    session = await api.begin();
    say("The painter is getting ready …");
    const catalogue = await api.catalogue();
    options = new Options(catalogue, session.limits, () => {}, complain);
    styles = new Styles(catalogue, changed, complain);
    sweep = new Sweep(session.limits, {
      request: common, show, trouble: complain, put: (job) => gallery.put(job),
    });
    offer();
    masks = new Masks(styles, () => {});
    gallery = new Gallery({
      show, again, trouble: complain, sweep: (id) => sweep.open(id),
      gone: (job) => { if (shown?.id === job.id) { leave(); reset(); } },
    });
    listen();
    say("");
    const found = await api.jobs();
    const { jobs } = found;
    gallery.fill(found);
    byId("days").textContent = counted(session.limits.expire_days, "day");
    await styles.remember(jobs);
    if (jobs.length && jobs[0].request.photograph && jobs[0].state !== "failed") await show(jobs[0]);
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    complain(error);
  }
}

main();
