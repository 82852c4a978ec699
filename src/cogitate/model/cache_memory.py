"""The memory of a cache of blocks: for each layer a tensor (blocks, *shape) that more blocks are added to.

On a CPU nothing that is there is copied or moves: address space for all that the machine can hold is reserved at once, growing
makes its next part usable, and the system gives a page, of zeros, when it is first written. So what is resident follows what is
used. Elsewhere there is new memory each time, into which the old is copied.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import resource
import sys
import weakref
from collections.abc import Sequence
from math import prod
from typing import Protocol

import torch
from torch import Tensor

FEWEST = 16
"""Blocks that memory grows by, at least."""

NO_ACCESS = 0  # PROT_NONE of mmap(2): such space is not counted as memory, by no rule of the system
NO_RESERVE = {"linux": 0x4000, "darwin": 0x40}.get(sys.platform, 0)  # MAP_NORESERVE, which Python's mmap has from 3.13 on


class CacheMemory(Protocol):
    """Grows by itself more than it is asked to, so that this is rare."""

    def grow(self, missing: int) -> list[Tensor]:
        """The layers with at least so many further blocks, of zeros.

        Raises:
            MemoryError: the machine has not so much.
        """

    def give_back(self) -> list[Tensor]:
        """The layers without any block."""


class ReservedMemory:
    """Of a CPU. Tensors of `grow` stay valid as long as somebody has them."""

    def __init__(self, layers: int, shape: Sequence[int], dtype: torch.dtype):
        self._layers, self._shape, self._dtype = layers, tuple(shape), dtype
        self._block_bytes = prod(shape) * dtype.itemsize
        self._layer_bytes = most_bytes() // layers // mmap.PAGESIZE * mmap.PAGESIZE
        self._space: ctypes.Array[ctypes.c_char] | None = None
        self._blocks = 0

    def grow(self, missing: int) -> list[Tensor]:
        blocks = self._blocks + max(missing, self._blocks // 8, FEWEST)
        used = -(-blocks * self._block_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        if used > self._layer_bytes:
            raise MemoryError(
                f"{blocks} blocks of the cache take {used * self._layers / 1e9:.1f} GB, more than this process can have "
                f"({most_bytes() / 1e9:.1f} GB): fewer completions at a time or shorter ones need less"
            )
        if self._space is None:
            self._space = reserved(self._layer_bytes * self._layers)
        for layer in range(self._layers):
            make_usable(self._space, layer * self._layer_bytes, used)
        self._blocks = blocks
        return self._tensors()

    def give_back(self) -> list[Tensor]:
        self._space, self._blocks = None, 0
        return self._tensors()

    def _tensors(self) -> list[Tensor]:
        if self._space is None:
            return [torch.empty((0, *self._shape), dtype=self._dtype, device="cpu") for _ in range(self._layers)]
        flat = (
            torch.frombuffer(
                self._space, dtype=self._dtype, count=self._blocks * prod(self._shape), offset=layer * self._layer_bytes
            )
            for layer in range(self._layers)
        )
        return [entries.view(self._blocks, *self._shape) for entries in flat]


class CopiedMemory:
    """Of any device. It grows by half of what there is."""

    def __init__(self, layers: int, shape: Sequence[int], dtype: torch.dtype, device: torch.device | str):
        self._tensors = [torch.empty((0, *shape), dtype=dtype, device=device) for _ in range(layers)]

    def grow(self, missing: int) -> list[Tensor]:
        blocks = self._tensors[0].shape[0]
        new = max(missing, blocks // 2, FEWEST)
        for layer, entries in enumerate(self._tensors):  # one after the other, so that both are held of one layer alone
            grown = entries.new_empty((blocks + new, *entries.shape[1:]))
            grown[:blocks], grown[blocks:] = entries, 0.0
            self._tensors[layer] = grown
        return self._tensors

    def give_back(self) -> list[Tensor]:
        self._tensors = [entries.new_empty((0, *entries.shape[1:])) for entries in self._tensors]
        return self._tensors


def cache_memory(layers: int, shape: Sequence[int], dtype: torch.dtype, device: torch.device | str) -> CacheMemory:
    """The form for a device."""
    if torch.device(device).type == "cpu":
        return ReservedMemory(layers, shape, dtype)
    return CopiedMemory(layers, shape, dtype, device)


def most_bytes() -> int:
    """What a cache can come to hold, at most: all memory of the machine, or half the address space that this process may have
    (`ulimit -v`), which others need as well."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    memory = os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE
    return memory if limit == resource.RLIM_INFINITY else min(memory, limit // 2)


def reserved(size: int) -> ctypes.Array[ctypes.c_char]:
    """Address space that cannot be used yet. It is given back when nobody has the array or a tensor of it.

    Raises:
        MemoryError: the system refuses it.
    """
    system = _system()
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
    address = system.mmap(None, size, NO_ACCESS, flags, -1, 0)
    if address == ctypes.c_void_p(-1).value:
        raise MemoryError(f"{size / 1e9:.1f} GB of address space for the cache: {os.strerror(ctypes.get_errno())}")
    space = (ctypes.c_char * size).from_address(address)
    weakref.finalize(space, system.munmap, address, size).atexit = False  # other threads may run until the very end
    return space


def make_usable(space: ctypes.Array[ctypes.c_char], offset: int, size: int) -> None:
    """Of reserved space. What was usable keeps its contents. Raises MemoryError: the system refuses it."""
    if _system().mprotect(ctypes.addressof(space) + offset, size, mmap.PROT_READ | mmap.PROT_WRITE):
        raise MemoryError(f"{size / 1e6:.0f} MB for a layer of the cache: {os.strerror(ctypes.get_errno())}")


@functools.cache
def _system() -> ctypes.CDLL:
    system = ctypes.CDLL(None, use_errno=True)
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    system.mmap.restype, system.mmap.argtypes = pointer, [pointer, size, number, number, number, ctypes.c_long]
    system.mprotect.argtypes, system.munmap.argtypes = [pointer, size, number], [pointer, size]
    return system
