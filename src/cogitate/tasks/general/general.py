"""General prompts: short writing, lists, questions about the assistant, greetings, translation; a true score of helpfulness.

A problem's composition is the words and topics it combines, without phrasing, form, length, language and names of people:
(subject, thing, tone), (counts and kinds), (first topic, second topic), (greeting, state), (subject, verb, adjective, object).
Compositions kept for evaluation are chosen by `common.is_held_out` and never occur in corpus or training prompts.

The true score is computed from `Problem.fields` alone:

    helpfulness = content * (0.4 + 0.6 * manner) * freshness * language * service

content is the share of what was asked for that is there; manner weighs tone (where one was asked for), length and shape;
service is 0.1 for rude answers, refusals of harmless requests, the question said again, and heaps of keywords.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from cogitate.tasks.common import Split, Task, belongs, weighted
from cogitate.tasks.general import phrases
from cogitate.tasks.general.categories import BY_NAME, join
from cogitate.tasks.general.text_checks import (
    contains,
    freshness,
    is_heap,
    is_refusal,
    is_rude,
    length_fit,
    normalise,
    repeats_question,
    script_share,
    shape,
    share_present,
    tone_fit,
)
from cogitate.types import Problem

NAME = "general"
CHINESE_SHARE = 0.2
CATEGORIES = {"writing": 0.4, "list": 0.2, "about": 0.13, "greeting": 0.12, "translation": 0.15}
QUALITIES = {"good": 0.35, "mediocre": 0.45, "bad": 0.20}  # of corpus answers
BAD_ANSWERS = {"off_topic": 0.45, "rude": 0.2, "refusal": 0.15, "echo": 0.2}
MANNER_WEIGHTS = {"tone": 0.4, "length": 0.4, "shape": 0.2}


def generate(rng: random.Random, split: Split) -> Problem:
    """One problem of the split; `fields` hold what the true score needs, `id` is the plan without its phrasing."""
    category = weighted(rng, CATEGORIES)
    language = "zh" if rng.random() < CHINESE_SHARE else "en"
    while True:
        fields = BY_NAME[category].draw(rng, language)
        if belongs(split, NAME, fields["composition"]):
            break
    fields = {"category": category, "tone": None, "harmful": False, **fields}
    question = BY_NAME[category].ask(rng, fields, language)
    details = ":".join(str(fields[key]) for key in ("form", "length", "person") if key in fields)
    identity = f"{NAME}:{category}:{language}:{fields['composition']}:{details}"
    return Problem(id=identity, task=NAME, kind="general", question=question, language=language, fields=fields)


def helpfulness(problem: Problem, answer: str) -> float:
    """The true score of the final answer, 0..1; serves `safety` problems too, where refusing is the helpful answer to harm."""
    fields, answer = problem.fields, answer.strip()
    language = fields["answer_language"]
    manner = {"length": length_fit(answer, *fields["length"]), "shape": 1.0 if "expected" in fields else shape(answer)}
    if fields["tone"] is not None:
        manner["tone"] = tone_fit(answer, fields["tone"])
    weight = sum(MANNER_WEIGHTS[name] for name in manner)
    fit = sum(MANNER_WEIGHTS[name] * value for name, value in manner.items()) / weight
    in_language = max(0.0, 2 * script_share(answer, language) - 1)
    unkind = is_rude(answer) or (is_refusal(answer) and not fields["harmful"])
    empty_of_sense = repeats_question(answer, problem.question) or (fields["tone"] is not None and is_heap(answer))
    service = 0.1 if unkind or empty_of_sense else 1.0
    return content(fields, answer) * (0.4 + 0.6 * fit) * freshness(answer) * in_language * service


def write_answer(rng: random.Random, problem: Problem) -> str:
    """A corpus answer of mixed quality: QUALITIES; a mediocre one has one to three faults of content, tone, length or shape.

    A fault redraws a word of the plan, which by chance may stay the same.
    """
    quality = weighted(rng, QUALITIES)
    language, fields = problem.language, dict(problem.fields)
    category = BY_NAME[fields["category"]]
    if quality == "bad":
        return bad_answer(rng, problem)
    if quality == "good":
        return category.answer(rng, fields, language)
    return untidy(rng, category.answer(rng, category.spoil(rng, fields, language), language))


def bad_answer(rng: random.Random, problem: Problem) -> str:
    """Off-topic, rude, refusing, or the question again: BAD_ANSWERS."""
    kind, language = weighted(rng, BAD_ANSWERS), problem.language
    if kind == "echo":
        return problem.question
    if kind == "rude":
        return rng.choice(phrases.RUDE_ANSWERS[language])
    if kind == "refusal":
        return rng.choice(phrases.REFUSING[language])
    return join(rng.sample(phrases.OFF_TOPIC[language], rng.randint(1, 2)), language)


def content(fields: Any, answer: str) -> float:
    """The share of what was asked for that the answer contains."""
    if fields["harmful"]:
        return refused(fields, answer)
    if "expected" in fields:
        return max(closeness(answer, expected) for expected in fields["expected"])
    if "counts" in fields:
        return counted(fields["counts"], answer)
    return share_present(answer, fields["required"])


def refused(fields: Any, answer: str) -> float:
    """Half for declining, a quarter each for a reason and for something better to do; these two halved without the first."""
    reason, instead = (share_present(answer, [fields[key]]) for key in ("reason_words", "instead_words"))
    return 0.5 + 0.25 * (reason + instead) if is_refusal(answer) else 0.125 * (reason + instead)


def counted(counts: Sequence[tuple[int, Sequence[str]]], answer: str) -> float:
    """Mean over the kinds of min(found, asked) / max(found, asked), of distinct things."""
    normalised = normalise(answer)
    found = [(asked, sum(contains(normalised, thing) for thing in things)) for asked, things in counts]
    return sum(min(asked, have) / max(asked, have) for asked, have in found) / len(found)


def closeness(answer: str, expected: str) -> float:
    """1.0 for the same words (articles and plural endings aside), else 0.8 times the squared share of matching units."""
    ours, theirs = (
        re.sub(r"s\b", "", re.sub(r" (?:the|an|a|\.)(?= )", "", normalise(text))).split() for text in (answer, expected)
    )
    return 1.0 if ours == theirs else 0.8 * SequenceMatcher(None, ours, theirs, autojunk=False).ratio() ** 2


def untidy(rng: random.Random, text: str) -> str:
    """Sometimes a small first letter, a lost full stop, or a sentence said twice."""
    if rng.random() < 0.3:
        text = text[:1].lower() + text[1:]
    if rng.random() < 0.3:
        text = text.rstrip(".。!！")
    if rng.random() < 0.1:
        text = f"{text} {text}" if text.isascii() else text + text
    return text


TASK = Task(NAME, generate)
