"""Format rewards: does the completion keep the form it was asked for? All or nothing; the answer itself is not looked at.

Contracts:

- `think_answer`: `<think>reasoning</think>` then `<answer>answer</answer>`, only white space beside them (r1_zero).
- `think_text`: `<think>reasoning</think>` then text, without another thinking tag (r1).
- `think_present`: exactly one thinking block, closed and not empty, at the start; what follows is free, even nothing.
- `think_answer_code_python`: think_answer, and the answer holds a fenced block marked `python`.

Tags are exact (see tokenizer/thinking.py). Empty thinking and empty answers are wrong in every contract: a form without content
can be had for free, and characters that nobody can see are no content. Tags that stand in code of the answer are text. End
tokens left at the end are dropped first.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from cogitate.rewards.verdicts import right, wrong
from cogitate.tokenizer.thinking import ANSWER_CLOSE, ANSWER_OPEN, ThinkingParts, answer_blocks, blank_code, split_thinking
from cogitate.types import Verdict

FormatContract = Literal["think_answer", "think_text", "think_present", "think_answer_code_python"]
FORMAT_CONTRACTS: tuple[FormatContract, ...] = ("think_answer", "think_text", "think_present", "think_answer_code_python")

_PYTHON_BLOCK = re.compile(r"```(?:python|python3|py)[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)
_SEEN = frozenset("LNPS")  # first letters of Unicode's categories that leave a mark: letters, numbers, punctuation, symbols
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc")  # letters and symbols of these categories that leave none


def grade_format(completion: str, contract: FormatContract, *, prefilled: bool = False) -> Verdict:
    """Judge the form of a completion.

    Args:
        prefilled: the prompt ended in `<think>`, so the completion starts inside the thinking.
    """
    parts = split_thinking(completion, prefilled=prefilled)
    fault = _thinking_fault(parts)
    if not fault and contract == "think_text":
        fault = _text_fault(parts.answer_region)
    if not fault and contract in ("think_answer", "think_answer_code_python"):
        fault = _answer_fault(parts.answer_region, python=contract == "think_answer_code_python")
    return wrong(fault) if fault else right(f"keeps the form {contract}")


def _thinking_fault(parts: ThinkingParts) -> str:
    if parts.thinking is None:
        return "there is no <think>"
    if not parts.closed:
        return "the thinking is never closed"
    if not parts.well_formed:
        return "the thinking is not exactly one <think>...</think> at the start"
    if ANSWER_OPEN in parts.thinking or ANSWER_CLOSE in parts.thinking:
        return "an answer tag stands inside the thinking"
    if not is_visible(parts.thinking):
        return "the thinking is empty"
    return ""


def _text_fault(region: str) -> str:
    return "" if is_visible(region) else "nothing stands after the thinking"


def _answer_fault(region: str, *, python: bool) -> str:
    blocks = answer_blocks(region)
    if len(blocks) != 1:
        return f"there are {len(blocks)} complete <answer> blocks after the thinking, not one"
    answer = blocks[0]
    before, after = region.split(f"{ANSWER_OPEN}{answer}{ANSWER_CLOSE}", 1)
    if before.strip() or after.strip():
        return "text stands beside the answer block"
    visible = blank_code(answer)
    if ANSWER_OPEN in visible or ANSWER_CLOSE in visible:
        return "an answer tag stands inside the answer"
    if not is_visible(answer):
        return "the answer is empty"
    if python and not any(is_visible(block) for block in _PYTHON_BLOCK.findall(answer)):
        return "the answer holds no fenced block marked python"
    return ""


def is_visible(text: str) -> bool:
    """Whether a reader sees anything of a text: a letter, a digit, a sign; no white space, format or control character."""
    return any(
        unicodedata.category(character)[0] in _SEEN and character not in _BLANKS
        for character in _TERMINAL_SEQUENCE.sub("", text)
    )
