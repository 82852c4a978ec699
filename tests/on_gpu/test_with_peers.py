"""The same work by vLLM and by TRL, where these are installed beside Cogitate: their times, for the table."""

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.peers import setup
from benchmarks.peers.sides import OWN, Runner, Side
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.tokenizer.bpe import Tokenizer
from tests.on_gpu.conftest import Figure
from tests.on_gpu.smollm2 import PROMPT, SMOLLM2

ROUNDS = 4  # that are timed, after one to warm up


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Random weights, and a tokenizer that other programs read."""
    directory = tmp_path / "model"
    save_model(Transformer(SMOLLM2).bfloat16(), directory)
    Tokenizer.load(SHIPPED / "base").save(directory)
    return directory


@contextmanager
def runner(library: str, log: Path, settings: dict[str, Any]) -> Iterator[Runner]:
    """The library in a process of its own, as `make bench-peers` runs it, in this Python."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed beside Cogitate")
    torch.cuda.empty_cache()
    setup.ROOT.mkdir(parents=True, exist_ok=True)
    process = Runner(Side(library, OWN, library, settings), log, threads=4)
    try:
        yield process
    finally:
        process.close()


def tokens_per_second(process: Runner, case: dict[str, Any]) -> float:
    _, *timed = [process.run(number, case) for number in range(1 + ROUNDS)]
    return sum(each["tokens"] for each in timed) / sum(each["seconds"] for each in timed)


def test_time_of_generation_by_vllm(model: Path, tmp_path: Path, figure: Figure) -> None:
    (tmp_path / "prompts.json").write_text(json.dumps([{"ids": PROMPT}]))
    settings = {
        "model": str(model), "prompts": str(tmp_path / "prompts.json"), "dtype": "bfloat16", "context": 512, "most": 256,
        "options": {"gpu_memory_utilization": 0.5},
    }  # fmt: skip
    with runner("vllm", tmp_path / "log", settings) as process:
        for rows in (1, 32, 256):
            speed = tokens_per_second(process, {"sequences": rows, "group": rows, "new_tokens": 64})
            figure(f"generation by vLLM, 135 M parameters, {rows} rows, prompts included", f"{speed:,.0f} tokens/s")


def test_time_of_training_by_trl(model: Path, tmp_path: Path, figure: Figure) -> None:
    (tmp_path / "documents.json").write_text(json.dumps([list(range(4, 516))] * 256))
    settings = {
        "work": "sft", "model": str(model), "documents": str(tmp_path / "documents.json"), "rows": 8, "row_tokens": 1024,
        "micro": 4, "learning_rate": 1e-4, "seed": 0, "dtype": "bfloat16", "use_cpu": False,
    }  # fmt: skip
    with runner("trl", tmp_path / "log", settings) as process:
        figure("training by TRL, 135 M parameters, 8192 tokens a step", f"{tokens_per_second(process, {}):,.0f} tokens/s")
