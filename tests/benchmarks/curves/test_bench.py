"""Exponents, verdicts, checks and page of `make bench-curves`, by hand-worked numbers; its pieces at very small sizes."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.curves import bench, memory, work
from benchmarks.curves.report import (
    BEGIN,
    END,
    as_markdown,
    block_means,
    check,
    draw_curves,
    draw_rewards,
    growth,
    judged,
    reward_gap,
    seconds,
    word,
)
from benchmarks.peers.report import between_markers
from benchmarks.peers.runners.rewards import coin, odd_share
from benchmarks.places import PAGE
from cogitate.model.config import TINY


def points(*values: float, sizes: tuple[int, ...] = (1, 2, 4, 8)) -> dict[str, dict[str, float]]:
    return {str(size): {"median": v, "min": v, "max": v} for size, v in zip(sizes, values, strict=True)}


def curve(*values: float, bar: str = "flat") -> dict[str, object]:
    return {"title": "a cost", "over": "sizes", "of": "token", "bar": bar, "points": points(*values)}


def test_the_exponent_of_a_power_law_is_found_whatever_its_factor() -> None:
    assert growth([(1, 5.0), (2, 5.0), (4, 5.0)]) == pytest.approx(0)
    assert growth([(3, 0.6), (5, 1.0), (11, 2.2)]) == pytest.approx(1)
    assert growth([(1, 7.0), (10, 700.0), (100, 70000.0)]) == pytest.approx(2)


def test_the_exponent_is_the_least_squares_slope_of_logarithms() -> None:
    # logs to base 2: x 0, 1, 2 and y 0, 1, 1: slope (-1 * -2/3 + 1 * 1/3) / 2 = 1/2
    assert growth([(1, 1.0), (2, 2.0), (4, 2.0)]) == pytest.approx(0.5)


def test_growth_is_called_what_it_is() -> None:
    exponents = (-0.5, -0.05, 0.09, 0.5, 0.9, 1.1, 1.5, 2.0)
    assert [word(each) for each in exponents] == ["falling", "flat", "flat", "less than linear", "linear", "linear",
                                                  "more than linear", "quadratic or more"]  # fmt: skip


def test_growth_of_the_last_points_counts_although_a_fixed_cost_hides_it_at_first() -> None:
    late = judged(curve(1.0, 1.0, 1.0, 1.3))
    assert late["exponent"] == pytest.approx(0.114, abs=1e-3)  # 0.3 log2(1.3): ys of 0, 0, 0, log2(1.3) at x of 0, 1, 2, 3
    assert late["exponent_at_the_end"] == pytest.approx(0.189, abs=1e-3)  # log2(1.3) / 2
    assert not late["holds"]
    assert judged(curve(4.0, 2.0, 1.0, 1.0))["growth"] == "falling"
    assert judged(curve(4.0, 2.0, 1.0, 1.0))["holds"]


def test_a_linear_bar_lets_linear_growth_pass_and_not_more() -> None:
    assert judged(curve(1.0, 2.0, 4.0, 8.0, bar="linear"))["holds"]
    assert not judged(curve(1.0, 2.0, 4.0, 16.0, bar="linear"))["holds"]


def test_a_check_holds_at_its_bar_and_on_the_right_side_of_it() -> None:
    assert check("a", 1.0, 1.0)["holds"]
    assert not check("a", 1.01, 1.0)["holds"]
    assert check("a", 1.01, 1.0, at_least=True)["holds"]
    assert not check("a", 1.01, 1.0, exact=True)["holds"]
    assert check("a", 3.0, None) == {"what": "a", "value": 3.0, "bar": "", "holds": None}


def test_rewards_are_compared_by_blocks_in_standard_errors_between_runs() -> None:
    ours = [[0.0, 0.2, 0.8, 1.0], [0.2, 0.4, 0.8, 1.0]]  # block means 0.1, 0.9 and 0.3, 0.9
    theirs = [[0.4, 0.4, 0.7, 0.9], [0.4, 0.4, 0.7, 0.9]]  # 0.4, 0.8, twice
    compared = reward_gap(ours, theirs, block=2)
    assert compared["blocks"] == [[0.2, 0.4], [0.9, 0.8]]
    assert compared["gap"] == pytest.approx(0.2)
    # variances 0.02, 0, 0, 0: mean 0.005; of the difference of means of two runs each 0.005 (1/2 + 1/2)
    assert compared["standard_error"] == pytest.approx(0.005**0.5, rel=1e-5)
    assert compared["gap_in_errors"] == pytest.approx(0.2 / 0.005**0.5, rel=1e-5)


def test_blocks_are_whole_but_for_the_last() -> None:
    assert block_means([1.0, 3.0, 5.0], 2) == [2.0, 5.0]


def test_rewards_are_computed_from_token_ids() -> None:
    assert coin([3, 4, 6]) == 1.0
    assert coin([3, 5]) == 0.0
    assert odd_share([2, 3, 0, 8]) == 0.25


def test_seconds_are_told_in_a_unit_that_suits_them() -> None:
    assert [seconds(value) for value in (2.5, 0.0125, 3.21e-5, 4e-8)] == ["2.5 s", "12.5 ms", "32.1 µs", "40 ns"]


@pytest.fixture
def result() -> dict[str, Any]:
    return {
        "date": "2030-01-02",
        "machine": {"cpu": "Abacus 9", "memory_gb": 16.0, "threads": 2},
        "rounds": 3,
        "curves": {"waiting": judged(curve(0.001, 0.001, 0.001, 0.001)), "late": judged(curve(1.0, 1.0, 1.0, 1.3))},
        "memory": [check("bytes of a token", 3072, 3072, exact=True)],
        "quality": [check("mean gap", 2e-6, 1e-6), check("told alone", 5, None)],
        "rewards": {"ours": [[0.5, 0.6]], "trl": [[0.5, 0.7]]},
    }


def test_the_page_says_what_grows_how_and_what_does_not_hold(result: dict[str, Any]) -> None:
    page = as_markdown(result, {"curves": "curves.svg", "rewards": "rewards.svg"})
    lines = page.splitlines()
    assert "| a cost | sizes | 1 - 8 | token | 1 ms | 1 ms | 0.00 | 0.00 | flat | flat | yes |" in lines
    assert "| a cost | sizes | 1 - 8 | token | 1 s | 1.3 s | 0.11 | 0.19 | less than linear | flat | **no** |" in lines
    assert "| bytes of a token | 3072 | 3072 | yes |" in lines
    assert "| mean gap | 2e-06 | at most 1e-06 | **no** |" in lines
    assert "| told alone | 5 |  |  |" in lines
    page = between_markers("top\n<a>\nold\n<b>\nend\n", "new", "<a>", "<b>")
    assert page == "top\n<a>\nnew\n<b>\nend\n"


def test_charts_name_every_curve_and_every_side(result: dict[str, Any], tmp_path: Path) -> None:
    draw_curves(result["curves"], tmp_path / "curves.svg")
    draw_rewards(result["rewards"], tmp_path / "rewards.svg")
    assert "a cost" in (tmp_path / "curves.svg").read_text()
    assert "trl" in (tmp_path / "rewards.svg").read_text()


def test_the_published_page_has_room_for_the_generated_part() -> None:
    assert between_markers(PAGE.read_text(), "new", BEGIN, END)


SMALLEST = work.Sizes((32, 33), (8, 16), (32, 64), (1, 9), (64, 200))


@pytest.mark.parametrize("name", work.curves(SMALLEST))
def test_every_piece_of_every_curve_does_its_work(name: str) -> None:
    each = work.curves(SMALLEST)[name]
    for size in each.sizes:
        piece = each.make(size)
        assert piece() > 0
        assert piece() > 0


def test_the_cache_holds_what_it_should_and_frees_it() -> None:
    checks = memory.cache_checks(400)
    assert [each["what"] for each in checks if each["holds"] is not True] == []
    value = {each["what"]: each["value"] for each in checks}
    assert value["MLA: bytes for a token of context"] == (64 + 8) * 4 * 4  # latent and rotated key, float32, layers
    assert value["MLA's dense twin: bytes for a token of context"] == 2 * 5 * 32 * 4 * 4


def test_the_dense_twin_has_as_many_and_as_wide_heads() -> None:
    twin = memory.dense_twin(TINY)
    assert (twin.num_key_value_heads, twin.head_width, twin.num_hidden_layers) == (5, 32, 4)


def test_a_quick_run_of_a_curve_is_written_but_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(work, "QUICK", SMALLEST)
    before = PAGE.read_bytes()
    out = tmp_path / "curves.json"
    bench.main(["--quick", "--only", "curves", "--curves", "head_vocabulary,waiting", "--rounds", "2", "--out", str(out)])
    result = json.loads(out.read_text())
    assert list(result["curves"]) == ["waiting", "head_vocabulary"]
    assert result["curves"]["waiting"]["points"].keys() == {"32", "33"}
    assert PAGE.read_bytes() == before
    assert "| head, forward and backward | vocabulary | 64 - 200 |" in capsys.readouterr().out


def test_an_unknown_part_is_refused_and_the_known_ones_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.parse(["--only", "speed"])
    assert "there are curves, memory, quality, rewards" in capsys.readouterr().err
