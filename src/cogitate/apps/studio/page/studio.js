// The studio's page: which item is shown, what keys do, what is saved. No key acts while a text field has the focus.

import { showFigures, showGuidelines, showHelp, showHistory } from "/static/dialogs.js";
import { inWords, showItem } from "/static/item.js";
import { closePanel, openContest, openEdit, openNote, openTags, page } from "/static/panels.js";
import { Refusal, Watch, get, giveKey, post, save, takeKey } from "/static/server.js";
import { $, current, guarded, say, state, trouble, unsaved } from "/static/state.js";
import { card, element, key, said } from "/static/text.js";

const SHOWN = 40; // lines of the queue

const ACTIONS = {
  review: [
    ["a", "Accept", () => decide({ do: "accept" }), "main"], ["e", "Edit", openEdit], ["r", "Reject", () => decide({ do: "reject" })],
  ],
  pairs: [
    ["1", "Left", () => decide({ do: "prefer", choice: "left" }), "main"],
    ["2", "Right", () => decide({ do: "prefer", choice: "right" }), "main"],
    ["3", "Tie", () => decide({ do: "prefer", choice: "tie" })], ["4", "Both bad", () => decide({ do: "prefer", choice: "both_bad" })],
  ],
  safety: [
    ["1", "Safe", () => decide({ do: "label", choice: "safe" }), "main"],
    ["2", "Unsafe", () => decide({ do: "label", choice: "unsafe" })],
  ],
};
const COMMON = [
  ["s", "Skip", () => decide({ do: "skip" })],
  ["u", "Undo", () => again("/api/undo")],
  ["y", "Redo", () => again("/api/redo")],
  ["U", "Undo here", () => again("/api/undo", { item: current() })],
  ["n", "Note", openNote],
  ["t", "Tags", openTags],
  ["k", "Back", () => move(-1)],
  ["j", "Next", () => move(1)],
];
const HIDDEN = [
  ["ArrowRight", "", () => move(1)], ["ArrowLeft", "", () => move(-1)], ["/", "", toggleFilters], ["g", "", showGuidelines],
  ["p", "", showFigures], ["h", "", showHistory], ["?", "", () => showHelp(actions())], ["d", "", () => toggle("diff")],
];
const NAMED = { filters: toggleFilters, guidelines: showGuidelines, figures: showFigures, help: () => showHelp(actions()) };

// Deciding.

function decide(action) {
  if (!state.view) return;
  return guarded(async () => {
    trouble("");
    try {
      const answer = await save("/api/act", { ...action, item: state.view.id, ...state.watch.facts() }, unsaved);
      saved(answer);
      await (["note", "tags"].includes(action.do) ? open(state.at) : open(state.at + 1));
    } catch (error) {
      if (error instanceof Refusal && error.status === 409 && error.message.includes("contest")) openContest(action, error.message);
      else throw error;
    }
  });
}

function again(path, body = {}) {
  return guarded(async () => {
    trouble("");
    const answer = await save(path, body, unsaved);
    saved(answer);
    const place = state.ids.indexOf(answer.saved.item);
    if (place < 0) state.ids.splice(state.at, 0, answer.saved.item);
    await open(place < 0 ? state.at : place);
  });
}

function saved(answer) {
  const { n, do: what } = answer.saved;
  state.saved = `Saved as number ${n}: ${inWords(what)}. `;
  say(state.saved);
  showProgress(answer.progress);
}

function adopt(place) {
  const one = (state.view && state.view.decisions || [])[place];
  if (!one) return;
  if (one.choice) {
    const sides = { a: state.view.left_is === "a" ? "left" : "right", b: state.view.left_is === "a" ? "right" : "left" };
    return decide({ do: one.do, choice: sides[one.choice] || one.choice });
  }
  return decide({ do: one.do, text: one.text, contested: one.contested });
}

// Going from item to item.

async function queue() {
  return (await get("/api/queue", Object.fromEntries(new FormData($("filters"))))).items;
}

async function loadQueue() {
  state.ids = await queue();
  await open(0);
}

function find() {
  if (state.busy) return void setTimeout(find, 50);
  return guarded(loadQueue);
}

function move(step) {
  if (state.panel) return; // what is written there would be lost
  const to = state.at + step;
  if (to >= 0 && to <= state.ids.length) return guarded(() => open(to));
}

async function open(place) {
  const at = Math.max(0, Math.min(place, state.ids.length));
  const view = at < state.ids.length ? await get("/api/item", { id: state.ids[at] }) : null;
  if (state.watch) state.watch.stop();
  Object.assign(state, { at, view, panel: null, draft: null, watch: view && new Watch() });
  if (view) show();
  else showEnd();
  say(`${state.saved}${view ? `Item ${at + 1} of ${state.ids.length}.` : "Nothing is left in this queue."}`);
  state.saved = "";
  showList();
}

function show() {
  const view = state.view;
  $("item").replaceChildren(...showItem(view, state.session.work, state.panel, state.draft !== null));
  showOthers(view.others || []);
  showActions();
  if (!state.panel) {
    $("main").scrollIntoView({ block: "start" });
    scrollTo(0, 0);
  }
}

function showEnd() {
  const { disagreed } = state.progress;
  $("item").replaceChildren(card("Nothing is left here",
    element("p", {}, "No item of this queue is open. Press / to look for others, or u to undo."),
    disagreed ? element("p", {}, `People disagree on ${disagreed} items.`) : null));
  $("others").hidden = true;
  showActions();
}

