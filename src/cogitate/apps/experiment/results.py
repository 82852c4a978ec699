"""What the runs of an experiment say: each measure by variant, differences paired by seed and problem, claims, cost."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.compare import right_by_problem
from cogitate.apps.experiment.definition import LOG, SUMMARY, WHOLE_LOG, ClaimConfig, Experiment, summary_place
from cogitate.apps.report.data import Run, curves_of, load_run, pooled_of, scores_of, summary_of, to_estimate
from cogitate.config import flatten
from cogitate.errors import ArtifactError
from cogitate.evals.metrics import Estimate, mean_number, paired_difference, pool_paired_difference
from cogitate.evals.paired import Key
from cogitate.recipe.run_directory.failed_start import CONFIG
from cogitate.recipe.run_directory.failure import read_failure

PASS = "pass@1"
LAST_SHARE = 4  # a number of the log is its mean over the last quarter of the steps
COLLAPSED = 0.5  # of the reward of the best quarter: a run whose last quarter has less has collapsed


@dataclass(frozen=True, slots=True)
class Outcome:
    """One variant at one seed.

    Attributes:
        run: what it left; None where there is nothing yet.
        finished: it has been measured.
        error: why it failed; "" where it did not.
    """

    variant: str
    seed: int
    run: Run | None
    finished: bool
    error: str = ""

    @classmethod
    def of(cls, variant: str, seed: int, directory: Path, error: str | None) -> Outcome:
        """Read a run directory.

        Args:
            error: what ended this process's attempt, where the directory does not say it.
        """
        failure = read_failure(directory)
        said = f"{failure.stage}: {failure.error}" if failure else error or ""
        if not (directory / CONFIG).is_file():  # nothing is there yet
            return cls(variant, seed, None, False, said)
        try:
            run = load_run(directory)
        except ArtifactError as damage:
            return cls(variant, seed, None, False, said or str(damage))
        return cls(variant, seed, run, (directory / "results.json").is_file() and not said, said)

    def log(self, stage: str, name: str) -> list[float]:
        """A number of the stage's log at all steps that have it."""
        return list(self.by_step(stage, name).values())

    def by_step(self, stage: str, name: str) -> dict[float, float]:
        """The same by step."""
        assert self.run is not None
        return {step: value for curve in curves_of([self.run], stage, name) for step, value in curve}

    def over_tokens(self, stage: str, name: str) -> float | None:
        """The mean of such a number over the tokens that the stage generated, or over the steps of one that generates none:
        where runs end alike, it says who came there sooner. None where the log does not have it."""
        tokens, values = (self.by_step(stage, key) for key in ("tokens_generated", name))
        weights = {step: tokens.get(step, 0.0) if tokens else 1.0 for step in values}
        total = sum(weights.values())
        return sum(values[step] * weight for step, weight in weights.items()) / total if total else None

    def generated(self, stage: str) -> float:
        """Tokens that the stage generated."""
        return sum(self.log(stage, "tokens_generated"))


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim and what the runs say of it.

    Attributes:
        difference: of the variant that should be greater less the other; None where no seed has both.
        seeds: that have both.
    """

    text: str
    config: ClaimConfig
    difference: Estimate | None
    seeds: int

    @property
    def side(self) -> int:
        return side_of(self.difference)

    @property
    def settled(self) -> bool:
        return self.side != 0 and self.seeds > 1

    @property
    def verdict(self) -> str:
        """In plain words."""
        found = self.difference
        if found is None:
            return "not tested: no seed has both runs"
        if self.seeds == 1:
            here = {1: "on this seed it holds", 0: "on this seed it is open, too", -1: "on this seed the opposite holds"}[
                self.side
            ]
            return f"not settled: one seed says nothing of others; {here}"
        if found.low == found.high:
            return "not settled: all seeds differ by the same, which gives no interval"
        texts = {1: "holds", 0: "not settled: the interval includes 0", -1: "does not hold: the opposite is settled"}
        return f"{texts[self.side]} ({self.seeds} seeds)"


@dataclass(frozen=True, slots=True)
class Results:
    """All that the page says.

    Attributes:
        values: variant -> measure -> its value; None where it was not measured.
        differences: variant -> measure -> that variant less the baseline.
    """

    experiment: Experiment
    outcomes: Sequence[Outcome]
    values: Mapping[str, Mapping[str, Estimate | None]]
    differences: Mapping[str, Mapping[str, Estimate | None]]
    claims: Sequence[Claim]

    def of(self, variant: str) -> list[Outcome]:
        """The finished runs of a variant."""
        return [each for each in self.outcomes if each.variant == variant and each.finished]

    def short_of_budget(self) -> list[tuple[Outcome, float]]:
        """Finished runs that ended before their budget, and what they generated; [] without a budget."""
        budget = self.experiment.config.budget
        if budget is None:
            return []
        spent = [(each, each.generated(budget.stage)) for each in self.outcomes if each.finished]
        return [(each, tokens) for each, tokens in spent if tokens < budget.tokens]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON. Seconds, which differ from run to run, stand under "cost" alone."""
        config, stage = self.experiment.config, self.experiment.stage

        def estimates(table: Mapping[str, Estimate | None]) -> dict[str, Any]:
            return {name: estimate.as_json() if estimate else None for name, estimate in table.items()}

        return {
            "schema": 1,
            "experiment": self.experiment.name,
            "recipe": config.recipe,
            "seeds": list(config.seeds),
            "budget": config.budget.model_dump() if config.budget else None,
            "models": {name: self.experiment.model(name) for name in config.variants},
            "baseline": self.experiment.baseline,
            "settings": flatten(config.settings),
            "variants": {
                name: {
                    "settings": flatten(table),
                    "measures": estimates(self.values[name]),
                    "less_baseline": estimates(self.differences.get(name, {})),
                }
                for name, table in config.variants.items()
            },
            "runs": [
                {
                    "collapsed": collapsed(each.log(stage, "reward")) if each.finished else None,
                    "variant": each.variant, "seed": each.seed, "finished": each.finished, "error": each.error or None,
                    "measures": {name: value_of(each, name, self.experiment) for name in config.measure if each.finished},
                    "tokens_generated": each.generated(stage) if each.finished and stage else None,
                    "steps": len(each.log(stage, "tokens_generated")) if each.finished and stage else None,
                }
                for each in self.outcomes
            ],
            "claims": [
                {
                    **claim.config.model_dump(), "text": claim.text, "settled": claim.settled, "verdict": claim.verdict,
                    "difference": claim.difference.as_json() if claim.difference else None, "seeds": claim.seeds,
                }
                for claim in self.claims
            ],
            "cost": {
                each.variant + f"/seed-{each.seed}": each.run.results.get("seconds", {}) for each in self.outcomes if each.run
            },
        }  # fmt: skip


