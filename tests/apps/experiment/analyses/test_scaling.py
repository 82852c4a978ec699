"""The section on scaling: a law that made the losses is found and predicts the largest size, which it has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.apps.experiment.analyses.scaling import analyse
from cogitate.evals.power_law import PowerLaw
from tests.apps.experiment.analyses.made_up import made_up_results, made_up_run

LAW = PowerLaw(1.5, 20.0, 40.0, 0.3, 0.25)
SIZES, LENGTHS = (100_000, 400_000, 1_100_000, 3_000_000), (200, 400, 800)


def point(parameters: int, steps: int) -> dict[str, object]:
    tokens = 4096 * steps
    twin = {"value": -2.0 + parameters / 1e7, "ci95": [-2.1, -1.5]}
    loss = LAW.loss(parameters, tokens)
    return {"parameters": parameters, "steps": steps, "tokens": tokens, "held_out_loss": loss, "gold_logprob": twin}


def test_the_largest_size_is_predicted_by_the_others_and_accuracy_stands_beside_its_twin(tmp_path: Path) -> None:
    runs = {}
    for parameters in SIZES:
        points = [point(parameters, steps) for steps in LENGTHS]
        rows = [
            {"task": "t", "problem_id": f"{n}", "prompt": prompt, "right": n < 2}
            for n in range(4)
            for prompt in ("bare", "few")
        ]
        runs[f"m{parameters}"] = [
            made_up_run(
                tmp_path / f"{parameters}-{seed}", [("base", "pretrain_branches")],
                summaries={"base": {**points[-1], "points": points}}, files={"evaluate.base/completions.jsonl": rows},
            )
            for seed in (0, 1)
        ]  # fmt: skip
    found = analyse(made_up_results(runs))
    assert len(found.content["points"]) == len(SIZES) * len(LENGTHS)  # a model that two seeds share counts once
    law = found.content["law"]
    assert law["alpha"]["value"] == pytest.approx(0.3, rel=0.1)
    assert [row["parameters"] for row in law["held_out"]] == [3_000_000] * 3
    assert all(abs(row["error"]) < 0.01 for row in law["held_out"])
    assert [row["parameters"] for row in found.content["sizes"]] == list(SIZES)
    assert found.content["sizes"][0]["few"]["value"] == 0.5
    assert "Its continuous twin" in found.html


def test_too_few_models_are_told_and_no_models_say_nothing(tmp_path: Path) -> None:
    points = [point(100_000, steps) for steps in LENGTHS]
    run = made_up_run(
        tmp_path / "run", [("base", "pretrain_branches")], summaries={"base": {**points[-1], "points": points}}
    )  # fmt: skip
    found = analyse(made_up_results({"a": [run], "b": [run]}))
    assert found.content["law"] is None
    assert "Too few models for a power law" in found.html
    assert analyse(made_up_results({"a": [made_up_run(tmp_path / "c", [("base", "pretrain")])], "b": []})).html == ""
