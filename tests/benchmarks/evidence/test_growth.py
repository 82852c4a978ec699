"""Rank correlations of what a log says with the step, and their intervals."""

import json
import random
from pathlib import Path

import pytest

from benchmarks.evidence.growth import MEASURES, correlation, growth, main, shown
from cogitate.errors import DataError


def test_what_rises_with_every_step_is_perfectly_correlated_and_noise_is_not() -> None:
    steps = list(range(40))
    assert correlation(steps, [step**2 for step in steps]).value == pytest.approx(1.0)
    rng = random.Random(3)
    values = [rng.random() for _ in steps]
    noise = correlation(steps, values)
    assert noise.low is not None
    assert noise.high is not None
    assert noise.low < 0 < noise.high
    assert correlation(steps, values) == noise  # the draws are always the same


def test_the_interval_of_a_trend_beneath_noise_is_above_zero() -> None:
    rng = random.Random(4)
    found = correlation(list(range(60)), [step + rng.gauss(0, 15) for step in range(60)])
    assert found.low is not None
    assert found.high is not None
    assert 0.3 < found.low < found.value < found.high <= 1


def test_each_measure_has_its_first_and_last_fifth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.evidence.growth.RESAMPLES", 50)
    rows = [{"step": step, **dict.fromkeys(MEASURES, 0.1 * step)} for step in range(20)]
    found = growth(rows)
    assert set(found) == set(MEASURES)
    assert found["tries"]["first"]["value"] == pytest.approx(0.15)
    assert found["tries"]["last"]["value"] == pytest.approx(1.75)
    log = tmp_path / "run" / "r1_zero" / "metrics.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main([str(tmp_path / "run"), "--out", str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text())[str(tmp_path / "run")] == found


def test_what_never_changes_has_no_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.evidence.growth.RESAMPLES", 50)
    rows = [{"step": step, **dict.fromkeys(MEASURES, float(step)), "truncated_share": 0.0} for step in range(12)]
    found = growth(rows)
    assert found["truncated_share"]["correlation"] is None
    assert shown(found["truncated_share"]["correlation"]) == "none: the same at every step"
    assert found["tries"]["correlation"]["value"] == pytest.approx(1.0)


def test_a_log_without_puzzles_is_refused_by_its_first_missing_measure() -> None:
    with pytest.raises(DataError, match="tries is logged at 0 steps; it takes at least 10, of a run on puzzles"):
        growth([{"step": step, "accuracy": 0.1 * step, "thinking_tokens_finished": 5.0 * step} for step in range(12)])


def test_a_directory_without_a_log_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), "--out", str(tmp_path / "out.json")]) == 2
    assert "no such file; give run directories" in capsys.readouterr().err
