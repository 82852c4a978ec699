"""Judge answers: mathematics, multiple choice, a program, and by a function of your own.

python examples/grade_answers.py
"""

import cogitate

verdict = cogitate.grade(r"<think>1/2 + 1/3</think> The sum is \boxed{\frac{5}{6}}.", gold="5/6")
print(verdict.value, verdict.score, verdict.reason)

# Several answers: one reference for all, or one for each.
for verdict in cogitate.grade(["<answer> 41 </answer>", "<answer> 42.0 </answer>"], gold="42"):
    print(verdict.value, verdict.extracted, verdict.reason)

# The fields say what kind of problem it is: here a multiple choice, then a program that runs in a sandbox.
print(cogitate.grade("The answer is (B).", gold="4", choices=["3", "4"], contract="free").value)
program = "```python\ndef double(x):\n    return 2 * x\n```"
print(cogitate.grade(program, entry_point="double", tests=[{"args": [4], "expected": 8}]).value)


def short(completion: str, problem: dict) -> float:
    return float(len(completion.split()) <= problem["words"])


print(cogitate.grade("Three words only.", reward=short, words=3).reason)
