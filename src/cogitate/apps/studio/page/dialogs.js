// Guidelines, keys, progress and agreement, the history of an item.

import { inWords } from "/static/item.js";
import { get } from "/static/server.js";
import { $, current, guarded, state } from "/static/state.js";
import { badge, element, key, said, table } from "/static/text.js";

function dialog(title, ...content) {
  $("dialog-title").textContent = title;
  $("dialog-text").replaceChildren(...content);
  $("dialog").showModal();
}

export function showGuidelines() {
  const { text, version } = state.session.guidelines;
  dialog("Guidelines", said(text || "There are none."), element("p", { class: "facts" }, `version ${version}`));
}

export function showHelp(actions) {
  const rows = actions.map(([name, title]) => [key(name), title]);
  const more = [["/", "find items"], ["g", "guidelines"], ["p", "progress and agreement"], ["h", "history of this item"],
    ["d", "what the rewriting changed"], ["Ctrl+Enter", "save the text that is being written"], ["Esc", "leave a text field; again: cancel"]];
  dialog("Keys", table([...rows, ...more.map(([name, title]) => [key(name), title])]),
    element("p", {}, "Keys of one letter are off while a text field has the focus."));
}

export function showFigures() {
  return guarded(async () => {
    const found = await get("/api/agreement");
    const mine = state.progress;
    const pace = mine.seconds_an_item === null ? "not known yet" : `${mine.seconds_an_item} s an item, about ${mine.minutes_left} minutes left`;
    const rows = [
      ["decided", `${mine.decided} of ${mine.items}`], ...Object.entries(mine.by_decision).map(([name, count]) => [inWords(name), String(count)]),
      ["skipped", String(mine.skipped)], ["verdict contested", String(mine.contested)], ["active minutes", String(mine.minutes)], ["pace", pace],
    ];
    const agreed = [
      ["items of several people", String(found.items)], ["decided alike", String(found.same)],
      ...(state.session.role === "adjudicator" ? [["open disagreements", String(mine.disagreed)]] : []),
      ["Krippendorff's alpha", found.alpha === null ? "not defined" : String(found.alpha)],
      ...found.pairs.map((pair) => [`Cohen's kappa, ${pair.annotators.join(" and ")}`, pair.kappa === null ? "not defined" : String(pair.kappa)]),
      ["edits alike", found.similarity_of_edits === null ? "no item was edited by two" : String(found.similarity_of_edits)],
    ];
    dialog("Progress and agreement", table(rows), element("h2", {}, "Agreement"), table(agreed));
  });
}

export function showHistory() {
  if (!current()) return;
  return guarded(async () => {
    const events = await get("/api/history", { id: current() });
    const lines = events.map((event) => [`${event.n}`, element("span", {},
      `${event.by}: ${event.do}${event.of ? ` number ${event.of}` : ""} `, new Date(event.at).toLocaleString(),
      event.verdict_after && event.verdict_after.verdict ? badge(event.verdict_after.verdict, event.verdict_after.verdict) : "")]);
    dialog("History of this item", events.length ? table(lines) : element("p", {}, "Nothing was done yet."));
  });
}
