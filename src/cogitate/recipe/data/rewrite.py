"""The rewriting pass of post-processing: whatever the form, an answer becomes `<think> thinking </think>` + summary.

The paper lets DeepSeek-V3 rewrite and people revise (R1, section 2.3.1 and supplement); here rules do the first part, which
move text and invent none: the thinking is the writer's own, the summary says the writer's own answer in the language of
the question. Nothing of it comes from the problem's gold answer.
"""

from __future__ import annotations

import re

from cogitate.rewards.answer import find_answer
from cogitate.rewards.kinds import kind_of
from cogitate.tokenizer.thinking import ThinkingParts, answer_blocks, split_thinking
from cogitate.types import Problem

SUMMARY = {"en": "The answer is \\boxed{{{answer}}}.", "zh": "答案是\\boxed{{{answer}}}。"}
PROGRAM = {"en": "The program:", "zh": "程序："}
LONGEST_BOXED = 200  # characters; a longer "answer" is a text

_FENCED = re.compile(r"```[^\n`]*\n.*?```", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?]\s+|[。！？]|\n")


def rewrite(text: str, problem: Problem) -> tuple[str | None, str]:
    """(the rewritten text, ""), or (None, the rule that drops it).

    Rules: "tags not closed", "no answer", "no thinking", "no program".
    """
    parts = split_thinking(text)
    if parts.thinking is not None and not (parts.closed and parts.well_formed):
        return None, "tags not closed"
    cut = cut_program(text, parts, problem) if kind_of(problem.kind).answer == "program" else cut_answer(text, parts, problem)
    if isinstance(cut, str):
        return None, cut
    thinking, summary = cut
    if not thinking.strip():
        return None, "no thinking"
    return f"<think> {thinking.strip()} </think>\n{summary}", ""


def cut_program(text: str, parts: ThinkingParts, problem: Problem) -> tuple[str, str] | str:
    """(thinking, summary with the last program), or the rule that drops it. Untagged, what precedes it is thinking."""
    region = text if parts.thinking is None else parts.answer_region
    blocks = list(_FENCED.finditer(region))
    if not blocks:
        return "no program"
    thinking = region[: blocks[0].start()] if parts.thinking is None else parts.thinking
    return thinking, f"{PROGRAM.get(problem.language, PROGRAM['en'])}\n{blocks[-1].group()}"


def cut_answer(text: str, parts: ThinkingParts, problem: Problem) -> tuple[str, str] | str:
    """(thinking, summary with the answer), or the rule that drops it. Untagged, the announcement is cut off."""
    answer = find_answer(text, "free" if parts.thinking is None else "r1")
    said = re.sub(r"[.。!！]+$", "", answer.text.strip()).strip()
    if answer.problem or not said:
        return "no answer"
    if parts.thinking is not None:
        region = parts.answer_region
        whole = (answer_blocks(region) or [region])[-1]
        return parts.thinking, summary_of(said if has_value(problem) else whole, problem)
    if answer.source == "text" or not has_value(problem):
        return "no thinking"  # nothing marks where the answer begins
    return before_announcement(text, said), summary_of(said, problem)


def summary_of(answer: str, problem: Problem) -> str:
    """The summary in the question's language, the answer in a box; long answers and other kinds stand as they are."""
    answer = answer.strip()
    if not has_value(problem) or len(answer) > LONGEST_BOXED or "\n" in answer:
        return answer
    return SUMMARY.get(problem.language, SUMMARY["en"]).format(answer=answer)


def has_value(problem: Problem) -> bool:
    """Whether its answer is a value, which can stand in a box."""
    return kind_of(problem.kind).answer == "value"


def before_announcement(text: str, answer: str) -> str:
    """The text up to the sentence that holds the last mention of the answer."""
    at = max(text.rfind(answer), 0)
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, at)]
    return text[: ends[-1]] if ends else ""
