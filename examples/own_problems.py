"""Train on problems of your own: a list of rows, in the form of docs/tasks.md.

python examples/own_problems.py [OUT] [STEPS]
"""

import random
import sys

import cogitate

out = sys.argv[1] if len(sys.argv) > 1 else "runs/own_problems"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 20

numbers = random.Random(0)
pairs = [(a, b) for a in range(10, 60) for b in range(2, 9)]
numbers.shuffle(pairs)
rows = [{"question": f"A box holds {b} pens. How many pens are in {a} boxes?", "answer": str(a * b)} for a, b in pairs]

run = cogitate.run(
    "tiny",
    out=out,
    problems=rows[:300],
    evaluation=rows[300:],
    graph="r1_zero",  # base and R1-Zero alone
    only="r1_zero",  # leave it out to have both measured
    seed=1,
    r1_zero={"steps": steps, "prompts_per_step": 8, "group_size": 4, "max_new_tokens": 96},
)
for row in run.metrics("r1_zero"):
    print(f"step {row['step']}: reward {row['reward']:.2f}, accuracy {row['accuracy']:.2f}")
