"""Ticks, ranges, running means and numbers in words, worked by hand."""

import json
import re
from html import unescape

import pytest

from cogitate.apps.report.figures import charts
from cogitate.apps.report.figures.plots import GROUPS, expand, unlisted
from cogitate.apps.report.words import Unit, measure_words, stage_title, task_title, write_number, write_seconds


def draw(*series: charts.Series, unit: Unit = "number") -> str:
    return charts.line_chart(series, x="step", y="value", unit=unit, title="Reward")


def test_ticks_are_round_numbers_around_the_data() -> None:
    assert charts.nice_ticks(0.0, 0.83, 4) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert charts.nice_ticks(0.0, 1.1, 4) == pytest.approx([0, 0.5, 1.0, 1.5])
    assert charts.nice_ticks(0.0, 0.78, 4) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert charts.nice_ticks(-0.02, 0.03, 4) == pytest.approx([-0.02, 0.0, 0.02, 0.04])


def test_ticks_of_steps_are_whole_and_within_the_data() -> None:
    assert charts.nice_ticks(0, 39, 5, whole=True) == [0, 10, 20, 30]
    assert charts.nice_ticks(0, 3, 5, whole=True) == [0, 1, 2, 3]
    assert charts.nice_ticks(7, 7, 5, whole=True) == [7]


def test_tick_labels_carry_the_digits_that_tell_them_apart() -> None:
    assert [charts.tick_text(t, [0, 0.005, 0.01], "share") for t in (0, 0.005, 0.01)] == ["0", "0.5 %", "1.0 %"]
    assert [charts.tick_text(t, [0, 5e-7, 1.5e-6], "number") for t in (0, 5e-7, 1e-6, 1.5e-6)] == [
        "0",
        "5e-7",
        "1.0e-6",
        "1.5e-6",
    ]
    assert charts.tick_text(14_000, [14_000, 16_000], "tokens") == "14,000"


def test_shares_start_at_zero_and_a_constant_has_room() -> None:
    assert charts.y_range([0.7, 0.9], "share") == (0.0, 0.9)
    assert charts.y_range([90.0, 100.0], "number") == (0.0, 100.0)
    assert charts.y_range([-3.0, -1.0], "number") == (-3.0, 0.0)
    assert charts.y_range([0.0, 0.0], "share") == (0.0, 0.01)
    assert charts.y_range([1e-4, 1e-4], "number") == (0.0, 1e-4)


def test_a_running_mean_uses_neighbours_on_both_sides() -> None:
    curve = [(float(x), float(x % 2)) for x in range(10)]
    smooth = charts.running_mean(curve, 5)
    assert smooth[0] == pytest.approx((0.0, 1 / 3))  # 0, 1, 0
    assert smooth[4] == pytest.approx((4.0, 2 / 5))  # 0, 1, 0, 1, 0
    assert charts.running_mean(curve[:9], 5) == curve[:9]


def test_the_mean_over_runs_uses_the_runs_that_reached_a_step() -> None:
    assert charts.mean_over_runs([[(0, 1.0), (1, 2.0)], [(0, 3.0)]]) == [(0, 2.0), (1, 2.0)]


def test_long_curves_are_thinned_by_averaging() -> None:
    thinned = charts.thin([(float(x), float(x)) for x in range(1000)], 400)
    assert len(thinned) == 334
    assert thinned[0] == (1.0, 1.0)


def test_points_lie_where_the_axes_say() -> None:
    svg = draw(charts.Series("reward", [[(0, 0.0), (10, 1.0)]]))
    path = re.search(r'class="thick c0" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', svg)
    assert path is not None
    assert [float(number) for number in path.groups()] == [62, 174, 368, 12]


def test_a_picture_tells_its_ends_to_those_who_cannot_see_it() -> None:
    assert "<title>Reward: from 0.2 to 1.6</title>" in draw(charts.Series("reward", [[(0, 0.2), (10, 1.6)]]))


def test_a_single_step_is_a_dot() -> None:
    assert "<circle" in draw(charts.Series("reward", [[(0, 0.2)]]))


def test_the_values_to_read_out_are_those_of_the_data() -> None:
    svg = draw(charts.Series("a <b>", [[(0, 1 / 3), (5, 1.0)], [(0, 1.0)]]))
    data = re.search(r'data-chart="([^"]*)"', svg)
    assert data is not None
    shown = json.loads(unescape(data.group(1)))
    assert shown["series"] == [["a <b>", [[0, 0.66667], [5, 1.0]]]]
    assert "<b>" not in svg


def test_a_time_bar_is_cut_in_proportion() -> None:
    bar = charts.time_bar([("Generate", 30.0), ("Train", 10.0)])
    assert "Generate: 30.0 s, 75 %" in bar
    assert "flex-grow:0.25000" in bar
    assert charts.time_bar([("Generate", 0.0)]) == ""


def test_numbers_are_written_as_people_write_them() -> None:
    assert write_number(0.784, "share") == "78.4\xa0%"
    assert write_number(1.0, "share") == "100\xa0%"
    assert write_number(1240.4, "tokens") == "1,240"
    assert write_number(3e-6, "number") == "3.0e-06"
    assert write_number(0.0314159, "number") == "0.0314"
    assert (write_seconds(12.34), write_seconds(245), write_seconds(7800)) == ("12.3 s", "4 min 5 s", "2 h 10 min")


def test_names_become_words() -> None:
    assert (stage_title("r1_zero"), stage_title("my_stage"), task_title("word_problems")) == (
        "R1-Zero",
        "My stage",
        "Word problems",
    )
    assert measure_words("pass@16")[0] == "Right in at least one of 16 (pass@16)"
    assert measure_words("cons@16")[0] == "Majority of 16 right (cons@16)"
    assert measure_words("pass@1_longest_third")[0] == "Longest third, pass@1"
    assert measure_words("odd_thing")[0] == "Odd thing"


def test_a_star_in_a_plot_stands_for_all_parts_and_what_is_left_gets_its_own() -> None:
    parts = next(plot for _, plots in GROUPS for plot in plots if plot.title == "Parts of the reward")
    logged = ["reward", "reward.accuracy", "reward.format", "reward.my_brevity", "surprise"]
    lines = [("reward.accuracy", "accuracy"), ("reward.format", "format"), ("reward.my_brevity", "my brevity")]
    assert expand(parts, logged) == lines  # a part that only the user knows too
    assert [plot.title for plot in unlisted(logged)] == ["Surprise"]


def test_flagged_steps_are_bands_at_their_place_and_are_told() -> None:
    line = charts.Series("", [[(float(x), 1.0) for x in range(11)]])
    drawn = charts.line_chart([line], x="step", y="value", unit="number", title="Score", flagged=[5.0, 10.0])
    at = [float(x) for x in re.findall(r'class="flag" x1="([\d.]+)"', drawn)]
    width = charts.WIDTH - charts.LEFT - charts.RIGHT
    assert at == [pytest.approx(charts.LEFT + width / 2, abs=0.1), pytest.approx(charts.WIDTH - charts.RIGHT, abs=0.1)]
    assert "flagged at 2 steps, first at 5</title>" in drawn
    assert "flagged steps" in drawn
    assert "flag" not in draw(line)
