"""Benchmarks over several generators: the same result, whatever draws the completions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.apps.memorised_model import QUESTION
from tests.cluster.clustered import SECONDS, on_ray

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2 * SECONDS)]


def evaluate(out: Path, data: Path, models: list[Path], *settings: str) -> list[dict[str, Any]]:
    """The results of `cogitate eval` on a benchmark of eight problems, one for each model, in the order of their contents."""
    command = [
        sys.executable, "-m", "cogitate", "eval", *map(str, models), "--benchmarks", "gsm8k", "--data", str(data),
        "--partial-data", "--samples", "3", "--prompt", "r1_zero", "--out", str(out), "evaluate.max_new_tokens=40",
        "evaluate.temperature=1", "runtime.device=cpu", *settings,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(path.read_text()) for path in sorted(out.glob("*/gsm8k/result.json"))]


def test_two_models_over_two_generators_have_the_results_of_one_machine(memorised: Path, endless: Path, tmp_path: Path) -> None:
    data, on_cluster = tmp_path / "data", tmp_path / "cluster"
    sums = [{"question": f"{n} + 2?", "answer": f"#### {n + 2}"} for n in range(7)]
    (data / "gsm8k").mkdir(parents=True)
    (data / "gsm8k/test.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [{"question": QUESTION, "answer": "#### 2"}, *sums])
    )
    here = evaluate(tmp_path / "here", data, [memorised, endless])
    assert len(here) == 2
    assert evaluate(on_cluster, data, [memorised, endless], *on_ray(2)) == here
    assert (on_cluster / "cluster").is_dir()
