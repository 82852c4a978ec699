"""Recipes that go through every kind of stage in minutes, on a device too: mostly the shipped models, and little work."""

from __future__ import annotations

import json
from pathlib import Path

from cogitate.config import Config
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.recipe.settings import load_recipe
from cogitate.tasks.files.datasets import write_rows
from tests.recipe.stages import test_probe as probe
from tests.recipe.stages.measuring import test_stages as measuring

KEPT = ("base", "tokenizer", "student_base_llama", "student_base_qwen")  # what the shipped models were made with
LITTLE_MEASURED = (
    "runtime.threads=1", "tasks.eval=arithmetic", "evaluate.problems=2", "evaluate.samples=1", "evaluate.general_problems=2",
    "evaluate.consensus_problems=0", "evaluate.max_new_tokens=8",
)  # fmt: skip
LITTLE_PROBED = ("probe.problems=4", "probe.sources=2", "probe.max_new_tokens=24")
FEW_PREFERENCES = ("preferences.pairs=8", "preferences.safety_prompts=8", "preferences.max_new_tokens=16")


def tiny(*settings: str) -> Config:
    """All stages of R1's figure."""
    of_rl = {"steps": 2, "prompts_per_step": 3, "group_size": 3, "max_new_tokens": 16}
    stages = ("r1_zero", "r1_dev2", "r1", "student_rl_llama", "student_rl_qwen")
    shorter = [f"{stage}.{key}={value}" for stage in stages for key, value in of_rl.items()]
    shorter += ["r1.general_from_step=1", "r1.general_prompts_per_step=2", "cold_start.problems=8", "sft_data.problems=8"]
    asked = ["tasks.train=arithmetic", *LITTLE_MEASURED, *FEW_PREFERENCES, *shorter, *settings]
    return shrink(load_recipe("tiny", asked), keep=KEPT)


def instruct_gpt(*settings: str) -> Config:
    """Demonstrations, preferences, reward models, PPO and DPO."""
    of_ppo = ("ppo.steps=2", "ppo.prompts_per_step=3", "ppo.group_size=2", "ppo.max_new_tokens=12")
    asked = [*LITTLE_MEASURED, *FEW_PREFERENCES, "demonstrations.problems=8", *of_ppo, *settings]
    return shrink(load_recipe("instruct_gpt", asked), keep=KEPT)


AFTER_SFT = """
extends = "tiny"
[[stages]]
name = "sft"
kind = "fine_tune"
needs = ["start", "sums"]
[[stages]]
name = "pairs"
kind = "length_pairs"
needs = ["sft"]
[[stages]]
name = "short"
kind = "dpo"
needs = ["sft", "pairs"]
[[stages]]
name = "merged"
kind = "merge"
needs = ["short", "sft"]
[[stages]]
name = "pruned"
kind = "prune"
needs = ["start"]
[[stages]]
name = "steps"
kind = "process_reward_model"
needs = ["sft"]
[[stages]]
name = "tests"
kind = "write_tests"
needs = ["sft"]
[[stages]]
name = "student"
kind = "pretrain_student"
[tokenizer]
vocab_size = 400
corpus_documents = 300
[student]
steps = 2
rows = 2
row_tokens = 64
micro_rows = 2
warmup_steps = 1
held_out_documents = 4
[student.model]
model_type = "qwen2"
hidden_size = 16
num_hidden_layers = 1
intermediate_size = 32
num_attention_heads = 2
num_key_value_heads = 1
tie_word_embeddings = true
max_position_embeddings = 512
[sft]
epochs = 12
rows = 4
row_tokens = 128
micro_rows = 4
learning_rate = 2e-3
[pairs]
problems = 3
samples = 6
longer = 1.0
max_new_tokens = 64
[short]
epochs = 1
batch = 4
[pruned]
every_nth_layer = 2
[steps]
epochs = 1
batch = 4
problems = 3
samples = 2
rollouts = 2
max_new_tokens = 48
held_out_share = 0.4
[tests]
problems = 1
programs = 2
proposals = 0
mutants = 4
max_new_tokens = 16
[rewards]
workers = 1
"""
SUMS = [(a, 9 - a) for a in range(1, 9)]  # all are 9, which a model learns soon


def after_sft(folder: Path, *settings: str) -> Config:
    """What other recipes do with a model that thinks in R1's form; this one has learnt to say 9 after thinking for a while."""
    conversations = [
        {
            "messages": [
                {"role": "user", "content": f"What is {a} + {b}?"},
                {"role": "assistant", "content": f"<think> {'We add. ' * thoughts}</think>\nThe answer is \\boxed{{9}}."},
            ]
        }
        for a, b in SUMS
        for thoughts in (1, 2, 4)
    ]
    write_rows(folder / "sums.jsonl", conversations)
    problems = [{"question": f"What is {a} + {b}?", "answer": 9, "kind": "math"} for a, b in SUMS]
    program = "def largest(xs):\n    return max(xs)"
    code = {
        "question": "Write largest(xs).", "kind": "code", "mode": "function", "entry_point": "largest",
        "tests": [{"args": [[1, 2, 3]], "expected": 3}], "reference_program": program,
    }  # fmt: skip
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, problems)))
    (folder / "code.jsonl").write_text(json.dumps(code))
    (folder / "after_sft.toml").write_text(AFTER_SFT)
    tasks = f"tasks.train={folder / 'train.jsonl'},{folder / 'code.jsonl'}"
    inputs = (f"inputs.start={SHIPPED / 'base'}", f"inputs.sums={folder / 'sums.jsonl'}")
    return load_recipe(str(folder / "after_sft.toml"), [tasks, *inputs, *LITTLE_MEASURED, *settings])


def measured(folder: Path) -> Config:
    """What experiments are made of, and RL on what a model says of steps."""
    return measuring.recipe_in(folder, *LITTLE_MEASURED, "evaluate.general_problems=0")


def probed(folder: Path) -> Config:
    """A probe, and R1-Zero by what it proposes."""
    return load_recipe("own", probe.settings(probe.write_problems(folder), *probe.SET_BY_USER, *LITTLE_PROBED))
