"""Workings of arithmetic chains and word problems: both are a start and signed steps."""

from __future__ import annotations

import random

from cogitate.tasks.corpus.styles import SLIP_FOUND, Style, Worked, is_wrong
from cogitate.tasks.generators.arithmetic import Chain
from cogitate.tasks.generators.word_problems import Story

FIRST = {"en": ("First ", "Start: ", ""), "zh": ("先算", "首先", "")}
THEN = {"en": ("Then ", "Next ", "Now "), "zh": ("再算", "然后", "接着")}
STOP = {"en": ". ", "zh": "。"}


def solve(rng: random.Random, item: Chain | Story, style: Style) -> Worked:
    """One author's solution of a chain or a story."""
    count = len(item.steps)
    wrong = is_wrong(rng, style, count)
    right = item.results()[-1]
    if style == "bare":
        return Worked("", str(slipped(rng, right, item) if wrong else right))
    if style == "short":
        return short_working(rng, item, wrong)
    lines = step_lines(rng, item, style)
    answer = right
    if wrong:
        answer = slipped(rng, right, item)
        lines[-1] = lines[-1].replace(f"= {right}", f"= {answer}")
    if style == "checked":
        lines = checked(rng, item, lines)
    return Worked("".join(lines).strip(), str(answer))


def slipped(rng: random.Random, right: int, item: Chain | Story) -> int:
    """A wrong result of the usual kinds: a lost carry, one too many, the last step forgotten."""
    before = item.results()[-2] if len(item.steps) > 1 else item.start
    return rng.choice([max(right - 10, 0), right + 10, right + 1, max(right - 1, 0), before])


def short_working(rng: random.Random, item: Chain | Story, wrong: bool) -> Worked:
    """All in one line, with at most one result in between."""
    results = item.results()
    answer = slipped(rng, results[-1], item) if wrong else results[-1]
    half = len(item.steps) // 2 if len(item.steps) > 2 and rng.random() < 0.5 else 0
    if half:
        line = f"{expression(item.start, item.steps[:half])} = {results[half - 1]}, "
        line += f"{expression(results[half - 1], item.steps[half:])} = {answer}"
    else:
        line = f"{expression(item.start, item.steps)} = {answer}"
    return Worked(line + ("." if item.language == "en" else "。"), str(answer))


def expression(start: int, steps: tuple[tuple[str, int], ...]) -> str:
    return f"{start}" + "".join(f" {sign} {number}" for sign, number in steps)


def step_lines(rng: random.Random, item: Chain | Story, style: Style) -> list[str]:
    """One line a step; a mixed working changes its language between lines, or is in the other one throughout."""
    other = {"en": "zh", "zh": "en"}[item.language]
    languages = [item.language] * len(item.steps)
    if style == "mixed":
        languages = [other] * len(languages) if rng.random() < 0.4 else [rng.choice(("en", "zh")) for _ in languages]
        languages[rng.randrange(len(languages))] = other
    lines, value = [], item.start
    for index, ((sign, number), result, language) in enumerate(zip(item.steps, item.results(), languages, strict=True)):
        lead = rng.choice((FIRST if index == 0 else THEN)[language])
        if isinstance(item, Story) and language == item.language:
            lead = f"{lead}{item.words[index]}" + (": " if language == "en" else "：")
        lines.append(f"{lead}{value} {sign} {number} = {result}{STOP[language]}")
        value = result
    return lines


def checked(rng: random.Random, item: Chain | Story, lines: list[str]) -> list[str]:
    """A slip noticed and mended on the way, or the steps undone at the end."""
    results = item.results()
    english = item.language == "en"
    if rng.random() < SLIP_FOUND:
        index = rng.randrange(len(lines))
        right = results[index]
        slip = lines[index].replace(f"= {right}", f"= {rng.choice([right + 10, right + 1, abs(right - 10)])}")
        doubt = "Wait, that is wrong. " if english else "等等，不对。"
        return [*lines[:index], slip, doubt, *lines[index:]]
    before = results[-2] if len(results) > 1 else item.start
    (sign, number), value = item.steps[-1], results[-1]
    undo = f"{value} {'-' if sign == '+' else '+'} {number} = {before}"
    return [*lines, f"Let me check: {undo}. Right. " if english else f"检查一下：{undo}。没错。"]
