// What goes to the server and comes from it. A change is sent again until the server has answered: its name (`request`) makes
// the server save it once.

const STORE = "cogitate-studio-key";
const AGAIN_AFTER = 1000; // milliseconds

export class Refusal extends Error {
  constructor(status, message, code = null) {
    super(message);
    Object.assign(this, { status, code });
  }
}

// The link that the program prints carries the key behind "#", which no server sees; it leaves the address at once.
export function takeKey() {
  const found = new URLSearchParams(location.hash.slice(1)).get("key");
  if (found) {
    sessionStorage.setItem(STORE, found);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(STORE);
}

export function giveKey(key) {
  sessionStorage.setItem(STORE, key);
}

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(STORE) || ""}` };
  if (options.body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response.json();
  let [message, code] = [`the server answered ${response.status}`, null];
  try {
    ({ message, code } = (await response.json()).error);
  } catch { /* an answer of something else than the studio */ }
  throw new Refusal(response.status, message, code);
}

export function get(path, values = {}) {
  const asked = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(asked).toString();
  return ask(query ? `${path}?${query}` : path);
}

export function post(path, body) {
  return ask(path, { method: "POST", body: JSON.stringify(body) });
}

export const session = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
let count = 0;

export async function save(path, body, onTrouble) {
  const named = { ...body, request: `${session.slice(0, 24)}-${++count}` };
  for (;;) {
    try {
      const answer = await post(path, named);
      onTrouble("");
      return answer;
    } catch (error) {
      if (error instanceof Refusal && error.status < 500) {
        onTrouble("");
        throw error;
      }
      const why = error instanceof Refusal ? error.message : "the studio does not answer";
      onTrouble(`Not saved yet: ${why}. It is tried again every second; leave this page open.`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER));
    }
  }
}

// Seconds on an item while the page is seen and somebody does something at least once a minute.
const IDLE_AFTER = 60_000;
const LONGEST_TICK = 2000; // a longer one was slept through, or the page was hidden
let touchedAt = Date.now();
for (const name of ["keydown", "pointermove", "pointerdown", "wheel", "touchstart"]) {
  addEventListener(name, () => { touchedAt = Date.now(); }, { passive: true });
}

export class Watch {
  constructor() {
    this.openedAt = new Date().toISOString();
    this.seconds = 0;
    this.last = Date.now();
    touchedAt = Date.now();
    this.timer = setInterval(() => this.tick(), 1000);
  }

  tick() {
    const now = Date.now();
    const took = now - this.last;
    if (document.visibilityState === "visible" && took <= LONGEST_TICK && now - touchedAt < IDLE_AFTER) this.seconds += took / 1000;
    this.last = now;
  }

  stop() {
    clearInterval(this.timer);
    this.tick();
  }

  facts() {
    this.tick();
    return { active_seconds: Math.min(Math.round(this.seconds * 10) / 10, 86400), opened_at: this.openedAt, session };
  }
}
