"""Worked examples from a model's own right completions, as in STaR (arXiv:2203.14465): the model shows itself how it is done.

For operations that its right completions lack, and where there are too few of these, an example is made of a question and its
gold answer: for numbers by the one way that leads from the question's two or three numbers to the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from cogitate.config import WorkedExample
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN, split_thinking
from cogitate.types import Problem

LONGEST_QUESTION, LONGEST_THINKING, LONGEST_ANSWER = 400, 240, 60  # characters: examples stand in every prompt
NUMBER = r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)"
OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction | None]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else None,
}
SEVERAL = "several"  # operations in one example
SIGNS = {"−": "-", "–": "-", "×": "*", "x": "*", "·": "*", "÷": "/", "\\times": "*", "\\div": "/"}
_NUMBER = re.compile(NUMBER)
_SIGN = r"(?:[-+*/−–×x·÷]|\\times|\\div)"
_EQUATION = re.compile(rf"({NUMBER})\s*({_SIGN})\s*({NUMBER})\s*=\s*({NUMBER})")
_TAG = re.compile(r"</?(?:think|answer)>")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_MARKS_BUT_SIGNS = re.compile(r"[$_`]+|\\[\[\]()]|\*\*")
_MARKS = re.compile(r"\*\*|^\s*[#*]+\s|[`$]+|\\[\[\]()]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Draft:
    """A possible example.

    Attributes:
        operations: of its equations, in alphabetical order; "" where it has none.
        own: made from a completion of the model.
    """

    problem: Problem
    example: WorkedExample
    operations: str
    own: bool

    @property
    def kind(self) -> str:
        """Its one operation, or SEVERAL; "" where it has none."""
        return SEVERAL if len(self.operations) > 1 else self.operations

    @property
    def length(self) -> int:
        return len(self.example.question) + len(self.example.thinking)


def choose_examples(right: Iterable[tuple[Problem, str]], others: Iterable[Problem], count: int) -> list[Draft]:
    """At most `count` examples of different problems, short ones: one for each operation and one of several steps as far as
    there are any, since a model that is shown single steps alone soon writes nothing else; then whichever are shortest. Long
    thinking comes last.

    Args:
        right: problems with a completion that answers them rightly.
        others: problems whose question and gold answer may fill up what is missing.
    """
    own = shortest_first(draft for problem, text in right if (draft := from_completion(problem, text)))
    made = shortest_first(draft for problem in others if (draft := from_gold(problem)))
    chosen: list[Draft] = []
    for wanted in (*OPERATIONS, SEVERAL, None):
        for draft in [*own, *made]:
            if len(chosen) == count or (wanted and draft.kind != wanted):
                continue
            if draft.problem.id not in [one.problem.id for one in chosen]:
                chosen.append(draft)
                if wanted:
                    break
    return sorted(chosen, key=lambda draft: (len(draft.example.thinking), draft.length))


def shortest_first(drafts: Iterable[Draft]) -> list[Draft]:
    """One draft of each problem: those with equations first, then short ones."""
    found: dict[str, Draft] = {}
    for draft in sorted(drafts, key=lambda one: (not one.operations, one.length, one.example.thinking)):
        found.setdefault(draft.problem.id, draft)
    return list(found.values())


def from_completion(problem: Problem, text: str) -> Draft | None:
    """A right completion as an example: its true equations up to the one that reaches the answer, else its sentences up to
    there. None where it is too long, or does not lead to the answer."""
    answer = answer_of(problem)
    if not answer:
        return None
    said = split_thinking(text).thinking or text
    said = _TAG.sub(" ", said).replace(THINK_OPEN, " ").replace(THINK_CLOSE, " ")
    equations = list(chain(said, problem.question, answer))
    thinking = ", ".join(equations) if equations else sentences_up_to(said, answer)
    operations = "".join(sorted({sign for equation in equations for sign in OPERATIONS if f" {sign} " in equation}))
    return draft_of(problem, thinking, answer, operations, own=True)


def from_gold(problem: Problem) -> Draft | None:
    """A question and its gold answer as an example: of numbers the one way that leads from the question's two or three numbers
    to the answer; of other answers the answer itself. None of numbers where there is no way, or more than one, or the answer
    stands in the question, which shows nothing of the way."""
    answer = answer_of(problem)
    if not answer:
        return None
    value = number_of(answer)
    if value is None:
        return draft_of(problem, f"The answer is {answer}.", answer, "", own=False)
    numbers = _NUMBER.findall(problem.question)
    ways = ways_to(value, numbers)
    if len(ways) != 1 or value in map(exact, numbers):
        return None
    thinking, operations = ways.pop()
    return draft_of(problem, thinking, answer, operations, own=False)


def ways_to(value: Fraction, numbers: list[str]) -> set[tuple[str, str]]:
    """(equations, their operations) that lead to a value: from two numbers by one operation, from three by two that use all;
    none from three where two of them suffice, since the third may then mean nothing."""
    if len(numbers) == 2:
        return {(step.text, step.sign) for step in steps_on(*numbers) if step.value == value}
    if len(numbers) != 3:
        return set()
    ways: set[tuple[str, str]] = set()
    for first, second, third in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        for step in steps_on(numbers[first], numbers[second]):
            if step.value == value:
                return set()
            if (result := plain(step.value)) is not None:
                ways.update(
                    (f"{step.text}, {last.text}", "".join(sorted({step.sign, last.sign})))
                    for last in steps_on(result, numbers[third])
                    if last.value == value
                )
    return ways


class Step(NamedTuple):
    """An equation of two numbers."""

    text: str
    sign: str
    value: Fraction


def steps_on(first: str, second: str) -> Iterator[Step]:
    """What the four operations make of two numbers, in either order where it matters."""
    for sign, apply in OPERATIONS.items():
        for one, other in ((first, second),) if sign in "+*" else ((first, second), (second, first)):
            value = apply(exact(one), exact(other))
            if value is not None and (result := plain(value)) is not None:
                yield Step(f"{one} {sign} {other} = {result}", sign, value)


def plain(value: Fraction) -> str | None:
    """A number as people write it in such an equation; None of negative ones and of more than two decimals."""
    if value < 0 or (value * 100).denominator != 1:
        return None
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


def draft_of(problem: Problem, thinking: str, answer: str, operations: str, *, own: bool) -> Draft | None:
    """None where a part is empty or too long."""
    question = " ".join(problem.question.split())
    if len(question) > LONGEST_QUESTION or not 0 < len(thinking) <= LONGEST_THINKING:
        return None
    return Draft(problem, WorkedExample(question=question, thinking=thinking, answer=answer), operations, own)


def answer_of(problem: Problem) -> str:
    """The gold answer as an example shows it; "" where it is no short text or number."""
    gold = problem.gold
    if isinstance(gold, bool) or not isinstance(gold, str | int | float):
        return ""
    text = f"{gold:g}" if isinstance(gold, float) and gold == int(gold) else str(gold).strip()
    text = text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text
    return text if len(text) <= LONGEST_ANSWER and "\n" not in text else ""


def chain(said: str, question: str, answer: str) -> Iterator[str]:
    """The true equations of a text, each of numbers of the question or of earlier results, up to the one that gives the answer;
    none where no equation gives it."""
    known = {exact(number) for number in _NUMBER.findall(question)}
    target = number_of(answer)
    found: list[str] = []
    for first, sign, second, result in _EQUATION.findall(_MARKS_BUT_SIGNS.sub(" ", said)):
        if {exact(first), exact(second)} <= known and holds(first, sign, second, result):
            known.add(exact(result))
            found.append(f"{first} {SIGNS.get(sign, sign)} {second} = {result}")
            if exact(result) == target:
                yield from found
                return


def sentences_up_to(said: str, answer: str) -> str:
    """The sentences of a text up to the first that names the answer; "" where none does, or one has a false equation."""
    sentences = [" ".join(_MARKS.sub("", sentence).split()) for sentence in _SENTENCE_END.split(said)]
    named = re.compile(rf"(?<![\w.]){re.escape(answer)}(?![\w])(?!\.\d)")
    for number, sentence in enumerate(sentences):
        if named.search(sentence):
            lead = " ".join(filter(None, sentences[: number + 1]))
            return lead if all(holds(*equation) for equation in _EQUATION.findall(lead)) else ""
    return ""


def holds(first: str, sign: str, second: str, result: str) -> bool:
    """Whether an equation is true."""
    return OPERATIONS[SIGNS.get(sign, sign)](exact(first), exact(second)) == exact(result)


def number_of(text: str) -> Fraction | None:
    """The number that a text is; None of others."""
    return exact(text) if re.fullmatch(r"-?\d+(?:,\d{3})*(?:\.\d+)?", text) else None


def exact(number: str) -> Fraction:
    return Fraction(number.replace(",", ""))
