"""A made-up run directory for tests of the report: the shape of a real one, numbers that no model produced."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

TASKS = ("arithmetic", "word_problems", "code", "logic", "choice")
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)> & "quoted" \u2028 <!--'


def write_run(directory: Path, *, seed: int = 0, steps: int = 40, finished: bool = True, hostile: bool = False) -> Path:
    """Write results.json, config.json, and the stages' metrics and transcripts."""
    rng = random.Random(seed)
    directory.mkdir(parents=True)
    stages = {"base": 0.27, "r1_zero": 0.71}
    write_json(directory / "config.json", {"graph": "r1_zero", "seed": seed, "r1_zero": {"steps": steps}})
    write_stage(directory, "base", [base_row(rng, step) for step in range(0, 600, 5)], [], finished=True, hostile=False)
    rows = [rl_row(rng, step, steps) for step in range(steps)]
    transcripts = [t for step in range(0, steps, 10) for t in sampled(rng, step, steps)]
    write_stage(directory, "r1_zero", rows, transcripts, finished=finished, hostile=hostile)
    if not finished:
        return directory
    results: dict[str, Any] = {"schema": 1, "seed": seed, "stages": {}, "seconds": {}, "origins": {"base": "shipped"}}
    for stage, level in stages.items():
        results["stages"][stage] = scores(rng, level, 60 if stage == "base" else 110)
        write_evaluation(rng, directory / f"evaluate.{stage}", results["stages"][stage], base=stage == "base")
        results["seconds"][stage] = 0.0 if stage == "base" else 241.3
        results["seconds"][f"evaluate.{stage}"] = 48.0 + rng.random() * 10
    write_json(directory / "results.json", results)
    return directory


def write_evaluation(rng: random.Random, path: Path, table: dict[str, Any], *, base: bool) -> None:
    """Two completions of six unseen problems; base is asked with two prompts, of which the second is the better."""
    path.mkdir()
    prompts = ("bare_question", "few_shot") if base else ("r1_zero",)
    with (path / "completions.jsonl").open("w", encoding="utf-8") as handle:
        for prompt in prompts:
            for index in range(6):
                task, a = TASKS[index % len(TASKS)], 51 + index
                for _ in range(2):
                    row = one_completion(
                        rng, 0 if base else 30, 40, task, f"eval-{index}", f"What is {a} + 2 - 1?", a, 2, 1, False
                    )
                    row = {
                        key: row[key] for key in ("task", "problem_id", "question", "gold", "completion", "reason", "tokens")
                    }
                    row |= {"prompt": prompt, "right": rng.random() < 0.5, "finished": True}
                    handle.write(json.dumps(row, ensure_ascii=False) + "\n")
    summary: dict[str, Any] = {"prompt": prompts[-1], "contract": "free" if base else "r1"}
    if base:
        summary["pass@1 by prompt"] = {"bare_question": {"all": 0.22}, "few_shot": {"all": 0.27}}
    write_json(path / "evaluation.json", table)
    write_json(path / "manifest.json", {"stage": path.name, "seconds": 50.0, "summary": summary})


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2), encoding="utf-8")


def write_stage(
    directory: Path, stage: str, rows: list[dict[str, Any]], transcripts: list[dict[str, Any]], *, finished: bool, hostile: bool
) -> None:
    path = directory / stage if finished else directory / "unfinished" / stage / "out"
    path.mkdir(parents=True)
    if hostile and transcripts:
        transcripts[0]["completion"] = f"<think>{HOSTILE}</think> <answer>{HOSTILE}</answer>"
        transcripts[0]["question"] = transcripts[0]["reason"] = transcripts[0]["extracted"] = HOSTILE
        transcripts[0]["problem_id"] = transcripts[0]["task"] = HOSTILE
    for name, items in (("metrics.jsonl", rows), ("transcripts.jsonl", transcripts)):
        if items:
            lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
            (path / name).write_text(lines, encoding="utf-8")
    if finished:
        write_json(path / "manifest.json", {"stage": stage, "seconds": 241.3, "summary": {}})


def estimate(value: float, half: float, *, bounded: bool = True) -> dict[str, Any]:
    low, high = value - half, value + half
    return {"value": value, "ci95": [max(0.0, low), min(1.0, high)] if bounded else [low, high]}


def scores(rng: random.Random, level: float, length: float) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for task in (*TASKS, "all"):
        value = min(0.97, max(0.02, level + (0 if task == "all" else rng.uniform(-0.2, 0.2))))
        table[task] = {
            "pass@1": estimate(value, 0.03 if task == "all" else 0.07),
            "pass@4": estimate(min(0.99, value + 0.12), 0.03),
            "longest_third": estimate(value * 0.7, 0.06),
            "thinking_tokens": estimate(length * rng.uniform(0.8, 1.2), 6.0, bounded=False),
            "truncated_share": estimate(0.04, 0.01),
            "format_rate": estimate(0.02 if level < 0.5 else 0.97, 0.01),
            "reflection_rate": estimate(0.03 if level < 0.5 else 0.16, 0.02),
            "language_mix_rate": estimate(0.05, 0.02),
            "problems": 250 if task == "all" else 50,
            "samples": 4,
        }
    return table


