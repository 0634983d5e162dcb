// Elements of the page, made and found.

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Changes the page, and gives the focus to another element if the one that had it is gone: who
// works with the keyboard would begin at the top again.
export function refocused(change, next) {
  const before = document.activeElement;
  change();
  if (before !== document.body && (!before.isConnected || !before.offsetParent)) next()?.focus();
}

export const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : text);
export const title = (name) =>
  sentence(name.replaceAll("-", " ").replace(/ [ivx]+$/, (number) => number.toUpperCase()));
