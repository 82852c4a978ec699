"""Measure a model: k completions of every problem, graded, and the table of metrics made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.backend import Generator, Grader
from cogitate.errors import DataError
from cogitate.evals.levels import level_metrics, level_of
from cogitate.evals.metrics import consensus, mean_number, mean_pass_at_k, pass_at_1, rate
from cogitate.evals.steps.counts import StepCounts, count_steps, step_metrics
from cogitate.evals.text_metrics import is_mixed, is_reflective
from cogitate.rewards.format import FormatContract, grade_format
from cogitate.rewards.graders.exact import foldings
from cogitate.rewards.kinds import has_rules, kind_of
from cogitate.runtime import derive_seed
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.tags import R1_TAGS, Tags
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rollouts import Phases, Prompt, Sampled, sample_and_grade
from cogitate.types import Problem, SamplingParams, ThinkingBudget


@dataclass(frozen=True, slots=True)
class Measured:
    """One graded completion, as far as metrics need it.

    Attributes:
        right: None where there is no verdict.
        score: the grader's, 0..1: 1 or 0 where it has no partial credit; None where there is no verdict.
        thinking_tokens: tokens between the thinking tags; None without closed thinking.
        set_tokens: tokens of the completion that a thinking budget set; None without one.
        steps: what is counted of its steps; None of a problem that is no puzzle.
    """

    problem: Problem
    right: bool | None
    score: float | None
    extracted: str | None
    text: str
    tokens: int
    thinking_tokens: int | None
    finished: bool
    well_formed: bool
    reflective: bool
    mixed: bool
    reason: str
    set_tokens: int | None = None
    steps: StepCounts | None = None

    def row(self) -> dict[str, Any]:
        """A line of completions.jsonl."""
        return {
            "problem_id": self.problem.id,
            "task": self.problem.task,
            "question": self.problem.question,
            "gold": self.problem.gold,
            "completion": self.text,
            "right": self.right,
            "score": self.score,
            "extracted": self.extracted,
            "reason": self.reason,
            "tokens": self.tokens,
            "thinking_tokens": self.thinking_tokens,
            "finished": self.finished,
            "well_formed": self.well_formed,
            "reflection": self.reflective,
            "language_mix": self.mixed,
            **({} if self.set_tokens is None else {"set_tokens": self.set_tokens}),
            **({} if level_of(self.problem) is None else {"level": level_of(self.problem)}),
            **(self.steps.row() if self.steps else {}),
        }


@dataclass(frozen=True, slots=True)
class Asking:
    """How problems are put to a model and answers are found.

    Attributes:
        name: of the prompt.
        contract: where the grader looks for the answer: r1, bare or free.
        format: the form that counts as well-formed.
        stop: where this text occurs the completion ends, as far as grading goes: a base model goes on with a next question.
        tags: those that the prompt asks for, and that the completion is read by.
    """

    name: str
    prompt_of: Callable[[Problem], Prompt]
    contract: str
    format: FormatContract
    stop: str | None = None
    tags: Tags = R1_TAGS


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
    meanwhile: Callable[[], None] | None = None,
    thinking: Callable[[Problem], ThinkingBudget] | None = None,
) -> list[list[Measured]]:
    """`samples` graded completions of each problem, in the order of the problems.

    `meanwhile` and `thinking`: see sample_and_grade.

    Raises:
        DataError: a prompt does not fit the context, or there are rules to judge by and not one completion could be judged.
    """
    tokenizer = tokenizer.with_tags(asking.tags)
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
        meanwhile=meanwhile,
        thinking=thinking,
    )
    result = [[measured(sampled, asking, tokenizer) for sampled in group] for group in groups]
    with_rules = [each for group in result for each in group if has_rules(each.problem.kind)]
    if with_rules and all(each.right is None for each in with_rules):
        first = with_rules[0]
        raise DataError(f"no completion of {len(result)} problems could be judged; {first.problem.place}: {first.reason}")
    return result


def measured(sampled: Sampled, asking: Asking, tokenizer: Tokenizer) -> Measured:
    """Everything that is measured of one completion. What follows a stop text is no part of it."""
    problem, text, verdict = sampled.problem, sampled.text, sampled.verdict
    parts = split_thinking(text)
    thinking = parts.thinking or ""
    judged = verdict.value != "none"
    return Measured(
        problem=problem,
        right=verdict.value == "right" if judged else None,
        score=verdict.score if judged else None,
        extracted=verdict.extracted,
        text=text,
        tokens=len(tokenizer.encode(tokenizer.tags.exchange(text))) if sampled.cut else len(sampled.completion.token_ids),
        thinking_tokens=len(tokenizer.encode(thinking.strip())) if parts.closed else None,
        finished=sampled.cut or sampled.completion.finish_reason == "stop",
        well_formed=grade_format(text, asking.format).value == "right",
        reflective=is_reflective(thinking or text),
        mixed=is_mixed(thinking or text, problem.language),
        reason=verdict.reason,
        set_tokens=None if sampled.completion.thinking_tokens is None else len(sampled.completion.forced),
        steps=count_steps(text, problem),
    )


def table(groups: Sequence[Sequence[Measured]]) -> dict[str, dict[str, Any]]:
    """Metrics by task and for all problems: {"<task>": {"pass@1": {"value", "ci95"}, ..., "problems": m, "samples": k}}."""
    long = longest_third(groups)
    tasks = dict.fromkeys(group[0].problem.task for group in groups)
    return {task: metrics(groups, long, task) for task in [*tasks, "all"]}


def metrics(groups: Sequence[Sequence[Measured]], long: Sequence[bool], task: str) -> dict[str, Any]:
    """One column of the table, of a task or "all". Completions without a verdict are left out of accuracy and counted; a metric
    that nothing is left for is left out itself."""
    chosen = [number for number, group in enumerate(groups) if task in (group[0].problem.task, "all")]
    right = {number: [float(m.right) for m in groups[number] if m.right is not None] for number in chosen}
    groups = [groups[number] for number in chosen]
    samples = len(groups[0])
    result: dict[str, Any] = {}
    if any(right.values()):
        result["pass@1"] = pass_at_1(list(right.values())).as_json()
        result["score"] = rate([[m.score for m in group if m.score is not None] for group in groups]).as_json()
    whole = [row for row in right.values() if len(row) == samples]
    if samples > 1 and whole:
        result[f"pass@{samples}"] = mean_pass_at_k(whole, samples).as_json()
    if any(right[number] for number in chosen if long[number]):
        result["longest_third"] = pass_at_1([right[number] for number in chosen if long[number]]).as_json()
    result |= level_metrics([group[0].problem for group in groups], list(right.values()))
    thinking = [[float(m.thinking_tokens) for m in g if m.finished and m.thinking_tokens is not None] for g in groups]
    if any(thinking):
        result["thinking_tokens"] = mean_number(thinking).as_json()
    result["completion_tokens"] = mean_number([[float(m.tokens) for m in group] for group in groups]).as_json()
    result["truncated_share"] = share(groups, lambda m: not m.finished)
    result["format_rate"] = share(groups, lambda m: m.well_formed)
    result["reflection_rate"] = share(groups, lambda m: m.reflective)
    steps = [[m.steps for m in group if m.steps] for group in groups]
    result |= {name: estimate.as_json() for name, estimate in step_metrics(steps).items()}
    result["language_mix_rate"] = share(groups, lambda m: m.mixed)
    result["no_verdict_share"] = share(groups, lambda m: m.right is None)
    return {**result, "problems": len(groups), "samples": samples}


def missing_verdicts(groups: Sequence[Sequence[Measured]]) -> dict[str, Any]:
    """For the summary of an evaluation, whose means are of the other completions alone: {} where none is missing.

    Returns:
        {"no_verdict": {"share": of the completions of problems that rules judge, "first": the first problem and its reason}}.
    """
    by_rules = [each for group in groups for each in group if has_rules(each.problem.kind)]
    missing = [each for each in by_rules if each.right is None]
    if not missing:
        return {}
    first = f"{missing[0].problem.place}: {missing[0].reason}"
    return {"no_verdict": {"share": len(missing) / len(by_rules), "first": first}}


def share(groups: Iterable[Sequence[Measured]], holds: Callable[[Measured], bool]) -> dict[str, Any]:
    """Share of completions for which a yes/no question holds, with its interval."""
    return rate([[float(holds(m)) for m in group] for group in groups]).as_json()


def longest_third(groups: Sequence[Sequence[Measured]]) -> list[bool]:
    """Which problems belong to the third of their task whose questions are longest in characters; ties by id, then order."""
    chosen = [False] * len(groups)
    for task in dict.fromkeys(group[0].problem.task for group in groups):
        numbers = [number for number, group in enumerate(groups) if group[0].problem.task == task]
        numbers.sort(key=lambda number: (-len(groups[number][0].problem.question), groups[number][0].problem.id))
        for number in numbers[: max(1, len(numbers) // 3)]:
            chosen[number] = True
    return chosen


def consensus_table(groups: Sequence[Sequence[Measured]]) -> dict[str, dict[str, Any]]:
    """cons@k by task and for all, over kinds of problems whose answers can be compared.

    Completions without a verdict do not vote; a problem that has no others is left out.
    """
    voting = [group for group in groups if kind_of(group[0].problem.kind).can_vote]
    votes = [_votes(group) for group in voting]
    tasks = [group[0].problem.task for group in voting]
    result = {}
    for task in [*dict.fromkeys(tasks), "all"] if voting else []:
        chosen = [number for number, name in enumerate(tasks) if task in (name, "all") and votes[number]]
        if not chosen:
            continue
        k = len(voting[chosen[0]])
        result[task] = {
            f"cons@{k}": rate([votes[number] for number in chosen]).as_json(),
            f"pass@1 of cons@{k}": pass_at_1(
                [[float(m.right) for m in voting[number] if m.right is not None] for number in chosen]
            ).as_json(),
        }
    return result


def _votes(group: Sequence[Measured]) -> list[float]:
    """cons@k of one problem as a row; empty where no completion has a verdict."""
    rights = [m.right for m in group]
    return [] if all(right is None for right in rights) else [consensus([vote_of(m.extracted) for m in group], rights)]


def vote_of(extracted: str | None) -> str | None:
    """What a completion votes for with the answer found in it: equal answers differently written are one vote."""
    if extracted is None:
        return None
    return min(foldings(extracted), default=extracted)
