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
    "countdown": (
        ("Use 2, 5 and 3, each once, to make 13.", "5 * 2 = 10. 10 + 3 = 13. The answer is 5 * 2 + 3."),
        ("Make 6 from 7, 4 and 3. Use each number once, with + - *.", "7 - 4 = 3. 3 + 3 = 6. The answer is 7 - 4 + 3."),
    ),
    "find_x": (
        ("Find x from 1 to 12: x divided by 3 leaves 1, and x divided by 4 leaves 2.",
         "10 / 3 leaves 1. 10 / 4 leaves 2. The answer is 10."),
        ("x is a whole number from 1 to 10. 4 * x + 5 = 29. What is x?", "4 * 6 = 24. 24 + 5 = 29. The answer is 6."),
    ),
    "knights": (
        ("Knights say what is true, knaves say what is false. Tom says: Mia is a knave. Mia says: Tom and Mia are both "
         "knights. Who is a knight and who is a knave?",
         "Tom knight, Mia knave: both fit. The answer is Tom is a knight, Mia is a knave."),
        ("Everybody is a knight, who is always right, or a knave, who is always wrong. Sam says: Eva or Sam is a knave. "
         "Eva says: Sam is a knave. Who is what?",
         "Sam knight, Eva knave: both fit. The answer is Sam is a knight, Eva is a knave."),
    ),
    "programs": (
        ("f uses 2 of these steps, each once, in some order: + 4, * 2, - 1. f(2) = 12 and f(5) = 18. "
         "Write the Python function f(x).",
         "2 + 4 = 6. 6 * 2 = 12.\n```python\ndef f(x):\n    x = x + 4\n    x = x * 2\n    return x\n```"),
        ("Write a Python function f(x) with f(3) = 8 and f(4) = 11. Use 2 of the steps - 1, + 5, * 3, each once, in the right "
         "order.",
         "3 * 3 = 9. 9 - 1 = 8.\n```python\ndef f(x):\n    x = x * 3\n    x = x - 1\n    return x\n```"),
    ),
    "long_sums": (
        ("What is 23 + 45 - 8 + 16 - 5 + 20?",
         "23 + 45 = 68. 68 - 8 = 60. 60 + 16 = 76. 76 - 5 = 71. 71 + 20 = 91. The answer is 91."),
        ("Compute 46 * 7.", "40 * 7 = 280. 6 * 7 = 42. 280 + 42 = 322. The answer is 322."),
    ),
}  # fmt: skip


