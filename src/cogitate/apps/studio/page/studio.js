// The studio's page: which item is shown, what keys do, what is saved. No key acts while a text field has the focus.

import { checked, inWords, reading, showItem } from "/static/item.js";
import { Refusal, Watch, get, giveKey, post, save, takeKey } from "/static/server.js";
import { badge, card, element, key, said, table } from "/static/text.js";

const CHECK_AFTER = 350; // milliseconds without a key, until an edit is graded
const SHOWN = 40; // lines of the queue
const $ = (id) => document.getElementById(id);

const state = { session: null, ids: [], at: 0, view: null, panel: null, watch: null, busy: false, draft: null };

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
  ["p", "", showFigures], ["h", "", showHistory], ["?", "", showHelp], ["d", "", () => toggle("diff")],
];
const NAMED = { filters: toggleFilters, guidelines: showGuidelines, figures: showFigures, help: showHelp };

// Saying.

function say(text) { $("status").textContent = text; }

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

// Of what is being saved; an earlier "Saved" must not stand beside it.
function unsaved(text) {
  if (text) say("");
  trouble(text);
}

const current = () => state.ids[state.at];

async function guarded(work) {
  if (state.busy) return;
  state.busy = true;
  try {
    await work();
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) askForKey();
    else trouble(error instanceof Refusal ? error.message : `The studio does not answer (${error.message}). Nothing was saved.`);
  } finally {
    state.busy = false;
  }
}

// Deciding.

function decide(action) {
  if (!current()) return;
  return guarded(async () => {
    trouble("");
    try {
      const answer = await save("/api/act", { ...action, item: current(), ...state.watch.facts() }, unsaved);
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
  say(`Saved as number ${n}: ${inWords(what)}.`);
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
  const to = state.at + step;
  if (to >= 0 && to <= state.ids.length) return guarded(() => open(to));
}

async function open(place) {
  if (state.watch) state.watch.stop();
  state.at = Math.max(0, Math.min(place, state.ids.length));
  state.panel = state.draft = null;
  if (!current()) return showEnd();
  state.view = await get("/api/item", { id: current() });
  state.watch = new Watch();
  show();
  say(`${$("status").textContent.startsWith("Saved") ? `${$("status").textContent} ` : ""}Item ${state.at + 1} of ${state.ids.length}.`);
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
  state.view = null;
  const { disagreed } = state.progress;
  $("item").replaceChildren(card("Nothing is left here",
    element("p", {}, "No item of this queue is open. Press / to look for others, or u to undo."),
    disagreed ? element("p", {}, `People disagree on ${disagreed} items.`) : null));
  $("others").hidden = true;
  showActions();
  say(`${$("status").textContent} Nothing is left in this queue.`.trim());
  showList();
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

// Panels with a text field: an edit, a reason, a note, tags.

function openPanel(panel, field) {
  state.panel = panel;
  show();
  field.focus();
}

function openEdit() {
  const view = state.view;
  if (!view) return;
  const mine = view.mine.decision && view.mine.decision.text;
  const area = element("textarea", { class: "text", "aria-label": "The text, as it is to be learnt", spellcheck: "true" });
  area.value = state.draft ?? mine ?? view.text ?? view.completion ?? "";
  const verdict = element("div", { "aria-live": "polite" });
  const shown = element("div", { class: "panel" });
  let timer = 0;
  const check = async () => {
    const text = area.value;
    state.draft = text;
    if (!text.trim()) return;
    try {
      const found = await post("/api/check", { item: view.id, text });
      if (area.value === text) {
        verdict.replaceChildren(checked(found));
        shown.replaceChildren(...reading(found.read, "person"));
      }
    } catch (error) {
      trouble(error.message);
    }
  };
  area.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, CHECK_AFTER); });
  const panel = panelOf("Edit", area, "Save the edit", () => decide({ do: "edit", text: area.value }), verdict, shown);
  area.rows = Math.max(5, Math.min(24, area.value.split("\n").length + Math.ceil(area.value.length / 90) + 1));
  state.draft = area.value;
  openPanel(panel, area);
  area.setSelectionRange(0, 0);
  check();
}

function openContest(action, message) {
  const reason = element("textarea", { "aria-label": "Why the grader's verdict is wrong" });
  openPanel(panelOf("Contest the verdict", reason, "Keep it against the verdict",
    () => decide({ ...action, contested: reason.value }), element("p", { class: "facts" }, message)), reason);
}

function openNote() {
  if (!state.view) return;
  const area = element("textarea", { "aria-label": "Your note" });
  area.value = state.view.mine.note;
  openPanel(panelOf("Note", area, "Save the note", () => decide({ do: "note", note: area.value })), area);
}

function openTags() {
  if (!state.view) return;
  const field = element("input", { type: "text", "aria-label": "Tags, with commas between them" });
  field.value = state.view.mine.tags.join(", ");
  const tags = () => field.value.split(",").map((tag) => tag.trim()).filter(Boolean);
  openPanel(panelOf("Tags, with commas between them", field, "Save the tags", () => decide({ do: "tags", tags: tags() })), field);
}

function panelOf(title, field, button, onSave, ...more) {
  const go = element("button", { type: "button", class: "main" }, key("Ctrl"), key("Enter"), ` ${button}`);
  const leave = element("button", { type: "button" }, key("Esc"), key("Esc"), " Cancel");
  go.addEventListener("click", onSave);
  leave.addEventListener("click", closePanel);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onSave();
    }
  });
  const panel = card(title, element("div", { class: "panel" }, field, element("div", { class: "row" }, go, leave), ...more));
  panel.classList.add("mine");
  return panel;
}

