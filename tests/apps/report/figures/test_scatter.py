"""Points with intervals as pictures."""

from __future__ import annotations

from cogitate.apps.report.figures.scatter import Point, PointSeries, exactly, scatter_chart
from cogitate.evals.metrics import Estimate


def test_each_point_has_a_dot_and_its_intervals_and_a_series_of_several_a_line() -> None:
    one = PointSeries("a & b", [Point(exactly(1.0), Estimate(0.5, 0.4, 0.6)), Point(exactly(2.0), Estimate(0.7, 0.6, 0.8))])
    drawn = scatter_chart([one, PointSeries("alone", [Point(exactly(1.5), exactly(0.2))])], x="x", y="y", title="t")
    assert drawn.count("<circle") == 3
    assert drawn.count('class="thick') == 1
    assert drawn.count('class="thin') == 3
    assert "a &amp; b" in drawn


def test_powers_of_ten_are_marked_along_a_logarithmic_axis() -> None:
    line = PointSeries("loss", [Point(exactly(x), exactly(2.0)) for x in (1e5, 3e6)])
    drawn = scatter_chart([line], x="tokens", y="loss", title="t", log_x=True)
    assert all(f">1e{power}</text>" in drawn for power in (5, 6, 7))


def test_nothing_is_drawn_of_no_points() -> None:
    assert scatter_chart([PointSeries("none", [])], x="x", y="y", title="t") == ""
