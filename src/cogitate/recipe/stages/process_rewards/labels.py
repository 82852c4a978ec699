"""Labels of steps: what each step of the policy's completions is worth, by continuations, by a checker or by the verdict.

- monte_carlo: a step is worth what `rollouts` continuations after it come to: 1 where any is right (hard), or the share that is
  (soft). The last step is worth the verdict (Math-Shepherd, arXiv:2312.08935, section 3.3).
- bisection: of a wrong completion, the first step after which none of `rollouts` continuations is right, found by halving
  (OmegaPRM, arXiv:2406.06592, section 3.2); nothing is learnt of the steps after it. All steps of a right completion are right.
- checker: the first step that states something wrong (evals/steps/correctness.py); nothing is learnt of the steps after it.
- outcome: the whole completion is one step, worth the verdict: an outcome reward model.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cogitate.config import ProcessRewardModelConfig
from cogitate.evals.evaluate import vote_of
from cogitate.evals.steps.correctness import first_wrong, has_true_steps, true_steps
from cogitate.runtime import derive_seed
from cogitate.search.draw import Draw, Judge, Sampler
from cogitate.types import LabelledSteps, Problem, Text


@dataclass(frozen=True, slots=True)
class LabelledSolution:
    """One completion of the policy.

    Attributes:
        number: of the completion among those of its problem.
        ends: after how many tokens each step ends.
        labels: of the steps that are learnt from; fewer than there are steps where those after the first wrong one are not.
        truth: of each step, as a checker finds it; None of problems whose steps it does not know.
        right: the verdict.
        answer: what it votes for; None where it has none.
        of_outcome: the one label is that of the whole completion.
        lowest: of each step the lowest log-probability of a token, as the policy sampled it; () of a file.
    """

    problem_id: str
    number: int
    task: str
    question: str
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    pieces: tuple[str, ...]
    ends: tuple[int, ...]
    labels: tuple[float, ...]
    truth: tuple[bool, ...] | None
    right: bool
    answer: str | None
    of_outcome: bool = False
    lowest: tuple[float, ...] = ()

    @property
    def text(self) -> Text:
        return Text(self.prompt_ids, self.completion_ids)

    @property
    def item(self) -> LabelledSteps:
        """What is learnt."""
        return LabelledSteps(self.text, self.ends[-1:] if self.of_outcome else self.ends[: len(self.labels)], self.labels)

    def row(self) -> dict[str, Any]:
        """A line of steps.jsonl: TRL's stepwise format, and what is known beside it."""
        pieces = ("".join(self.pieces),) if self.of_outcome else self.pieces[: len(self.labels)]
        return {
            "prompt": self.question,
            "completions": list(pieces),
            "labels": [label > 0 for label in self.labels],
            "values": list(self.labels),
            **({} if self.truth is None else {"truth": list(self.truth)}),
            "right": self.right,
            "task": self.task,
            "problem_id": self.problem_id,
        }

    def saved(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, row: dict[str, Any]) -> LabelledSolution:
        """The inverse of `saved`."""
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Labelling:
    """Who finds the labels.

    Attributes:
        ask: a problem's prompt as token ids.
        seed: of all that is drawn: a completion depends on it, its problem and its number, a continuation on its step, too.
    """

    settings: ProcessRewardModelConfig
    sampler: Sampler
    judge: Judge
    ask: Callable[[Problem], tuple[int, ...]]
    seed: int

    def solutions(self, problems: Sequence[Problem]) -> tuple[list[LabelledSolution], int]:
        """Completions of each problem with labels, and how many were left out for lack of a verdict."""
        settings = self.settings
        prompts = [self.ask(problem) for problem in problems]
        drawn = self.sampler.draw(
            [
                Draw(
                    prompt,
                    (),
                    self._seeds(problem, "completion", settings.samples),
                    settings.max_new_tokens,
                    settings.temperature,
                )
                for problem, prompt in zip(problems, prompts, strict=True)
            ]
        )
        whole = [
            (problem, prompt, each.token_ids)
            for problem, prompt, group in zip(problems, prompts, drawn, strict=True)
            for each in group
        ]
        logprobs = [each.logprobs for group in drawn for each in group]
        unlabelled, of = list[LabelledSolution](), list[Problem]()
        for place, ((problem, prompt, ids), verdict) in enumerate(zip(whole, self.judge.verdicts(whole), strict=True)):
            if verdict.value == "none":
                continue
            right, ends = verdict.value == "right", self.sampler.reader.ends(ids)
            pieces = self._pieces(prompt, ids, ends)
            truth = tuple(true_steps(pieces, problem, right=right)) if has_true_steps(problem) else None
            lowest = tuple(min(logprobs[place][start:end]) for start, end in itertools.pairwise((0, *ends)))
            of.append(problem)
            unlabelled.append(
                LabelledSolution(
                    problem.id, place % settings.samples, problem.task, problem.question, prompt, ids, pieces, ends, (), truth,
                    right, vote_of(verdict.extracted), lowest=lowest,
                )
            )  # fmt: skip
        labels = LABELS[settings.labels](self, of, unlabelled)
        outcome = settings.labels == "outcome"
        labelled = [replace(each, labels=found, of_outcome=outcome) for each, found in zip(unlabelled, labels, strict=True)]
        return [each for each in labelled if each.labels], len(whole) - len(unlabelled)

    def values(self, asked: Sequence[tuple[Problem, LabelledSolution, int]]) -> list[float]:
        """The share of continuations that are right, of each (problem, solution, steps that are given)."""
        settings = self.settings
        draws = [
            Draw(
                each.prompt_ids, each.completion_ids[: each.ends[steps - 1]],
                self._seeds(problem, f"{each.number}/{steps}", settings.rollouts),
                settings.max_new_tokens - each.ends[steps - 1], settings.temperature,
            )
            for problem, each, steps in asked
        ]  # fmt: skip
        drawn = self.sampler.draw(draws)
        whole = [
            (problem, draw.prompt_ids, (*draw.given_ids, *each.token_ids))
            for (problem, _, _), draw, group in zip(asked, draws, drawn, strict=True)
            for each in group
        ]
        right = iter([verdict.value == "right" for verdict in self.judge.verdicts(whole)])
        return [sum(next(right) for _ in group) / len(group) for group in drawn]

    def _seeds(self, problem: Problem, what: str, count: int) -> tuple[int, ...]:
        return tuple(derive_seed(self.seed, problem.task, problem.id, what, number) for number in range(count))

    def _pieces(self, prompt: tuple[int, ...], ids: tuple[int, ...], ends: tuple[int, ...]) -> tuple[str, ...]:
        pieces = self.sampler.reader.pieces(ids, ends)
        opened = self.judge.text(prompt, ids).removesuffix("".join(pieces))
        return (opened + pieces[0], *pieces[1:])


