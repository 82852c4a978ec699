"""pass@1 by task, and the command on a model of a few thousand weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.evidence.transfer.__main__ import BENCHMARKS, as_markdown, by_task, main
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem
from tests.conftest import micro_config

ROWS = {
    "logic/countdown_test.jsonl": {"id": "1", "nums": [3, 4, 5], "target": 12, "gold_expr": "3 + 4 + 5"},
    "logic/kk_fresh.jsonl": {"id": "1", "quiz": "Ann says: I am a knight. Who is what?", "names": ["Ann"], "solution": [True]},
    "math/mawps.jsonl": {"id": "1", "question": "Joan has 2 pens and finds 3. How many?", "answer": 5.0, "type": "addsub"},
}


def test_tasks_stand_side_by_side_and_what_does_not_fit_is_counted() -> None:
    problems = [Problem(str(number), task, "math", "?") for number, task in enumerate(("mawps", "mawps", "gcd"))]
    found = by_task(problems, problems[:1], [[[0.0, 1.0]]], [[[1.0, 1.0]]])
    assert (found["mawps"]["problems"], found["mawps"]["left_out"]) == (1, 1)
    assert found["mawps"]["gain"]["value"] == 0.5
    assert found["gcd"] == {"problems": 0, "left_out": 1}
    assert (found["all"]["problems"], found["all"]["left_out"], found["all"]["r1_zero"]["value"]) == (1, 2, 1.0)


@pytest.fixture
def model(tmp_path: Path, micro_tokenizer: Tokenizer) -> Path:
    config = micro_config(micro_tokenizer.vocab_size).model_copy(update={"max_position_embeddings": 2048})
    save_model(Transformer(config), tmp_path / "model")
    micro_tokenizer.save(tmp_path / "model")
    return tmp_path / "model"


def test_the_command_reads_the_files_and_draws_nothing_twice(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file, row in ROWS.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(json.dumps(row) + "\n")
    numbers = ["--problems", "1", "--samples", "2", "--max-new-tokens", "4", "--generators", ""]
    places = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--kept", str(tmp_path / "kept")]
    assert main([str(model), str(model), *numbers, *places]) == 0
    found = json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert list(found["tasks"]) == [*BENCHMARKS, "all"]
    assert set(found["base"]["pass@1 by prompt"]) == {"r1_zero_template", "few_shot", "bare_question"}
    assert as_markdown(found) == (tmp_path / "out" / "README.md").read_text()
    assert "| knights | 1 |  | 0.0 [" in capsys.readouterr().out
    (kept,) = (tmp_path / "kept").glob("*/*.jsonl")
    assert len(kept.read_text().splitlines()) == 2 * 3 * (3 + 1)
