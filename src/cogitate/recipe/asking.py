"""How R1-Zero is asked: R1-Zero's template around the question as plain text, or the model's own chat template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cogitate.errors import CheckpointError
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.prompts import R1_ZERO_INSTRUCTION, instructed, r1_zero_prompt
from cogitate.train.rollouts import Prompt
from cogitate.types import Message, Problem

PromptOf = Callable[[Problem], Prompt]


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
    return lambda problem: template.prompt_ids([Message("user", instructed(problem.question, instruction))], tokenizer)


ASKED: dict[str, Callable[[Path, Tokenizer], PromptOf]] = {"plain": plain_prompts, "chat": chat_prompts}