Labels = Callable[[Labelling, Sequence[Problem], Sequence[LabelledSolution]], list[tuple[float, ...]]]


def by_continuations(
    labelling: Labelling, problems: Sequence[Problem], solutions: Sequence[LabelledSolution]
) -> list[tuple[float, ...]]:
    values = iter(
        labelling.values(
            [
                (problem, each, steps)
                for problem, each in zip(problems, solutions, strict=True)
                for steps in range(1, len(each.ends))
            ]
        )
    )
    shares = [(*(next(values) for _ in each.ends[1:]), float(each.right)) for each in solutions]
    return shares if labelling.settings.soft else [tuple(float(share > 0) for share in each) for each in shares]


def by_bisection(
    labelling: Labelling, problems: Sequence[Problem], solutions: Sequence[LabelledSolution]
) -> list[tuple[float, ...]]:
    good = [len(each.ends) if each.right else 0 for each in solutions]  # steps after which some continuation is right
    bad = [len(each.ends) for each in solutions]  # steps after which none is, in wrong solutions
    while open_ones := [number for number in range(len(solutions)) if bad[number] - good[number] > 1]:
        asked = [(problems[number], solutions[number], (good[number] + bad[number]) // 2) for number in open_ones]
        for number, (_, _, steps), value in zip(open_ones, asked, labelling.values(asked), strict=True):
            (good if value > 0 else bad)[number] = steps
    return [
        (1.0,) * len(each.ends) if each.right else (*(1.0,) * (wrong - 1), 0.0)
        for each, wrong in zip(solutions, bad, strict=True)
    ]


def by_checker(
    labelling: Labelling, problems: Sequence[Problem], solutions: Sequence[LabelledSolution]
) -> list[tuple[float, ...]]:
    return [up_to_first_wrong(each.truth) if each.truth is not None else () for each in solutions]


def by_outcome(
    labelling: Labelling, problems: Sequence[Problem], solutions: Sequence[LabelledSolution]
) -> list[tuple[float, ...]]:
    return [(float(each.right),) for each in solutions]


def up_to_first_wrong(steps: Sequence[bool]) -> tuple[float, ...]:
    wrong = first_wrong(steps)
    return (1.0,) * len(steps) if wrong is None else (*(1.0,) * wrong, 0.0)


LABELS: dict[str, Labels] = {
    "monte_carlo": by_continuations, "bisection": by_bisection, "checker": by_checker, "outcome": by_outcome,
}  # fmt: skip
