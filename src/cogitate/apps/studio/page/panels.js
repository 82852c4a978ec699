// Panels with a text field: an edit, a reason, a note, tags. `page` shows the item again and saves.

import { changed, checked, reading } from "/static/item.js";
import { post } from "/static/server.js";
import { $, state, trouble } from "/static/state.js";
import { card, element, facts, key } from "/static/text.js";

const CHECK_AFTER = 350; // milliseconds without a key, until an edit is graded
export const page = { show() {}, decide() {} };

function openPanel(panel, field) {
  state.panel = panel;
  page.show();
  field.focus();
}

// An edit that was not saved comes back with its item, also when the page was loaded again; a decision drops it.
const draftName = () => `draft ${state.session.studio} ${state.session.name} ${state.view.id}`;

function keepDraft(text) {
  try {
    sessionStorage.setItem(draftName(), text);
  } catch { /* the browser's room is used up: the text stands in the field all the same */ }
}

export const dropDraft = () => sessionStorage.removeItem(draftName());

export function openEdit() {
  const view = state.view;
  if (!view || state.busy || state.panel) return;
  const mine = view.mine.decision && view.mine.decision.text;
  const before = mine ?? view.text ?? view.completion ?? "";
  const kept = state.draft ?? sessionStorage.getItem(draftName());
  const area = element("textarea", { class: "text", "aria-label": "The text, as it is to be learnt", spellcheck: "true" });
  area.value = kept ?? before;
  const verdict = element("div", { "aria-live": "polite" });
  const shown = element("div", { class: "panel" });
  let [timer, checks] = [0, false];
  const check = async () => {
    const text = area.value;
    if (checks || state.panel !== panel || !text.trim()) return; // one at a time; or it was saved or left meanwhile
    checks = true;
    try {
      const found = await post("/api/check", { item: view.id, text });
      trouble("");
      verdict.replaceChildren(checked(found));
      shown.replaceChildren(changed(found), ...reading(found.read, "person"));
    } catch (error) {
      verdict.replaceChildren(facts(`not graded: ${error.message}`));
    }
    checks = false;
    if (area.value !== text) check();
  };
  area.addEventListener("input", () => {
    state.draft = area.value;
    keepDraft(area.value);
    clearTimeout(timer);
    timer = setTimeout(check, CHECK_AFTER);
  });
  const again = element("button", { type: "button", hidden: kept === null || kept === before }, "Start again from the saved text");
  again.addEventListener("click", () => {
    area.value = state.draft = before;
    dropDraft();
    again.hidden = true;
    area.focus();
    check();
  });
  const panel = panelOf("Edit", area, "Save the edit", () => page.decide({ do: "edit", text: area.value }), { before: [verdict], buttons: [again], after: [shown] });
  area.rows = Math.max(5, Math.min(24, area.value.split("\n").length + Math.ceil(area.value.length / 90) + 1));
  state.draft = area.value;
  openPanel(panel, area);
  area.setSelectionRange(0, 0);
  check();
}

export function openContest(action, message) {
  const reason = element("textarea", { "aria-label": "Why the grader's verdict is wrong" });
  openPanel(panelOf("Contest the verdict", reason, "Keep it against the verdict",
    () => page.decide({ ...action, contested: reason.value }), { before: [facts(message)] }), reason);
}

export function openNote() {
  if (!state.view || state.busy || state.panel) return;
  const area = element("textarea", { "aria-label": "Your note" });
  area.value = state.view.mine.note;
  openPanel(panelOf("Note", area, "Save the note", () => page.decide({ do: "note", note: area.value })), area);
}

export function openTags() {
  if (!state.view || state.busy || state.panel) return;
  const field = element("input", { type: "text", "aria-label": "Tags, with commas between them" });
  field.value = state.view.mine.tags.join(", ");
  const tags = () => field.value.split(",").map((tag) => tag.trim()).filter(Boolean);
  openPanel(panelOf("Tags, with commas between them", field, "Save the tags", () => page.decide({ do: "tags", tags: tags() })), field);
}

function panelOf(title, field, button, onSave, { before = [], buttons = [], after = [] } = {}) {
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
  const panel = card(title, element("div", { class: "panel" }, ...before, field, element("div", { class: "row" }, go, leave, ...buttons), ...after));
  panel.classList.add("mine");
  return panel;
}

export function closePanel() {
  if (state.busy) return; // it is being saved
  const contests = state.draft !== null && !state.panel.querySelector("textarea.text");
  state.panel = null;
  trouble("");
  if (contests) return openEdit(); // back to the edit that the reason was for
  state.draft = null;
  page.show();
  $("main").focus();
}
