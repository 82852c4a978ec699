// One item, from the view that the server gives.

import { badge, card, changes, element, facts, key, marked, said } from "/static/text.js";

const WORDS = {
  accept: "accepted", edit: "edited", reject: "rejected", left: "left is better", right: "right is better", tie: "as good as each other",
  both_bad: "both bad", safe: "safe", unsafe: "unsafe", skip: "skipped", note: "note", tags: "tags", undo: "taken back", redo: "done again",
};
const SHORT = 1500; // characters of earlier turns that are shown at once

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
  const verdict = view.verdict ? badge(view.verdict, view.verdict === "none" ? "no verdict" : view.verdict) : null;
  return element("section", { class: "card" },
    ...earlier(view.turns), element("h2", {}, "Question"), element("div", { class: "said question", id: "question" }, view.question),
    view.ungraded ? element("div", { id: "graded" }, view.graded ? checked(view.graded) : "") : null,
    facts(verdict, (view.faults || []).map((fault) => badge("none", fault)), view.reason),
    facts(view.source && `collector ${view.source}`, view.model && `written by ${view.model}`, view.prompt && `prompt ${view.prompt}`,
      view.task, view.language, view.tokens && `${view.tokens} tokens`, view.finish_reason === "length" && "cut off at the limit"),
    facts(view.rule && `without a decision it is dropped: ${view.rule}`),
    view.closed ? facts(`You can only read it: ${view.closed}.`) : null,
    view.gold !== null ? element("details", {}, element("summary", {}, "Reference answer"), said(view.gold)) : null);
}

// What was said before the question.
function earlier(turns) {
  if (!turns.length) return [];
  const open = turns.reduce((sum, turn) => sum + turn.content.length, 0) <= SHORT;
  return [element("details", { class: "turns", open }, element("summary", {}, `Before the question (${turns.length})`),
    ...turns.map((turn) => element("div", { class: "turn" }, element("p", { class: "role" }, turn.role), said(turn.content))))];
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
  const side = (name, title, digit) => element("section", { "aria-label": `${title} answer` },
    element("h2", {}, key(digit), ` ${title}`), ...reading(view[name], "model"));
  return element("div", { class: "pair" }, side("left", "Left", "1"), side("right", "Right", "2"));
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
  return card("What annotators decided", ...view.decisions.map((one, place) => element("div", { class: "colleague" },
    element("p", {}, work === "review" ? key(String(place + 1)) : null, ` ${one.by}${one.final ? ", as adjudicator" : ""}: `, badge("", inWords(side(one.choice) || one.do))),
    facts(one.contested && `contested: ${one.contested}`, one.note && `note: ${one.note}`, one.tags.length && one.tags.join(", ")),
    one.read ? changes(one.read) : null)));
}

function remarks(mine) {
  return card("Your note", mine.note ? said(mine.note) : null, facts(mine.tags.map((tag) => badge("", tag))));
}

// What the graders say of a text that is being edited.
export function checked(check) {
  const verdict = check.verdict === null ? check.reason : badge(check.verdict, check.verdict === "none" ? "no verdict" : check.verdict);
  return facts(verdict, check.verdict === null ? null : check.reason, check.form ? badge("wrong", check.form) : badge("right", "form holds"),
    check.faults.map((fault) => badge("none", fault)),
    check.language === null ? null : `${Math.round(check.language * 100)} % of the words in the language of the question`);
}

export function changed(check) {
  return check.diff.some(([op]) => op) ? element("details", { open: true }, element("summary", {}, "Your changes"), changes(check.diff)) : "";
}
