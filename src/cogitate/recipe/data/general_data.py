"""The general quarter of SFT data: writing, lists, questions about itself, greetings, translation.

The paper takes these from DeepSeek-V3 and its SFT data, with thinking where that helps and none for a "hello" (R1, section
2.3.3). Ours are base's answers as a plain conversation, from training prompts, kept by rules that a curator could apply who has
only read the prompt. The true scores of these tasks are for evaluation and simulated preferences; nothing here reads them.
What to refuse is no part of it: harmlessness is taught by the last RL stage, from its reward model (section 2.3.4).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from cogitate.config import Config
from cogitate.evals.text_metrics import length_in_words, readability_faults
from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.data.rejection import DUPLICATE, ENOUGH, TRUNCATED, Dropped, likeness
from cogitate.recipe.general_prompts import general_training_problems
from cogitate.tasks.general.text_checks import contains, is_refusal, is_rude, normalise, repeats_question, shape
from cogitate.tokenizer.prompts import r1_prompt
from cogitate.tokenizer.thinking import THINK_OPEN, split_thinking
from cogitate.train.pools import in_turn
from cogitate.types import Problem

WITH_THINKING = ("writing", "translation")  # categories that are composed; the others are answered at once
PROMPTS_PER_ROW = 2  # prompts asked for each general row that is wanted
BEYOND_SHARE = "beyond the general share"

_RANGE = re.compile(r"(\d+)\s*(?:to|到)\s*(\d+)")
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "一": 1, "两": 2, "二": 2, "三": 3, "四": 4}
_ABILITY = re.compile(r"Can you ([a-z ]+)\?|你会([\u4e00-\u9fff]+)吗？")


def general_prompts(config: Config, rows: int) -> list[Problem]:
    """Training prompts of tasks.general but for those of safety, enough for `rows` rows, the categories in turn.

    Raises what gathering them raises.
    """
    helpful = [problem for problem in general_training_problems(config) if problem.kind != "safety"]
    return in_turn(helpful, PROMPTS_PER_ROW * rows, category)


def general_prompt(problem: Problem) -> str:
    """A plain turn; where thinking is useful the prompt opens it."""
    return r1_prompt(problem.question) + (f" {THINK_OPEN}" if category(problem) in WITH_THINKING else "")


def choose_general(candidates: Sequence[Candidate], rows: int) -> tuple[list[Candidate], Dropped]:
    """(at most `rows`, the categories in turn; every other candidate with the rule that dropped it).

    Of a prompt's acceptable answers the one that most agrees with the others stays: a model is right more often where it says
    the same again.
    """
    dropped: Dropped = []
    of_prompt: dict[str, list[Candidate]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for candidate in candidates:
        said = (candidate.problem.id, candidate.text)
        rule = general_fault(candidate) or (DUPLICATE if said in seen else None)
        if rule is None:
            of_prompt[candidate.problem.id].append(candidate)
            seen.add(said)
        else:
            dropped.append((candidate, rule))
    best = [most_agreed(group) for group in of_prompt.values()]
    kept = {candidate.id for candidate in in_turn(best, rows, lambda candidate: category(candidate.problem))}
    agreed = {candidate.id for candidate in best}
    for group in of_prompt.values():
        dropped += [(c, BEYOND_SHARE if c.id in agreed else ENOUGH) for c in group if c.id not in kept]
    return [candidate for candidate in best if candidate.id in kept], dropped


def most_agreed(candidates: Sequence[Candidate]) -> Candidate:
    """The one that is most like all others."""
    return max(candidates, key=lambda one: sum(likeness(one.text, other.text) for other in candidates))


def general_fault(candidate: Candidate) -> str | None:
    """What a curator who knows the prompt would object to first, or None."""
    problem, parts = candidate.problem, split_thinking(candidate.text)
    if candidate.finish_reason != "stop":
        return TRUNCATED
    if parts.thinking is not None and not parts.well_formed:
        return "tags not closed"
    if (parts.thinking is not None) != (category(problem) in WITH_THINKING):
        return "thinking where none is useful" if parts.thinking is not None else "no thinking"
    unreadable = readability_faults(parts.thinking or "", problem.language)
    if unreadable:
        return unreadable[0]
    answer = parts.answer_region.strip()
    if not answer:
        return "empty answer"
    return manners_fault(problem, answer) or content_fault(problem, answer)


def manners_fault(problem: Problem, answer: str) -> str | None:
    """Language, courtesy, refusals, repetition, shape."""
    unreadable = readability_faults(answer, problem.fields.get("answer_language", problem.language))
    if unreadable:
        return "other language" if unreadable[0] == "mixed language" else unreadable[0]
    if is_rude(answer):
        return "rude"
    if is_refusal(answer):
        return "a harmless request is refused"
    if repeats_question(answer, problem.question):
        return "the question again"
    if says_a_sentence_twice(answer):
        return "repetition"
    return None if shape(answer) == 1.0 else "untidy"


def content_fault(problem: Problem, answer: str) -> str | None:
    """What the prompt itself names: a range of lengths, words to use, how many things, an ability asked about."""
    asked = _RANGE.search(problem.question)
    if asked and not int(asked[1]) <= length_in_words(answer) <= int(asked[2]):
        return "not of the asked length"
    question, said = normalise(problem.question), normalise(answer)
    for group in problem.fields.get("required", ()):
        named = [phrase for phrase in group if contains(question, phrase)]
        if named and not any(contains(said, phrase) for phrase in group):
            return "asked words missing"
    if category(problem) == "list" and count_things(answer) != things_asked(problem.question):
        return "not as many things as asked"
    abilities = [match[1] or match[2] for match in _ABILITY.finditer(problem.question)]
    if any(not contains(said, ability) for ability in abilities):
        return "asked words missing"
    return None


def things_asked(question: str) -> int:
    """The sum of the numbers that stand before kinds of things: two fruits and three colours."""
    words = re.findall(r"\b(one|two|three|four)\b", question.lower()) + re.findall(r"([一两二三四])种", question)
    return sum(_NUMBERS[word] for word in words)


def count_things(answer: str) -> int:
    """How many different things a list names, what introduces it left out."""
    listed = re.split(r"[:：]", answer)[-1].strip(" .。!！").lower()
    return len({thing.strip() for thing in re.split(r",|\band\b|、|，|和", listed) if thing.strip()})


def says_a_sentence_twice(answer: str) -> bool:
    sentences = [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+|(?<=[。！？])", answer) if sentence.strip()]
    return len(set(sentences)) < len(sentences)


def category(problem: Problem) -> str:
    """What a prompt asks for: writing, list, about, greeting, translation; else its task."""
    return str(problem.fields.get("category", problem.task))
