// What the page knows, and how it speaks.

import { Refusal } from "/static/server.js";

export const $ = (id) => document.getElementById(id);

// ids: of the queue, as far as they are here; count: of all of it; draft: the text of an edit that is open; panel: what a text is
// being written in; saved: what is still to be said of it.
export const state = {
  session: null, progress: null, ids: [], count: 0, at: 0, view: null, panel: null, watch: null, busy: false, draft: null, saved: "",
};

export function say(text) { $("status").textContent = text; }

export function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

// Of what is being saved; an earlier "Saved" must not stand beside it.
export function unsaved(text) {
  if (text) say("");
  trouble(text);
}

const keyIsUnknown = () => trouble("This key is not known here any more: open the link that the studio printed for you.");

export const current = () => state.ids[state.at];

// Whether something is being written that would be lost by going elsewhere; says so.
export function writing() {
  if (state.panel) trouble("Save or cancel what you are writing first.");
  return Boolean(state.panel);
}

// One thing at a time: what is pressed meanwhile does nothing.
export async function guarded(work, onNoKey = keyIsUnknown) {
  if (state.busy) return;
  state.busy = true;
  try {
    await work();
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) onNoKey();
    else trouble(error instanceof Refusal ? error.message : `The studio does not answer (${error.message}); what is shown may be old.`);
  } finally {
    state.busy = false;
  }
}