function closePanel() {
  state.panel = state.draft = null;
  trouble("");
  show();
  $("main").focus();
}

// Dialogs.

function dialog(title, ...content) {
  $("dialog-title").textContent = title;
  $("dialog-text").replaceChildren(...content);
  $("dialog").showModal();
}

function showGuidelines() {
  const { text, version } = state.session.guidelines;
  dialog("Guidelines", said(text || "There are none."), element("p", { class: "facts" }, `version ${version}`));
}

function showHelp() {
  const rows = [...actions(), ...HIDDEN.filter(([, title]) => title)].map(([name, title]) => [key(name), title]);
  const more = [["/", "find items"], ["g", "guidelines"], ["p", "progress and agreement"], ["h", "history of this item"],
    ["d", "what the rewriting changed"], ["Ctrl+Enter", "save the text that is being written"], ["Esc", "leave a text field; again: cancel"]];
  dialog("Keys", table([...rows, ...more.map(([name, title]) => [key(name), title])]),
    element("p", {}, "Keys of one letter are off while a text field has the focus."));
}

function showFigures() {
  return guarded(async () => {
    const found = await get("/api/agreement");
    const mine = state.progress;
    const pace = mine.seconds_an_item === null ? "not known yet" : `${mine.seconds_an_item} s an item, about ${mine.minutes_left} minutes left`;
    const rows = [
      ["decided", `${mine.decided} of ${mine.items}`], ...Object.entries(mine.by_decision).map(([name, count]) => [inWords(name), String(count)]),
      ["skipped", String(mine.skipped)], ["verdict contested", String(mine.contested)], ["active minutes", String(mine.minutes)], ["pace", pace],
    ];
    const agreed = [
      ["items of several people", String(found.items)], ["decided alike", String(found.same)], ["open disagreements", String(mine.disagreed)],
      ["Krippendorff's alpha", found.alpha === null ? "not defined" : String(found.alpha)],
      ...found.pairs.map((pair) => [`Cohen's kappa, ${pair.annotators.join(" and ")}`, pair.kappa === null ? "not defined" : String(pair.kappa)]),
      ["edits alike", found.similarity_of_edits === null ? "no item was edited by two" : String(found.similarity_of_edits)],
    ];
    dialog("Progress and agreement", table(rows), element("h2", {}, "Agreement"), table(agreed));
  });
}

function showHistory() {
  if (!current()) return;
  return guarded(async () => {
    const events = await get("/api/history", { id: current() });
    const lines = events.map((event) => [`${event.n}`, element("span", {},
      `${event.by}: ${event.do}${event.of ? ` number ${event.of}` : ""} `, new Date(event.at).toLocaleString(),
      event.verdict_after && event.verdict_after.verdict ? badge(event.verdict_after.verdict, event.verdict_after.verdict) : "")]);
    dialog("History of this item", events.length ? table(lines) : element("p", {}, "Nothing was done yet."));
  });
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
  if (event.key === "Escape" && state.panel) return closePanel();
  if (event.key === "Enter" || event.key === " ") return; // of the button that has the focus
  if (state.view && state.view.decisions && /^[1-9]$/.test(event.key)) {
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
  });
}

addEventListener("keydown", onKey);
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", NAMED[button.dataset.do]);
$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  document.activeElement.blur();
  find();
});
$("filters").addEventListener("change", find);
start();
