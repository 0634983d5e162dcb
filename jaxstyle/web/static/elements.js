// Elements of the page, made and found.

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : text);
export const title = (name) =>
  sentence(name.replaceAll("-", " ").replace(/ [ivx]+$/, (number) => number.toUpperCase()));
