// The settings, made from the tables of options that the server publishes.

import { byId, element, sentence, title } from "./elements.js";
import { upload } from "./api.js";

// What people reach for; whatever of it a command has becomes a slider or a choice.
const FAVOURITES = ["strength", "strokes", "colors", "size", "steps", "polish"];
const NAMES = { colors: "Colours", polish: "Steps", steps: "Steps", size: "Size", strokes: "Strokes" };
const WORDS = { painting: "the painting’s", photo: "keep mine", "photo-recoloured": "mine, in paint", matched: "mine, moved" };
// Where the table has no end, and where a page begins.
const SPANS = { size: [128, Infinity, 32, 512], steps: [10, Infinity, 10, 100], polish: [10, 200, 10, 60] };
const SECTIONS = {
  picture: "The picture", style: "The style", colour: "Colours", regions: "Regions",
  method: "Recipe, network and solver", expert: "For experts", machine: "Machine and memory",
};
// Set by other parts of the page.
const ELSEWHERE = new Set(["style", "blend", "method", "init"]);

export class Options {
  constructor(catalogue, limits, changed, trouble) {
    this.commands = catalogue.commands;
    this.limits = limits;
    this.changed = changed;
    this.trouble = trouble;
    this.values = {}; // of each command, those that were given
  }

  // Shows the settings of a command.
  show(command) {
    if (this.command === command) return;
    this.values[command] = this.given(command);
    this.command = command;
    const known = this.commands[command].options;
    byId("sliders").replaceChildren(
      ...FAVOURITES.filter((name) => known[name]).map((name) => this.favourite(name, known[name])),
    );
    const groups = Map.groupBy
      ? Map.groupBy(this.rest(known), ([, row]) => row.group)
      : grouped(this.rest(known));
    byId("options").replaceChildren(
      ...[...groups].flatMap(([group, rows]) => [
        element("h3", { textContent: SECTIONS[group] ?? title(group) }),
        ...rows.map(([name, row]) => this.field(name, row)),
      ]),
    );
  }

  rest(known) {
    return Object.entries(known).filter(
      ([name]) => !FAVOURITES.includes(name) && !ELSEWHERE.has(name),
    );
  }

  // The values for a command. What it shares with the one that is shown is the same for both, so
  // that what is seen is what is painted; a strength is not, as each has its own scale.
  given(command = this.command) {
    const given = { ...this.values[command] };
    if (!this.command || command === this.command) return given;
    const [shown, known] = [this.commands[this.command].options, this.commands[command].options];
    for (const name of Object.keys(known).filter((each) => shown[each] && each !== "strength")) {
      const value = this.values[this.command][name];
      if (value === undefined) delete given[name];
      else if (fits(value, known[name].schema)) given[name] = value;
    }
    return given;
  }

  // Takes the settings of a picture, as far as the command that is shown has them.
  set(values, command) {
    const shown = this.command;
    const known = this.commands[shown].options;
    const taken = Object.entries(values).filter(
      ([name, value]) => known[name] && !ELSEWHERE.has(name) && fits(value, known[name].schema)
        && (command === shown || name !== "strength"),
    );
    this.values[shown] = Object.fromEntries(taken);
    this.command = null;
    this.show(shown);
  }

  put(name, value) {
    const own = this.values[this.command];
    if (value === undefined || value === "") delete own[name];
    else own[name] = value;
    this.changed(name);
  }

  favourite(name, row) {
    const label = NAMES[name] ?? title(name);
    if (row.schema.enum) {
      const select = this.choice(name, row, row.schema.enum);
      return element("label", { className: "field", title: sentence(row.help) }, label, select);
    }
    const [least, most, step, usual] = this.span(name, row);
    const given = this.values[this.command][name];
    const value = given ?? usual ?? (least + most) / 2;
    if (SPANS[name]) this.values[this.command][name] = value;
    const output = element("output", { textContent: given ?? usual ?? "auto" });
    const input = element("input", { type: "range", min: least, max: most, step, value });
    input.addEventListener("input", () => {
      output.textContent = input.value;
      this.put(name, Number(input.value));
    });
    input.dataset.option = name;
    return element(
      "label", { className: "slider", title: sentence(row.help) },
      element("span", { textContent: label }), input, output,
    );
  }

  span(name, { schema, default: usual }) {
    let [least, most, step, start] = SPANS[name] ?? [schema.minimum, schema.maximum, 0, Number.parseFloat(usual)];
    most = Math.min(most, schema.maximum ?? Infinity, this.limits[`max_${name}`] ?? Infinity);
    if (name === "polish") most = Math.min(most, this.limits.max_steps);
    if (!step) step = schema.type === "integer" || most >= 50 ? 1 : 0.05;
    return [least, most, step, Number.isNaN(start) ? undefined : Math.min(start, most)];
  }

  choice(name, row, choices) {
    const select = element("select", {}, element("option", {
      value: "", textContent: WORDS[row.default] ?? (row.default ? `default: ${row.default}` : "default"),
    }));
    for (const each of choices.filter((each) => !WORDS[each] || each !== row.default)) {
      select.append(element("option", { value: each, textContent: WORDS[each] ?? each }));
    }
    select.value = this.values[this.command][name] ?? "";
    select.addEventListener("change", () => this.put(name, select.value));
    select.dataset.option = name;
    return select;
  }

  field(name, row) {
    const { schema } = row;
    const value = this.values[this.command][name];
    let input;
    if (row.picture) input = this.file(name);
    else if (schema.type === "boolean") {
      input = element("input", { type: "checkbox", checked: Boolean(value) });
      input.addEventListener("change", () => this.put(name, input.checked || undefined));
    } else if (schema.enum) input = this.choice(name, row, schema.enum);
    else if (schema.type === "string") {
      input = element("input", { type: "text", placeholder: row.metavar, value: value ?? "", maxLength: schema.maxLength ?? 200 });
      input.addEventListener("change", () => this.put(name, input.value.trim()));
    } else {
      const least = schema.minimum ?? schema.exclusiveMinimum;
      input = element("input", {
        type: "number", min: least, max: schema.maximum ?? "", step: schema.type === "integer" ? 1 : "any",
        placeholder: row.default || row.metavar, value: value ?? "",
      });
      input.addEventListener("change", () =>
        this.put(name, input.value === "" ? undefined : Number(input.value)));
    }
    input.dataset.option = name;
    const usual = row.default ? ` Default: ${row.default}.` : "";
    return element(
      "label", { className: "field" }, title(name), input,
      element("small", { textContent: `${sentence(row.help)}.${usual}` }),
    );
  }

  // An option that takes a picture, such as a mask made elsewhere.
  file(name) {
    const input = element("input", { type: "file", accept: "image/*" });
    input.addEventListener("change", async () => {
      try {
        this.put(name, input.files[0] ? (await upload(input.files[0])).id : undefined);
      } catch (error) {
        this.trouble(error);
      }
    });
    return input;
  }
}

function fits(value, { type, enum: choices }) {
  if (choices) return choices.includes(value);
  return type === "boolean" ? typeof value === "boolean" : typeof value === (type === "string" ? "string" : "number");
}

function grouped(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row[1].group, [...(groups.get(row[1].group) ?? []), row]);
  return groups;
}
