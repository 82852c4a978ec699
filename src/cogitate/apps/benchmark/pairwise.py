"""Answers that a judge compares with a baseline's: the win rate of Arena-Hard and AlpacaEval.

A win counts 1, a tie 1/2, a loss 0. The judge sees each pair in both orders; where it contradicts itself there is no value,
which is counted. Length is not controlled for: both mean lengths stand beside the figure. The published figures of these
benchmarks have GPT-4 as the judge and are not comparable with those of another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.backend import Backend
from cogitate.config import Config, JudgeConfig
from cogitate.errors import DataError
from cogitate.evals.benchmarks.load import Loaded
from cogitate.evals.evaluate import Asking, Measured
from cogitate.evals.metrics import rate
from cogitate.evals.paired import Key
from cogitate.json_lines import parse_object, read_lines
from cogitate.recipe.run_directory.store import load_given
from cogitate.rewards.answer import answer_text
from cogitate.rewards.judge.judge import Judge, Pair
from cogitate.rewards.judge.settings import JUDGE
from cogitate.runtime import derive_seed

BASELINE = "baseline"  # the field of a problem that has the baseline's answer
WINS = {"first": 1.0, "tie": 0.5, "second": 0.0}
METRIC = "win_rate"


@dataclass(frozen=True, slots=True)
class Compared:
    """The judge's opinions.

    Attributes:
        values: the win of each completion the judge has an opinion on, by problem.
        without: completions it has none on.
        lengths: mean characters of the answers, and of the baseline's.
        counts: as Judge.counts.
    """

    judge: str
    values: dict[Key, list[float]]
    without: int
    lengths: tuple[float, float]
    counts: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        ours, theirs = self.lengths
        named = {"judge": self.judge, "no_opinion": self.without, "readings": dict(sorted(self.counts.items()))}
        return {**named, "mean_characters": ours, "mean_characters_of_baseline": theirs}

    def add_to(self, metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The metrics with the win rate of each category and of all."""
        added: dict[str, dict[str, Any]] = {}
        for category, row in metrics.items():
            rows = [values for key, values in self.values.items() if values and category in (key[0], "all")]
            added[category] = {**row, **({METRIC: rate(rows).as_json()} if rows else {})}
        return added


def compare_with_baseline(
    loaded: Loaded, groups: Sequence[Sequence[Measured]], asking: Asking, backend: Backend, config: Config
) -> Compared:
    """Every completion beside the baseline's answer to the same request.

    Raises:
        DataError: a problem has no answer of the baseline.
        EndpointError, ConfigError: the judge cannot be asked.
    """
    baseline, _ = baseline_answers(loaded)
    pairs, keys = [], []
    for group in groups:
        problem = group[0].problem
        for each in group:
            answer = answer_text(each.text, "r1" if asking.contract == "r1" else "free").strip()
            pairs.append(Pair(problem.question, answer, baseline[problem.id]))
            keys.append((problem.task, problem.id, problem.question))
    judge = Judge(config.judge, backend.asker(config.judge, JUDGE), derive_seed(config.seed, "benchmark"))
    preferences = judge.compare(pairs)
    values: dict[Key, list[float]] = {key: [] for key in keys}
    for key, preference in zip(keys, preferences, strict=True):
        if preference.winner is not None:
            values[key].append(WINS[preference.winner])
    lengths = (mean([len(pair.first) for pair in pairs]), mean([len(pair.second) for pair in pairs]))
    without = sum(preference.winner is None for preference in preferences)
    return Compared(config.judge.model, values, without, lengths, judge.counts)


def mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def judge_settings(judge: JudgeConfig, loaded: Loaded) -> dict[str, Any]:
    """What decides a judge's opinions: the model (of a directory, its content), how it is asked, and the baseline's file."""
    names = ("judgements", "temperature", "max_new_tokens", "verdict_at_once", "rubric")
    return {
        "judge": judge.model if judge.base_url else load_given("judge.model", Path(judge.model)).id,
        "judging": {name: getattr(judge, name) for name in names},
        "baseline_file": baseline_answers(loaded)[1],
    }


def baseline_answers(loaded: Loaded) -> tuple[dict[str, str], str]:
    """The baseline's answer to each problem, and the SHA-256 of the file that has them: the problem's own field (then ""), else
    a file `baseline.jsonl` beside the requests.

    Raises:
        DataError: neither has it.
    """
    own = {problem.id: str(problem.fields[BASELINE]) for problem in loaded.problems if BASELINE in problem.fields}
    if len(own) == len(loaded.problems):
        return own, ""
    path = loaded.files[0].path.with_name("baseline.jsonl")
    if not path.is_file():
        raise DataError(f'{path}: no such file; write the baseline\'s answers there, one {{"id", "output"}} a line')
    found = read_baseline(path)
    missing = next((problem.id for problem in loaded.problems if problem.id not in found), None)
    if missing is not None:
        raise DataError(f"{path}: has no answer to the request {missing!r}")
    return found, hashlib.sha256(path.read_bytes()).hexdigest()


def read_baseline(path: Path) -> dict[str, str]:
    """{id: answer} of lines with `id`, `uid` or `question_id`, and `output`; or as Arena-Hard publishes answers: `messages`, or
    `choices` with turns. Raises DataError."""
    found = {}
    for number, line, _ in read_lines(path):
        try:
            row = parse_object(line)
        except DataError as error:
            raise DataError(f"{path}, line {number}: {error}") from error
        name = next((row[key] for key in ("id", "uid", "question_id") if key in row), None)
        output = answer_in(row)
        if name is None or output is None:
            raise DataError(f"{path}, line {number}: needs id and output, got {json.dumps(row)[:60]}")
        found[str(name)] = output
    return found


def answer_in(row: Mapping[str, Any]) -> str | None:
    """The text of an answer; None where it has none of the forms."""
    output = row.get("output")
    try:
        if output is None and "messages" in row:
            output = row["messages"][-1]["content"]
        if output is None and "choices" in row:
            output = row["choices"][0]["turns"][0]["content"]
    except (TypeError, LookupError):
        return None
    if isinstance(output, dict):
        output = output.get("answer")
    return output if isinstance(output, str) else None
