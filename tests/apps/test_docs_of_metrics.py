"""The glossary and the page of metrics speak of files that exist, and of every number the report has a plot for."""

import re
from pathlib import Path

import pytest

from cogitate.apps.report.figures.plots import GROUPS
from cogitate.apps.report.words import MEASURES

ROOT = Path(__file__).parents[2]
COMING = {"readability_rate"}  # measured where a stage asks for it


@pytest.mark.parametrize("page", ["glossary.md", "metrics.md"])
def test_every_file_a_page_names_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.py|(?:[a-z_0-9]+/)+)`", text)
    named += re.findall(r"`((?:src|tests)/[^`]+)`", text) + re.findall(r"\]\(([^)#:]+)\)", text)
    assert len(named) > 5
    places = (ROOT, ROOT / "src" / "cogitate", ROOT / "docs", ROOT / "src" / "cogitate" / "tasks")
    missing = [name for name in named if not any((place / name).exists() for place in places)]
    assert missing == []


def test_every_number_with_a_plot_or_a_row_of_its_own_is_defined() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    plotted = {metric for _, plots in GROUPS for plot in plots for metric, _ in plot.metrics if not metric.endswith("*")}
    known = plotted | set(MEASURES) - COMING
    assert [name for name in sorted(known) if f"`{name}`" not in text] == []
