import json
from pathlib import Path

from cogitate.apps.overview import duration, results_text, scores_text


def test_durations_read_as_minutes_and_seconds() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "60:00"]


def test_results_in_a_line_each_with_what_else_was_measured(tmp_path: Path) -> None:
    rate = {"value": 0.9712, "ci95": [0.96, 0.98]}
    stages = {
        "base": {"all": {"pass@1": {"value": 0.5, "ci95": [0.45, 0.55]}}},
        "r1": {"all": {"pass@1": rate, "safety": rate, "helpfulness": rate}},
        "unmeasured": {"all": {}},
    }
    missing = {"r1_zero": {"no_verdict": {"share": 0.125, "first": "step 3: the custom reward raised KeyError: 'x'"}}}
    (tmp_path / "results.json").write_text(json.dumps({"stages": stages, "summaries": missing}))
    assert results_text(tmp_path / "results.json").splitlines() == [
        "base  pass@1 0.500  95 % interval 0.450 to 0.550",
        "r1    pass@1 0.971  95 % interval 0.960 to 0.980  helpfulness 0.971, safety 0.971",
        "r1_zero: 12.5 % of the completions have no verdict; the first: step 3: the custom reward raised KeyError: 'x'",
    ]


def test_a_mean_score_stands_beside_pass_at_1_where_it_is_another_number() -> None:
    half, third = {"value": 0.5, "ci95": [0.4, 0.6]}, {"value": 1 / 3, "ci95": [0.2, 0.4]}
    assert scores_text({"pass@1": half, "score": half}, ("pass@1",)) == "pass@1 0.500"
    assert scores_text({"pass@1": half, "score": third}, ("pass@1",)) == "pass@1 0.500, mean score 0.333"
