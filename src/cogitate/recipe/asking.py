"""How models are asked in reinforcement learning: as plain text in a template of ours, or through their own chat template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cogitate.errors import CheckpointError
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.prompts import R1_INSTRUCTION, R1_ZERO_INSTRUCTION, instructed, r1_prompt, r1_zero_prompt
from cogitate.train.rollouts import WITHOUT_RULES, Prompt
from cogitate.types import Message, Problem

PromptOf = Callable[[Problem], Prompt]


def plain_r1_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """The plain turn that fine-tuned models know."""
    return lambda problem: r1_prompt(problem.question)


def chat_r1_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """As chat_prompts, asking for a box; general prompts are asked as they are: their answers have none."""
    boxed, plain = chat_prompts(directory, tokenizer, R1_INSTRUCTION), chat_prompts(directory, tokenizer, "")
    return lambda problem: (plain if problem.kind in WITHOUT_RULES else boxed)(problem)


def plain_prompts(directory: Path, tokenizer: Tokenizer) -> PromptOf:
    """R1-Zero's template, the same for every model."""
    return lambda problem: r1_zero_prompt(problem.question)


def chat_prompts(directory: Path, tokenizer: Tokenizer, instruction: str = R1_ZERO_INSTRUCTION) -> PromptOf:
    """A user's turn in the model's own template, and the beginning of the assistant's.

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

    return lambda problem: template.prompt_ids([Message("user", asked(problem.question))], tokenizer)


ASKED: dict[str, Callable[[Path, Tokenizer], PromptOf]] = {"plain": plain_prompts, "chat": chat_prompts}
ASKED_R1: dict[str, Callable[[Path, Tokenizer], PromptOf]] = {"plain": plain_r1_prompts, "chat": chat_r1_prompts}
