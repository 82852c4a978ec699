// One reply: its elements, and the stream that fills them.
"use strict";

class Reply {
  constructor(model, saved) {
    this.model = model;
    Object.assign(this, { thinking: "", answer: "", seconds: 0, thinkingTokens: 0, tokens: 0, finish: null, error: "" }, saved || {});
    this.element = make("section", "reply");
    this.element.setAttribute("aria-label", `Reply of ${model}`);
    this.title = this.element.appendChild(make("h2", "", model));
    this.block = this.element.appendChild(make("details", "thinking"));
    this.summary = this.block.appendChild(make("summary"));
    this.thought = this.block.appendChild(make("div"));
    this.said = this.element.appendChild(make("div", "answer"));
    this.note = this.element.appendChild(make("p", "note"));
    this.buttons = this.element.appendChild(make("div", "buttons"));
    this.folded = false;
    this.show();
  }

  get record() {
    const { model, thinking, answer, seconds, thinkingTokens, tokens, finish, error } = this;
    return { model, thinking, answer, seconds, thinkingTokens, tokens, finish, error };
  }

  async run(body, headers, signal) {
    const began = performance.now();
    this.running = true;
    this.block.open = true;
    try {
      const response = await fetch("/v1/chat/completions", {
        method: "POST", signal, headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify({ ...body, model: this.model, stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } }),
      });
      if (!response.ok) {
        const refused = await response.json();
        this.error = refused.error.message;
        return response.status;
      }
      for await (const event of eventsOf(response)) this.take(event, began);
      if (!this.finish && !this.error) this.error = "The connection was lost.";
      return 200;
    } catch (failure) {
      this.error = failure.name === "AbortError" ? "Stopped." : "The server cannot be reached.";
      return 0;
    } finally {
      this.running = false;
      this.show();
    }
  }

  take(event, began) {
    if (event.error) this.error = event.error.message;
    const choice = (event.choices || [])[0];
    if (choice) {
      this.thinking += choice.delta.reasoning_content || choice.delta.reasoning || "";
      this.answer += choice.delta.content || "";
      this.finish = choice.finish_reason || this.finish;
      if (!this.answer) this.seconds = (performance.now() - began) / 1000;
    }
    if (event.usage) {
      this.tokens = event.usage.completion_tokens;
      this.thinkingTokens = event.usage.completion_tokens_details.reasoning_tokens;
    }
    if (!this.drawn) this.drawn = requestAnimationFrame(() => { this.drawn = 0; this.show(); });
  }

  show() {
    const thinks = this.running && !this.answer;
    this.block.hidden = !this.thinking;
    this.summary.textContent = `${thinks ? "Thinking" : "Thought"} for ${this.seconds.toFixed(1)} s · ${this.thinkingTokens} tokens`;
    this.thought.textContent = this.thinking;
    if (this.answer && !this.folded) { // once: who opens it again keeps it open
      this.block.open = false;
      this.folded = true;
    }
    showText(this.said, this.answer);
    const cut = this.finish === "length" ? (this.answer ? "Cut off at the limit of tokens." : "Cut off in its thinking: there is no answer.") : "";
    this.note.textContent = this.error || cut;
    this.note.hidden = !this.note.textContent;
    this.element.setAttribute("aria-busy", String(Boolean(this.running)));
  }

  offer(...buttons) {
    this.buttons.replaceChildren(...buttons);
  }
}

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    let end;
    while ((end = held.indexOf("\n\n")) >= 0) {
      const data = held.slice(0, end).split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("");
      held = held.slice(end + 2);
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
