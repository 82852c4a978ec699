// The studio's page: which item is shown, what keys do, what is saved. No key acts while a text field has the focus.

import { showFigures, showGuidelines, showHelp, showHistory } from "/static/dialogs.js";
import { checked, inWords, showItem } from "/static/item.js";
import { inField, nameOf } from "/static/keys.js";
import { showList, showOthers } from "/static/list.js";
import { closePanel, dropDraft, openContest, openEdit, openNote, openTags, page } from "/static/panels.js";
import { Watch, get, giveKey, post, save, takeKey } from "/static/server.js";
import { $, current, guarded, say, state, trouble, unsaved, writing } from "/static/state.js";
import { card, element, key } from "/static/text.js";

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
      const guidelines = state.session.guidelines.version;
      const answer = await save("/api/act", { ...action, item: state.view.id, guidelines, ...state.watch.facts() }, unsaved);
      const [isRemark, isSkip] = [["note", "tags"].includes(action.do), action.do === "skip"];
      if (!isRemark && !isSkip) dropDraft();
      await saved(answer);
      if (isSkip && !state.view.mine.decision) await putOff();
      else await open(isRemark ? state.at : state.at + 1);
    } catch (error) {
      if (error.code === "contest") openContest(action, error.message);
      else throw error;
    }
  });
}

// A skipped item comes again when all others have been seen.
async function putOff() {
  await loadRest();
  state.ids.push(...state.ids.splice(state.at, 1));
  await open(state.at);
}

function again(path, body = {}) {
  return guarded(async () => {
    trouble("");
    const answer = await save(path, body, unsaved);
    await saved(answer);
    await loadRest();
    const place = state.ids.indexOf(answer.saved.item);
    if (place < 0) {
      state.ids.splice(state.at, 0, answer.saved.item);
      state.count += 1;
    }
    await open(place < 0 ? state.at : place);
  });
}

