"""The rows that both sides answer, and lm-eval's task files for them, written anew for each comparison.

Prompts are plain text, the same characters on both sides; decoding is greedy. Stop texts, filters and metrics are those of
lm-eval's own tasks of these names, so that its verdicts are its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.evals.benchmarks.definition import find_benchmark
from cogitate.evals.benchmarks.load import load_benchmark
from cogitate.tokenizer.prompts import bare_prompt
from cogitate.types import Problem

PREFIX = "beside_"  # of the names of task files: lm-eval has tasks of the plain names
# lm-eval counts sentences and words of these by a model that it fetches.
NEEDS_NLTK = {"length_constraints:number_sentences", "change_case:capital_word_frequency"}
NUMBERS = """filter_list:
  - name: flexible-extract
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: false
    regexes_to_ignore: [",", "\\\\$", "(?s).*#### ", "\\\\.$"]
"""
LETTERS = """filter_list:
  - name: first-letter
    filter:
      - function: regex
        regex_pattern: "\\\\b([A-D])\\\\b"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""
INSTRUCTIONS = """process_results: !function checks.process_results
metric_list:
  - metric: prompt_level_strict_acc
    aggregation: mean
    higher_is_better: true
"""
CHECKS = """from lm_eval.tasks.ifeval.utils import process_results as all_four


def process_results(doc, results):
    return {"prompt_level_strict_acc": all_four(doc, results)["prompt_level_strict_acc"]}
"""
NO_METRIC = """metric_list:
  - metric: bypass
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One benchmark on both sides.

    Attributes:
        until: texts that end a completion; they are no part of it.
        tail: the rest of lm-eval's task file.
        metric: of lm-eval's samples, that says whether it finds a row right; "": it does not judge, and the original harness's
            program is run in its place.
    """

    name: str
    until: tuple[str, ...]
    max_new_tokens: int
    tail: str
    metric: str


QUESTION = ("Question:", "</s>", "<|im_end|>")
COMPARISONS = {
    one.name: one
    for one in (
        Comparison("gsm8k", QUESTION, 160, NUMBERS, "exact_match"),
        Comparison("mawps", QUESTION, 96, NUMBERS, "exact_match"),
        Comparison("mmlu_stem", QUESTION, 48, LETTERS, "exact_match"),
        Comparison("ifeval", (), 256, INSTRUCTIONS, "prompt_level_strict_acc"),
        Comparison("humaneval", ("\nclass", "\ndef", "\n#", "\nif", "\nprint"), 200, NO_METRIC, ""),
    )
}


def rows_of(comparison: Comparison, data: Path, count: int) -> list[tuple[Problem, str]]:
    """(problem, prompt) of the first `count` at equal distances."""
    problems = load_benchmark(find_benchmark(comparison.name), data, partial=True).problems
    usable = [one for one in problems if not NEEDS_NLTK & set(one.fields.get("instruction_id_list", ()))]
    step = max(1, len(usable) // count)
    return [(problem, prompt_of(comparison.name, problem)) for problem in usable[::step][:count]]


def prompt_of(name: str, problem: Problem) -> str:
    """A function's head as it is, a request as it is, else the bare question."""
    if name == "humaneval":
        return str(problem.fields["prompt"])
    return problem.question if name == "ifeval" else bare_prompt(problem.question)


def write_tasks(rows: Mapping[str, list[tuple[Problem, str]]], folder: Path) -> dict[str, str]:
    """A task file and its rows for each benchmark; returns lm-eval's name of the task by the benchmark's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checks.py").write_text(CHECKS)
    names = {name: f"{PREFIX}{name}" for name in rows}
    for name, chosen in rows.items():
        comparison, file = COMPARISONS[name], folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(document(problem, prompt)) + "\n" for problem, prompt in chosen), encoding="utf-8")
        head = (
            f"task: {names[name]}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {json.dumps(str(file))}\n"
            'test_split: test\noutput_type: generate_until\ndoc_to_text: "{{prompt}}"\ndoc_to_target: "{{answer}}"\n'
            f"num_fewshot: 0\ngeneration_kwargs:\n  until: {json.dumps(list(comparison.until))}\n  do_sample: false\n"
            f"  temperature: 0.0\n  max_gen_toks: {comparison.max_new_tokens}\n"
        )
        (folder / f"{name}.yaml").write_text(head + comparison.tail, encoding="utf-8")
    return names


def document(problem: Problem, prompt: str) -> dict[str, Any]:
    """A row as lm-eval reads it; IFEval's has the keys of its own."""
    row = {"id": problem.id, "prompt": prompt, "answer": str(problem.gold or "")}
    if problem.kind == "choice":
        row["answer"] = str(problem.gold)[0]
    if problem.kind == "ifeval":
        names, given = problem.fields["instruction_id_list"], problem.fields["kwargs"]
        return {**row, "key": 0, "instruction_id_list": list(names), "kwargs": [dict(one) for one in given]}
    return row
