"""The collectors of cold-start data (R1, section 2.3.1): who is asked what, and how what they write becomes rows.

Three of them ask; the fourth, post-processing, rewrites, filters and follows human decisions. A reader of the paper finds each
as a function of its name here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cogitate.backend import Grader
from cogitate.endpoint import Endpoint
from cogitate.evals.text_metrics import is_reflective, length_in_words, readability_faults
from cogitate.recipe.asking import PromptOf
from cogitate.recipe.data.candidates import Candidate, ModelWriter, Writer, grade_all
from cogitate.recipe.data.decisions.chain import hash_of_text
from cogitate.recipe.data.review import Decision
from cogitate.recipe.data.rewrite import rewrite
from cogitate.recipe.data.teacher import TeacherWriter
from cogitate.rewards.kinds import kind_of
from cogitate.tasks.examples import long_example_for
from cogitate.tokenizer.prompts import NEXT_QUESTION, NEXT_TURN, R1_INSTRUCTION, few_shot_prompt, instructed, r1_prompt
from cogitate.tokenizer.thinking import split_thinking
from cogitate.types import Message, Problem

FEW_SHOT, DIRECT, R1_ZERO = "few_shot", "direct", "r1_zero"
CHECKED = {"en": " Work carefully and check your answer.", "zh": "请仔细算，再检查。"}
DETAILED = {  # for a teacher, which knows what reflection is
    "en": "Think step by step in detail, reflect on each step, and verify your result before you give it.",
    "zh": "请一步一步详细地思考，反思每一步，给出结果之前先验证。",
}
PROGRAM_FORM = {"en": "Put the program in a ```python block at the end.", "zh": "最后把程序写在```python代码块里。"}

TRUNCATED, WRONG, NO_VERDICT = "truncated", "wrong answer", "no verdict"
DUPLICATE, SURPASSED, REJECTED = "duplicate", "a better one of its problem and collector is kept", "rejected by a person"
WRONG_REWRITTEN, CONTESTED = "wrong after rewriting", "verdict contested"
OTHER_TEXT = "not the text that a person accepted"


def few_shot_text(problem: Problem) -> str:
    return few_shot_prompt(checked(problem), [long_example_for(problem)])


def direct_text(problem: Problem) -> str:
    return r1_prompt(checked(problem))


def checked(problem: Problem) -> str:
    """The question and the request for a careful answer."""
    return f"{problem.question}{CHECKED.get(problem.language, CHECKED['en'])}"


def few_shot_with_a_long_example(parts: Mapping[str, Any], endpoint: Endpoint | None) -> Writer:
    """Collector 1: a long worked example, checked at its end, stands before the question; base (or the teacher) goes on.

    Args:
        parts: what every ModelWriter or TeacherWriter needs beside its prompt, without the model where there is an endpoint.
    """
    if endpoint is not None:
        return TeacherWriter(FEW_SHOT, "few_shot_long", few_shot_messages, endpoint=endpoint, **parts)
    return ModelWriter(FEW_SHOT, prompt="few_shot_long", prompt_of=few_shot_text, contract="free", stop=NEXT_QUESTION, **parts)


def direct_with_verification(parts: Mapping[str, Any], endpoint: Endpoint | None, ask: PromptOf = direct_text) -> Writer:
    """Collector 2: the question with the request for a careful, checked answer, as a plain turn without tags; R1-Zero answers.

    Outside its template R1-Zero writes as people in its corpus do, and checks itself twice as often as inside.

    Args:
        ask: how a model of ours is asked; by default as plain text.
    """
    if endpoint is not None:
        return TeacherWriter(DIRECT, "direct_checked", direct_messages, endpoint=endpoint, **parts)
    return ModelWriter(DIRECT, prompt="direct_checked", prompt_of=ask, contract="free", stop=NEXT_TURN, **parts)


def r1_zero_where_readable(parts: Mapping[str, Any], ask: PromptOf) -> Writer:
    """Collector 3: R1-Zero's own completions as it was asked in training; the readable ones stay (`post_process`)."""
    return ModelWriter(R1_ZERO, prompt="r1_zero", prompt_of=ask, contract="r1", **parts)


