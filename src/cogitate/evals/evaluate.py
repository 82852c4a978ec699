"""Measure a model: k completions of every problem, graded, and the table of metrics made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.backend import Generator, Grader
from cogitate.evals.metrics import consensus, mean_number, mean_pass_at_k, pass_at_1, rate
from cogitate.evals.text_metrics import is_mixed, is_reflective
from cogitate.rewards.format import FormatContract, grade_format
from cogitate.runtime import derive_seed
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rollouts import Phases, sample_and_grade
from cogitate.types import Problem, SamplingParams

CONSENSUS_KINDS = ("math", "choice", "exact")  # no two programs are written alike, so code has no majority


@dataclass(frozen=True, slots=True)
class Measured:
    """One graded completion, as far as metrics need it.

    Attributes:
        right: None where there is no verdict.
        thinking_tokens: tokens between the thinking tags; None without closed thinking.
    """

    problem: Problem
    right: bool | None
    extracted: str | None
    text: str
    tokens: int
    thinking_tokens: int | None
    finished: bool
    well_formed: bool
    reflective: bool
    mixed: bool
    reason: str

    def row(self) -> dict[str, Any]:
        """A line of completions.jsonl."""
        return {
            "problem_id": self.problem.id,
            "task": self.problem.task,
            "question": self.problem.question,
            "gold": self.problem.gold,
            "completion": self.text,
            "right": self.right,
            "extracted": self.extracted,
            "reason": self.reason,
            "tokens": self.tokens,
            "thinking_tokens": self.thinking_tokens,
            "finished": self.finished,
        }


@dataclass(frozen=True, slots=True)
class Asking:
    """How problems are put to a model and answers are found.

    Attributes:
        name: of the prompt.
        contract: where the grader looks for the answer: r1, bare or free.
        format: the form that counts as well-formed.
        stop: where this text occurs the completion ends, as far as grading goes: a base model goes on with a next question.
    """

    name: str
    prompt_of: Callable[[Problem], str]
    contract: str
    format: FormatContract
    stop: str | None = None


def measure_model(
    problems: Sequence[Problem],
    asking: Asking,
    *,
    samples: int,
    params: SamplingParams,
    seed: int,
    tokenizer: Tokenizer,
    generator: Generator,
    grader: Grader,
) -> list[list[Measured]]:
    """`samples` graded completions of each problem, in the order of the problems."""
    asked = [
        (problem, asking.prompt_of(problem), tuple(derive_seed(seed, "evaluate", problem.id, i) for i in range(samples)))
        for problem in problems
    ]
    groups = sample_and_grade(
        asked,
        params=params,
        contract=asking.contract,
        tokenizer=tokenizer,
        generator=generator,
        grader=grader,
        phases=Phases(),
        stop=asking.stop,
    )
    return [
        [
            measured(s.problem, s.text, s.verdict.verdict, s.verdict.extracted, s.verdict.reason,
                     len(s.completion.token_ids), s.completion.finish_reason == "stop", asking, tokenizer)
            for s in group
        ]
        for group in groups
    ]  # fmt: skip


def measured(
    problem: Problem,
    text: str,
    verdict: str,
    extracted: str | None,
    reason: str,
    tokens: int,
    finished: bool,
    asking: Asking,
    tokenizer: Tokenizer,
) -> Measured:
    """Everything that is measured of one completion."""
    parts = split_thinking(text)
    thinking = parts.thinking or ""
    return Measured(
        problem=problem,
        right=None if verdict == "none" else verdict == "right",
        extracted=extracted,
        text=text,
        tokens=tokens,
        thinking_tokens=len(tokenizer.encode(thinking.strip())) if parts.closed else None,
        finished=finished,
        well_formed=grade_format(text, asking.format).verdict == "right",
        reflective=is_reflective(thinking or text),
        mixed=is_mixed(thinking or text, problem.language),
        reason=reason,
    )


def table(groups: Sequence[Sequence[Measured]]) -> dict[str, dict[str, Any]]:
    """Metrics by task and for all problems: {"<task>": {"pass@1": {"value", "ci95"}, ..., "problems": m, "samples": k}}."""
    tasks = list(dict.fromkeys(group[0].problem.task for group in groups))
    long = longest_third(groups)
    by_task = {task: metrics([g for g in groups if g[0].problem.task == task], long) for task in tasks}
    return {**by_task, "all": metrics(groups, long)}


def metrics(groups: Sequence[Sequence[Measured]], long: set[str]) -> dict[str, Any]:
    """One column of the table. Completions without a verdict are left out of accuracy and counted."""
    right = [[float(m.right) for m in group if m.right is not None] for group in groups]
    samples = len(groups[0])
    result: dict[str, Any] = {"pass@1": pass_at_1(right).as_json()}
    if samples > 1:
        result[f"pass@{samples}"] = mean_pass_at_k([row for row in right if len(row) == samples], samples).as_json()
    result["longest_third"] = pass_at_1(
        [row for row, group in zip(right, groups, strict=True) if group[0].problem.id in long]
    ).as_json()
    thinking = [[float(m.thinking_tokens) for m in g if m.finished and m.thinking_tokens is not None] for g in groups]
    if any(thinking):
        result["thinking_tokens"] = mean_number([row for row in thinking if row]).as_json()
    result["completion_tokens"] = mean_number([[float(m.tokens) for m in group] for group in groups]).as_json()
    result["truncated_share"] = share(groups, lambda m: not m.finished)
    result["format_rate"] = share(groups, lambda m: m.well_formed)
    result["reflection_rate"] = share(groups, lambda m: m.reflective)
    result["language_mix_rate"] = share(groups, lambda m: m.mixed)
    result["no_verdict_share"] = share(groups, lambda m: m.right is None)
    return {**result, "problems": len(groups), "samples": samples}


def share(groups: Iterable[Sequence[Measured]], holds: Callable[[Measured], bool]) -> dict[str, Any]:
    """Share of completions for which a yes/no question holds, with its interval."""
    return rate([[float(holds(m)) for m in group] for group in groups]).as_json()


def longest_third(groups: Sequence[Sequence[Measured]]) -> set[str]:
    """Ids of the third of each task's problems whose questions are longest in characters, ties by id."""
    chosen: set[str] = set()
    for task in dict.fromkeys(group[0].problem.task for group in groups):
        problems = [group[0].problem for group in groups if group[0].problem.task == task]
        problems.sort(key=lambda problem: (-len(problem.question), problem.id))
        chosen |= {problem.id for problem in problems[: max(1, len(problems) // 3)]}
    return chosen


def consensus_table(groups: Sequence[Sequence[Measured]]) -> dict[str, dict[str, Any]]:
    """cons@k by task and for all, over kinds of problems whose answers can be compared."""
    voting = [group for group in groups if group[0].problem.kind in CONSENSUS_KINDS]
    if not voting:
        return {}
    k = len(voting[0])
    votes = {
        group[0].problem.id: consensus([m.extracted for m in group], [bool(m.right) for m in group]) for group in voting
    }
    result = {}
    for task in [*dict.fromkeys(group[0].problem.task for group in voting), "all"]:
        chosen = [group for group in voting if task in (group[0].problem.task, "all")]
        result[task] = {
            f"cons@{k}": rate([[votes[group[0].problem.id]] for group in chosen]).as_json(),
            f"pass@1 of cons@{k}": pass_at_1([[float(bool(m.right)) for m in group] for group in chosen]).as_json(),
        }
    return result
