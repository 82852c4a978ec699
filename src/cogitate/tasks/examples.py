"""Worked examples for few-shot prompts, written by hand: two for each built-in task, worked the way prompts usually show."""

from __future__ import annotations

from cogitate.types import Problem

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
    """The examples of the problem's task; a task without its own gets those of its kind, else of arithmetic.

    A user's file may be named like a built-in task and hold something else, so the kind must agree as well.
    """
    if KIND_OF.get(problem.task) == problem.kind:
        return EXAMPLES[problem.task]
    by_kind = {"code": "code", "choice": "choice", "exact": "logic"}
    return EXAMPLES[by_kind.get(problem.kind, "arithmetic")]
