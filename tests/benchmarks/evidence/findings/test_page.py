"""Small result files written by hand to the page of findings, and the committed page against the committed results."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evidence.findings.models import MODELS, puzzles, smollm2, tiny
from benchmarks.evidence.findings.page import as_json, as_markdown, found_in, write_findings
from benchmarks.evidence.findings.paper import FINDINGS
from benchmarks.evidence.findings.sources import claim_of, stages_of_runs, unpaired_difference
from benchmarks.evidence.findings.verdicts import NOT_MEASURED, NOT_SEEN, SETTLED, UNDECIDED, Measured, verdict_of
from benchmarks.places import PAGES, PUBLISHED_RUNS
from cogitate.errors import ArtifactError
from cogitate.evals.metrics import Estimate

STAGES = ("base", "r1_zero", "r1_dev1", "r1_dev2", "r1_dev3", "r1", "r1_distill_llama", "student_rl_llama")


def test_the_committed_page_is_what_the_committed_results_give() -> None:
    found = found_in(PUBLISHED_RUNS, PAGES / "experiments")
    assert (PAGES / "findings.md").read_text(encoding="utf-8") == as_markdown(found, PUBLISHED_RUNS, PAGES)
    assert json.loads((PUBLISHED_RUNS / "findings.json").read_text(encoding="utf-8")) == json.loads(json.dumps(as_json(found)))


def test_without_any_result_file_nothing_is_measured(tmp_path: Path) -> None:
    found = found_in(tmp_path, tmp_path)
    assert {model: list(parts) for model, parts in found.items()} == {model: list(FINDINGS) for model in MODELS}
    assert {verdict_of(parts) for of_model in found.values() for parts in of_model.values()} == {NOT_MEASURED}


def test_a_difference_of_two_intervals_adds_their_squared_sides() -> None:
    # Downwards sqrt(.03^2 + .04^2) = .05, upwards sqrt(.12^2 + .05^2) = .13.
    difference = unpaired_difference(Estimate(0.6, 0.57, 0.72), Estimate(0.4, 0.35, 0.44))
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.2, 0.15, 0.33))


def write_runs(results: Path, scores: dict[str, dict[str, float]], *, seeds: int = 2, rl_seconds: float = 20.0) -> None:
    """Runs whose scores have intervals of .01 to each side: 0.5 but where given."""
    plain = {"pass@1": 0.5, "format_rate": 1.0, "language_mix_rate": 0.0, "reflection_rate": 0.0, "helpfulness": 0.5}
    plain |= {"safety": 0.9, "completion_tokens": 30.0, "cons@16": 0.6, "pass@1 of cons@16": 0.5}
    (results / "smollm2").mkdir()
    for seed in range(seeds):
        tables = {
            model: {"all": {name: near(value) for name, value in (plain | scores.get(model, {})).items()}} for model in STAGES
        }
        seconds = dict.fromkeys(STAGES, 20.0) | {"student_rl_llama": rl_seconds}
        run = {"seed": seed, "stages": tables, "seconds": seconds}
        (results / "smollm2" / f"seed-{seed}.results.json").write_text(json.dumps(run), encoding="utf-8")


def near(value: float) -> dict[str, Any]:
    return {"value": value, "ci95": [value - 0.01, value + 0.01]}


ALL_RISES = {
    "r1_zero": {"pass@1": 0.7, "completion_tokens": 60.0, "reflection_rate": 0.3, "language_mix_rate": 0.2},
    "r1_dev1": {"helpfulness": 0.6},
    "r1_dev2": {"pass@1": 0.69},
    "r1_dev3": {"helpfulness": 0.7},
    "r1": {"helpfulness": 0.8, "safety": 0.95},
    "r1_distill_llama": {"pass@1": 0.6},
}


def verdicts(parts: Any) -> dict[str, list[str]]:
    return {finding: [part.verdict for part in of] for finding, of in parts.items()}


def test_runs_of_several_seeds_that_show_all_of_it_settle_it(tmp_path: Path) -> None:
    write_runs(tmp_path, ALL_RISES)
    found = verdicts(smollm2(tmp_path, tmp_path))
    assert {finding for finding, of in found.items() if set(of) == {SETTLED}} == {
        "growth", "mixing", "readability", "stages", "distillation",
    }  # fmt: skip
    assert found["test_time"] == [SETTLED, NOT_MEASURED, NOT_MEASURED]


def test_one_seed_settles_nothing(tmp_path: Path) -> None:
    write_runs(tmp_path, ALL_RISES, seeds=1)
    found = verdicts(smollm2(tmp_path, tmp_path))
    assert found["growth"] == found["mixing"] == [UNDECIDED] * 3


def test_equal_models_show_nothing_and_keep_accuracy(tmp_path: Path) -> None:
    write_runs(tmp_path, {})
    found = verdicts(smollm2(tmp_path, tmp_path))
    assert found["growth"] == [NOT_SEEN] * 3
    assert found["mixing"] == [NOT_SEEN, UNDECIDED, SETTLED]  # 0 lies within .5 %, the interval to 1 % does not
    # The difference of equal models is 0 +- .0141, within 2 points.
    assert found["stages"] == [NOT_SEEN, NOT_SEEN, NOT_SEEN, NOT_SEEN, SETTLED, NOT_SEEN, NOT_SEEN]


def test_rl_that_had_less_time_is_no_fair_comparison(tmp_path: Path) -> None:
    write_runs(tmp_path, ALL_RISES, rl_seconds=19.0)
    (part,) = smollm2(tmp_path, tmp_path)["distillation"]
    assert part.verdict == UNDECIDED
    assert part.to_settle == "a fair comparison"


def test_one_seed_cannot_be_pooled_twice(tmp_path: Path) -> None:
    write_runs(tmp_path, {})
    place = tmp_path / "smollm2"
    (place / "again.results.json").write_text((place / "seed-0.results.json").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ArtifactError, match="can be pooled once"):
        stages_of_runs(tmp_path, "smollm2")


def test_a_correlation_with_the_step_has_an_interval_over_seeds(tmp_path: Path) -> None:
    (tmp_path / "r1_zero").mkdir()
    pooled = {"seeds": [0, 1, 2], "rank correlation of thinking tokens with the step": [0.8, 0.9, 1.0]}
    (tmp_path / "r1_zero" / "pooled.json").write_text(json.dumps(pooled), encoding="utf-8")
    known = tiny(tmp_path, tmp_path)["growth"][1].known
    assert isinstance(known, Measured)
    # Their deviation is .1: t of two degrees of freedom times .1 / sqrt(3).
    assert known.margin.low == pytest.approx(0.9 - 4.3027 * 0.1 / math.sqrt(3), abs=1e-4)


def test_half_of_a_thinking_that_costs_accuracy_is_seen_but_of_one_model(tmp_path: Path) -> None:
    (tmp_path / "puzzles").mkdir()
    growth = {"first": near(1.0), "last": near(2.0), "correlation": near(0.9)}
    pooled = {
        "seeds": [0, 1],
        "by family": {"all": {"base": near(0.2), "r1_zero": near(0.4), "gain": near(0.2)}},
        "growth": {seed: {"thinking_tokens_finished": growth, "rejecting_rate": growth} for seed in ("0", "1")},
        "thinking": [
            {"thinking": "its own", "share": 1.0, "right": near(0.5), "less_own": near(0.0)},
            {"thinking": "cut", "share": 0.5, "right": near(0.2), "less_own": near(-0.3)},
        ],
    }
    (tmp_path / "puzzles" / "pooled.json").write_text(json.dumps(pooled), encoding="utf-8")
    found = puzzles(tmp_path, tmp_path)
    assert [part.verdict for part in found["growth"]] == [SETTLED] * 3
    assert [part.verdict for part in found["test_time"]] == [NOT_MEASURED, UNDECIDED, NOT_MEASURED, NOT_MEASURED]


def write_claim(path: Path, difference: Any, seeds: int) -> None:
    claim = {"metric": "helpfulness", "greater": "quarter", "than": "middle", "difference": difference, "seeds": seeds}
    path.write_text(json.dumps({"claims": [claim]}), encoding="utf-8")


@pytest.mark.parametrize(
    ("difference", "seeds", "verdict"),
    [
        ({"value": 0.1, "ci95": [0.05, 0.15]}, 3, SETTLED),
        ({"value": 0.1, "ci95": [-0.05, 0.25]}, 3, UNDECIDED),
        ({"value": -0.1, "ci95": [-0.2, 0.0]}, 3, NOT_SEEN),
        ({"value": 0.1, "ci95": [None, None]}, 1, UNDECIDED),
        (None, 0, NOT_MEASURED),
    ],
)
def test_a_claim_of_a_kept_experiment_is_read(tmp_path: Path, difference: Any, seeds: int, verdict: str) -> None:
    write_claim(tmp_path / "overoptimisation.json", difference, seeds)
    part = claim_of(tmp_path, "overoptimisation", "helpfulness", "quarter", "middle")
    assert part.statement == "A quarter of the steps ends with a better true score than all of them"
    assert part.verdict == verdict


def test_a_claim_that_an_experiment_does_not_make_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no claim that helpfulness of half is above that of middle"):
        claim_of(tmp_path, "overoptimisation", "helpfulness", "half", "middle")


def test_the_page_has_a_row_of_verdicts_for_each_finding(tmp_path: Path) -> None:
    results, pages = tmp_path / "results", tmp_path / "pages"
    results.mkdir()
    pages.mkdir()
    write_runs(results, ALL_RISES)
    page = write_findings(results, pages).read_text(encoding="utf-8")
    row = "| 1 | Pure RL raises accuracy, length and reflection together | **not measured** | **settled** | **not measured** |"
    assert row in page.splitlines()
    assert "[findings.json](../results/findings.json)" in page
    told = json.loads((results / "findings.json").read_text(encoding="utf-8"))["findings"]
    assert told["growth"]["models"]["smollm2"]["verdict"] == "settled"
