"""Worked examples for few-shot prompts, written by hand: two for each built-in task, worked the way prompts usually show."""

from __future__ import annotations

import re

from cogitate.types import Problem

TOLD_IN_WORDS = 8  # words of two letters or more; "What is 3 + 4 - 2?" has two

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "arithmetic": (
        ("What is 24 + 13 - 6?", "24 + 13 = 37. 37 - 6 = 31. The answer is 31."),
        ("Compute 58 - 20 + 9 + 11.", "58 - 20 = 38. 38 + 9 = 47. 47 + 11 = 58. The answer is 58."),
    ),
    "word_problems": (
        ("Ben has 15 pens. Ben buys 20 more. Then Ben gives away 5. How many pens does Ben have now?",
         "15 + 20 = 35. 35 - 5 = 30. The answer is 30."),
        ("Eva has 42 coins. Then Eva loses 12 of them. How many coins does Eva have now?",
         "42 - 12 = 30. The answer is 30."),
    ),
    "code": (
        ("Write a Python function f(xs) that takes a list of numbers and reverses it, then adds 2 to each number.",
         "```python\ndef f(xs):\n    xs = xs[::-1]\n    xs = [x + 2 for x in xs]\n    return xs\n```"),
        ("Write a Python function f(xs) that takes a list of numbers and drops the last number, then sorts the list.",
         "```python\ndef f(xs):\n    xs = xs[:-1]\n    xs = sorted(xs)\n    return xs\n```"),
    ),
    "logic": (
        ("Sam is taller than Mia. Ben is taller than Sam. Who is the tallest?",
         "Order: Ben, Sam, Mia. The answer is Ben."),
        ("Eva is shorter than Tom. Amy is shorter than Eva. Who is the shortest?",
         "Order: Tom, Eva, Amy. The answer is Amy."),
    ),
    "choice": (
        ("What is the capital of Italy? Rome (A), Lima (B), Cairo (C), Oslo (D).",
         "The capital of Italy is Rome. Rome (A). The answer is A."),
        ("Which day comes after Monday? Sunday (A), Friday (B), Tuesday (C), Monday (D).",
         "The day after Monday is Tuesday. Tuesday (C). The answer is C."),
    ),
}  # fmt: skip


KIND_OF = {"arithmetic": "math", "word_problems": "math", "code": "code", "logic": "exact", "choice": "choice"}


def examples_for(problem: Problem) -> tuple[tuple[str, str], ...]:
    """The examples of the problem's task, or of the one most like it."""
    return EXAMPLES[nearest_task(problem)]


def nearest_task(problem: Problem) -> str:
    """The problem's task, if it is built in; else one of its kind: of mathematics word problems where it is told in words, else
    arithmetic.

    A user's file may be named like a built-in task and hold something else, so the kind must agree as well.
    """
    if KIND_OF.get(problem.task) == problem.kind:
        return problem.task
    if problem.kind == "math" and len(re.findall(r"[^\W\d_]{2,}", problem.question)) >= TOLD_IN_WORDS:
        return "word_problems"
    return {"code": "code", "choice": "choice", "exact": "logic"}.get(problem.kind, "arithmetic")


# Long examples, for collecting cold-start data: every step, then a check; one for each task and language, by hand.
LONG_EXAMPLES: dict[tuple[str, str], tuple[str, str]] = {
    ("arithmetic", "en"): (
        "What is 24 + 13 - 6 + 20? Work carefully and check your answer.",
        "First 24 + 13 = 37. Then 37 - 6 = 31. Now 31 + 20 = 51. Let me check: 51 - 20 = 31. Right. The answer is 51.",
    ),
    ("arithmetic", "zh"): (
        "24 + 13 - 6 + 20等于多少？请仔细算，再检查。",
        "先算24 + 13 = 37。再算37 - 6 = 31。接着31 + 20 = 51。检查一下：51 - 20 = 31。没错。答案是51。",
    ),
    ("word_problems", "en"): (
        "Ben has 15 pens. Then Ben buys 20 more. Then Ben gives away 5. Ben finds 8 more. How many pens does Ben have now? "
        "Work carefully and check your answer.",
        "Start: buys 20: 15 + 20 = 35. Then gives away 5: 35 - 5 = 30. Now finds 8: 30 + 8 = 38. Let me check: 38 - 8 = 30. "
        "Right. The answer is 38.",
    ),
    ("word_problems", "zh"): (
        "小明有15个苹果。又买了20个。送给别人5个。又找到8个。小明现在有多少个苹果？请仔细算，再检查。",
        "首先买了20个：15 + 20 = 35。然后送出5个：35 - 5 = 30。接着找到8个：30 + 8 = 38。检查一下：38 - 8 = 30。没错。"
        "答案是38。",
    ),
    ("code", "en"): (
        "Write a Python function f(xs) that takes a list of numbers and reverses it, then adds 2 to each number, then keeps "
        "the first 3 numbers. Work carefully and check your answer.",
        "Plan: 1. reverses it, 2. adds 2 to each number, 3. keeps the first 3 numbers. Let me check: 3 steps. Right.\n"
        "```python\ndef f(xs):\n    xs = xs[::-1]\n    xs = [x + 2 for x in xs]\n    xs = xs[:3]\n    return xs\n```",
    ),
    ("code", "zh"): (
        "写一个Python函数f(xs)，对一列数倒过来，然后每个数加2。请仔细算，再检查。",
        "步骤：1. 倒过来, 2. 每个数加2。检查一下：2步。没错。\n"
        "```python\ndef f(xs):\n    xs = xs[::-1]\n    xs = [x + 2 for x in xs]\n    return xs\n```",
    ),
    ("logic", "en"): (
        "Sam is taller than Mia. Tom is shorter than Mia. Ben is taller than Sam. Who is the tallest? "
        "Work carefully and check your answer.",
        "We know Sam > Mia, Mia > Tom, Ben > Sam. At the top: Ben. Let me check: nobody is above Ben. Right. "
        "So Ben > Sam, Sam > Mia, Mia > Tom. Order: Ben, Sam, Mia, Tom. The answer is Ben.",
    ),
    ("logic", "zh"): (
        "小红比小刚高。小明比小红高。谁最高？请仔细算，再检查。",
        "已知小红 > 小刚, 小明 > 小红。最高的是小明。检查一下：没有人比小明高。没错。所以小明 > 小红, 小红 > 小刚。"
        "顺序：小明，小红，小刚。答案是小明。",
    ),
    ("choice", "en"): (
        "What is the capital of Italy? Rome (A), Lima (B), Cairo (C), Oslo (D). Work carefully and check your answer.",
        "The capital of Italy is Rome. The capital of Norway is Oslo, so it is not D. Let me check: Rome stands at A. Right. "
        "Rome (A). The answer is A.",
    ),
}  # fmt: skip


def long_example_for(problem: Problem) -> tuple[str, str]:
    """The long example of the problem's task in its language, in English where there is none in that language."""
    task = nearest_task(problem)
    return LONG_EXAMPLES.get((task, problem.language)) or LONG_EXAMPLES[task, "en"]
