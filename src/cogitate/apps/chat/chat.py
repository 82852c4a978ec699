"""`cogitate chat`: talk to a model in the terminal; what it thinks is dimmed, Ctrl-C stops a completion, /help helps."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from cogitate.apps.chat.commands import command_of, help_text
from cogitate.apps.chat.output import Output, PlainOutput, TerminalOutput, is_styled
from cogitate.apps.chat.speaker import Speaker, Template, WeightType
from cogitate.backend import GenerationRequest
from cogitate.errors import CogitateError, ConfigError, DataError, Interrupted
from cogitate.recipe.asking import check_thinks
from cogitate.recipe.models import find_model
from cogitate.runtime import derive_seed
from cogitate.tokenizer.tags import R1_TAGS, Tags
from cogitate.tokenizer.text_stream import StopText, TextStream
from cogitate.tokenizer.thinking import split_thinking
from cogitate.tokenizer.thinking_budget import make_thinking_budget
from cogitate.train.rollouts import opens_thinking
from cogitate.types import Message, SamplingParams

PROMPT = "> "
LONGEST_REPLY = 4096  # tokens, where neither the user nor the context says less
LEAST_REPLY = 64  # tokens that must be left in the context for it


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion.

    Attributes:
        ended: "stop" (by itself), "length" (at the token limit) or "interrupted" (Ctrl-C).
        opened: the prompt opened the thinking, so the text starts inside it.
        tags: those that the model writes.
    """

    text: str
    tokens: int
    ended: Literal["stop", "length", "interrupted"]
    opened: bool
    tags: Tags = R1_TAGS

    @property
    def said(self) -> str:
        """What it answers, without what was thought: this is what later turns remember."""
        return split_thinking(self.tags.exchange(self.text), prefilled=self.opened).answer_region.strip()

    @property
    def thinks_on(self) -> bool:
        """Whether the thinking was opened and never closed, so that there is no answer."""
        parts = split_thinking(self.tags.exchange(self.text), prefilled=self.opened)
        return parts.thinking is not None and not parts.closed


def chat(
    model: str,
    *,
    prompt: str | None,
    template: Template | None,
    system: str,
    template_file: Path | None,
    temperature: float,
    top_p: float,
    max_new_tokens: int | None,
    seed: int | None,
    thinking_budget: int | None = None,
    device: str = "auto",
    dtype: WeightType = "float32",
) -> None:
    """Answer one prompt and return, or talk until the user ends it.

    Args:
        model: see recipe.models.find_model.
        prompt: the one question; "-" reads it from standard input, as None does where that is no terminal.
        template: None takes the model's chat template where it has one, else R1-Zero's.
        system: a message before the conversation, where the chat template is taken; "": none.
        template_file: a plain text with a place for the question, in which each question is asked alone.
        max_new_tokens: None: what the context leaves, at most LONGEST_REPLY.
        seed: None draws one.
        thinking_budget: thinking tokens of each reply, at most; None: as many as it likes.
        device, dtype: what computes, as `pick_device` takes it, and the type of the weights.

    Raises:
        CogitateError: the model or the prompt cannot be used.
        Interrupted: Ctrl-C stopped the one completion, or anything but a completion.
    """
    seed = secrets.randbits(32) if seed is None else seed
    settings = Settings(temperature, top_p, max_new_tokens, seed, thinking_budget)
    try:
        talk(model, prompt, template, settings, system=system, template_file=template_file, device=device, dtype=dtype)
    except KeyboardInterrupt:
        raise Interrupted("stopped", 128 + signal.SIGINT) from None


