"""What limits a process to a class of processors (kernels/isa.py): our kernels, and the libraries that all compute with."""

from __future__ import annotations

from collections.abc import Mapping

from cogitate.kernels.isa import VARIABLE, own_isa

LIBRARIES: Mapping[str, Mapping[str, str]] = {
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "plain": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
}
# Compiled for the machine they were built on: no variable limits them.
UNLIMITED = ("llamacpp",)


def limits(isa: str) -> dict[str, str]:
    """The environment of a class; {} of the machine's own, which nothing limits."""
    return {} if isa == own_isa() else {VARIABLE: isa, **LIBRARIES[isa]}


def can_be_limited(environment: str, isa: str) -> bool:
    """Whether what runs in this environment can be measured in this class."""
    return isa == own_isa() or environment not in UNLIMITED
