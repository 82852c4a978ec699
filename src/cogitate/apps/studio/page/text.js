// Elements from texts. What a model or a person wrote becomes text nodes alone, never markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const said = (text) => element("div", { class: "said" }, text);

// [[text, mark], ...]: a mark says what is wrong there, or that this is the answer the grader found.
export function marked(pieces) {
  return element("div", { class: "said" }, ...pieces.map(([text, mark]) =>
    mark ? element("mark", { class: mark === "answer" ? "of-answer" : null, title: mark }, text) : text));
}

// [[-1 | 0 | 1, text], ...]
export function changes(diff) {
  const names = { "-1": "del", "1": "ins" };
  return element("div", { class: "said" }, ...diff.map(([op, text]) => (op ? element(names[op], {}, text) : text)));
}

export function card(title, ...children) {
  return element("section", { class: "card" }, element("h2", {}, title), ...children);
}

export function badge(verdict, text) {
  return element("span", { class: `badge ${verdict || ""}` }, text);
}

// A line of facts; null where there is none, so that no empty line stands.
export function facts(...children) {
  const known = children.flat().filter(Boolean).map((child) => (typeof child === "string" ? element("span", {}, child) : child));
  return known.length ? element("div", { class: "facts" }, ...known) : null;
}

export function key(name) {
  return element("kbd", {}, name);
}

export function table(rows) {
  return element("table", {}, element("tbody", {}, ...rows.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)))));
}
