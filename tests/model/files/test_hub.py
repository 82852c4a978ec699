"""Names of models: directories, and ids of the hub without a network."""

from pathlib import Path

import pytest

from cogitate.errors import CheckpointError
from cogitate.model.files.hub import resolve_model


def test_a_directory_is_itself(tmp_path: Path) -> None:
    assert resolve_model(str(tmp_path)) == tmp_path


def test_a_hub_id_without_a_network_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"owner/no-such-model: no such directory, and the hub cannot give it: "):
        resolve_model("owner/no-such-model")


@pytest.mark.parametrize("reference", ["runs/tiny/artifacts/base", "base", "/absent/model"])
def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(reference: str) -> None:
    with pytest.raises(CheckpointError, match=f"{reference}: no such model directory"):
        resolve_model(reference)


def test_a_file_is_not_a_model_directory(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    with pytest.raises(CheckpointError, match="is a file; give the model's directory"):
        resolve_model(str(tmp_path / "m.gguf"))
