"""Medians, ratios, table and page of `make bench-peers`, by hand-worked rounds."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.report import (
    BEGIN,
    END,
    OWN_NUMBERS,
    SPEED_RATIOS,
    as_markdown,
    best_side,
    between_markers,
    draw_chart,
    figures_of,
    pooled,
    ratios_of,
    with_speed,
)


def rounds(*seconds: float, tokens: float = 120, peak: float = 1e9, **more: float) -> list[dict[str, float]]:
    return [with_speed({"tokens": tokens, "seconds": each, "peak_bytes": peak, **more}) for each in seconds]


def speed(median: float, least: float | None = None, most: float | None = None) -> dict[str, dict[str, float]]:
    return {"per_second": {"median": median, "min": least or median, "max": most or median}}


STEP = {
    "ours:float32": rounds(4.0, 2.0, 3.0, peak=2e9),  # 30, 60, 40 tokens per second
    "ours:bfloat16": rounds(4.0, 4.0, 6.0, peak=1e9),  # 30, 30, 20
    "trl:float32": rounds(12.0, 10.0, 15.0, peak=5e9),  # 10, 12, 8
    "trl:bfloat16": rounds(20.0, 30.0, 20.0, peak=4e9),  # 6, 4, 6
}


def test_speed_is_what_was_counted_over_the_rounds_own_seconds() -> None:
    assert with_speed({"tokens": 90, "seconds": 4.5}) == {"tokens": 90, "seconds": 4.5, "per_second": 20.0}
    assert with_speed({"verdicts": 30, "seconds": 60.0, "agree": 1.0})["per_second"] == 0.5


def test_numbers_that_each_round_has_are_pooled_by_median_least_and_greatest() -> None:
    assert pooled([{"a": 3.0, "b": 1.0}, {"a": 1.0}, {"a": 8.0, "b": 2.0}]) == {
        "a": {"median": 3.0, "min": 1.0, "max": 8.0, "rounds": 3}
    }


def test_a_side_without_rounds_has_no_figures() -> None:
    assert figures_of({"step": {"ours": rounds(2.0), "vllm": []}})["step"].keys() == {"ours"}


def test_the_fastest_variant_of_a_family_stands_for_it() -> None:
    sides = {"trl:float32": speed(3.0), "trl:bfloat16": speed(5.0), "trlx": speed(9.0)}
    assert best_side(sides, "trl") == "trl:bfloat16"
    assert best_side(sides, "trlx") == "trlx"
    assert best_side(sides, "trl:float32") == "trl:float32"
    assert best_side(sides, "vllm") is None


def test_ratios_are_those_of_medians_and_spreads_those_of_the_worst_against_the_best() -> None:
    ratios, details = ratios_of({"grpo_smollm2": figures_of({"step": STEP})})
    assert ratios == {"grpo_smollm2_vs_trl": 4.0, "peak_memory_vs_trl": 2.5}
    assert details["grpo_smollm2_vs_trl"]["compared"] == ["ours:float32", "trl:float32"]
    assert details["grpo_smollm2_vs_trl"]["spread"] == [2.5, 7.5]  # 30 / 12, 60 / 8
    assert details["peak_memory_vs_trl"]["compared"] == ["ours:float32", "trl:float32"]  # of the same runs as the speeds


def test_shares_and_rates_are_our_own_numbers() -> None:
    generation = figures_of({"64": {"ours": rounds(2.0, 2.5, 3.0, share_of_gemm=0.5)}})
    verdicts = figures_of({"math": {"ours": [with_speed({"verdicts": 400, "seconds": 0.8, "peak_bytes": 1.0})]}})
    ratios, details = ratios_of({"generation": generation, "verdicts": verdicts})
    assert ratios == {"decode64_of_gemm": 0.5, "math_verdicts_per_s": 500.0}
    assert details["math_verdicts_per_s"]["aim"] == 300.0


def test_every_name_that_a_reader_looks_for_is_there() -> None:
    wanted = {"grpo_tiny_vs_trl", "grpo_smollm2_vs_trl", "decode1_vs_vllm", "decode32_vs_vllm", "decode64_vs_vllm",
              "decode32_vs_transformers", "decode64_vs_transformers", "decode1_vs_llamacpp_f16", "sft_vs_trl"}  # fmt: skip
    assert wanted <= SPEED_RATIOS.keys()
    assert OWN_NUMBERS.keys() == {"decode64_of_gemm", "train_of_gemm", "math_verdicts_per_s", "programs_per_s"}


@pytest.fixture
def result() -> dict[str, Any]:
    workload: dict[str, Any] = {
        "title": "GRPO step",
        "unit": "generated tokens",
        "measured": "2026-11-22 17:10",
        "figures": figures_of({"step": STEP}),
        "sides": {"grpo_smollm2/trl:float32": {"versions": {"trl": "1.2"}}},
    }
    workloads = {"grpo_smollm2": workload}
    ratios, details = ratios_of({name: workload["figures"] for name, workload in workloads.items()})
    return {
        "date": "2030-01-02",
        "machine": {"cpu": "Abacus 9", "memory_gb": 16.0},
        "isa": "avx2",
        "threads": 2,
        "rounds": 3,
        "ratios": ratios,
        "ratio_details": details,
        "workloads": workloads,
        "failed": {"generation/vllm": "vllm ended; its log"},
    }


def test_the_table_says_what_was_compared_on_what_and_what_failed(result: dict[str, Any]) -> None:
    lines = as_markdown(result, "chart.svg").splitlines()
    assert "| grpo_smollm2_vs_trl | 4.00 | 2.50 - 7.50 | 4 | ours:float32 and trl:float32 |" in lines
    assert "| step | ours:float32 | 40.0 (30.0 - 60.0) | 2.00 |" in lines
    assert "| step | trl:bfloat16 | 6.0 (4.0 - 6.0) | 4.00 |" in lines
    assert "Measured on 2030-01-02: Abacus 9, class avx2, 2 threads, 16.0 GB, 3 rounds of every side in turn" in lines[0]
    assert lines[-3:] == ["Versions: trl 1.2.", "", "Not measured, since they failed: generation/vllm."]


def test_the_generated_part_of_a_page_is_replaced_and_the_rest_kept() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_markers(page, "new\n", BEGIN, END) == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="needs"):
        between_markers("no markers", "new", BEGIN, END)


def test_the_chart_names_every_ratio_of_speed(result: dict[str, Any], tmp_path: Path) -> None:
    draw_chart(result, tmp_path / "results" / "chart.svg")
    drawn = (tmp_path / "results" / "chart.svg").read_text()
    assert drawn.startswith("<?xml")
    assert "grpo_smollm2_vs_trl" in drawn
