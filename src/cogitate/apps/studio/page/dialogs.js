// Guidelines, keys, progress and agreement, the history of an item.

import { inWords } from "/static/item.js";
import { get } from "/static/server.js";
import { $, current, guarded, state } from "/static/state.js";
import { badge, element, facts, key, said, table } from "/static/text.js";

function dialog(title, ...content) {
  $("dialog-title").textContent = title;
  $("dialog-text").replaceChildren(...content);
  if (!$("dialog").open) $("dialog").showModal();
  $("dialog").scrollTop = 0;
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
    const pace = mine.seconds_an_item === null ? "not known yet" : `${mine.seconds_an_item} s an item, about ${Math.ceil(mine.minutes_left)} min left`;
    const rows = state.session.role === "adjudicator" ? [] : [
      ["decided", `${mine.decided} of ${mine.items}`], ...Object.entries(mine.by_decision).map(([name, count]) => [inWords(name), String(count)]),
      ["skipped", String(mine.skipped)], ["verdict contested", String(mine.contested)], ["active minutes", String(mine.minutes)], ["pace", pace],
    ];
    dialog("Progress and agreement", table(rows), element("h2", {}, "Agreement"), found ? agreed(found)
      : element("p", {}, "It is shown when all your items are decided: it would say what others decided."));
  });
}

function agreed(found) {
  const figure = (value, otherwise = "not defined") => (value === null ? otherwise : String(value));
  return table([
    ["items of several people", String(found.items)], ["decided alike", String(found.same)],
    ...(state.session.role === "adjudicator" ? [["open disagreements", String(state.progress.disagreed)]] : []),
    ["Krippendorff's alpha", figure(found.alpha)],
    ...(state.session.work === "review" ? [["alpha of kept against rejected", figure(found.alpha_kept)]] : []),
    ...found.pairs.map((pair) => [`Cohen's kappa, ${pair.annotators.join(" and ")}`, figure(pair.kappa)]),
    ...(state.session.work === "review" ? [
      ["pairs of edits", String(found.edits)], ["with the same text", String(found.same_edits)],
      ["changed words in common", figure(found.similarity_of_edits, "no item was edited by two")],
    ] : []),
  ]);
}

export function showHistory() {
  if (!current()) return;
  return guarded(async () => {
    const events = await get("/api/history", { id: current() });
    const lines = events.map((event) => {
      const what = event.of ? `${event.do} of number ${event.of}` : event.final ? `${inWords(event.do)}, as adjudicator` : inWords(event.side || event.do);
      const verdict = event.verdict_after && event.verdict_after.verdict;
      return [`${event.n}`, element("div", {}, `${event.by}: ${what}`, facts(new Date(event.at).toLocaleString(), verdict && badge(verdict, verdict),
        event.active_seconds !== undefined && `${event.active_seconds} s`, event.contested && `contested: ${event.contested}`,
        event.note, event.tags && event.tags.join(", ")))];
    });
    dialog("History of this item", events.length ? table(lines) : element("p", {}, "Nothing was done yet."));
  });
}
