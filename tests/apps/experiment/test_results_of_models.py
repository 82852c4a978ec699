"""Results without a budget: numbers of summaries, and collapsed runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.apps.experiment.results import collapsed, number_of_summary
from cogitate.apps.report.data import load_run
from tests.apps.synthetic_run import write_run


@pytest.mark.parametrize(
    ("rewards", "fallen"),
    [
        ([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 1.0, 1.0], True),  # the last quarter has a third of the third
        ([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 2.0, 1.0], False),  # 1.5 is half of 3
        ([3.0, 2.0, 1.0], False),  # too short to say
        ([0.0] * 8, False),
    ],
)
def test_a_run_has_collapsed_whose_last_quarter_has_under_half_of_the_best(rewards: list[float], fallen: bool) -> None:
    assert collapsed(rewards) is fallen


def test_a_number_of_a_summary_is_found_by_its_keys(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run"))
    assert number_of_summary(run, "summary.evaluate_base.prompt") is None
    assert number_of_summary(run, "summary.base.no.such") is None
