"""The page of an experiment, on made-up runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cogitate.apps.experiment.markdown import markdown_of
from cogitate.apps.experiment.page import html_of, write_page
from cogitate.apps.experiment.results import Results
from cogitate.evals.metrics import Estimate


def test_the_page_has_all_of_it_and_nothing_of_a_file_is_markup(results: Results, tmp_path: Path) -> None:
    page = html_of(results)
    assert "<b>wins</b>" not in page
    assert "b &lt;b&gt;wins&lt;/b&gt;" in page
    assert "<i>tiny" not in page
    assert page.count('class="band ') == 2  # of entropy, for each variant
    assert "640,000" in page
    assert write_page(results, tmp_path) == tmp_path / "experiment.html"
    content = json.loads((tmp_path / "experiment.json").read_text())
    assert content["variants"]["b"]["less_baseline"]["pass@1"]["ci95"][0] is not None
    assert content["cost"]["a/seed-0"]["r1_zero"] == 241.3


def test_the_page_for_the_documentation_has_verdicts_intervals_and_the_command(results: Results) -> None:
    text = markdown_of(results)
    assert "- **b <b>wins</b>**: " in text
    assert "| `a` | 2 of 2 |" in text
    assert " to " in next(line for line in text.splitlines() if line.startswith("| `b`"))
    assert "cogitate compare experiments/made_up.toml --out runs/made_up" in text
    assert "2 variants of `<i>tiny</i>` at seeds 0, 1" in text


def test_a_page_for_the_documentation_says_in_bold_what_differs_from_the_baseline_for_certain(
    results: Results,
) -> None:
    def cell(low: float, high: float) -> str:
        found = replace(results, differences={"b": dict.fromkeys(results.experiment.config.measure, Estimate(0.02, low, high))})
        _, _, below = markdown_of(found).partition("## Less `a`")
        (row,) = [line for line in below.partition("## ")[0].splitlines() if line.startswith("| `b`")]
        return row.split(" | ")[2]

    assert cell(0.01, 0.03) == "**+2.0 (+1.0 to +3.0)**"
    assert cell(-0.01, 0.05) == "+2.0 (-1.0 to +5.0)"