// Beside the item, and never waited for: decisions go on while it loads.
async function showList() {
  const first = Math.max(0, Math.min(state.at - 5, state.ids.length - SHOWN));
  const names = state.ids.slice(first, first + SHOWN);
  $("place").textContent = state.ids.length ? `${Math.min(state.at + 1, state.ids.length)} of ${state.ids.length}` : "empty";
  const at = state.at;
  const rows = names.length ? await post("/api/rows", { items: names }).catch(() => []) : [];
  if (at !== state.at) return;
  $("list").querySelector("ol").replaceChildren(...rows.map((row, place) => line(row, () => guarded(() => open(first + place)))));
}

function line(row, onClick) {
  const facts = [row.decision && inWords(row.decision), row.source, row.verdict, row.faults && (row.faults === 1 ? "1 fault" : `${row.faults} faults`), `${row.words} words`];
  const button = element("button", { type: "button", "aria-current": row.id === current() ? "true" : false },
    element("span", {}, row.question), element("span", { class: "quiet" }, facts.filter(Boolean).join(" · ")));
  button.addEventListener("click", onClick);
  return element("li", {}, button);
}

function showOthers(others) {
  $("others").hidden = !others.length;
  $("others").querySelector("ol").replaceChildren(...others.map((other) => {
    const facts = [other.decision && inWords(other.decision), other.source, other.verdict, ...other.faults].filter(Boolean).join(" · ");
    return element("li", {}, element("details", { class: "card" }, element("summary", {}, facts || "another"), said(other.text)));
  }));
}

function toggle(id) {
  if ($(id)) $(id).open = !$(id).open;
}

// The frame.

function actions() {
  return [...(ACTIONS[state.session.work] || []), ...COMMON];
}

function showActions() {
  const view = state.view;
  const focused = [...$("actions").children].indexOf(document.activeElement);
  const buttons = actions().map(([name, title, work, look]) => {
    const needsItem = !["Undo", "Redo", "Back"].includes(title);
    const off = (needsItem && !view) || (title === "Accept" && view && view.text === null) || (title === "Undo here" && view && !view.mine.can_undo);
    const button = element("button", { type: "button", class: look, disabled: Boolean(off), "aria-keyshortcuts": name === "U" ? "Shift+U" : name.toUpperCase() },
      key(name), ` ${title}`);
    button.addEventListener("click", work);
    return button;
  });
  const gap = element("span", { class: "gap" });
  $("actions").replaceChildren(...buttons.slice(0, ACTIONS[state.session.work].length), gap, ...buttons.slice(ACTIONS[state.session.work].length));
  if (focused >= 0) $("actions").children[focused].focus(); // whoever tabs to a button stays there
}

function showProgress(progress) {
  state.progress = progress;
  $("bar").max = Math.max(1, progress.items);
  $("bar").value = progress.decided;
  if (state.session.role === "adjudicator") {
    $("count").textContent = `people disagree on ${progress.disagreed}`;
    $("bar").hidden = true;
    return;
  }
  $("count").textContent = `${progress.decided} of ${progress.items}${progress.minutes_left === null ? "" : `, about ${progress.minutes_left} min left`}`;
}

function toggleFilters() {
  const form = $("filters");
  form.hidden = !form.hidden;
  document.querySelector("[data-do=filters]").setAttribute("aria-expanded", String(!form.hidden));
  if (!form.hidden) form.elements.search.focus();
}

function inField(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

function onKey(event) {
  if (event.isComposing || $("dialog").open) return;
  if (inField(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !state.session) return;
  if (event.repeat && !["ArrowLeft", "ArrowRight", "j", "k"].includes(event.key)) return; // a key that is held decides once
  if (event.key === "Escape" && state.panel) return closePanel();
  if (state.panel && actions().some(([name]) => name === event.key)) return; // no letter throws away what is written
  if (event.key === "Enter" || event.key === " ") return; // of the button that has the focus
  if (state.session.work === "review" && state.view && state.view.decisions && /^[1-9]$/.test(event.key)) {
    event.preventDefault();
    return adopt(Number(event.key) - 1);
  }
  const found = [...actions(), ...HIDDEN].find(([name]) => name === event.key);
  if (found) {
    event.preventDefault();
    found[2]();
  }
}

function askForKey() {
  const field = element("input", { type: "password", "aria-label": "Your key", autocomplete: "off" });
  const go = element("button", { type: "submit", class: "main" }, key("Enter"), " Open");
  const form = element("form", { class: "panel" }, element("p", {}, "Open the link that the studio printed for you, or give your key."), field, go);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    giveKey(field.value.trim());
    start();
  });
  $("item").replaceChildren(card("A key is needed", form));
  field.focus();
}

async function start() {
  state.busy = false;
  trouble("");
  if (!takeKey()) return askForKey();
  await guarded(async () => {
    const waiting = queue(); // beside the next answer, which says what is wrong if anything is
    waiting.catch(() => {});
    state.session = await get("/api/session");
    const { name, role, facets } = state.session;
    $("who").textContent = role === "adjudicator" ? `${name}, adjudicator` : name;
    for (const [facet, values] of Object.entries(facets)) {
      const select = $("filters").elements[facet];
      select.replaceChildren(element("option", { value: "" }, "any"), ...values.map((value) => element("option", { value }, value)));
    }
    showProgress(state.session.progress);
    state.ids = await waiting;
    await open(0);
  }, askForKey);
}

page.show = show;
page.decide = decide;
addEventListener("keydown", onKey);
addEventListener("beforeunload", (event) => { if (state.panel || state.busy) event.preventDefault(); });
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", NAMED[button.dataset.do]);
$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  document.activeElement.blur();
  find();
});
$("filters").addEventListener("change", find);
start();
