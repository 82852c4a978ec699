"""Reading the tensors of a Hugging Face directory: safetensors only, sharded or not, DeepSeek's FP8 dequantised."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from cogitate.errors import CheckpointError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MTP = "mtp.safetensors"
SCALE = "_scale_inv"
MADV_DONTNEED = 4  # of madvise(2)
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class CheckpointReader:
    """Published tensors by name. Use it as a context manager; files stay mapped until it closes.

    Raises:
        CheckpointError: on opening, a missing or truncated file or an index that names an absent tensor; on reading, a tensor
            that is absent or has another shape. Pickled checkpoints are refused.
    """

    def __init__(self, directory: Path, quantization: dict[str, Any] | None = None):
        self.directory = directory
        self._stack = ExitStack()
        self._file_of: dict[str, str] = {}
        self._open: dict[str, Any] = {}
        self._block = _fp8_block(directory, quantization)

    def __enter__(self) -> CheckpointReader:
        try:
            self._find_tensors()
        except BaseException:  # Ctrl-C, too: where entering fails, nobody exits
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @property
    def names(self) -> set[str]:
        """All tensors of the checkpoint; FP8 scales belong to their tensors and are not listed."""
        return {name for name in self._file_of if not (name.endswith(SCALE) and name.removesuffix(SCALE) in self._file_of)}

    def are_equal(self, name: str, other: str) -> bool:
        """Whether two tensors are there and have the same type, shape and numbers."""
        if name not in self._file_of or other not in self._file_of:
            return False
        first, second = (self._open[self._file_of[x]].get_tensor(x) for x in (name, other))
        return first.dtype == second.dtype and torch.equal(first, second)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise unless the tensor is there and has this shape."""
        if name not in self._file_of:
            raise CheckpointError(f"{self.directory}: tensor {name} is missing")
        file = self._file_of[name]
        found = tuple(self._open[file].get_slice(name).get_shape())
        if found != shape:
            raise CheckpointError(
                f"{self.directory / file}: {name} has shape {list(found)}, config.json asks for {list(shape)}"
            )

    def read_into(self, target: Tensor, name: str) -> None:
        """Copy a tensor that has been checked into `target` (of as many elements), converting to its type and device."""
        file = self._file_of[name]
        mapped = tensor = self._open[file].get_tensor(name)
        if tensor.dtype == torch.float8_e4m3fn:
            tensor = self._dequantise(name, tensor)
        elif not tensor.is_floating_point():
            raise CheckpointError(f"{self.directory / file}: {name} is {tensor.dtype}: quantised weights are not supported")
        target.copy_(tensor.view(target.shape))
        forget_pages(mapped)

    def _find_tensors(self) -> None:
        index_path = self.directory / INDEX
        if index_path.is_file():
            self._read_index(index_path)
        elif (self.directory / SINGLE).is_file():
            self._file_of = dict.fromkeys(self._open_file(SINGLE).keys(), SINGLE)
        else:
            pickled = sorted(path.name for path in self.directory.iterdir() if path.suffix in PICKLED)
            if pickled:
                raise CheckpointError(
                    f"{self.directory / pickled[0]}: pickled weights can run code when loaded and are refused; "
                    "convert the checkpoint to safetensors"
                )
            raise CheckpointError(f"{self.directory}: neither {SINGLE} nor {INDEX} is there")
        if (self.directory / MTP).is_file():
            self._file_of |= dict.fromkeys(self._open_file(MTP).keys(), MTP)

    def _read_index(self, path: Path) -> None:
        try:
            weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
            pairs = [(str(name), str(file)) for name, file in weight_map.items()]
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: not a safetensors index: {error!r}") from error
        held: dict[str, set[str]] = {}
        for name, file in pairs:
            if Path(file).name != file:
                raise CheckpointError(f"{path}: {name} lies in {file!r}, which is outside the directory")
            if file not in held:
                held[file] = set(self._open_file(file).keys())
            if name not in held[file]:
                raise CheckpointError(f"{path}: says that {file} holds {name}, which it does not")
        self._file_of = dict(pairs)

    def _open_file(self, file: str) -> Any:
        path = self.directory / file
        if not path.is_file():
            raise CheckpointError(f"{path}: this file of the checkpoint is missing")
        try:
            self._open[file] = self._stack.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not a whole safetensors file: {error}") from error
        return self._open[file]

    def _dequantise(self, name: str, tensor: Tensor) -> Tensor:
        """e4m3 times the scale of its block, float32."""
        scale_name = f"{name}{SCALE}"
        if scale_name not in self._file_of:
            raise CheckpointError(f"{self.directory}: {name} is FP8 but its scales {scale_name} are missing")
        if self._block is None:
            raise CheckpointError(f"{self.directory}: {name} is FP8 but config.json has no quantization_config")
        if tensor.dim() != 2:
            raise CheckpointError(f"{self.directory}: {name} is FP8 but no matrix, its shape is {list(tensor.shape)}")
        scale: Tensor = self._open[self._file_of[scale_name]].get_tensor(scale_name).float()
        rows, columns = self._block
        blocks = (-(-tensor.shape[0] // rows), -(-tensor.shape[1] // columns))
        if tuple(scale.shape) != blocks:
            raise CheckpointError(f"{self.directory}: {scale_name} has shape {list(scale.shape)}, expected {list(blocks)}")
        spread = scale.repeat_interleave(rows, 0)[: tensor.shape[0]].repeat_interleave(columns, 1)[:, : tensor.shape[1]]
        return tensor.float() * spread


def forget_pages(mapped: Tensor) -> None:
    """Have a tensor of a file that has been read take up no memory of the process: with all of them, a model would be there
    twice until the file is closed. Whoever reads it again has it read from the file again. Linux only."""
    if sys.platform != "linux":
        return
    page = os.sysconf("SC_PAGE_SIZE")
    begin, end = -(-mapped.data_ptr() // page) * page, (mapped.data_ptr() + mapped.nbytes) // page * page
    if begin < end:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_DONTNEED)


def _fp8_block(directory: Path, quantization: dict[str, Any] | None) -> tuple[int, int] | None:
    if quantization is None:
        return None
    if not isinstance(quantization, dict):
        raise CheckpointError(f"{directory}/config.json: quantization_config = {quantization!r:.40}: must be an object")
    method, block = quantization.get("quant_method"), quantization.get("weight_block_size")
    if method != "fp8" or quantization.get("fmt", "e4m3") != "e4m3":
        raise CheckpointError(f"{directory}/config.json: quantization_config.quant_method = {method!r}: only FP8 e4m3 is read")
    if not (isinstance(block, list) and len(block) == 2 and all(isinstance(n, int) and n > 0 for n in block)):
        raise CheckpointError(f"{directory}/config.json: quantization_config.weight_block_size = {block!r}: must be two sizes")
    return block[0], block[1]
