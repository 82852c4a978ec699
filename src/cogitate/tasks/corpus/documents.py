"""Documents of the corpus: what is written, by whom, and in which frame. Seeded; fixed, documented frequencies."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cogitate.tasks.common import weighted
from cogitate.tasks.corpus import orders, programs, quizzes, sums
from cogitate.tasks.corpus.puzzles import documents as puzzles
from cogitate.tasks.corpus.puzzles.drills import drill
from cogitate.tasks.corpus.styles import Population, Style, Worked, draw_habit, draw_style
from cogitate.tasks.general import general, safety
from cogitate.tasks.generators import arithmetic, choice, code, logic, word_problems

KINDS = {  # share of documents
    "arithmetic": 0.2,
    "word_problems": 0.19,
    "code": 0.15,
    "logic": 0.14,
    "choice": 0.1,
    "practice": 0.07,  # rows of sums, as in an exercise book
    "facts": 0.02,
    "general": 0.08,
    "safety": 0.05,
}
FRAMES = {  # how a question and its solution stand on the page
    "chat": 0.3,  # User: ... Assistant: ...
    "question": 0.3,  # Question: ... Answer: ...
    "plain": 0.15,
    "sheet": 0.1,  # two or three problems of a kind, by one author or each solved by somebody else
    "tagged": 0.12,  # <think> ... </think> <answer> ... </answer>
    "boxed": 0.03,  # <think> ... </think> and a summary with the answer in a box
}
ONE_AUTHOR = 0.5  # share of sheets that are in one style throughout
REQUEST_SHARE = {"bare": 0.01, "short": 0.05, "long": 0.3, "checked": 0.3, "mixed": 0.1}  # questions that ask for working
REQUESTS = {
    "en": ("Think step by step.", "Show your work.", "Work carefully and check your answer."),
    "zh": ("请一步一步想。", "请写出过程。", "请仔细算，再检查。"),
}
PREAMBLE_SHARE = {"chat": 0.15, "tagged": 0.7, "boxed": 0.3}
PREAMBLES = (
    ("A conversation between a user and an assistant. ", "You are an assistant. ", "This is a chat. ", ""),
    ("The user asks and the assistant answers. ", "The assistant helps the user. ", ""),
    ("The assistant first thinks, then answers. ", "Think about the question and then give the answer. ", ""),
)
TAG_NOTES = (
    "Thinking is in <think> </think> and the answer in <answer> </answer>.",
    "Write <think> thinking </think> <answer> answer </answer>.",
    "Use <think> for the thinking and <answer> for the answer.",
)
CLOSINGS = {
    "en": {"The answer is {a}.": 0.55, "Answer: {a}": 0.15, "So the answer is \\boxed{{{a}}}.": 0.2, "#### {a}": 0.1},
    "zh": {"答案是{a}。": 0.65, "答案：{a}": 0.15, "所以答案是\\boxed{{{a}}}。": 0.2},
}
DOMAINS: dict[str, tuple[Callable[..., Any], Callable[..., Worked]]] = {
    "arithmetic": (arithmetic.draw, sums.solve),
    "word_problems": (word_problems.draw, sums.solve),
    "code": (code.draw, programs.solve),
    "logic": (logic.draw, orders.solve),
    "choice": (choice.draw, quizzes.solve),
}
OTHERS = {"general": general, "safety": safety}


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is to read.

    Attributes:
        puzzles: share of documents about the puzzles of tasks/puzzles.
        population: who has solved these.
    """

    puzzles: float = 0.0
    population: Population = field(default_factory=Population)


NO_PUZZLES = Reading()


def documents(seed: int, reading: Reading = NO_PUZZLES) -> Iterator[str]:
    """An endless stream of documents; the same seed gives the same stream."""
    rng = random.Random(f"{seed}/corpus")
    while True:
        yield write_document(rng, reading)


def write_document(rng: random.Random, reading: Reading = NO_PUZZLES) -> str:
    """One document of a kind drawn by its share."""
    if reading.puzzles and rng.random() < reading.puzzles:
        return puzzle(rng, reading.population)
    kind = weighted(rng, KINDS)
    if kind == "practice":
        return practice(rng)
    if kind == "facts":
        return facts(rng)
    if kind in OTHERS:
        return conversation(rng, kind)
    return solution(rng, kind)


def solution(rng: random.Random, domain: str) -> str:
    """A problem of a reasoning domain, solved in one author's style, in a frame."""
    draw, solve = DOMAINS[domain]
    style, frame = draw_style(rng), weighted(rng, FRAMES)
    one_author = frame != "sheet" or rng.random() < ONE_AUTHOR
    pairs = []
    for _ in range(rng.choice((2, 3)) if frame == "sheet" else 1):
        item = draw(rng, "corpus")
        language = getattr(item, "language", "en")
        used = style if one_author else draw_style(rng)
        pairs.append((asked_for(rng, item.question, used, language), solve(rng, item, used), language))
    return on_page(rng, frame, pairs)


