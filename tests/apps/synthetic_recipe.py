"""A made-up run of the whole recipe for tests of the report: every model, data sets with ledgers, reward models, hacking."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.apps.synthetic_run import base_row, estimate, rl_row, sampled, scores, write_json, write_stage

MODELS = {
    "base": 0.53, "r1_zero": 0.97, "r1_dev1": 0.71, "r1_dev2": 0.96, "r1_dev3": 0.95, "r1": 0.96, "student_base_llama": 0.31,
    "student_base_qwen": 0.33, "r1_distill_llama": 0.9, "r1_distill_qwen": 0.91, "student_rl_llama": 0.6,
    "student_rl_qwen": 0.64,
}  # fmt: skip
ASKED = {
    "base": {"prompt": "few_shot", "contract": "free", "format": "think_answer", "general_prompt": "r1"},
    "zero": {"prompt": "r1_zero", "contract": "r1", "format": "think_answer", "general_prompt": "r1"},
    "r1": {"prompt": "r1", "contract": "r1", "format": "think_text", "general_prompt": "r1"},
}
FINE_TUNED = ("r1_dev1", "r1_dev3", "r1_distill_llama", "r1_distill_qwen")
BY_RL = ("r1_zero", "r1_dev2", "r1", "student_rl_llama", "student_rl_qwen")
FIRST_HACKED = 30
DROPPED = {"mixed language": 41, "wrong answer": 160, "duplicate": 12}


def write_recipe(directory: Path, *, seed: int = 0) -> Path:
    """Write every stage of a finished run, and its results.json."""
    rng = random.Random(seed)
    directory.mkdir(parents=True)
    write_json(directory / "config.json", {"graph": "r1", "seed": seed})
    results: dict[str, Any] = {
        "schema": 1,
        "graph": "r1",
        "seed": seed,
        "stages": {},
        "seconds": {},
        "origins": {},
        "summaries": {},
    }
    for name, level in MODELS.items():
        rows, transcripts = [], []
        if name in BY_RL:
            rows = [rl_row(rng, step, 40) | (general_row(rng, step) if name == "r1" else {}) for step in range(40)]
            transcripts = [row for step in (0, 20) for row in sampled(rng, step, 40)]
        elif name in FINE_TUNED:
            rows = [{"step": step, "loss": 0.4 + math.exp(-step / 9), "tokens": 8000} for step in range(30)]
        else:
            rows = [base_row(rng, step) for step in range(0, 600, 5)]
        write_stage(directory, name, rows, transcripts, finished=True, hostile=False)
        results["stages"][name] = model_scores(rng, name, level)
        results["seconds"][name] = 0.0 if "base" in name else 45.0
        kind = "base" if "base" in name else "zero" if name == "r1_zero" or "rl" in name else "r1"
        results["summaries"][f"evaluate.{name}"] = ASKED[kind]
    hacked = list(range(FIRST_HACKED, 40))
    write_json(directory / "r1" / "manifest.json", {"seconds": 90.0, "summary": {"reward_hacking_steps": hacked}})
    write_data(directory / "cold_start", {"few_shot": 31, "direct": 44, "r1_zero": 120})
    write_data(directory / "sft_data", {"reasoning": 300, "general": 100})
    judges = {
        "helpfulness": {
            "held_out_pairs": 120, "accuracy": estimate(0.83, 0.06), "accuracy_where_chosen_is_shorter": estimate(0.8, 0.08),
            "reward_length_correlation": estimate(0.11, 0.15, bounded=False), "margin": 0.9,
        },
        "safety": {"held_out_completions": 90, "accuracy": estimate(0.95, 0.03), "score_length_correlation": None},
    }  # fmt: skip
    (directory / "reward_models").mkdir()
    write_json(directory / "reward_models" / "manifest.json", {"seconds": 38.0, "summary": judges})
    write_json(directory / "results.json", results)
    return directory


def general_row(rng: random.Random, step: int) -> dict[str, float]:
    """From step 20 on there are general prompts; from FIRST_HACKED on the reward model is being pleased."""
    if step < 20:
        return {}
    hacked = max(0, step - 25)
    model, true = 0.55 + 0.01 * (step - 20) + rng.gauss(0, 0.01), 0.62 - 0.008 * hacked + rng.gauss(0, 0.01)
    return {
        "reward.helpfulness": model, "reward.safety": 0.9, "true_helpfulness": true, "true_safety": 0.95, "model_reward": model,
        "true_score": true, "reward_hacking_gap": 0.02 * hacked, "reward_hacking": float(step >= FIRST_HACKED),
    }  # fmt: skip


def model_scores(rng: random.Random, name: str, level: float) -> dict[str, Any]:
    table = scores(rng, level, 90)
    table["all"] |= {"helpfulness": estimate(0.5 + 0.3 * level, 0.03), "safety": estimate(0.9 + 0.05 * level, 0.02)}
    table["all"]["language_mix_rate"] = estimate(0.08 if name == "r1_zero" else 0.002, 0.002)
    return table


def write_data(path: Path, kept: dict[str, int]) -> None:
    """A data set of so many rows of each source; every rule has dropped some of the first source."""
    path.mkdir()
    sources = [source for source, count in kept.items() for _ in range(count)]
    pq.write_table(pa.table({"source": sources, "task": ["arithmetic"] * len(sources)}), path / "data.parquet")
    rows = [{"rule": rule, "source": next(iter(kept))} for rule, count in DROPPED.items() for _ in range(count)]
    (path / "ledger.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / "metrics.jsonl").write_text(json.dumps({"step": 0, "source": "few_shot", "sampled": 512, "accuracy": 0.4}) + "\n")
    write_json(path / "manifest.json", {"seconds": 20.0, "summary": {}})
