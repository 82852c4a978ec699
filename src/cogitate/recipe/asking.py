"""How models are asked in reinforcement learning: as plain text in a template, or through their own chat template.

Whoever asks hands over a tokenizer that knows the tags of the settings: see `with_tags_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.config import EvaluateConfig, PromptConfig, ZeroRLConfig
from cogitate.config.prompts import QUESTION, template_fault
from cogitate.errors import CheckpointError, ConfigError, DataError
from cogitate.rewards.kinds import has_rules
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.prompts import (
    R1_TEMPLATE,
    R1_TURN,
    R1_ZERO_TEMPLATE,
    R1_ZERO_TURN,
    in_tags,
    r1_prompt,
    with_summary,
)
from cogitate.tokenizer.tags import R1_TAGS, Tags
from cogitate.tokenizer.thinking_budget import WAIT, make_thinking_budget
from cogitate.train.rollouts import Prompt, encode_all, too_long_message
from cogitate.types import Message, Problem, ThinkingBudget

PromptOf = Callable[[Problem], Prompt]
BudgetOf = Callable[[Problem], ThinkingBudget]
Examples = Sequence[tuple[str, str]]  # (question, completion), in R1's tags


@dataclass(frozen=True, slots=True)
class Form:
    """What a stage asks for where the settings do not say otherwise.

    Attributes:
        template: of the plain prompt. turn: of the user's message in a chat template.
        completion: (thinking, answer) -> what a solved example says.
    """

    template: str
    turn: str
    completion: Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Fitting:
    """Problems whose prompts leave room for their completions, and how many others were left out.

    Attributes:
        first: the place of the first that was left out, and the tokens of its prompt.
    """

    problems: list[Problem]
    left_out: int = 0
    first: str = ""

    def summary(self, what: str = "too_long") -> dict[str, Any]:
        """For a stage's summary; {} where nothing was left out."""
        return {what: {"left_out": self.left_out, "first": self.first}} if self.left_out else {}

    def line(self) -> str:
        """For a person."""
        asked = self.left_out + len(self.problems)
        return f"{self.left_out} of {asked} prompts are too long for the model's context and left out; the first: {self.first}"


R1_ZERO = Form(R1_ZERO_TEMPLATE, R1_ZERO_TURN, in_tags)
R1 = Form(R1_TEMPLATE, R1_TURN, with_summary)