def results_of(experiment: Experiment, outcomes: Sequence[Outcome]) -> Results:
    """Measure the finished runs and test the claims."""
    config = experiment.config
    by_variant = {name: [each for each in outcomes if each.variant == name and each.finished] for name in config.variants}
    values = {
        name: {measure: pooled(runs, measure, experiment) for measure in config.measure} for name, runs in by_variant.items()
    }
    differences = {
        name: {measure: difference(runs, by_variant[experiment.baseline], measure, experiment)[0] for measure in config.measure}
        for name, runs in by_variant.items()
        if name != experiment.baseline
    }
    claims = [
        Claim(
            claim.text or f"{claim.greater} has more {claim.metric} than {claim.than}",
            claim,
            *difference(by_variant[claim.greater], by_variant[claim.than], claim.metric, experiment),
        )
        for claim in config.claims
    ]
    return Results(experiment, outcomes, values, differences, claims)


def side_of(difference: Estimate | None) -> int:
    """1 or -1 where the interval lies above or below 0; 0 where it includes 0, or has no width, as of equal differences."""
    if difference is None or difference.low is None or difference.high is None or difference.low == difference.high:
        return 0
    return 1 if difference.low > 0 else -1 if difference.high < 0 else 0


def value_of(outcome: Outcome, measure: str, experiment: Experiment) -> float | None:
    """A measure of one run."""
    assert outcome.run is not None
    if measure.startswith(LOG):
        values = outcome.log(experiment.stage, measure.removeprefix(LOG))
        last = values[-max(1, len(values) // LAST_SHARE) :]
        return sum(last) / len(last) if last else None
    if measure.startswith(WHOLE_LOG):
        return outcome.over_tokens(experiment.stage, measure.removeprefix(WHOLE_LOG))
    if measure.startswith(SUMMARY):
        return number_of_summary(outcome.run, measure)
    estimate = to_estimate(scores_of(outcome.run, experiment.model(outcome.variant), "all").get(measure))
    return estimate.value if estimate else None


def collapsed(rewards: Sequence[float]) -> bool:
    """Whether a run's reward has fallen under half of its best: means of the quarters of its steps are compared."""
    if len(rewards) < LAST_SHARE:
        return False
    ends = [round(part * len(rewards) / LAST_SHARE) for part in range(LAST_SHARE + 1)]
    quarters = [sum(rewards[a:b]) / (b - a) for a, b in itertools.pairwise(ends)]
    return max(quarters) > 0 and quarters[-1] < COLLAPSED * max(quarters)


def number_of_summary(run: Run, measure: str) -> float | None:
    """A number that a stage says of itself; of an estimate its value."""
    stage, keys = summary_place(measure)
    found: Any = summary_of(run, stage)
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    if (estimate := to_estimate(found)) is not None:
        return estimate.value
    return float(found) if isinstance(found, int | float) else None


def pooled(outcomes: Sequence[Outcome], measure: str, experiment: Experiment) -> Estimate | None:
    """A measure of a variant over the seeds; the interval includes their spread, and of evaluations that of the problems."""
    if outcomes and not measure.startswith((LOG, WHOLE_LOG, SUMMARY)):
        model = experiment.model(outcomes[0].variant)
        return pooled_of([each.run for each in outcomes if each.run], model, "all", measure)
    return over_seeds([value_of(each, measure, experiment) for each in outcomes])


def difference(
    first: Sequence[Outcome], second: Sequence[Outcome], measure: str, experiment: Experiment
) -> tuple[Estimate | None, int]:
    """first - second over the seeds that both have, and how many these are. pass@1 is paired by seed and problem, any other
    measure by seed."""
    others = {each.seed: each for each in second}
    pairs = [(each, others[each.seed]) for each in first if each.seed in others]
    if measure == PASS and pairs:
        by_problem = [[rights(each, experiment) for each in pair] for pair in pairs]
        common = [key for key in by_problem[0][0] if all(rows.get(key) for pair in by_problem for rows in pair)]
        if common:
            one, two = ([[pair[side][key] for key in common] for pair in by_problem] for side in (0, 1))
            if len(pairs) == 1:
                return paired_difference(one[0], two[0]), 1
            return pool_paired_difference(one, two), len(pairs)
    values = [(value_of(one, measure, experiment), value_of(two, measure, experiment)) for one, two in pairs]
    gaps = [one - two for one, two in values if one is not None and two is not None]
    return over_seeds(gaps), len(gaps)


def rights(outcome: Outcome, experiment: Experiment) -> dict[Key, list[float]]:
    assert outcome.run is not None
    return right_by_problem(outcome.run, experiment.model(outcome.variant))


def over_seeds(values: Sequence[float | None]) -> Estimate | None:
    """A mean over seeds with Student's t interval; None of no values."""
    known = [[value] for value in values if value is not None]
    return mean_number(known) if known else None
