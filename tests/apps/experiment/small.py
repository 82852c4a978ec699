"""A small experiment: two methods from a recipe whose base is given."""

from __future__ import annotations

import json
from pathlib import Path

RECIPE = """
graph = "r1_zero"
[inputs]
base = "{model}"
[tasks]
train = "{folder}/train.jsonl"
eval = "{folder}/eval.jsonl"
[r1_zero]
prompts_per_step = 2
group_size = 4
max_new_tokens = 4
learning_rate = 1e-3
transcripts_every = 100
dead_steps_limit = 50
checkpoint_every = 1
[evaluate]
problems = 3
samples = 2
max_new_tokens = 4
general_problems = 0
consensus_problems = 0
[rewards]
workers = 1
seconds_limit = 20
custom = "{folder}/reward.py:judge"
[runtime]
threads = 1
"""
EXPERIMENT = """
recipe = "micro.toml"
seeds = [0, 1]
measure = ["pass@1", "completion_tokens", "log.reward", "log.entropy"]
disk_gib = 1

[budget]
stage = "r1_zero"
tokens = 60

[variants.grpo]

[variants.remax]
r1_zero.method = "remax"

[[claims]]
metric = "pass@1"
greater = "remax"
than = "grpo"
"""
REWARD = """
def judge(completion, problem):
    return sum(map(ord, completion)) % 7 / 6
"""


def write_experiment(folder: Path, model: Path, text: str = EXPERIMENT) -> Path:
    """The experiment's file, its recipe, its problems and their reward."""
    (folder / "micro.toml").write_text(RECIPE.format(model=model, folder=folder))
    (folder / "reward.py").write_text(REWARD)
    for name in ("train", "eval"):
        rows = [{"kind": "custom", "question": f"Say a number, {name} {n}.", "answer": ""} for n in range(4)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = folder / "small.toml"
    path.write_text(text)
    return path
