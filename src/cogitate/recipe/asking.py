"""How models are asked in reinforcement learning: as plain text in a template of ours, or through their own chat template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cogitate.config import WorkedExample, ZeroRLConfig
from cogitate.errors import CheckpointError
from cogitate.rewards.kinds import has_rules
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.prompts import (
    R1_INSTRUCTION,
    R1_ZERO_INSTRUCTION,
    R1_ZERO_TEMPLATE,
    in_tags,
    instructed,
    r1_prompt,
    r1_zero_prompt,
)
from cogitate.tokenizer.thinking import THINK_OPEN
from cogitate.train.rollouts import Prompt
from cogitate.types import Message, Problem

PromptOf = Callable[[Problem], Prompt]


def plain_r1_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """The plain turn that fine-tuned models know."""
    return lambda problem: r1_prompt(problem.question)


def chat_r1_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """As chat_prompts, asking for a box; general prompts are asked as they are: their answers have none."""
    boxed, plain = chat_prompts(directory, tokenizer, R1_INSTRUCTION), chat_prompts(directory, tokenizer, "")
    return lambda problem: (boxed if has_rules(problem.kind) else plain)(problem)


def plain_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """R1-Zero's template, the same for every model."""
    return lambda problem: r1_zero_prompt(problem.question)


def chat_prompts(
    directory: Path, tokenizer: Tokenizer, instruction: str = R1_ZERO_INSTRUCTION, *, examples: Sequence[WorkedExample] = ()
) -> PromptOf:
    """A user's turn in the model's own template, and the beginning of the assistant's; solved examples are earlier turns.

    Raises:
        CheckpointError: the model has no template, or it fails.
    """
    template = ChatTemplate.load(directory)
    if template is None:
        raise CheckpointError(
            f"{directory}: the model has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): "
            "ask it in plain text"
        )

    def asked(question: str) -> str:
        return instructed(question, instruction) if instruction else question

    earlier: list[Message] = []
    for example in examples:
        earlier += [Message("user", asked(example.question)), Message("assistant", in_tags(example.thinking, example.answer))]

    def prompt(problem: Problem) -> Prompt:
        *before, last = problem.conversation
        system = [turn for turn in before if turn.role == "system"]
        turns = [turn for turn in before if turn.role != "system"]
        return template.prompt_ids([*system, *earlier, *turns, Message("user", asked(last.content))], tokenizer)

    return prompt


def turn_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """A user's turn as SFT showed it: the question, after its own turns, in the model's own template or in R1's form."""
    form = ConversationForm.load(directory, tokenizer)
    return lambda problem: form.prompt_ids(problem.conversation)


def ask_r1_zero(settings: ZeroRLConfig, directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """R1-Zero's question as the settings have it: in its template or the model's own, after solved examples where there are
    any, with the thinking opened where that is asked for.

    Departure where either is set: the paper's template shows no example and opens nothing, but a model that never finds the
    form by itself has nothing to learn from.

    Raises:
        CheckpointError: the model has no chat template, or it fails.
    """
    if settings.prompt == "chat":
        asked = chat_prompts(directory, tokenizer, examples=settings.worked_examples)
    elif settings.worked_examples:
        asked = plain_prompts_with_examples(tokenizer, settings.worked_examples)
    else:
        asked = plain_prompts(directory, tokenizer)
    return opened(asked, tokenizer) if settings.open_thinking else asked


def plain_prompts_with_examples(tokenizer: Tokenizer, examples: Sequence[WorkedExample]) -> PromptOf:
    """R1-Zero's template with solved examples as earlier turns, each closed by the end token."""
    head, before, after = R1_ZERO_TEMPLATE.partition("User: ")
    turn = before + after
    ids = [*tokenizer.prefix_ids, *tokenizer.encode(head)]
    for example in examples:
        shown = f"{turn.replace('{question}', example.question)} {in_tags(example.thinking, example.answer)}"
        ids += [*tokenizer.encode(shown), tokenizer.end_id]
    return lambda problem: [*ids, *tokenizer.encode(turn.replace("{question}", problem.question))]


def opened(ask: PromptOf, tokenizer: Tokenizer) -> PromptOf:
    """The same prompts, ending in `<think>`."""

    def asked(problem: Problem) -> Prompt:
        prompt = ask(problem)
        if isinstance(prompt, str):
            return f"{prompt} {THINK_OPEN}"
        before = tokenizer.decode(prompt[-4:])
        return [*prompt, *tokenizer.encode(THINK_OPEN if before.endswith(("\n", " ")) else f" {THINK_OPEN}")]

    return asked


ASKED_R1: dict[str, Callable[[Path, Tokenizer], PromptOf]] = {
    "plain": plain_r1_prompts,
    "chat": chat_r1_prompts,
    "turn": turn_prompts,
}
