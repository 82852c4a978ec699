"""Recipes for larger machines than the one that tests them: each can be started as far as a dry run, and has a plan."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cogitate.cli import app
from cogitate.model.files.published import PUBLISHED

PROBLEMS = [{"question": f"What is {number} + 4?", "answer": str(number + 4)} for number in range(100)]
PAIRS = [{"prompt": f"Say {number}.", "chosen": f"{number}.", "rejected": "No."} for number in range(40)]
HELD_OUT = [{**pair, "prompt": f"Please: {pair['prompt']}"} for pair in PAIRS]
DATA = {
    "math/gsm8k_train": PROBLEMS[:40], "math/math_train": PROBLEMS[40:80], "math/gsm8k_test": PROBLEMS[80:],
    "math/math500": PROBLEMS[80:], "preference/pandalm_testset": PAIRS, "preference/hh_harmless_test": PAIRS,
    "preference/llmbar": HELD_OUT,
}  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a user starts them: the models by their shapes alone, the data, Ray, and an environment with vLLM."""
    monkeypatch.chdir(tmp_path)
    for name, shape in {
        "Qwen2.5-0.5B": "qwen2.5-0.5b", "Qwen2.5-7B": "r1-distill-qwen-7b", "DeepSeek-V3-Base": "deepseek-v3",
    }.items():  # fmt: skip
        write(Path("models", name, "config.json"), json.dumps(PUBLISHED[shape].to_dict()))
    for name, rows in DATA.items():
        write(Path("data", f"{name}.jsonl"), "\n".join(map(json.dumps, rows)))
    monkeypatch.setenv("COGITATE_DATA", str(tmp_path / "data"))
    write(Path("packages/ray-2.60.0.dist-info/METADATA"), "Metadata-Version: 2.1\nName: ray\nVersion: 2.60.0\n")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    write(Path("vllm-env/bin/python"), "#!/bin/sh\necho 0.32.0\n").chmod(0o755)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def said(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("recipe", "gpus", "fits"),
    [("one_gpu", "1xRTX4090", "yes"), ("eight_gpus", "8xH100", "yes"), ("r1_671b", "512xH800", "no")],
)
def test_a_dry_run_goes_through_and_a_plan_says_what_the_gpus_would_take(recipe: str, gpus: str, fits: str) -> None:
    stages = said("run", recipe, "--dry-run").partition("# stages of the graph own, in order\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in stages.splitlines() if not line.startswith("evaluate.")] == [
        "base", "r1_zero", "cold_start", "r1_dev1", "r1_dev2", "sft_data", "r1_dev3", "reward_models", "r1",
    ]  # fmt: skip
    plan: dict[str, Any] = json.loads(said("plan", recipe, "--gpus", gpus, "--json"))
    assert plan["fits"] == fits
    assert all("memory_gib" in stage for stage in plan["stages"] if stage["notes"] != ["given"])


@pytest.mark.usefixtures("machine")
def test_a_dry_run_of_eight_gpus_shows_the_memory_of_its_processes() -> None:
    processes = said("run", "eight_gpus", "--dry-run").partition("# processes of the cluster\n")[2].splitlines()[:4]
    rows = [re.split(r"\s{2,}", line) for line in processes]
    assert [row[0] for row in rows] == ["driver", "8 generators", "8 trainers", "Ray"]
    assert rows[1][2:] == ["12 CPU each", "weights, 32 GiB for keys and values, and vLLM itself, each"]
    assert rows[2][2] == "12 CPU each"
    assert re.fullmatch(r"about \d+\.\d GiB in r1 each", rows[2][3])
