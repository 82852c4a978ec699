"""Reading with numbers (DROP, arXiv:1903.00161): how much of an answer's words are those of a reference.

The measure of the data set's own script: words without case, articles and marks, numbers by value; F1 over the bags of words
of the spans, matched one to one so that the sum is largest; a span that lacks the numbers of a reference's earns nothing.
An answer of several spans separates them by semicolons.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from math import inf

from cogitate.rewards.answer import Contract, find_answer
from cogitate.rewards.verdicts import clip, no_verdict, right, wrong
from cogitate.types import Verdict

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def grade_drop(prediction: str, answers: Sequence[Sequence[str]], *, contract: Contract = "r1") -> Verdict:
    """Right where the spans are those of one of the references; the score is the best F1.

    Args:
        answers: the references, each the spans of one right answer.
    """
    answers = [spans for spans in answers if any(normalised(span) for span in spans)]
    if not answers:
        return no_verdict("the reference answer is empty")
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    text = answer.text.rstrip(" .") if answer.source == "statement" else answer.text
    spans = [span for span in re.split(r";|\n", text) if span.strip()]
    scores = [exact_and_f1(spans, reference) for reference in answers]
    exact, f1 = max(exact for exact, _ in scores), max(f1 for _, f1 in scores)
    reason = f"the answer is {clip(text)!r}, F1 {f1:.2f} of {clip('; '.join(answers[0]))!r}"
    return right(reason, answer.text) if exact else wrong(reason, answer.text, score=f1)


def exact_and_f1(predicted: Sequence[str], reference: Sequence[str]) -> tuple[bool, float]:
    """Whether the spans are equal, and F1 rounded to two places, as the data set's script has it."""
    ours, theirs = [normalised(span) for span in predicted], [normalised(span) for span in reference]
    exact = set(ours) == set(theirs) and len(ours) == len(theirs)
    if not ours:
        return False, 0.0
    table = [[overlap(set(one.split()), set(other.split())) for other in theirs] for one in ours]
    return exact, round(best_matching(table) / max(len(ours), len(theirs)), 2)


def overlap(predicted: set[str], reference: set[str]) -> float:
    """F1 of two bags of words; 0 where the reference has numbers and none of them is predicted."""
    numbers = {word for word in reference if is_number(word)}
    shared = len(predicted & reference)
    if (numbers and not numbers & predicted) or not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(reference)
    return 2 * precision * recall / (precision + recall)


def best_matching(table: Sequence[Sequence[float]]) -> float:
    """The largest sum of entries of which no two share a row or a column.

    The assignment problem, by shortest augmenting paths with potentials (Jonker and Volgenant, 1987): cubic in the spans.
    """
    if len(table) > len(table[0]):
        table = [list(column) for column in zip(*table, strict=True)]
    rows, columns = len(table), len(table[0])
    of_row, of_column = [0.0] * rows, [0.0] * columns  # potentials: no cost -table less both is negative
    owner: list[int | None] = [None] * columns  # the row that each column is assigned to
    for added in range(rows):
        distance, before, done = [inf] * columns, [-1] * columns, [False] * columns
        row, last, reached = added, -1, 0.0
        while True:
            for column in range(columns):
                cost = reached - table[row][column] - of_row[row] - of_column[column]
                if not done[column] and cost < distance[column]:
                    distance[column], before[column] = cost, last
            last = min((column for column in range(columns) if not done[column]), key=distance.__getitem__)
            done[last], reached = True, distance[last]
            following = owner[last]
            if following is None:
                break
            row = following
        of_row[added] += reached
        for column in range(columns):
            if done[column] and column != last:
                of_column[column] -= reached - distance[column]
                holder = owner[column]
                assert holder is not None, column
                of_row[holder] += reached - distance[column]
        while before[last] >= 0:
            owner[last], last = owner[before[last]], before[last]
        owner[last] = added
    return sum(table[row][column] for column, row in enumerate(owner) if row is not None)


def normalised(span: str) -> str:
    """Words in small letters, without articles and marks; numbers by value: "1,000" and "1000.0" are one."""
    words = []
    for token in re.split(r"[ -]", span.lower()):
        bare = token if is_number(token) else "".join(mark for mark in token if mark not in string.punctuation)
        bare = str(float(bare)) if is_number(bare) else bare
        words += _ARTICLES.sub(" ", bare).split()
    return " ".join(words)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
