"""Is it the thinking? `python -m benchmarks.evidence.thinking MODEL OUT.json`: answers of R1-Zero after thinking not its own.

Each problem is solved once. Then the answer is drawn again after the beginning of that thinking, cut at a share of its tokens
and closed; after as many tokens of filler; and after the thinking of another problem of the same task. Share 0 is an answer
without thinking. Differences are from the first answer, paired by problem.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.evaluate import asking_of, settings_for
from cogitate.errors import CogitateError, DataError
from cogitate.evals.evaluate import Asking
from cogitate.evals.metrics import paired_difference, rate
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.models import find_model
from cogitate.recipe.problems import evaluation_problems
from cogitate.runtime import derive_seed, write_json
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rollouts import Phases, Prompt, Sampled, sample_and_grade
from cogitate.types import Problem, SamplingParams

PUZZLES = "countdown,find_x,knights,programs,long_sums"
CUTS = (0.0, 0.25, 0.5, 0.75, 1.0)
FILLER = " ..."


@dataclass(frozen=True, slots=True)
class Thought:
    """A problem and how it was solved, where the thinking was closed.

    Attributes:
        ids: the tokens of the thinking.
    """

    problem: Problem
    ids: tuple[int, ...]
    right: float


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 where the model or the tasks cannot be used."""
    parser = argparse.ArgumentParser("python -m benchmarks.evidence.thinking", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", default=PUZZLES)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--max-new-tokens", type=int, default=320)
    given = parser.parse_args(arguments)
    try:
        result = measure(given.model, given.tasks, given.problems, given.max_new_tokens)
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_json(given.out, result)
    for row in result["rows"]:
        low, high = row["less_own"]["ci95"]
        print(f"{row['thinking']:>14} {row['share']:4.0%}  right {row['right']['value']:6.1%}  "
              f"less {row['less_own']['value']:+.1%} [{low:+.1%}, {high:+.1%}]")  # fmt: skip
    return 0


def measure(model: str, tasks: str, problems: int, max_new_tokens: int) -> dict[str, Any]:
    """{"rows": [{"thinking", "share", "right", "less_own"}, ...]}, the model's own thinking first."""
    directory = find_model(model)
    config = settings_for(tasks, samples=1, problems=problems, settings=[f"evaluate.max_new_tokens={max_new_tokens}"])
    asking, tokenizer = asking_of("r1_zero", directory), Tokenizer.load(directory)
    params = SamplingParams(config.evaluate.temperature, config.evaluate.top_p, max_new_tokens)
    backend = LocalBackend(config)
    try:
        generator, grader = backend.generator(directory), backend.grader()

        def ask(asked: Sequence[tuple[Problem, Prompt]]) -> Iterator[Sampled]:
            groups = sample_and_grade(
                [(problem, prompt, (derive_seed(config.seed, "thinking", problem.id),)) for problem, prompt in asked],
                params=params, contract=asking.contract, tokenizer=tokenizer, generator=generator, grader=grader,
                phases=Phases(),
            )  # fmt: skip
            return (group[0] for group in groups)

        questions = evaluation_problems(config)
        thoughts = [*closed(ask([(problem, asking.prompt_of(problem)) for problem in questions]), tokenizer)]
        if not thoughts:
            raise DataError(f"{model}: no completion of {len(questions)} problems closes its thinking")
        own = [[thought.right] for thought in thoughts]
        rows = [row("its own", 1.0, own, own)]
        for name, share, given in others(thoughts, tokenizer):
            answers = ask([(thought.problem, after(asking, thought.problem, given(thought))) for thought in thoughts])
            rows.append(row(name, share, [[is_right(answer)] for answer in answers], own))
    finally:
        backend.close()
    return {"model": str(directory), "tasks": tasks, "problems": len(questions), "closed": len(thoughts), "rows": rows}


def closed(answers: Iterator[Sampled], tokenizer: Tokenizer) -> Iterator[Thought]:
    """Those whose thinking can be cut."""
    for answer in answers:
        parts = split_thinking(answer.text)
        if parts.closed and (parts.thinking or "").strip():
            yield Thought(answer.problem, tuple(tokenizer.encode((parts.thinking or "").strip())), is_right(answer))


def others(thoughts: Sequence[Thought], tokenizer: Tokenizer) -> Iterator[tuple[str, float, Callable[[Thought], str]]]:
    """What stands in place of the thinking: its name, its length as a share of the thinking, and the text for a problem."""

    def cut(share: float) -> Callable[[Thought], str]:
        return lambda thought: tokenizer.decode(thought.ids[: round(share * len(thought.ids))])

    for share in CUTS:
        yield "cut", share, cut(share)
    filler = tokenizer.encode(FILLER)
    yield "filler", 1.0, lambda thought: tokenizer.decode((filler * len(thought.ids))[: len(thought.ids)])
    of_task: dict[str, list[Thought]] = {}
    for thought in thoughts:
        of_task.setdefault(thought.problem.task, []).append(thought)

    def next_one(thought: Thought) -> str:
        same = of_task[thought.problem.task]
        if len(same) < 2:
            raise DataError(f"{thought.problem.task}: no other problem whose thinking could be given; measure more problems")
        return tokenizer.decode(same[(same.index(thought) + 1) % len(same)].ids)

    yield "another's", 1.0, next_one


def after(asking: Asking, problem: Problem, thinking: str) -> str:
    """A prompt that ends in closed thinking."""
    prompt = asking.prompt_of(problem)
    if not isinstance(prompt, str):
        raise TypeError("R1-Zero's prompt is a text")
    return f"{prompt} <think> {thinking.strip()} </think>"


def is_right(answer: Sampled) -> float:
    return float(answer.verdict.value == "right")


def row(name: str, share: float, right: list[list[float]], own: list[list[float]]) -> dict[str, Any]:
    return {
        "thinking": name, "share": share, "right": rate(right).as_json(), "less_own": paired_difference(right, own).as_json(),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
