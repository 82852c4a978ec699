// Panels with a text field: an edit, a reason, a note, tags. `page` shows the item again and saves.

import { checked, reading } from "/static/item.js";
import { post } from "/static/server.js";
import { $, state, trouble } from "/static/state.js";
import { card, element, key } from "/static/text.js";

const CHECK_AFTER = 350; // milliseconds without a key, until an edit is graded
export const page = { show() {}, decide() {} };

function openPanel(panel, field) {
  state.panel = panel;
  page.show();
  field.focus();
}

export function openEdit() {
  const view = state.view;
  if (!view || state.busy) return;
  const mine = view.mine.decision && view.mine.decision.text;
  const area = element("textarea", { class: "text", "aria-label": "The text, as it is to be learnt", spellcheck: "true" });
  area.value = state.draft ?? mine ?? view.text ?? view.completion ?? "";
  const verdict = element("div", { "aria-live": "polite" });
  const shown = element("div", { class: "panel" });
  let timer = 0;
  const check = async () => {
    if (state.panel !== panel) return; // it was saved or left meanwhile
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
  const panel = panelOf("Edit", area, "Save the edit", () => page.decide({ do: "edit", text: area.value }), verdict, shown);
  area.rows = Math.max(5, Math.min(24, area.value.split("\n").length + Math.ceil(area.value.length / 90) + 1));
  state.draft = area.value;
  openPanel(panel, area);
  area.setSelectionRange(0, 0);
  check();
}

export function openContest(action, message) {
  const reason = element("textarea", { "aria-label": "Why the grader's verdict is wrong" });
  openPanel(panelOf("Contest the verdict", reason, "Keep it against the verdict",
    () => page.decide({ ...action, contested: reason.value }), element("p", { class: "facts" }, message)), reason);
}

export function openNote() {
  if (!state.view || state.busy) return;
  const area = element("textarea", { "aria-label": "Your note" });
  area.value = state.view.mine.note;
  openPanel(panelOf("Note", area, "Save the note", () => page.decide({ do: "note", note: area.value })), area);
}

export function openTags() {
  if (!state.view || state.busy) return;
  const field = element("input", { type: "text", "aria-label": "Tags, with commas between them" });
  field.value = state.view.mine.tags.join(", ");
  const tags = () => field.value.split(",").map((tag) => tag.trim()).filter(Boolean);
  openPanel(panelOf("Tags, with commas between them", field, "Save the tags", () => page.decide({ do: "tags", tags: tags() })), field);
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

export function closePanel() {
  const contests = state.draft !== null && !state.panel.querySelector("textarea.text");
  state.panel = null;
  trouble("");
  if (contests) return openEdit(); // back to the edit that the reason was for
  state.draft = null;
  page.show();
  $("main").focus();
}
