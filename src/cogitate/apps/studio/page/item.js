// One item, from the view that the server gives.

import { badge, card, changes, element, key, marked, said } from "/static/text.js";

const WORDS = {
  accept: "accepted", edit: "edited", reject: "rejected", left: "left is better", right: "right is better", tie: "as good as each other",
  both_bad: "both bad", safe: "safe", unsafe: "unsafe",
};

export const inWords = (decision) => WORDS[decision] || decision;

// `panel`: a text that is being written; an edit stands in the place of the text that it changes.
export function showItem(view, work, panel, isEdit) {
  const parts = [question(view)];
  if (panel) parts.push(panel);
  if (view.mine.decision) parts.push(decided(view));
  if (view.decisions) parts.push(colleagues(view, work));
  if (isEdit) parts.push(...rewriting(view));
  else if (work === "pairs") parts.push(pair(view));
  else parts.push(...reading(view.read, "model"), ...rewriting(view));
  if (view.mine.note || view.mine.tags.length) parts.push(remarks(view.mine));
  return parts;
}

function question(view) {
  const turns = view.turns.map((turn) => element("div", {}, element("h2", {}, turn.role), said(turn.content)));
  const facts = [
    view.source && `collector ${view.source}`, view.model && `written by ${view.model}`, view.prompt && `prompt ${view.prompt}`,
    view.task, view.language, view.tokens && `${view.tokens} tokens`, view.finish_reason === "length" && "cut off at the limit",
  ].filter(Boolean).map((text) => element("span", {}, text));
  const verdict = view.verdict ? badge(view.verdict, view.verdict === "none" ? "no verdict" : view.verdict) : null;
  const faults = (view.faults || []).map((fault) => badge("none", fault));
  return element("section", { class: "card" },
    element("h2", {}, "Question"), ...turns, element("div", { class: "said question", id: "question" }, view.question),
    element("div", { class: "facts" }, verdict, ...faults, view.reason ? element("span", {}, view.reason) : null),
    element("div", { class: "facts" }, ...facts),
    view.rule ? element("div", { class: "facts" }, element("span", {}, `without a decision it is dropped: ${view.rule}`)) : null,
    view.gold !== null ? element("details", {}, element("summary", {}, "Reference answer"), said(view.gold)) : null);
}

export function reading(read, writer) {
  const cards = [];
  if (read.preamble) cards.push(card("Before the thinking", said(read.preamble)));
  if (read.thinking !== null) cards.push(card("Thinking", marked(read.thinking)));
  const answer = card("Answer", marked(read.answer));
  answer.classList.add("answer");
  if (read.answer.length || writer === "person") cards.push(answer);
  return cards;
}

function rewriting(view) {
  if (view.text === null) {
    return [card("No rule could rewrite it", element("p", {}, "There is no text to accept: edit it, or reject it."))];
  }
  if (!view.diff) return [];
  return [element("details", { class: "card", id: "diff" },
    element("summary", {}, key("d"), " What the rewriting changed"), changes(view.diff))];
}

function pair(view) {
  const side = (name, title) => element("section", { "aria-label": title }, ...reading(view[name], "model"));
  return element("div", { class: "pair" }, side("left", "Left answer"), side("right", "Right answer"));
}

function decided(view) {
  const { decision, side } = view.mine;
  const made = card("Your decision",
    element("p", {}, badge("", inWords(side || decision.do)), ` ${new Date(decision.at).toLocaleString()}`),
    decision.contested ? element("p", {}, `verdict contested: ${decision.contested}`) : null,
    decision.text ? said(decision.text) : null);
  made.classList.add("mine");
  return made;
}

function colleagues(view, work) {
  const side = (choice) => (["a", "b"].includes(choice) ? (choice === view.left_is ? "left" : "right") : choice);
  return card("What annotators decided", ...view.decisions.map((one, place) => element("div", {},
    element("p", {}, work === "review" ? key(String(place + 1)) : null, ` ${one.by}: `, badge("", inWords(side(one.choice) || one.do)),
      one.contested ? ` contested: ${one.contested}` : ""),
    one.read ? changes(one.read) : null)));
}

function remarks(mine) {
  return card("Your note", mine.note ? said(mine.note) : null,
    mine.tags.length ? element("p", { class: "facts" }, ...mine.tags.map((tag) => badge("", tag))) : null);
}

// What the graders say of a text that is being edited.
export function checked(check) {
  const verdict = check.verdict === null ? element("span", {}, check.reason)
    : badge(check.verdict, check.verdict === "none" ? "no verdict" : check.verdict);
  const share = check.language === null ? "" : `${Math.round(check.language * 100)} % of the words in the language of the question`;
  return element("div", { class: "panel" },
    element("div", { class: "facts" }, verdict, check.verdict === null ? null : element("span", {}, check.reason),
      check.form ? badge("wrong", check.form) : badge("right", "form holds"), ...check.faults.map((fault) => badge("none", fault)),
      share ? element("span", {}, share) : null),
    check.diff.some(([op]) => op)
      ? element("details", { open: true }, element("summary", {}, "Your changes"), changes(check.diff)) : null);
}
