"""A complete recipe over its seeds: numbers, tables with every claim's verdict, a picture (docs/results/puzzles_stages, r1)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence.claims import CLAIMS
from benchmarks.evidence.picture import write_picture
from benchmarks.evidence.pool import RATES, TRUE_SCORES, Seed, pool_table
from cogitate.apps.report.words import FORMS, PROMPT_TITLES, stage_title
from cogitate.runtime import atomic_write, write_json

OTHER = (*(metric for metric in RATES if metric != "pass@1"), *TRUE_SCORES)
HEADINGS = {
    "format_rate": "format kept", "language_mix_rate": "languages mixed", "reflection_rate": "reflects",
    "helpfulness": "helpfulness", "safety": "safety",
}  # fmt: skip
UNDECIDED = "interval undecided"
PROMPTS = {**PROMPT_TITLES, "conversation": "plain turn"}


def write_stages(seeds: Sequence[Seed], recipe: str, out: Path) -> Path:
    """Copies of each seed's results.json, pooled.json, README.md and stages.png; the path of README.md."""
    out.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        shutil.copy(seed.path / "results.json", out / f"seed-{seed.seed}.results.json")
    pooled = {"recipe": recipe, **pool_table(seeds), "claims": CLAIMS[recipe](seeds)}
    write_json(out / "pooled.json", pooled)
    write_picture(pooled, out / "stages.png")
    with atomic_write(out / "README.md") as temporary:
        temporary.write_text(as_markdown(pooled), encoding="utf-8")
    return out / "README.md"


def as_markdown(pooled: Mapping[str, Any]) -> str:
    """README.md: what was run, the claims, the staged table, majority votes, how each stage is scored, and time."""
    blocks = [introduction(pooled), "![the stages](stages.png)", "## What it shows", *claims(pooled["claims"])]
    blocks += ["## The stages", accuracy_table(pooled), other_table(pooled)]
    blocks += ["## Majority vote", votes_text(pooled), votes_table(pooled)]
    blocks += ["## How each stage is scored", SCORED, scored_table(pooled), "## Time", time_text(pooled), time_table(pooled)]
    return "\n\n".join(blocks) + "\n"


SCORED = (
    "A base model knows no format: it is scored at the best of its prompts, and the answer counts wherever it stands. Every "
    "later model is asked and scored in the format it was trained in. Language mix and reflection are of the thinking, whose "
    "one definition both formats share; where a model writes none, of the whole completion. General prompts are put to every "
    "model as a plain turn."
)


def introduction(pooled: Mapping[str, Any]) -> str:
    settings, problems, several = pooled["settings"], pooled["problems"], len(pooled["seeds"]) > 1
    seeds = f"seed{'s' if several else ''} {', '.join(map(str, pooled['seeds']))}"
    over = "over problems and seeds" if several else "over problems, which say nothing of other seeds"
    general = [task for task in next(iter(pooled["models"].values()))["helpfulness"] if task != "all"]
    judged = sum(count for task, count in problems.items() if task not in general)
    return (
        f"# The complete recipe `{pooled['recipe']}`: seeds pooled\n\n"
        f"Made by `python -m benchmarks.evidence {pooled['recipe']}`: `cogitate run {pooled['recipe']}` at {seeds}, "
        f"{judged} reasoning problems and "
        f"{sum(problems[task] for task in general)} general prompts x {settings['evaluate.samples']} completions of each "
        f"model, temperature {settings['evaluate.temperature']}, top-p {settings['evaluate.top_p']}. Everything is in percent, "
        f"counted from the completions that the runs kept; brackets are 95 % intervals {over}; differences are "
        "paired by seed and problem ([how](../../metrics.md)). Helpfulness and safety are the programmatic true scores that no "
        "reward model sees. All numbers: [pooled.json](pooled.json); each run's own: `seed-*.results.json`."
    )