def talk(
    model: str,
    prompt: str | None,
    template: Template | None,
    settings: Settings,
    *,
    system: str = "",
    template_file: Path | None = None,
    device: str = "auto",
    dtype: WeightType = "float32",
) -> None:
    """`chat`, but for Ctrl-C."""
    directory = find_model(model)
    speaker = Speaker.load(directory, template, system=system, template_file=template_file, device=device, dtype=dtype)
    if settings.thinking_budget is not None:
        if template == "bare":
            raise ConfigError("--thinking-budget has no effect with --template bare: nothing is thought after it; leave it out")
        check_thinks(directory, speaker.tokenizer, speaker.prompt_of([Message("user", "question")]))
    if prompt is None and sys.stdin.isatty():
        note(f"{model}: {speaker.about}; /help lists what you can type")
        converse(speaker, settings)
        return
    question = read_standard_input() if prompt is None or prompt == "-" else prompt
    reply = answer(speaker, [Message("user", checked(question))], settings, make_output(speaker.tokenizer.tags))
    if reply.ended == "interrupted":
        raise Interrupted("stopped", 128 + signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Settings:
    """How completions are drawn; `max_new_tokens` and `thinking_budget` as in `chat`."""

    temperature: float
    top_p: float
    max_new_tokens: int | None
    seed: int
    thinking_budget: int | None = None


def converse(speaker: Speaker, settings: Settings) -> None:
    """Questions and answers until Ctrl-D. What fails is said, and the next question may be asked."""
    import readline  # noqa: F401 - importing it gives `input` editing and a history

    messages: list[Message] = []
    turn = 0
    while True:
        try:
            question = input_line()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            continue
        if not question.strip():
            continue
        try:
            command = command_of(question)
            if command is not None:
                note_lines(help_text() if command == "help" else "the conversation is forgotten")
                messages = [] if command == "clear" else messages
                continue
        except DataError as error:
            print(f"error: {error}", file=sys.stderr)
            continue
        try:
            messages = [*(messages if speaker.remembers else []), Message("user", checked(question))]
            messages = forget_until_it_fits(speaker, messages, settings)
            reply = answer(speaker, messages, settings, make_output(speaker.tokenizer.tags), turn=turn)
        except CogitateError as error:
            print(f"error: {error}", file=sys.stderr)
            messages = messages[:-1]
            continue
        messages.append(Message("assistant", reply.said))
        turn += 1


def input_line() -> str:
    """What the user types; the prompt is no part of an output that goes into a file."""
    if sys.stdout.isatty():
        return input(PROMPT)
    print(PROMPT, end="", file=sys.stderr, flush=True)
    return input()


def forget_until_it_fits(speaker: Speaker, messages: list[Message], settings: Settings) -> list[Message]:
    """The conversation without as many of its oldest exchanges as the context has no room for."""
    kept = messages
    while len(kept) > 1 and room(speaker, speaker.prompt_of(kept)) < (settings.max_new_tokens or LEAST_REPLY):
        kept = kept[2:]
    if len(kept) < len(messages):
        note(f"the context is full: the oldest {(len(messages) - len(kept)) // 2} exchanges are forgotten")
    return kept


def room(speaker: Speaker, prompt_ids: Sequence[int]) -> int:
    """Tokens that the context leaves for a reply."""
    return speaker.engine.max_context - len(prompt_ids)


def answer(speaker: Speaker, messages: Sequence[Message], settings: Settings, output: Output, *, turn: int = 0) -> Reply:
    """Draw the assistant's next turn and show it as it comes.

    Raises:
        DataError: the prompt does not fit the context, or the thinking budget leaves no token for an answer.
    """
    prompt_ids = speaker.prompt_of(messages)
    limit = settings.max_new_tokens or max(1, min(LONGEST_REPLY, room(speaker, prompt_ids)))
    params = SamplingParams(settings.temperature, settings.top_p, limit)
    budget = None
    if settings.thinking_budget is not None:
        budget = make_thinking_budget(speaker.tokenizer, at_most=settings.thinking_budget)
        if settings.thinking_budget + len(budget.closing_ids) >= limit:
            raise DataError(
                f"--thinking-budget {settings.thinking_budget}: leaves none of {limit} tokens for an answer; lower it"
            )
    seeds = (derive_seed(settings.seed, "chat", turn),)
    request = GenerationRequest("chat", tuple(prompt_ids), params, seeds, thinking=budget)
    speaker.engine.submit(request)
    output.begin(thinking=opens_thinking(prompt_ids, speaker.tokenizer))
    with interruptible() as interrupted:
        reply = complete(speaker, request, output.write, interrupted)
    output.end()
    if reply.ended == "length":
        note(f"cut off at {reply.tokens} tokens{', in its thinking: there is no answer' if reply.thinks_on else ''}")
    elif reply.thinks_on:
        note("the thinking was never closed: there is no answer")
    return reply


def complete(
    speaker: Speaker, request: GenerationRequest, write: Callable[[str], None], interrupted: Callable[[], bool]
) -> Reply:
    """Run a submitted request to its end, passing on text as soon as it is certain."""
    engine, stream, stop = speaker.engine, TextStream(speaker.tokenizer), StopText(speaker.stop)
    (seed,) = request.seeds
    written: list[str] = []
    count = 0

    def show(text: str) -> None:
        if text:
            written.append(text)
            write(text)

    ended: Literal["stop", "length", "interrupted"] | None = None
    while ended is None:
        finished = engine.poll()
        new = list(finished[0].token_ids[count:]) if finished else engine.partial(request.id, start=count)[seed]
        count += len(new)
        at = next((i for i, token in enumerate(new) if token in speaker.tokenizer.end_ids), None)
        show(stop.feed(stream.feed(new[:at])))
        if at is not None or stop.reached:
            ended = "stop"
        elif finished:
            ended = "length"
        elif interrupted():
            ended = "interrupted"
    engine.abort([request.id] if engine.pending() else [])
    show(stop.feed(stream.finish()))
    show(stop.finish())
    opened = opens_thinking(request.prompt_ids, speaker.tokenizer)
    return Reply("".join(written), count, ended, opened, speaker.tokenizer.tags)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """While a completion is drawn Ctrl-C is a question that can be asked; a second one is an exception as usual."""
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def make_output(tags: Tags) -> Output:
    """Dimmed thinking on a terminal; elsewhere the completion as the model wrote it."""
    return TerminalOutput(sys.stdout, tags) if is_styled(sys.stdout, os.environ) else PlainOutput(sys.stdout)


def note(line: str) -> None:
    """Something about a completion that is no part of it."""
    print(f"[{line}]", file=sys.stderr, flush=True)


def note_lines(lines: str) -> None:
    """Several lines that are no part of a completion."""
    print(lines, file=sys.stderr, flush=True)


def read_standard_input() -> str:
    """All of it, without the end of its last line."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input: not UTF-8 ({error.reason} at byte {error.start})") from error


def checked(question: str) -> str:
    """A question that can be asked.

    Raises:
        DataError: it is empty, or not valid Unicode.
    """
    if not question.strip():
        raise DataError("the prompt is empty: give --prompt TEXT, or text on standard input")
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise DataError("the prompt is not UTF-8") from error
    return question
