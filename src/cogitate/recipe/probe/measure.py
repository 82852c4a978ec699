"""How a model does at one prompt: completions of training problems, and the figures that proposals rest on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cogitate.backend import Generator, Grader
from cogitate.config import ZeroRLConfig
from cogitate.errors import DataError
from cogitate.recipe.asking import PromptOf
from cogitate.rewards.format import grade_format
from cogitate.runtime import derive_seed
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import NEXT_TURN
from cogitate.train.rl_metrics import mean
from cogitate.train.rollouts import Phases, Sampled, sample_and_grade
from cogitate.train.rows.shared_prompts import tokens_of_prompts
from cogitate.types import Problem, SamplingParams, Verdict

# Of how alike the completions of one problem are (intraclass correlation): a few completions cannot show more than this.
LEAST_ALIKE, MOST_ALIKE = 0.01, 0.95
FEW = 5  # completions: no lengths to go by
READING = 0.2  # of the time to sample a token: to read one of a prompt, which all completions of a problem share


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion.

    Attributes:
        problem: its number among those that were asked.
        right: under the contract of RL; None where there is no verdict.
        right_free: wherever the answer stands.
        extracted: the answer that was found under `free`.
    """

    problem: int
    text: str
    tokens: int
    finished: bool
    well_formed: bool
    right: bool | None
    right_free: bool | None
    extracted: str | None
    reason: str

    def row(self, problem: Problem) -> dict[str, Any]:
        """A line of completions.jsonl."""
        asked = {"problem_id": problem.id, "task": problem.task, "question": problem.question, "gold": problem.gold}
        own = {key: value for key, value in asdict(self).items() if key not in ("problem", "text")}
        return {**asked, "completion": self.text, **own}


@dataclass(frozen=True, slots=True)
class Measurement:
    """All completions at one prompt.

    Attributes:
        prompt_tokens: of all prompts, each counted once, and once what all begin with where that is long.
        seconds: of generation.
    """

    prompt: str
    samples: tuple[Sample, ...]
    prompt_tokens: int
    seconds: float

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Measurement:
        return cls(saved["prompt"], tuple(Sample(**one) for one in saved["samples"]), saved["prompt_tokens"], saved["seconds"])

    def of(self, problems: Sequence[int]) -> tuple[Sample, ...]:
        """The completions of some problems."""
        return tuple(one for one in self.samples if one.problem in problems)

    @property
    def tokens_per_second(self) -> float:
        """Of sampling; tokens that are read count as READING."""
        return (sum(one.tokens for one in self.samples) + READING * self.prompt_tokens) / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a measurement says of a prompt; shares from 0 to 1.

    Attributes:
        right, right_free: of completions, as RL judges them and wherever the answer stands.
        form: completions in the form.
        live: of groups of the planned size, those expected to have right and wrong answers.
        tokens: mean length of a completion.
        long_tokens: 95 % of the completions that came to their end and are right or in the form are no longer; of all that came
            to their end, where hardly any are.
        truncated: completions that reached the token limit.
    """

    right: float
    right_free: float
    form: float
    live: float
    tokens: float
    long_tokens: int
    truncated: float


def figures(samples: Sequence[Sample], group_size: int) -> Figures:
    """The figures of a prompt, for groups of this size."""
    lengths = lengths_to_come(samples)
    return Figures(
        right=mean(bool(one.right) for one in samples if one.right is not None),
        right_free=mean(bool(one.right_free) for one in samples if one.right_free is not None),
        form=mean(one.well_formed for one in samples),
        live=live_share(counts_of(samples), group_size),
        tokens=mean(one.tokens for one in samples),
        long_tokens=lengths[math.ceil(0.95 * len(lengths)) - 1],
        truncated=mean(not one.finished for one in samples),
    )


def lengths_to_come(samples: Sequence[Sample]) -> list[int]:
    """Tokens, in ascending order, of the completions that came to their end and are right or in the form: what RL soon makes
    of the others. Of all that came to their end where hardly any are, and of all where none did."""
    ends = [one for one in samples if one.finished]
    good = sorted(one.tokens for one in ends if one.right or one.right_free or one.well_formed)
    return good if len(good) >= FEW else sorted(one.tokens for one in ends or samples)


def counts_of(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """(right ones, all) of each problem's completions that have a verdict."""
    verdicts: dict[int, list[bool]] = {}
    for one in samples:
        if one.right is not None:
            verdicts.setdefault(one.problem, []).append(one.right)
    return [(sum(of_problem), len(of_problem)) for of_problem in verdicts.values()]


