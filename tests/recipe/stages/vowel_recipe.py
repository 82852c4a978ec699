"""A recipe that trains in seconds on problems of one's own: how many vowels a completion has, and some sums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.recipe.cli_process import cogitate_itself, finish

TOML = """
graph = "r1_zero"
[tokenizer]
vocab_size = 400
corpus_documents = 300
[model]
model_type = "deepseek_v3"
hidden_size = 32
num_hidden_layers = 2
first_k_dense_replace = 1
intermediate_size = 48
num_attention_heads = 2
num_key_value_heads = 2
kv_lora_rank = 16
qk_nope_head_dim = 8
qk_rope_head_dim = 8
v_head_dim = 16
n_routed_experts = 4
num_experts_per_tok = 2
n_shared_experts = 1
moe_intermediate_size = 16
n_group = 1
topk_group = 1
num_nextn_predict_layers = 1
max_position_embeddings = 384
[base]
steps = 20
rows = 4
row_tokens = 128
micro_rows = 4
optimiser = "muon"
warmup_steps = 2
held_out_documents = 6
held_out_every = 8
checkpoint_every = 6
[r1_zero]
steps = 5
prompts_per_step = 4
group_size = 4
max_new_tokens = 12
learning_rate = 1e-3
checkpoint_every = 2
transcripts_every = 2
dead_steps_limit = 3
[evaluate]
problems = 6
samples = 3
max_new_tokens = 12
consensus_problems = 4
consensus_samples = 5
[rewards]
workers = 1
seconds_limit = 20
[runtime]
threads = 1
"""
LETTERS = """
def share(completion, problem):
    letters = sum(character in "aeiou" for character in completion)
    return min(1.0, letters / 8) if problem["question"] else 0.0
"""


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def judged_rows(name: str, count: int) -> list[dict[str, Any]]:
    """Problems whose grader gives nearly every completion another score, so that even an untrained model can learn."""
    return [{"kind": "custom", "question": f"{name} {n}: vowels, please?", "answer": ""} for n in range(count)]


def sums(name: str, count: int) -> list[dict[str, Any]]:
    return [{"question": f"{name}: {n} + 1?", "answer": n + 1} for n in range(count)]


def write_recipe(folder: Path) -> Path:
    """The recipe, its reward and its problems: the files that `command_line` names."""
    (folder / "micro.toml").write_text(TOML)
    (folder / "reward.py").write_text(LETTERS)
    write_rows(folder / "train.jsonl", judged_rows("Train", 9))
    write_rows(folder / "eval.jsonl", [*judged_rows("Eval", 3), *sums("Eval", 3)])
    return folder


def command_line(folder: Path, out: Path, *settings: str) -> tuple[str, ...]:
    tasks = (f"tasks.train={folder / 'train.jsonl'}", f"tasks.eval={folder / 'eval.jsonl'}")
    reward = f"rewards.custom={folder / 'reward.py'}:share"
    return "run", str(folder / "micro.toml"), *tasks, reward, *settings, "--out", str(out)


def refused(tmp_path: Path, *arguments: str) -> str:
    code, command = finish(tmp_path, *arguments, entry=cogitate_itself)
    assert code == 2, command.stderr
    assert "Traceback" not in command.stderr
    return command.stderr.splitlines()[-1]