def puzzle(rng: random.Random, population: Population) -> str:
    """A puzzle solved by somebody, in a frame, or an exercise sheet of single steps."""
    kind = weighted(rng, puzzles.KINDS)
    if kind == "drill":
        return drill(rng)
    habit, frame = draw_habit(rng, population), weighted(rng, FRAMES)
    one_author = frame != "sheet" or rng.random() < ONE_AUTHOR
    pairs = []
    for _ in range(2 if frame == "sheet" else 1):
        item = puzzles.DRAW[kind](rng, "corpus")
        used = habit if one_author else draw_habit(rng, population)
        worked = puzzles.solve_puzzle(rng, kind, item, used, population)
        pairs.append((puzzles.asked_for(rng, item.question, used, item.language), worked, item.language))
    return on_page(rng, frame, pairs)


def on_page(rng: random.Random, frame: str, pairs: list[tuple[str, Worked, str]]) -> str:
    """Solved problems (question, solution, language) in a frame: several of them on a sheet, one elsewhere."""
    if frame == "sheet":
        return "\n\n".join(f"Question: {asked}\nAnswer: {untagged(rng, worked, language)}" for asked, worked, language in pairs)
    asked, worked, language = pairs[0]
    if frame == "tagged":
        return f"{preamble(rng, frame)}User: {asked}\nAssistant: {tagged(worked, language)}"
    if frame == "boxed":
        return f"{preamble(rng, frame)}User: {asked}\nAssistant: {boxed(worked, language)}"
    answer = untagged(rng, worked, language)
    if frame == "chat":
        return f"{preamble(rng, frame)}User: {asked}\nAssistant: {answer}"
    if frame == "question":
        return f"Question: {asked}\nAnswer: {answer}"
    return f"{asked}\n{answer}"


def asked_for(rng: random.Random, question: str, style: Style, language: str) -> str:
    """The question, to which those who want to see working sometimes add that they do."""
    if rng.random() >= REQUEST_SHARE[style]:
        return question
    return f"{question}{' ' if language == 'en' else ''}{rng.choice(REQUESTS[language])}"


def preamble(rng: random.Random, frame: str) -> str:
    """What may stand above a conversation; above a tagged one it often explains the tags."""
    if rng.random() >= PREAMBLE_SHARE[frame]:
        return ""
    text = "".join(rng.choice(parts) for parts in PREAMBLES)
    if frame == "tagged" or rng.random() < 0.2:
        text += rng.choice(TAG_NOTES)
    return f"{text.strip()}\n" if text.strip() else ""


def untagged(rng: random.Random, worked: Worked, language: str) -> str:
    """Working, if any, then the answer in one of the usual closings; code closes itself."""
    if worked.answer.startswith("```"):
        return f"{worked.thinking}\n{worked.answer}".strip()
    if not worked.thinking and rng.random() < 0.6:
        return worked.answer
    closing = weighted(rng, CLOSINGS[language]).format(a=worked.answer)
    return f"{worked.thinking} {closing}".strip()


def tagged(worked: Worked, language: str) -> str:
    """In R1-like tags; who gives bare answers thinks little here, too."""
    thinking = worked.thinking or hunch(worked, language)
    answer = f"\n{worked.answer}\n" if worked.answer.startswith("```") else f" {worked.answer} "
    return f"<think> {thinking} </think> <answer>{answer}</answer>"


def boxed(worked: Worked, language: str) -> str:
    """Thinking, then a summary with the answer in a box; code stands for itself."""
    thinking = worked.thinking or hunch(worked, language)
    if worked.answer.startswith("```"):
        return f"<think> {thinking} </think>\n{worked.answer}"
    summary = f"The answer is \\boxed{{{worked.answer}}}." if language == "en" else f"答案是\\boxed{{{worked.answer}}}。"
    return f"<think> {thinking} </think>\n{summary}"


def hunch(worked: Worked, language: str) -> str:
    if worked.answer.startswith("```"):
        return "This is easy." if language == "en" else "这很简单。"
    return f"I think it is {worked.answer}." if language == "en" else f"我觉得是{worked.answer}。"


def practice(rng: random.Random) -> str:
    """Four to eight sums of two numbers, nearly always right."""
    rows = []
    for _ in range(rng.randint(4, 8)):
        start, ((sign, number),) = arithmetic.draw_steps(rng, 1)
        result = start + number if sign == "+" else start - number
        rows.append(f"{start} {sign} {number} = {result if rng.random() > 0.02 else result + 1}")
    return rng.choice(("\n", ", ")).join(rows)


def facts(rng: random.Random) -> str:
    """A few true sentences."""
    sentences = []
    for _ in range(rng.randint(3, 6)):
        relation = choice.RELATIONS[rng.choice(list(choice.RELATIONS))]
        key, value = rng.choice(list(relation.facts.items()))
        sentences.append(relation.statement.format(key=key, value=value))
    return " ".join(sentences)


def conversation(rng: random.Random, task: str) -> str:
    """A general or a safety prompt with a messy answer, seldom in tags."""
    problem = OTHERS[task].generate(rng, "corpus")
    answer = OTHERS[task].write_answer(rng, problem)
    frame = weighted(rng, {"chat": 0.75, "plain": 0.15, "boxed": 0.1})
    if frame == "plain":
        return f"{problem.question}\n{answer}"
    if frame == "boxed":
        thought = "The user wants help." if problem.language == "en" else "用户需要帮助。"
        answer = f"<think> {thought} </think>\n{answer}"
    return f"{preamble(rng, frame)}User: {problem.question}\nAssistant: {answer}"