KIND_OF = {
    "arithmetic": "math", "word_problems": "math", "code": "code", "logic": "exact", "choice": "choice",
    "countdown": "countdown", "find_x": "math", "knights": "logic", "programs": "code", "long_sums": "math",
}  # fmt: skip


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
    ("countdown", "en"): (
        "Use 7, 2 and 5, each once, to make 19. Work carefully and check your answer.",
        "Try 7 + 2 = 9, 9 * 5 = 45, 19? no. Try 7 - 5 = 2, 2 * 2 = 4, 19? no. Try 7 * 2 = 14, 14 + 5 = 19, 19? yes. "
        "Let me check: 19 - 5 = 14. Right. The answer is 7 * 2 + 5.",
    ),
    ("countdown", "zh"): (
        "用3、8和2，每个数用一次，得到13。请仔细算，再检查。",
        "先试8 - 3 = 5，5 * 2 = 10，13？不对。再试8 + 3 = 11，11 + 2 = 13，13？对。检查一下：13 - 2 = 11。没错。"
        "答案是8 + 3 + 2。",
    ),
    ("find_x", "en"): (
        "Find x from 1 to 10: x divided by 2 leaves 0, and x divided by 5 leaves 3. Work carefully and check your answer.",
        "Try 2: 2 / 5 leaves 2, 3? no. Try 4: 4 / 5 leaves 4, 3? no. Try 6: 6 / 5 leaves 1, 3? no. "
        "Try 8: 8 / 5 leaves 3, 3? yes. Let me check: 8 / 2 leaves 0. Right. The answer is 8.",
    ),
    ("find_x", "zh"): (
        "x是1到10的整数，5 * x + 2 = 37。x是多少？请仔细算，再检查。",
        "试5：5 * 5 = 25，25 + 2 = 27，37？不对。太小了。再试7：5 * 7 = 35，35 + 2 = 37，37？对。"
        "检查一下：37 - 2 = 35。没错。答案是7。",
    ),
    ("knights", "en"): (
        "Knights say what is true, knaves say what is false. Ben says: Lily is a knave. Lily says: Ben and Lily are the same. "
        "Who is a knight and who is a knave? Work carefully and check your answer.",
        "Try Ben knight, Lily knight. Ben (knight) says Lily (knight) is a knave: false, no. Try Ben knight, Lily knave. "
        "Ben (knight) says Lily (knave) is a knave: true, ok. Lily (knave) says Ben (knight) and Lily (knave) are the same: "
        "false, ok. Let me check: Lily is wrong, and a knave is always wrong. Right. The answer is Ben is a knight, Lily is a "
        "knave.",
    ),
    ("knights", "zh"): (
        "骑士说真话，无赖说假话。小明说：小红是无赖。小红说：小明和小红是同一种人。谁是骑士，谁是无赖？请仔细算，再检查。",
        "试小明骑士，小红骑士。小明（骑士）说小红（骑士）是无赖：假，不行。再试小明骑士，小红无赖。"
        "小明（骑士）说小红（无赖）是无赖：真，行。小红（无赖）说小明（骑士）和小红（无赖）是同一种人：假，行。检查一下：都符合。没错。答案是小明是骑士，小红是无赖。",
    ),
    ("programs", "en"): (
        "f uses 2 of these steps, each once, in some order: + 4, * 3, - 2. f(2) = 10 and f(6) = 22. Write the Python function "
        "f(x). Work carefully and check your answer.",
        "Try + 4, * 3: 2 + 4 = 6, 6 * 3 = 18, 10? no. Try * 3, + 4: 2 * 3 = 6, 6 + 4 = 10, 10? yes. Let me check: 6 * 3 = 18, "
        "18 + 4 = 22. Right.\n```python\ndef f(x):\n    x = x * 3\n    x = x + 4\n    return x\n```",
    ),
    ("programs", "zh"): (
        "f按某种顺序用了这些步骤中的2个，每个一次：+ 1, * 2, - 3。f(5) = 12，f(8) = 18。写出Python函数f(x)。请仔细算，再检查。",
        "试* 2, + 1：5 * 2 = 10，10 + 1 = 11，12？不对。再试+ 1, * 2：5 + 1 = 6，6 * 2 = 12，12？对。"
        "检查一下：8 + 1 = 9，9 * 2 = 18。没错。\n"
        "```python\ndef f(x):\n    x = x + 1\n    x = x * 2\n    return x\n```",
    ),
    ("long_sums", "en"): (
        "What is 31 + 24 - 6 + 40 - 8 + 17? Work carefully and check your answer.",
        "31 + 24 = 55. 55 - 6 = 49. 49 + 40 = 89. 89 - 8 = 81. 81 + 17 = 98. Let me check: 98 - 17 = 81. Right. "
        "The answer is 98.",
    ),
    ("long_sums", "zh"): (
        "36 * 4 等于多少？请仔细算，再检查。",
        "30 * 4 = 120。6 * 4 = 24。120 + 24 = 144。检查一下：144 - 24 = 120。没错。答案是144。",
    ),
}  # fmt: skip


def long_example_for(problem: Problem) -> tuple[str, str]:
    """The long example of the problem's task in its language, in English where there is none in that language."""
    task = nearest_task(problem)
    return LONG_EXAMPLES.get((task, problem.language)) or LONG_EXAMPLES[task, "en"]
