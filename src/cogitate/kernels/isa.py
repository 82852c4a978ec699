"""Classes of processors by the instructions that decide how fast matrix products are, and the class that kernels are built for.

`COGITATE_ISA` limits it to a lower class than the machine's own, so that each can be tested and measured on one machine. It is
ours alone: PyTorch's own limits are ONEDNN_MAX_CPU_ISA, ATEN_CPU_CAPABILITY and MKL_ENABLE_INSTRUCTIONS.
"""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

from cogitate.errors import ConfigError

VARIABLE = "COGITATE_ISA"
# From the highest: tiles of bfloat16; vectors of 16 floats and products of pairs of bfloat16; vectors of 8 floats; what every
# 64-bit processor has. Each with what the system calls it, and the compiler's options where the machine's own class is higher.
REQUIRED = {
    "amx": {"amx_bf16", "amx_tile", "avx512_bf16"},
    "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16"},
    "avx2": {"avx2", "fma", "f16c", "bmi2"},
    "plain": set[str](),
}
OPTIONS = {
    "avx512": ("-march=native", "-mno-amx-tile", "-mno-amx-bf16", "-mno-amx-int8"),
    "avx2": ("-march=x86-64-v3",),
    "plain": ("-march=x86-64",),
}
NATIVE = ("-march=native",)


def isa() -> str:
    """The class that kernels are built for: the machine's own, or the lower one that COGITATE_ISA says.

    Raises:
        ConfigError: it is no class, or one that this machine has not.
    """
    own, asked = own_isa(), os.environ.get(VARIABLE, "")
    if not asked:
        return own
    classes = available()
    if asked not in classes:
        why = f"this machine has {', '.join(classes)}" if asked in REQUIRED else f"classes are {', '.join(REQUIRED)}"
        raise ConfigError(f"{VARIABLE}={asked}: {why}")
    return asked


@functools.cache
def own_isa() -> str:
    """The machine's class."""
    return available()[0]


@functools.cache
def available() -> tuple[str, ...]:
    """The classes that can be measured here, from the machine's own downwards."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ("plain",)
    flags = set(processor_flags().split())
    return tuple(name for name, required in REQUIRED.items() if required <= flags)


def faster_type() -> str:
    """The type in which this class multiplies matrices faster, bfloat16 or float32.

    Products of pairs of bfloat16 have twice the rate of float32 on AMD's processors, and half of it on Intel's without tiles
    (measured: 0.15 and 0.27 TFLOP/s on two cores). Where there are no such products, bfloat16 is only read and written.
    """
    pairs = isa() == "avx512" and "AuthenticAMD" in cpuinfo("vendor_id")
    return "bfloat16" if isa() == "amx" or pairs else "float32"


def compiler_options() -> tuple[str, ...]:
    """What tells the compiler which instructions to use."""
    return NATIVE if isa() == own_isa() else OPTIONS[isa()]


def processor_flags() -> str:
    """The instructions that the processor has, as the system names them; another description of it where it does not."""
    return cpuinfo("flags") or cpuinfo("Features") or platform.processor()


@functools.cache
def cpuinfo(key: str) -> str:
    """The first line of Linux's /proc/cpuinfo that begins with this key; "" where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(key)), "")
