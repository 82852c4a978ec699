"""What reward models read of a completion (R1, section 2.3.4): helpfulness the final answer alone, safety everything said."""

from __future__ import annotations

from collections.abc import Callable

from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import r1_prompt
from cogitate.tokenizer.thinking import split_thinking, strip_end_tokens

Reading = Callable[[str], str]


def final_answer(completion: str) -> str:
    """What stands after the thinking; "" where the thinking is never closed."""
    return split_thinking(completion).answer_region.strip()


def everything(completion: str) -> str:
    """Thinking and answer."""
    return strip_end_tokens(completion).strip()


READINGS: dict[str, Reading] = {"helpfulness": final_answer, "safety": everything}


def judged_ids(tokenizer: Tokenizer, question: str, read: str) -> tuple[list[int], list[int]]:
    """Prompt and completion as a reward model meets them, in training and in use: the plain turn, and what is read, ended.

    Args:
        read: what a Reading made of the completion.
    """
    return tokenizer.encode_prompt(r1_prompt(question)), [*tokenizer.encode(f" {read}"), tokenizer.end_id]
