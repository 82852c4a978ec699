"""Workings of code problems: one-liners nested in the wrong order, statements with a step forgotten, and rarely a plan."""

from __future__ import annotations

import random

from cogitate.tasks.corpus.styles import SLIP_FOUND, Style, Worked, is_wrong
from cogitate.tasks.generators.code import OPERATIONS, Program, describe

Steps = tuple[tuple[str, int], ...]
SUMS = ("front", "end")  # operations written with +, which a slice behind them needs in brackets


def solve(rng: random.Random, item: Program, style: Style) -> Worked:
    """One author's program, with the plan that came before it."""
    wrong = is_wrong(rng, style, len(item.steps))
    steps = item.steps
    if style == "bare":
        # The usual mistake of one-liners: what is read first ends up outermost, so the order is turned round.
        return Worked("", fenced(one_liner(steps[::-1] if wrong else steps)))
    if wrong:
        steps = spoiled(rng, steps)
    if style == "short":
        return Worked("", fenced(statements(steps)))
    return Worked(plan(rng, item, style), fenced(statements(steps)))


def fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def one_liner(steps: Steps) -> str:
    """All steps as one nested expression."""
    expression, is_sum = "xs", False
    for name, k in steps:
        form = OPERATIONS[name].expression
        inner = f"({expression})" if is_sum and form.startswith("{xs}[") else expression
        expression, is_sum = form.format(xs=inner, k=k), name in SUMS
    return f"def f(xs):\n    return {expression}"


def statements(steps: Steps) -> str:
    """One assignment a step."""
    lines = [f"    xs = {OPERATIONS[name].expression.format(xs='xs', k=k)}" for name, k in steps]
    return "\n".join(["def f(xs):", *lines, "    return xs"])


def spoiled(rng: random.Random, steps: Steps) -> Steps:
    """A step forgotten, two exchanged, or a constant off by one."""
    index = rng.randrange(len(steps))
    kind = rng.choice(("forget", "swap", "constant"))
    if kind == "forget" and len(steps) > 1:
        return steps[:index] + steps[index + 1 :]
    if kind == "swap" and len(steps) > 1:
        index = min(index, len(steps) - 2)
        return (*steps[:index], steps[index + 1], steps[index], *steps[index + 2 :])
    name, k = steps[index]
    return (*steps[:index], (name, k + 1), *steps[index + 1 :])


def plan(rng: random.Random, item: Program, style: Style) -> str:
    """The steps in words, numbered; a checking author notices that one was left out."""
    other = {"en": "zh", "zh": "en"}[item.language]
    languages = [item.language] * len(item.steps)
    if style == "mixed":
        languages = [rng.choice(("en", "zh")) for _ in languages]
        languages[rng.randrange(len(languages))] = other
    parts = [f"{index}. {describe(step, language)}" for index, (step, language) in enumerate(zip(item.steps, languages), 1)]  # noqa: B905
    text = {"en": "Plan: ", "zh": "步骤："}[item.language] + ", ".join(parts) + {"en": ".", "zh": "。"}[item.language]
    if style != "checked":
        return text
    english = item.language == "en"
    if rng.random() < SLIP_FOUND and len(parts) > 2:
        short = {"en": "Plan: ", "zh": "步骤："}[item.language] + ", ".join(parts[:-1]) + (". " if english else "。")
        doubt = "Wait, I forgot a step. " if english else "等等，漏了一步。"
        return short + doubt + text
    count = len(parts)
    return text + (f" Let me check: {count} steps. Right." if english else f"检查一下：{count}步。没错。")
