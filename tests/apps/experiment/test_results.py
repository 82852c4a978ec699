"""What finished runs say: values, paired differences and claims, on made-up runs with numbers worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogitate.apps.experiment.definition import Experiment
from cogitate.apps.experiment.page import html_of
from cogitate.apps.experiment.results import Claim, Outcome, Results, results_of
from cogitate.evals.metrics import Estimate
from tests.apps.synthetic_run import write_run


def rights(folder: Path, variant: str, seed: int) -> list[float]:
    """By hand: the mean of the two completions of each of the six problems."""
    lines = (folder / variant / f"seed-{seed}" / "evaluate.r1_zero" / "completions.jsonl").read_text().splitlines()
    values = [float(json.loads(line)["right"]) for line in lines]
    return [(one + two) / 2 for one, two in zip(values[::2], values[1::2], strict=True)]


def test_pass_at_1_is_paired_by_seed_and_problem_and_numbers_of_the_log_by_seed(results: Results, tmp_path: Path) -> None:
    gaps = [[b - a for a, b in zip(rights(tmp_path, "a", seed), rights(tmp_path, "b", seed), strict=True)] for seed in (0, 1)]
    found = results.differences["b"]["pass@1"]
    assert found is not None
    assert found.value == pytest.approx(sum(map(sum, gaps)) / 12)
    assert found.low is not None
    entropy = results.differences["b"]["log.entropy"]
    assert entropy is not None
    assert entropy.value == pytest.approx(0.0, abs=1e-9)  # the last ten of forty steps, equal in all made-up runs
    value = results.values["a"]["log.entropy"]
    assert value is not None
    assert 0.2 < value.value < 0.5
    assert [claim.seeds for claim in results.claims] == [2, 2]


def test_a_mean_over_the_whole_log_weighs_each_step_by_its_tokens(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    rows = [
        {"step": 0, "tokens_generated": 100, "accuracy": 0.2, "entropy": 1.0},
        {"step": 1, "tokens_generated": 300, "accuracy": 0.6},
    ]
    log = run / "r1_zero" / "metrics.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = Outcome.of("a", 0, run, None)
    assert outcome.over_tokens("r1_zero", "accuracy") == pytest.approx(0.5)
    assert outcome.over_tokens("r1_zero", "entropy") == 1.0
    assert outcome.over_tokens("r1_zero", "kl") is None
    log.write_text("".join(json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in enumerate((1.0, 3.0))))
    assert Outcome.of("a", 0, run, None).over_tokens("r1_zero", "loss") == 2.0


def test_a_run_that_generated_less_than_its_budget_is_named(results: Results) -> None:
    assert results.short_of_budget() == []
    runs = results.as_json()["runs"]
    assert {run["tokens_generated"] for run in runs} == {40 * 16_000}
    budget = results.experiment.config.budget
    assert budget is not None
    more = results.experiment.config.model_copy(update={"budget": budget.model_copy(update={"tokens": 700_000})})
    short = results_of(Experiment("made_up", more, {}), results.outcomes).short_of_budget()
    assert len(short) == 4


@pytest.mark.parametrize(
    ("difference", "seeds", "settled", "verdict"),
    [
        (Estimate(0.2, 0.1, 0.3), 3, True, "holds (3 seeds)"),
        (Estimate(-0.2, -0.3, -0.1), 3, True, "does not hold: the opposite is settled (3 seeds)"),
        (Estimate(0.2, -0.1, 0.5), 3, False, "not settled: the interval includes 0 (3 seeds)"),
        (Estimate(0.2, 0.2, 0.2), 2, False, "not settled: all seeds differ by the same, which gives no interval"),
        (Estimate(0.2, 0.1, 0.3), 1, False, "not settled: one seed says nothing of others; on this seed it holds"),
        (Estimate(0.2, None, None), 1, False, "not settled: one seed says nothing of others; on this seed it is open, too"),
        (None, 0, False, "not tested: no seed has both runs"),
    ],
)
def test_a_claim_is_settled_by_an_interval_on_one_side_of_zero(
    results: Results, difference: Estimate | None, seeds: int, settled: bool, verdict: str
) -> None:
    claim = Claim("", results.claims[0].config, difference, seeds)
    assert (claim.settled, claim.verdict) == (settled, verdict)


def test_a_run_that_is_not_there_yet_counts_nowhere(results: Results, tmp_path: Path) -> None:
    outcomes = [*results.outcomes[:3], Outcome.of("b", 1, tmp_path / "nothing", "ValueError: it broke")]
    less = results_of(results.experiment, outcomes)
    assert [claim.seeds for claim in less.claims] == [1, 1]
    assert "b, seed 1 failed: ValueError: it broke" in html_of(less)


def test_a_damaged_run_is_an_error_of_that_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "results.json").write_text("{")
    outcome = Outcome.of("a", 0, run, None)
    assert (outcome.finished, "cannot be read" in outcome.error) == (False, True)
