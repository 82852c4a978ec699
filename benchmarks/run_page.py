"""The page of one run, for runs too long to be repeated at several seeds: `python -m benchmarks.run_page RUN OUT`.

Writes OUT/README.md (the staged table, what each stage cost, completions of the first problems), results.json, report.html and
curve.png. What a stage cost is the sum of its steps, and its median step times their number: a run that was stopped and went
on, or shared its cores, took longer than it needs.
"""

from __future__ import annotations

import argparse
import json
import operator
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from cogitate.apps.report.figures.picture import write_curve_png
from cogitate.apps.report.report import write_report
from cogitate.apps.report.words import prompt_title, stage_title, task_title
from cogitate.runtime import atomic_write

GENERAL = ("general", "safety")
SHOWN_PROBLEMS = 4
LONGEST_SHOWN = 400  # characters of a completion
OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
EQUATIONS = (
    "Of the same completions: how many write `a + b = c`, with any sign, where the left side is the answer (whatever they say "
    "it is), and how many of all such equations are right, in percent. Knowing what to compute and computing it are two "
    "skills. Equations with words between the numbers are not seen."
)
NUMBER = r"(\d+(?:\.\d+)?)"
EQUATION = rf"{NUMBER}\s*([-+*/])\s*{NUMBER}\s*=\s*{NUMBER}"


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.run_page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--command", required=True, help="the command that made the run")
    parser.add_argument(
        "--task", default="", help="the task of most columns, of equations and samples; by default all, no equations"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    write_report([options.run], options.run / "report.html")
    for name in ("results.json", "report.html"):
        shutil.copy(options.run / name, options.out / name)
    write_curve_png([options.run], options.out / "curve.png")
    with atomic_write(options.out / "README.md") as temporary:
        temporary.write_text(page(options.run, options.command, options.task), encoding="utf-8")
    print(f"written to {options.out}")


def page(run: Path, command: str, task: str = "") -> str:
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    facts, settings = machine.machine_facts(), config["evaluate"]
    tasks = [task for task in next(iter(results["stages"].values())) if task not in (*GENERAL, "all")]
    first = next(iter(results["stages"].values()))
    measured = f"{first[task]['problems']} problems of {task_title(task)}" if task else f"{first['all']['problems']} problems"
    equations = ("## Which equation, and is its sum right?", EQUATIONS, equation_table(run, results, task)) if task else ()
    blocks = [
        "# The numbers of the run",
        f"`{command}`, seed {config['seed']}; {facts['cpu']}, {facts['usable_cores']} cores, {facts['memory_gb']} GB, "
        f"torch {facts['torch']}. Evaluation: {measured} x "
        f"{settings['samples']} completions of at most {settings['max_new_tokens']} tokens, temperature "
        f"{settings['temperature']}, top-p {settings['top_p']}; percent, brackets are 95 % intervals over problems "
        "([how](../../metrics.md)). All numbers: [results.json](results.json); every curve and sampled completions: "
        "[report.html](report.html).",
        "![accuracy by stage, over the steps of R1-Zero, and its thinking](curve.png)",
        "## The stages",
        stage_table(results, tasks, task or "all"),
        "## Base by prompt",
        prompt_table(results),
        *equations,
        "## What it cost",
        cost_table(run, results),
        "## The same problems through the stages",
        f"The first {SHOWN_PROBLEMS} problems of the evaluation and each model's first completion; nothing is chosen.",
        *samples(run, results, task),
    ]
    return "\n\n".join(blocks) + "\n"


def stage_table(results: Mapping[str, Any], tasks: Sequence[str], main: str) -> str:
    """pass@1 by task, and what else, of one task or all, tells the stages apart."""
    tasks = tasks if main in tasks else (main, *tasks)
    pass_at_1 = " | ".join(f"{task_title(task)} pass@1" for task in tasks)
    lines = [
        f"| model | {pass_at_1} | {task_title(main)} pass@4 | format kept | tokens | cut off | helpfulness | safety |",
        "|---" * (len(tasks) + 7) + "|",
    ]
    for model, of_tasks in results["stages"].items():
        main_task, everything = of_tasks[main], of_tasks["all"]
        cells = [percent(of_tasks[task]["pass@1"]) if task in of_tasks else "" for task in tasks]
        cells += [percent(main_task["pass@4"])] if "pass@4" in main_task else [""]
        cells += [percent(main_task[metric], interval=False) for metric in ("format_rate",)]
        cells += [f"{main_task['completion_tokens']['value']:.0f}", percent(main_task["truncated_share"], interval=False)]
        cells += [percent(everything[metric]) if metric in everything else "" for metric in ("helpfulness", "safety")]
        lines.append(f"| {stage_title(model)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def prompt_table(results: Mapping[str, Any]) -> str:
    """Models that know no format are scored at the best of several prompts: here are all of them."""
    lines = ["| model | prompt | pass@1 |", "|---|---|---|"]
    for stage, summary in results["summaries"].items():
        for prompt, of_tasks in summary.get("pass@1 by prompt", {}).items():
            title = stage_title(stage.removeprefix("evaluate."))
            lines.append(f"| {title} | {prompt_title(prompt)} | {100 * of_tasks['all']:.1f} |")
    return "\n".join(lines)


def equation_table(run: Path, results: Mapping[str, Any], task: str) -> str:
    """Whether a model chose the right operation and numbers, and whether it computes."""
    lines = ["| model | writes the right equation | equations right |" + "".join(f" {sign} |" for sign in OPERATIONS)]
    lines.append("|---" * (3 + len(OPERATIONS)) + "|")
    for model in results["stages"]:
        rows = completions_of(run, results, model, task)
        found = [(row, equations_in(row["completion"])) for row in rows]
        chosen = sum(any(abs(value - float(row["gold"])) < 1e-6 for _, value, _ in each) for row, each in found)
        judged = [(sign, abs(value - said) < 0.01 * max(1.0, abs(value))) for _, each in found for sign, value, said in each]
        shares = [[right for sign, right in judged if sign in signs] for signs in (tuple(OPERATIONS), *OPERATIONS)]
        cells = [f"{100 * sum(rights) / len(rights):.0f} (of {len(rights):,})" if rights else "" for rights in shares]
        lines.append(f"| {stage_title(model)} | {100 * chosen / len(rows):.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def equations_in(text: str) -> list[tuple[str, float, float]]:
    """(sign, what it is, what the text says it is) of each `a + b = c`."""
    found = []
    for a, sign, b, said in re.findall(EQUATION, text):
        if sign != "/" or float(b) != 0.0:
            found.append((sign, OPERATIONS[sign](float(a), float(b)), float(said)))
    return found


def completions_of(run: Path, results: Mapping[str, Any], model: str, task: str) -> list[dict[str, Any]]:
    """A model's graded completions at the prompt it is scored at, of a task or of all that rules judge."""
    prompt = results["summaries"][f"evaluate.{model}"]["prompt"]
    rows = [json.loads(line) for line in lines_of(run / f"evaluate.{model}" / "completions.jsonl")]
    return [row for row in rows if row["prompt"] == prompt and row["task"] in ((task,) if task else results["stages"][model])]


def cost_table(run: Path, results: Mapping[str, Any]) -> str:
    lines = ["| stage | steps | minutes | median step x steps, minutes |", "|---|---|---|---|"]
    for stage, seconds in results["seconds"].items():
        rows = [json.loads(line) for line in lines_of(run / stage / "metrics.jsonl")]
        steps = [row["seconds"] for row in rows if "seconds" in row]
        typical = f"{median(steps) * len(steps) / 60:.0f}" if steps else ""
        title = f"evaluation of {stage_title(stage.removeprefix('evaluate.'))}" if "." in stage else stage_title(stage)
        if seconds:
            lines.append(f"| {title} | {len(steps) or ''} | {seconds / 60:.1f} | {typical} |")
    return "\n".join(lines)


def samples(run: Path, results: Mapping[str, Any], task: str) -> Iterator[str]:
    """Problem by problem, the first completion of each model."""
    of_model: dict[str, dict[str, dict[str, Any]]] = {}
    for model in results["stages"]:
        firsts = of_model.setdefault(model, {})
        for row in completions_of(run, results, model, task):
            firsts.setdefault(row["problem_id"], row)
    for problem in list(next(iter(of_model.values())))[:SHOWN_PROBLEMS]:
        any_row = next(iter(of_model.values()))[problem]
        lines = [f"**{any_row['question']}** (answer: {any_row['gold']})", "", "| model | completion | |", "|---|---|---|"]
        for model, firsts in of_model.items():
            row = firsts[problem]
            lines.append(f"| {stage_title(model)} | {in_cell(row['completion'])} | {'right' if row['right'] else 'wrong'} |")
        yield "\n".join(lines)


def in_cell(text: str) -> str:
    """As code in a table's cell; line breaks shown."""
    short = text.strip() if len(text.strip()) <= LONGEST_SHOWN else f"{text.strip()[:LONGEST_SHOWN]} …"
    return f"`{short.replace('`', chr(39)).replace('|', chr(0x2223)).replace(chr(10), ' ⏎ ')}`" if short else "(nothing)"


def percent(estimate: Mapping[str, Any], *, interval: bool = True) -> str:
    low, high = (100 * bound for bound in estimate["ci95"])
    return f"{100 * estimate['value']:.1f}" + (f" [{low:.1f}, {high:.1f}]" if interval else "")


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


if __name__ == "__main__":
    main()