def ask_r1_zero(settings: ZeroRLConfig, directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """R1-Zero's question as the settings have it: in its template or the model's own, after solved examples where there are
    any, with the thinking opened where that is asked for.

    Departure where either is set: the paper's template shows no example and opens nothing, but a model that never finds the
    form by itself has nothing to learn from.

    Raises:
        CheckpointError: the model has no chat template, or it fails, or does not show what the settings give it to show.
    """
    asked = ask(settings, R1_ZERO, directory, tokenizer)
    return opened(asked, tokenizer) if settings.open_thinking else asked


def ask_r1(settings: PromptConfig, directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """The question to a fine-tuned model: in the plain turn that it knows, in its chat template with the request for a box, or
    as SFT showed it. Raises as ask_r1_zero."""
    return turn_prompts(directory, tokenizer) if settings.prompt == "turn" else ask(settings, R1, directory, tokenizer)


def ask(settings: PromptConfig, form: Form, directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """A problem that rules judge as the settings have it, else as the form has it; general prompts as they are."""
    exchange = tokenizer.tags.exchange
    examples = [(one.question, form.completion(one.thinking, one.answer)) for one in settings.worked_examples]
    if settings.prompt == "chat":
        text, again = settings.template or exchange(form.turn), settings.template or QUESTION
        boxed = chat_prompts(directory, tokenizer, text, system=settings.system_prompt, examples=examples, again=again)
        as_it_is = chat_prompts(directory, tokenizer, QUESTION, system=settings.system_prompt)
    else:
        boxed = plain_prompts(settings.template or exchange(form.template), tokenizer, examples)
        as_it_is = plain_r1_prompt
    return lambda problem: (boxed if has_rules(problem.kind) else as_it_is)(problem)


def plain_r1_prompt(problem: Problem) -> Prompt:
    """The plain turn that fine-tuned models know."""
    return r1_prompt(problem.question)


def plain_prompts(template: str, tokenizer: Tokenizer, examples: Examples = ()) -> PromptOf:
    """A question in a template of plain text. Solved examples stand before it as earlier turns, each closed by the end token;
    the lines above that of the question are said once."""
    if not examples:
        return lambda problem: template.replace(QUESTION, problem.question)
    above = template.rfind("\n", 0, template.index(QUESTION)) + 1
    head, turn = template[:above], template[above:]
    lead = "" if turn[-1].isspace() else " "
    ids = [*tokenizer.prefix_ids, *tokenizer.encode(head)]
    for question, completion in examples:
        said = tokenizer.tags.exchange(completion)
        ids += [*tokenizer.encode(f"{turn.replace(QUESTION, question)}{lead}{said}"), tokenizer.end_id]
    return lambda problem: [*ids, *tokenizer.encode(turn.replace(QUESTION, problem.question))]


def chat_prompts(
    directory: Path,
    tokenizer: Tokenizer,
    template: str,
    *,
    system: str = "",
    examples: Examples = (),
    again: str = QUESTION,
) -> PromptOf:
    """A user's turn in the model's own template, and the beginning of the assistant's; solved examples are earlier turns.

    Args:
        template: the text of the user's turn.
        system: the system message of problems that have none of their own.
        again: the text of the user's turns after the first example. What is asked for is said once: said in each turn, it was
            more than half of a prompt, which is read and learnt from for every problem.

    Raises:
        CheckpointError: the model has no template, or it fails, or leaves out the system message or an example's thinking.
    """
    chat_template = ChatTemplate.load(directory)
    if chat_template is None:
        raise CheckpointError(
            f"{directory}: the model has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): "
            "ask it in plain text"
        )

    def user(question: str, text: str) -> Message:
        return Message("user", text.replace(QUESTION, question))

    texts = [template, *(again for _ in examples)]
    earlier = [
        turn
        for (question, completion), text in zip(examples, texts, strict=False)
        for turn in (user(question, text), Message("assistant", completion))
    ]
    preset = [Message("system", system)] if system else []
    check_shown(chat_template, [*preset, *earlier], tokenizer.tags.exchange)

    def prompt(problem: Problem) -> Prompt:
        *before, last = problem.conversation
        own = [turn for turn in before if turn.role == "system"]
        turns = [turn for turn in before if turn.role != "system"]
        return chat_template.prompt_ids([*(own or preset), *earlier, *turns, user(last.content, texts[-1])], tokenizer)

    return prompt


def check_shown(template: ChatTemplate, before: Sequence[Message], exchange: Callable[[str], str]) -> None:
    """Refuse a template that leaves out the system message, or the thinking of earlier turns, as R1's and Qwen3's do."""
    if not before:
        return
    turns = [Message(one.role, exchange(one.content)) if one.role == "assistant" else one for one in before]
    shown = "".join(template.prompt_text([*turns, Message("user", "question")]).split())
    for turn in turns:
        if "".join(turn.content.split()) not in shown:
            what = "the system prompt" if turn.role == "system" else "the worked examples, or the thinking in them"
            raise CheckpointError(f"{template.where}: leaves out {what}; write it into the setting template")


def turn_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """A user's turn as SFT showed it: the question, after its own turns, in the model's own template or in R1's form."""
    form = ConversationForm.load(directory, tokenizer)
    return lambda problem: form.prompt_ids(problem.conversation)


def opened(ask: PromptOf, tokenizer: Tokenizer) -> PromptOf:
    """The same prompts, ending in `<think>` or the model's own tag."""
    tag = tokenizer.tags.thinking[0]

    def asked(problem: Problem) -> Prompt:
        prompt = ask(problem)
        if isinstance(prompt, str):
            return f"{prompt} {tag}"
        before = tokenizer.decode(prompt[-4:])
        return [*prompt, *tokenizer.encode(tag if before.endswith(("\n", " ")) else f" {tag}")]

    return asked


def fitting(
    problems: Sequence[Problem],
    asked: Sequence[tuple[PromptOf, Tokenizer]],
    max_context: int,
    *,
    max_new_tokens: int,
    too_long: str,
) -> Fitting:
    """The problems of which every prompt fits the model's context together with its completion.

    Args:
        max_context: of the model: prompt plus completion tokens.
        asked: each way in which the problems are put, with its tokenizer: all are put to the same problems.
        too_long: of the settings `tasks`: what is done with the others.

    Raises:
        DataError: "refuse": there are others; "drop": there is nothing but others.
    """
    longest = [0] * len(problems)
    for prompt_of, tokenizer in asked:
        ids = encode_all([prompt_of(problem) for problem in problems], tokenizer)
        longest = [max(known, len(each)) for known, each in zip(longest, ids, strict=True)]
    room = max_context - max_new_tokens
    long = [(problem, tokens) for problem, tokens in zip(problems, longest, strict=True) if tokens > room]
    if not long:
        return Fitting(list(problems))
    if too_long == "refuse" or len(long) == len(problems):
        raise DataError(too_long_message(long, max_new_tokens, max_context))
    kept = [problem for problem, tokens in zip(problems, longest, strict=True) if tokens <= room]
    return Fitting(kept, len(long), f"{long[0][0].place}: {long[0][1]} tokens")


def thinking_budgets(settings: EvaluateConfig, tokenizer: Tokenizer, tags: Tags) -> BudgetOf | None:
    """How long an evaluation lets a problem's completions think, in these tags; None: as long as they like."""
    if not settings.budgets_thinking:
        return None
    of_language = {
        language: make_thinking_budget(
            tokenizer.with_tags(tags),
            at_most=settings.thinking_budget if settings.thinking_budget >= 0 else None,
            at_least=settings.min_thinking,
            waits=settings.waits,
            closing_phrase=settings.closing_phrase,
            language=language,
        )
        for language in WAIT
    }
    return lambda problem: of_language["zh" if problem.language == "zh" else "en"]


def check_thinks(directory: Path, tokenizer: Tokenizer, prompt: Prompt) -> None:
    """Refuse a thinking budget where there is no sign of thinking: the tags stand neither in the prompt nor in the model's chat
    template, are no tokens of its own, and its directory names no others.

    Raises:
        ConfigError: there is no sign.
    """
    text = prompt if isinstance(prompt, str) else tokenizer.decode(prompt)
    template = ChatTemplate.load(directory)
    shown = text + (template.source if template is not None else "")
    tags = tokenizer.tags.thinking
    if not (any(tag in shown or tag in tokenizer.control_ids for tag in tags) or tags != R1_TAGS.thinking):
        raise ConfigError(
            f"{directory}: a thinking budget would change nothing: neither prompt nor model knows {tags[0]}; leave it out"
        )


def with_tags_of(settings: PromptConfig, tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer of a model that is asked for the tags of the settings; where these name none, for its own."""
    return tokenizer.with_tags(tags_of(settings, tokenizer.tags))


def tags_of(settings: PromptConfig, own: Tags) -> Tags:
    """The tags that settings name, `own` where they name none."""

    def pair(named: tuple[str, ...], usual: tuple[str, str]) -> tuple[str, str]:
        return (named[0], named[1]) if named else usual

    return Tags(pair(settings.thinking_tags, own.thinking), pair(settings.answer_tags, own.answer))


def check_tags(settings: PromptConfig, stage: str) -> None:
    """Raises ConfigError for tags that could not be told apart in a text."""
    if fault := tags_of(settings, Tags()).fault():
        raise ConfigError(f"{stage}.thinking_tags, {stage}.answer_tags: {fault}")


def has_own_prompt(settings: PromptConfig) -> bool:
    """Whether the settings change what the stage's form shows of a problem."""
    shows = isinstance(settings, ZeroRLConfig) and settings.open_thinking
    own_text = settings.template or settings.system_prompt or settings.thinking_tags or settings.answer_tags
    return bool(shows or settings.worked_examples or own_text)


def prompt_name(settings: PromptConfig, plain: str) -> str:
    """The name of a prompt; `plain` is that of the stage's plain one."""
    facts = {
        "_own_template": settings.template,
        "_system": settings.system_prompt,
        f"_{len(settings.worked_examples)}_examples": settings.worked_examples,
        "_own_tags": settings.thinking_tags or settings.answer_tags,
        "_opened": isinstance(settings, ZeroRLConfig) and settings.open_thinking,
    }
    return ("chat" if settings.prompt == "chat" else plain) + "".join(suffix for suffix, holds in facts.items() if holds)


def read_template(path: Path) -> str:
    """A template that stands in a file, without the end of its last line.

    Raises:
        ConfigError: the file cannot be read, or has not one place for the question.
    """
    try:
        template = path.read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if fault := template_fault(template):
        raise ConfigError(f"{path}: {fault}")
    return template