def live_share(counts: Sequence[tuple[int, int]], group_size: int) -> float:
    """The share of groups of this size that are expected to have right and wrong answers.

    The chance of a right answer differs between problems. It is taken to have a beta distribution whose mean and intraclass
    correlation are those of the counts (one-way analysis of variance), so that a group of G is
    all wrong with probability E[(1 - p)^G] and all right with E[p^G].

    Args:
        counts: (right ones, all) of each problem.
    """
    counts = [(right, n) for right, n in counts if n]
    total = sum(n for _, n in counts)
    p = sum(right for right, _ in counts) / max(1, total)
    if not 0 < p < 1:
        return 0.0
    n = total / len(counts)
    between = sum(size * (right / size - p) ** 2 for right, size in counts) / max(1, len(counts) - 1)
    within = sum(right * (1 - right / size) for right, size in counts) / max(1, total - len(counts))
    alike = (between - within) / max(1e-12, between + (n - 1) * within)
    alike = min(MOST_ALIKE, max(LEAST_ALIKE, alike))
    strength = (1 - alike) / alike  # alpha + beta
    return 1 - all_of(p * strength, strength, group_size) - all_of((1 - p) * strength, strength, group_size)


def all_of(alpha: float, strength: float, count: int) -> float:
    """E[p^count] where p has a beta distribution of parameters alpha and strength - alpha."""
    log = math.lgamma
    return math.exp(log(alpha + count) + log(strength) - log(alpha) - log(strength + count))


def measure(
    prompt: str,
    problems: Mapping[int, Problem],
    prompt_of: PromptOf,
    *,
    settings: ZeroRLConfig,
    samples: int,
    max_new_tokens: int,
    seed: int,
    tokenizer: Tokenizer,
    generator: Generator,
    grader: Grader,
    meanwhile: Callable[[], None],
) -> Measurement:
    """Sample and grade at a prompt, as RL would, and grade again wherever the answer stands.

    Args:
        problems: by their numbers, which seeds depend on.

    Raises:
        DataError: a prompt does not fit the context, or not one completion could be judged.
    """
    asked = [
        (problem, prompt_of(problem), tuple(derive_seed(seed, problem.id, number, i) for i in range(samples)))
        for number, problem in problems.items()
    ]
    phases = Phases()
    groups = list(
        sample_and_grade(
            asked,
            params=SamplingParams(settings.temperature, settings.top_p, max_new_tokens),
            contract="r1",
            tokenizer=tokenizer,
            generator=generator,
            grader=grader,
            phases=phases,
            meanwhile=meanwhile,
        )
    )
    keyed = {
        f"{number}/{i}": (number, one) for number, group in zip(problems, groups, strict=True) for i, one in enumerate(group)
    }
    texts = {key: (one.problem, one.text.partition(NEXT_TURN)[0]) for key, (_, one) in keyed.items()}
    free = grade_free(texts, grader, meanwhile)
    found = tuple(sample_of(number, one, free[key]) for key, (number, one) in keyed.items())
    if all(one.right is None for one in found):
        raise DataError(f"no completion of {len(problems)} problems could be judged; {asked[0][0].place}: {found[0].reason}")
    prompts = [group[0].prompt_ids for group in groups]
    read = round(tokens_of_prompts(prompts, len(prompts)))
    return Measurement(prompt, found, read, phases.seconds["generate"])


def sample_of(number: int, one: Sampled, free: Verdict) -> Sample:
    """A completion with both of its verdicts."""
    return Sample(
        problem=number,
        text=one.text,
        tokens=len(one.completion.token_ids),
        finished=one.completion.finish_reason == "stop",
        well_formed=grade_format(one.text, "think_answer").value == "right",
        right=is_right(one.verdict),
        right_free=is_right(free),
        extracted=free.extracted,
        reason=one.verdict.reason,
    )


def grade_free(texts: Mapping[str, tuple[Problem, str]], grader: Grader, meanwhile: Callable[[], None]) -> dict[str, Verdict]:
    """Verdicts on completions whose answer may stand anywhere."""
    for key, (problem, text) in texts.items():
        grader.submit(key, problem, text, "free")
    verdicts: dict[str, Verdict] = {}
    while grader.pending():
        meanwhile()
        verdicts.update(grader.poll(timeout=1.0))
    return verdicts


def is_right(verdict: Verdict) -> bool | None:
    return None if verdict.value == "none" else verdict.value == "right"