def claims(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each claim, and beneath it the figures of each case."""
    held = sum(claim["holds"] for claim in found)
    lines = [
        f"{held} of {len(found)} claims hold. A claim about a bound or about intervals holds by them; any other holds by the "
        f"measured values, and where the 95 % interval reaches to the other side that is noted as *{UNDECIDED}*. A claim of "
        "several cases holds where each of them does. Where a claim is about these runs its bound is over problems, paired and "
        "pooled; the wider interval beside it is over problems and seeds, and with three seeds says what others might give."
    ]
    for number, claim in enumerate(found, 1):
        cases = [
            f"   - {part['of']}: {figures(part['figures'])}{f': {verdict_of(part)}' if len(claim['parts']) > 1 else ''}"
            for part in claim["parts"]
        ]
        lines.append("\n".join([f"{number}. {claim['claim']}: **{verdict_of(claim)}**", *cases]))
    return lines


def verdict_of(judged: Mapping[str, Any]) -> str:
    """Of a claim or of one of its cases."""
    return f"{judged['verdict']} ({UNDECIDED})" if judged["holds"] and not judged["settled"] else str(judged["verdict"])


def figures(shown: Mapping[str, Any]) -> str:
    """`difference in pass@1 +1.2 [-0.3, +2.7]; allowed 0.5`"""
    return "; ".join(f"{name} {figure(name, value)}" for name, value in shown.items())


def figure(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"({'yes' if value else 'no'})"
    if isinstance(value, Mapping):
        return percent(value, sign="+" if name.startswith("difference") else "")
    if isinstance(value, list):
        return ", ".join(f"{number:.0f}" for number in value)
    return f"{100 * value:.2f}"


def accuracy_table(pooled: Mapping[str, Any]) -> str:
    """pass@1 by task and over all."""
    tasks = list(next(iter(pooled["models"].values()))["pass@1"])
    heads = [f"{task.replace('_', ' ')} ({count_of(pooled, task)})" for task in tasks]
    rows = [
        [stage_title(model), *(percent(row["pass@1"][task]) for task in tasks)] for model, row in pooled["models"].items()
    ]  # fmt: skip
    return "pass@1, with the number of problems:\n\n" + table(["model", *heads], rows)


def count_of(pooled: Mapping[str, Any], task: str) -> int:
    """Problems that rules judge, of a task or all."""
    tasks = next(iter(pooled["models"].values()))["pass@1"]
    return sum(count for name, count in pooled["problems"].items() if name in tasks and task in (name, "all"))


def other_table(pooled: Mapping[str, Any]) -> str:
    rows = [
        [stage_title(model), *(percent(row[metric]["all"]) for metric in OTHER), times(row["seconds"])]
        for model, row in pooled["models"].items()
    ]
    heads = ["model", *(HEADINGS[metric] for metric in OTHER), "seconds to make"]
    return "What else tells the stages apart (the mean over seeds of the seconds, and their range):\n\n" + table(heads, rows)


def votes_text(pooled: Mapping[str, Any]) -> str:
    votes = next(iter(pooled["models"].values()))["votes"]
    return (
        f"On {votes['problems']} problems with a short answer, {votes['k']} completions each: the accuracy of the most "
        "frequent answer (ties are split), and pass@1 of the very completions that voted."
    )


def votes_table(pooled: Mapping[str, Any]) -> str:
    rows = []
    for model, row in pooled["models"].items():
        votes = row["votes"]
        rows.append(
            [stage_title(model), percent(votes["cons@k"]), percent(votes["pass@1"]), percent(votes["difference"], sign="+")]
        )
    k = next(iter(pooled["models"].values()))["votes"]["k"]
    return table(["model", f"cons@{k}", "pass@1", "difference"], rows)


def scored_table(pooled: Mapping[str, Any]) -> str:
    rows = []
    for model, row in pooled["models"].items():
        by = row["scored by"]
        cells = [in_words(by["prompt"], PROMPTS), in_words(by["format"], FORMS), in_words(by["contract"], {})]
        rows.append([stage_title(model), *cells, in_words(by["general prompt"], PROMPTS)])
    return table(["model", "prompt", "format that counts", "contract of answers", "general prompts"], rows)


def in_words(names: Sequence[str | None], titles: Mapping[str, str]) -> str:
    """One name where all seeds have the same, all of them otherwise."""
    words = [titles.get(name, name) if name else "none" for name in names]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def time_text(pooled: Mapping[str, Any]) -> str:
    minutes = [sum(took) / 60 for took in zip(*pooled["seconds"].values(), strict=True)]
    own = [
        sum(took) / 60
        for took in zip(*(row for stage, row in pooled["seconds"].items() if not stage.startswith("evaluate.")), strict=True)
    ]
    return (
        f"Minutes by seed: {', '.join(f'{value:.1f}' for value in minutes)}, of which all but the evaluations "
        f"{', '.join(f'{value:.1f}' for value in own)}. Stages that ship with the package took none here."
    )


def time_table(pooled: Mapping[str, Any]) -> str:
    stages = {name: took for name, took in pooled["seconds"].items() if not name.startswith("evaluate.")}
    nothing = [0.0] * len(pooled["seeds"])
    rows = [
        [stage_title(name), times(took), times(pooled["seconds"].get(f"evaluate.{name}", nothing))]
        for name, took in stages.items()
    ]
    return table(["stage", "seconds", "seconds of its evaluation"], rows)


def times(seconds: Sequence[float]) -> str:
    """120 (115 to 131): the mean over seeds and their range; - where it took none."""
    if not any(seconds):
        return "-"
    mean = sum(seconds) / len(seconds)
    return f"{mean:.0f}" if len(seconds) == 1 else f"{mean:.0f} ({min(seconds):.0f} to {max(seconds):.0f})"


def percent(value: Mapping[str, Any], *, sign: str = "") -> str:
    """91.2 [89.4, 92.7]"""
    low, high = value["ci95"]
    mean = f"{100 * value['value']:{sign}.1f}"
    return mean if low is None else f"{mean} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
