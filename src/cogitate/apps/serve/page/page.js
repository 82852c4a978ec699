// The page: models, the conversation, earlier ones. They stay in this browser; a key stays in this tab.
"use strict";

const at = (id) => document.getElementById(id);
const SAVED = "cogitate.chats";
const MOST_CHATS = 50;
let chat = newChat();
let abort = null;

function newChat() {
  return { id: `${Date.now()}-${Math.random()}`, turns: [] };
}

function savedChats() {
  try {
    return JSON.parse(localStorage.getItem(SAVED)) || [];
  } catch {
    return [];
  }
}

function keep() {
  const record = { id: chat.id, turns: chat.turns.map((turn) => ({ question: turn.question, seed: turn.seed, replies: turn.replies.map((reply) => reply.record) })) };
  const chats = [record, ...savedChats().filter((other) => other.id !== chat.id)].slice(0, MOST_CHATS);
  try {
    localStorage.setItem(SAVED, JSON.stringify(chats));
  } catch {
    say("The browser has no room for this chat: it is not kept.", true);
  }
  showChats();
}

function headers() {
  const key = sessionStorage.getItem("cogitate.key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function loadModels() {
  let response;
  try {
    response = await fetch("/v1/models", { headers: headers() });
  } catch {
    say("The server cannot be reached.", true);
    return;
  }
  at("key").hidden = response.status !== 401;
  if (response.status === 401) {
    at("api_key").focus();
    return;
  }
  const { data } = await response.json();
  if (!data.length) {
    say("The models are being read ...");
    setTimeout(loadModels, 1000);
    return;
  }
  say("");
  at("model").replaceChildren(...data.map((model) => new Option(model.id)));
  at("second").replaceChildren(new Option("none", ""), ...data.map((model) => new Option(model.id)));
  at("question").focus();
}

function number(id) {
  const text = at(id).value.trim();
  return text === "" ? undefined : Number(text);
}

function bodyFor(index, column, seed) {
  const system = at("system").value.trim();
  const messages = system ? [{ role: "system", content: system }] : [];
  for (const turn of chat.turns.slice(0, index)) {
    const reply = turn.replies[column] || turn.replies[0];
    messages.push({ role: "user", content: turn.question }, { role: "assistant", content: reply.answer });
  }
  messages.push({ role: "user", content: chat.turns[index].question });
  const body = { messages, seed, temperature: number("temperature"), top_p: number("top_p"), max_tokens: number("max_tokens"), thinking_token_budget: number("budget") };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}

async function ask(question) {
  const seed = number("seed") ?? Math.floor(Math.random() * 2 ** 31);
  chat.turns.push({ question, seed, replies: [] });
  await run(chat.turns.length - 1);
}

async function run(index) {
  const turn = chat.turns[index];
  chat.turns.length = index + 1; // what came after a reply that is tried again does not follow any more
  const models = [at("model").value, at("second").value].filter(Boolean);
  turn.replies = models.map((model) => new Reply(model));
  abort = new AbortController();
  showTurns();
  at("send").disabled = true;
  at("stop").hidden = false;
  say("The reply is coming.");
  const results = await Promise.all(turn.replies.map((reply, column) => reply.run(bodyFor(index, column, turn.seed), headers(), abort.signal)));
  abort = null;
  at("send").disabled = false;
  at("stop").hidden = true;
  say(results.every((status) => status === 200) ? "The reply is complete." : "");
  if (results.includes(401)) loadModels();
  showTurns();
  keep();
}

function showTurns() {
  const log = at("turns");
  log.replaceChildren(...chat.turns.flatMap((turn, index) => {
    const replies = make("div", "replies");
    replies.append(...turn.replies.map((reply) => {
      reply.offer(
        button("Copy answer", () => copy(reply.answer)),
        button("Copy with thinking", () => copy(reply.thinking ? `<think>\n${reply.thinking}\n</think>\n\n${reply.answer}` : reply.answer)),
        button("Retry", () => abort || retry(index)),
      );
      return reply.element;
    }));
    return [make("div", "question", turn.question), replies];
  }));
  log.scrollTop = log.scrollHeight;
}

function retry(index) {
  const seed = number("seed");
  chat.turns[index].seed = seed ?? Math.floor(Math.random() * 2 ** 31);
  run(index);
}

function showChats() {
  at("chats").replaceChildren(...savedChats().map((saved) => {
    const row = make("li");
    const title = saved.turns[0] ? saved.turns[0].question : "";
    const remove = button("×", () => {
      localStorage.setItem(SAVED, JSON.stringify(savedChats().filter((other) => other.id !== saved.id)));
      showChats();
    });
    remove.setAttribute("aria-label", `Delete ${title}`);
    row.append(button(title, () => abort || open(saved)), remove);
    return row;
  }));
}

function open(saved) {
  chat = { id: saved.id, turns: saved.turns.map((turn) => ({ ...turn, replies: turn.replies.map((reply) => new Reply(reply.model, reply)) })) };
  showTurns();
}

function button(text, act) {
  const element = make("button", "", text);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("The browser does not let pages copy here.", true);
  }
}

function say(text, isWrong) {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", Boolean(isWrong));
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = at("question").value.trim();
  if (!question || abort || !at("model").value) return;
  at("question").value = "";
  ask(question);
});
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at("ask").requestSubmit();
  }
});
document.addEventListener("keydown", (event) => event.key === "Escape" && abort && abort.abort());
at("stop").addEventListener("click", () => abort && abort.abort());
at("new").addEventListener("click", () => {
  if (abort) return;
  chat = newChat();
  showTurns();
  at("question").focus();
});
at("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("cogitate.key", at("api_key").value);
  at("api_key").value = "";
  loadModels();
});
// The conversation follows what is written, unless somebody has scrolled up to read.
let follows = true;
at("turns").addEventListener("scroll", () => { follows = at("turns").scrollHeight - at("turns").scrollTop - at("turns").clientHeight < 60; });
new MutationObserver(() => { if (follows) at("turns").scrollTop = at("turns").scrollHeight; })
  .observe(at("turns"), { subtree: true, childList: true, characterData: true });
if (window.matchMedia("(max-width: 46rem)").matches) at("earlier").open = false;
showChats();
loadModels();