@dataclass(slots=True)
class Processed:
    """What post-processing made of all candidates.

    Attributes:
        kept: (candidate, its final text), in the order of the candidates.
        contested: the same of texts that a person kept against the grader's verdict; neither kept nor dropped.
        dropped: (candidate, the rule).
        texts: the rewritten text of each candidate that could be rewritten, by id.
        faults: what is unreadable in it, by id.
    """

    kept: list[tuple[Candidate, str]] = field(default_factory=list)
    contested: list[tuple[Candidate, str]] = field(default_factory=list)
    dropped: list[tuple[Candidate, str]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    faults: dict[str, tuple[str, ...]] = field(default_factory=dict)


def post_process(
    candidates: Sequence[Candidate],
    decisions: Mapping[str, Decision],
    *,
    per_problem: int,
    grader: Grader,
    meanwhile: Callable[[], None] = lambda: None,
) -> Processed:
    """Collector 4: rewrite into thinking and summary, drop what is wrong or unreadable, follow human decisions, grade again.

    Of a problem each collector keeps its `per_problem` best: those that turn back on their work first, then the most detailed.
    An accepted or edited item is kept beside these and whatever its readability; but no decision makes a wrong answer right:
    where a person contests the verdict, the item is set apart.
    """
    done = Processed()
    chosen: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        text, rule = rewritten(candidate, decisions.get(candidate.id), done)
        if text is None:
            done.dropped.append((candidate, rule))
        else:
            chosen.append((candidate, text))
    chosen = best_of_each(chosen, decisions, per_problem, done)
    verdicts = grade_all(grader, [(candidate.problem, text, "r1") for candidate, text in chosen], meanwhile)
    for (candidate, text), verdict in zip(chosen, verdicts, strict=True):
        if candidate.id in decisions and decisions[candidate.id].contested:
            done.contested.append((candidate, text))
        elif verdict.value == "right":
            done.kept.append((candidate, text))
        else:
            done.dropped.append((candidate, NO_VERDICT if verdict.value == "none" else WRONG_REWRITTEN))
    return done


def rewritten(candidate: Candidate, decision: Decision | None, done: Processed) -> tuple[str | None, str]:
    """(the text as it would be kept, ""), or (None, the rule that drops it); notes text and faults for reviewers."""
    text, rule = rewrite(candidate.text, candidate.problem)
    if text is not None:
        thinking = split_thinking(text).thinking or ""
        done.texts[candidate.id] = text
        done.faults[candidate.id] = readability_faults(thinking, candidate.problem.language)
    if decision is not None and decision.kind == "reject":
        return None, REJECTED
    if decision is not None and decision.kind == "edit":
        return decision.text, ""
    if decision is not None and not is_what_was_accepted(text, decision):
        return None, OTHER_TEXT
    if decision is not None and decision.contested:
        return text, rule
    if candidate.finish_reason != "stop":
        return None, TRUNCATED
    if candidate.verdict != "right":
        return None, NO_VERDICT if candidate.verdict == "none" else WRONG
    if text is not None and done.faults[candidate.id] and decision is None:
        return None, done.faults[candidate.id][0]
    return text, rule


def is_what_was_accepted(text: str | None, decision: Decision) -> bool:
    """Whether a text is the one that a person saw in a studio and accepted; a review.jsonl does not say which that was."""
    accepted = decision.event.get("accepted") if decision.event is not None else None
    return accepted is None or (text is not None and hash_of_text(text) == accepted)


def best_of_each(
    chosen: Sequence[tuple[Candidate, str]], decisions: Mapping[str, Decision], per_problem: int, done: Processed
) -> list[tuple[Candidate, str]]:
    """The best texts of each problem and collector, no text of a problem twice; the others go to `done.dropped`."""
    order = sorted(
        range(len(chosen)), key=lambda index: (chosen[index][0].id not in decisions, *worse(chosen[index][1]), index)
    )
    seen: set[tuple[str, str, str]] = set()
    count: dict[tuple[str, str, str], int] = defaultdict(int)
    kept: list[int] = []
    for index in order:
        candidate, text = chosen[index]
        problem, said = candidate.problem, " ".join(text.split())
        place = (candidate.source, problem.task, problem.id)
        if (problem.task, problem.id, said) in seen:
            done.dropped.append((candidate, DUPLICATE))
        elif count[place] >= per_problem and candidate.id not in decisions:
            done.dropped.append((candidate, SURPASSED))
        else:
            seen.add((problem.task, problem.id, said))
            count[place] += 1
            kept.append(index)
    return [chosen[index] for index in sorted(kept)]


def worse(text: str) -> tuple[bool, int]:
    """Sorts the better text first: one that turns back on its work, then the longer thinking."""
    thinking = split_thinking(text).thinking or ""
    return not is_reflective(thinking), -length_in_words(thinking)


def few_shot_messages(problem: Problem) -> list[Message]:
    question, worked = long_example_for(problem)
    return [Message("user", question), Message("assistant", worked), Message("user", asked_for_in_detail(problem))]


def direct_messages(problem: Problem) -> list[Message]:
    return [Message("user", asked_for_in_detail(problem))]


def asked_for_in_detail(problem: Problem) -> str:
    """The question, the request for reflection and verification, and the form the answer is looked for in."""
    language = problem.language if problem.language in DETAILED else "en"
    form = PROGRAM_FORM[language] if kind_of(problem.kind).answer == "program" else R1_INSTRUCTION
    return instructed(problem.question, f"{DETAILED[language]} {form}")
