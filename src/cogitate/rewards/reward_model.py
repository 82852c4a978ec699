"""What reward models read of a completion (R1, section 2.3.4): helpfulness the final answer alone, safety everything said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.thinking import split_thinking, strip_end_tokens
from cogitate.types import Message

Reading = Callable[[str], str]


def final_answer(completion: str) -> str:
    """What stands after the thinking; "" where the thinking is never closed."""
    return split_thinking(completion).answer_region.strip()


def everything(completion: str) -> str:
    """Thinking and answer."""
    return strip_end_tokens(completion).strip()


READINGS: dict[str, Reading] = {"helpfulness": final_answer, "safety": everything}


def judged_ids(form: ConversationForm, prompt: Sequence[Message], read: str) -> tuple[list[int], list[int]]:
    """Prompt and completion as a reward model meets them, in training and in use: through its chat template, ended.

    Args:
        form: of the reward model: its own template, or R1's plain turns.
        read: what a Reading made of the completion.
    """
    asked = form.prompt_ids(prompt)
    return asked, form.completion_ids(read, asked)
