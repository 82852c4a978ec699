"""Model directories as bytes."""

from pathlib import Path

import numpy as np
import pytest

from cogitate.cluster.weights import digest_of, read_model, write_model
from cogitate.errors import CheckpointError
from cogitate.recipe.run_directory.store import SHIPPED


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    files = read_model(SHIPPED / "base")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files.keys()
    write_model(files, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (SHIPPED / "base" / "model.safetensors").read_bytes()
    assert digest_of(read_model(tmp_path)) == digest_of(files)


def test_a_byte_a_name_or_a_border_moved_is_another_digest() -> None:
    one, two = np.array([1], dtype=np.uint8), np.array([1, 2], dtype=np.uint8)
    found = [{"a": one, "b": two}, {"a": two, "b": one}, {"a": one, "c": two}, {"a": one, "b": one}, {"a": one}]
    assert len({digest_of(files) for files in found}) == len(found)


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        read_model(tmp_path)