def base_row(rng: random.Random, step: int) -> dict[str, Any]:
    loss = 1.1 + 6.0 * math.exp(-step / 60) + rng.gauss(0, 0.04)
    row = {
        "step": step,
        "loss": loss,
        "mtp_loss": loss + 0.5,
        "learning_rate": 2e-3,
        "tokens_per_second": 4600 + rng.gauss(0, 90),
    }
    return row | ({"held_out_loss": loss + 0.03} if step % 100 == 0 else {})


def rl_row(rng: random.Random, step: int, steps: int) -> dict[str, Any]:
    done = step / steps
    accuracy = 0.22 + 0.55 * (1 - math.exp(-4 * done)) + rng.gauss(0, 0.03)
    form = min(1.0, 0.05 + 3 * done)
    seconds = {"generate": 3.1 + done, "grade": 0.4, "reference": 0.5, "train": 2.2 + 0.5 * done}
    return {
        "step": step,
        "reward": accuracy + form,
        "reward.accuracy": accuracy,
        "reward.format": form,
        "reward.language": 0.0,
        "accuracy": accuracy,
        **{f"accuracy.{task}": min(1.0, max(0.0, accuracy + rng.gauss(0, 0.1))) for task in TASKS},
        "completion_tokens": 40 + 70 * done + rng.gauss(0, 4),
        "thinking_tokens_finished": 22 + 65 * done + rng.gauss(0, 4),
        "truncated_share": 0.02 + 0.06 * done,
        "dead_groups": 0.3 * abs(done - 0.4) + 0.1,
        "no_verdict_share": 0.0,
        "entropy": 0.9 * math.exp(-2 * done) + 0.2,
        "kl": 0.02 * done,
        "clip_share": 0.01 + 0.002 * rng.random(),
        "logprob_gap": 1e-6 * (1 + rng.random()),
        "reflection_rate": 0.03 + 0.12 * done + rng.gauss(0, 0.01),
        "language_mix_rate": 0.09 + rng.gauss(0, 0.01) if step else None,
        "gradient_norm": 1.3 + rng.random(),
        "learning_rate": 1e-4,
        "loss": rng.gauss(0, 0.01),
        **{f"seconds.{phase}": value for phase, value in seconds.items()},
        "seconds": sum(seconds.values()) + 0.1,
        "tokens_generated": 16_000,
        "tokens_trained": 21_000,
        "tokens_per_second.generate": 5200.0,
        "tokens_per_second.train": 9100.0,
    }


def sampled(rng: random.Random, step: int, steps: int) -> list[dict[str, Any]]:
    """Completions of six problems that recur at every step and of six that do not, four each."""
    rows = []
    for index in range(12):
        task = TASKS[index % len(TASKS)]
        recurring = index < 6
        number = index if recurring else index + 100 * (step + 1)
        chinese = index % 3 == 2
        a, b, c = 12 + number % 40, 7 + index, 4 + index
        question = f"计算 {a} + {b} - {c}。" if chinese else f"What is {a} + {b} - {c}?"
        for _ in range(4):
            rows.append(one_completion(rng, step, steps, task, f"{task}-{number}", question, a, b, c, chinese))
    return rows


def one_completion(
    rng: random.Random, step: int, steps: int, task: str, problem_id: str, question: str, a: int, b: int, c: int, chinese: bool
) -> dict[str, Any]:
    right, gold = rng.random() < 0.2 + 0.6 * step / steps, a + b - c
    answer = gold if right else gold + rng.choice((-10, 1, 10))
    reflective = rng.random() < 0.1 + 0.4 * step / steps
    if chinese:
        thinking = f"先算{a} + {b} = {a + b}。再算{a + b} - {c} = {answer}。"
        thinking += "等等，检查一下：没错。" if reflective else ""
    else:
        thinking = f"First {a} + {b} = {a + b}. Then {a + b} - {c} = {answer}. "
        thinking += f"Wait, let me check: {answer} + {c} = {answer + c}. Right." if reflective else ""
    tagged = rng.random() < 0.1 + 2 * step / steps
    truncated = rng.random() < 0.05
    text = f"<think> {thinking} </think> <answer> {answer} </answer>" if tagged else f"{thinking} So {answer}"
    if truncated:
        text, right = text[: len(text) // 2], False
    parts = {"accuracy": float(right), "format": float(tagged and not truncated)}
    return {
        "step": step,
        "task": task,
        "problem_id": problem_id,
        "question": question,
        "gold": str(gold),
        "prompt": f"User: {question}\nAssistant:",
        "completion": text,
        "reward": sum(parts.values()),
        "reward_breakdown": parts,
        "verdict": "right" if right else "wrong",
        "reason": f"{answer} equals {gold}" if right else f"{answer} is not {gold}",
        "extracted": str(answer),
        "finish_reason": "length" if truncated else "stop",
        "thinking_tokens": len(thinking) // 2 if tagged else 0,
        "tokens": len(text) // 2,
        "language_mix": False,
        "reflection": reflective,
    }
