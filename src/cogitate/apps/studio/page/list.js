// Beside the item: the queue around it, and other candidates of its problem.

import { inWords } from "/static/item.js";
import { post } from "/static/server.js";
import { $, current, state } from "/static/state.js";
import { element, said } from "/static/text.js";

const SHOWN = 40; // lines of the queue

// Beside the item, and never waited for: decisions go on while it loads.
export async function showList(given, onOpen) {
  const first = Math.max(0, Math.min(state.at - 5, state.ids.length - SHOWN));
  const names = state.ids.slice(first, first + SHOWN);
  $("place").textContent = state.count ? `${Math.min(state.at + 1, state.count)} of ${state.count}` : "empty";
  const view = state.view;
  const rows = given || (names.length ? await post("/api/rows", { items: names }).catch(() => []) : []);
  if (view !== state.view) return;
  $("list").querySelector("ol").replaceChildren(...rows.map((row, place) => line(row, () => onOpen(first + place))));
}

function line(row, onClick) {
  const facts = [row.decision && inWords(row.decision), row.source, row.verdict, row.faults && (row.faults === 1 ? "1 fault" : `${row.faults} faults`), `${row.words} words`];
  const button = element("button", { type: "button", "aria-current": row.id === current() ? "true" : false },
    element("span", {}, row.question), element("span", { class: "quiet" }, facts.filter(Boolean).join(" · ")));
  button.addEventListener("click", onClick);
  return element("li", {}, button);
}

export function showOthers(others) {
  $("others").hidden = !others.length;
  $("others").querySelector("ol").replaceChildren(...others.map((other) => {
    const facts = [other.decision && inWords(other.decision), other.source, other.verdict, ...other.faults].filter(Boolean).join(" · ");
    return element("li", {}, element("details", { class: "card" }, element("summary", {}, facts || "another"), said(other.text)));
  }));
}
