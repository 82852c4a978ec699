"""Where a named model lies on disk: a directory, or a model of the Hugging Face hub, fetched where there is a network."""

from __future__ import annotations

import re
from pathlib import Path

from cogitate.errors import CheckpointError

FILES = ["*.safetensors", "*.json", "*.jinja"]  # never code, never pickles
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def resolve_model(reference: str) -> Path:
    """The model directory of `reference`: a path, or OWNER/NAME on the hub where no such path exists.

    Raises:
        CheckpointError: no such directory, or the hub cannot be reached or does not have it.
    """
    path = Path(reference)
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{reference}: is a file; give the model's directory (a .gguf file needs `cogitate import`)")
    if not _HUB_ID.fullmatch(reference):
        raise CheckpointError(f"{reference}: no such model directory")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise CheckpointError(
            f"{reference}: no such directory; to fetch it from the hub: pip install 'cogitate[hub]'"
        ) from error
    try:
        return Path(snapshot_download(reference, allow_patterns=FILES))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(f"{reference}: no such directory, and the hub cannot give it: {reason}") from error