async function saved(answer) {
  const { n, do: what } = answer.saved;
  state.saved = `Saved as number ${n}: ${inWords(what)}. `;
  say(state.saved);
  showProgress(answer.progress);
  if (answer.guidelines !== state.session.guidelines.version) { // the studio was started again with others
    state.session = await get("/api/session");
    state.saved += "The guidelines have changed: press g. ";
  }
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

const filter = () => Object.fromEntries(new FormData($("filters")));

// The queue's first items, the item itself and the list, in one answer; the rest of a long queue follows behind it.
async function openQueue() {
  const found = await get("/api/open", filter());
  const first = !state.session;
  Object.assign(state, { session: found.session, ids: found.items, count: found.count });
  if (first) showSession();
  showProgress(found.session.progress);
  await open(0, found);
  loadRest().catch(() => {}); // it is asked for again where it is needed
}

async function loadRest() {
  const ids = state.ids;
  if (ids.length >= state.count) return;
  const { items } = await get("/api/queue", filter());
  if (state.ids !== ids) return; // another queue was opened meanwhile
  const known = new Set(ids);
  ids.push(...items.filter((id) => !known.has(id)));
  state.count = ids.length;
}

function find() {
  if (writing()) return;
  if (state.busy) return void setTimeout(find, 50);
  const set = [...new FormData($("filters"))].filter(([name, value]) => value && !["open", "file"].includes(value)).length;
  document.querySelector("[data-do=filters] span").textContent = set ? ` (${set})` : "";
  return guarded(openQueue);
}

function move(step) {
  if (writing()) return;
  const to = state.at + step;
  if (to >= 0 && to <= state.count) return guarded(() => open(to));
}

// `given`: the item and the lines of the list, where the server sent them already.
async function open(place, given = null) {
  const at = Math.max(0, Math.min(place, state.count));
  if (at >= state.ids.length) await loadRest();
  const view = given ? given.item : at < state.ids.length ? await get("/api/item", { id: state.ids[at] }) : null;
  const same = state.watch && view && state.view && state.view.id === view.id;
  if (state.watch && !same) state.watch.stop();
  const watch = same ? state.watch : view && new Watch();
  Object.assign(state, { at: Math.min(at, state.ids.length), view, panel: null, draft: null, watch });
  if (view) show();
  else showEnd();
  if (view && view.ungraded) grade(view).catch(() => {});
  say(`${state.saved}${view ? `Item ${at + 1} of ${state.count}.` : left() ? "This is the end of the queue." : "Nothing is left in this queue."}`);
  state.saved = "";
  showList(given && given.rows, (to) => writing() || guarded(() => open(to)));
}

// A row that nobody has graded is graded when it is seen; decisions do not wait for that.
async function grade(view) {
  view.graded = await post("/api/check", { item: view.id, text: view.text ?? view.completion });
  if (state.view === view && $("graded")) $("graded").replaceChildren(checked(view.graded));
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

// How many items are still to be decided, in whichever queue; of an adjudicator's those that people disagree on.
const left = () => state.progress.items - state.progress.decided + state.progress.disagreed;

function showEnd() {
  $("item").replaceChildren(card(left() ? "The end of this queue" : "Nothing is left here",
    element("p", {}, `${left() || "No"} item${left() === 1 ? " is" : "s are"} open. Press / to look for others, or u to undo.`)));
  $("others").hidden = true;
  showActions();
}

function toggle(id) {
  if ($(id)) $(id).open = !$(id).open;
}

// The frame.

function actions() {
  return [...(ACTIONS[state.session.work] || []), ...COMMON];
}

function isOff(title, view) {
  if (state.panel) return true; // what is being written is saved or cancelled first
  if (!view) return !["Undo", "Redo", "Back"].includes(title);
  if (title === "Accept" && view.text === null) return true;
  if (title === "Undo here") return !view.mine.can_undo;
  return Boolean(view.closed) && (title === "Skip" || ACTIONS[state.session.work].some(([, name]) => name === title));
}

function showActions() {
  const view = state.view;
  document.body.classList.toggle("writing", Boolean(state.panel));
  const focused = [...$("actions").children].indexOf(document.activeElement);
  const buttons = actions().map(([name, title, work, look]) => {
    const off = isOff(title, view);
    const button = element("button", { type: "button", class: look, disabled: Boolean(off), "aria-keyshortcuts": name === "U" ? "Shift+U" : name.toUpperCase() },
      key(name), ` ${title}`);
    button.addEventListener("click", work);
    return button;
  });
  const gap = element("span", { class: "gap" });
  $("actions").replaceChildren(...buttons.slice(0, ACTIONS[state.session.work].length), gap, ...buttons.slice(ACTIONS[state.session.work].length));
  if (focused >= 0 && !state.panel) $("actions").children[focused].focus(); // whoever tabs to a button stays there
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
  $("count").textContent = `${progress.decided} of ${progress.items}${progress.minutes_left === null ? "" : `, about ${Math.ceil(progress.minutes_left)} min left`}`;
}

function toggleFilters() {
  const form = $("filters");
  form.hidden = !form.hidden;
  document.querySelector("[data-do=filters]").setAttribute("aria-expanded", String(!form.hidden));
  if (!form.hidden) form.elements.search.focus();
}

function onKey(event) {
  if (event.isComposing || $("dialog").open) return;
  if (inField(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !state.session) return;
  const name = nameOf(event);
  if (event.repeat && !["ArrowLeft", "ArrowRight", "j", "k"].includes(name)) return; // a key that is held decides once
  if (name === "Escape" && state.panel) return closePanel();
  if (name === "Enter" || name === " ") return; // of the button that has the focus
  const isDecision = actions().some(([key]) => key === name);
  const isAdopted = state.session.work === "review" && state.view && state.view.decisions && /^[1-9]$/.test(name);
  if (state.panel && (isDecision || isAdopted)) return; // no letter throws away what is written
  const action = actions().find(([key]) => key === name);
  if (action && isOff(action[1], state.view)) return;
  const found = isAdopted ? [name, "", () => adopt(Number(name) - 1)] : action || HIDDEN.find(([key]) => key === name);
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
  document.body.classList.add("closed");
  $("item").replaceChildren(card("A key is needed", form));
  field.focus();
}

function showSession() {
  const { name, role, facets } = state.session;
  $("who").textContent = role === "adjudicator" ? `${name}, adjudicator` : name;
  for (const [facet, values] of Object.entries(facets)) {
    const select = $("filters").elements[facet];
    select.replaceChildren(element("option", { value: "" }, "any"), ...values.map((value) => element("option", { value }, value)));
  }
}

async function start() {
  state.busy = false;
  trouble("");
  if (!takeKey()) return askForKey();
  document.body.classList.remove("closed");
  await guarded(openQueue, askForKey);
}

page.show = show;
page.decide = decide;
addEventListener("keydown", onKey);
addEventListener("hashchange", () => { if (location.hash.startsWith("#key=")) location.reload(); }); // another person's link
addEventListener("beforeunload", (event) => { if (state.panel || state.busy) event.preventDefault(); });
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", NAMED[button.dataset.do]);
$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  document.activeElement.blur();
  find();
});
$("filters").addEventListener("change", find);
$("filters").addEventListener("reset", () => setTimeout(find)); // when the fields are empty
start();
