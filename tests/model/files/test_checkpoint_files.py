"""Reading tensors of a Hugging Face directory."""

import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cogitate.model.files.checkpoint_files import CheckpointReader


def mapped_bytes() -> int:
    """Pages of files in this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^RssFile:\s*(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is mapped")
def test_a_tensor_that_has_been_read_takes_up_no_memory_and_can_be_read_again(tmp_path: Path) -> None:
    weights = torch.arange(1 << 23, dtype=torch.float32)  # 32 MB
    save_file({"weights": weights}, tmp_path / "model.safetensors")
    target = torch.zeros_like(weights)
    with CheckpointReader(tmp_path) as reader:
        before = mapped_bytes()
        reader.read_into(target, "weights")
        assert mapped_bytes() - before < weights.nbytes // 8
        assert torch.equal(target, weights)
        target.zero_()
        reader.read_into(target, "weights")
    assert torch.equal(target, weights)
