"""The C++ parts of decoding and training: compiled by the machine's own compiler on first use, cached, called through ctypes.

Profiles showed why they exist. With the model of the tiny recipe at 252 rows, PyTorch's attention over the cache took 13 ms of
a step whose matrix products need 5 ms, because it has no kernel for a few queries against many short, ragged lists of keys; in
training a model of 135 million parameters in bfloat16, a quarter of the time went to operations that compute next to nothing.
Each has its form in plain PyTorch beside it, which is used on other devices, without a compiler, or with COGITATE_NATIVE=0.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cogitate.kernels.isa import OPTIONS, compiler_options, processor_flags

log = logging.getLogger(__name__)
SOURCES = (
    "adamw.cpp", "causal_attention.cpp", "decode.cpp", "elementwise.cpp", "groups.cpp", "linear.cpp", "panels.cpp",
    "sampling.cpp", "token_logprobs.cpp", "weight_gradient.cpp",
)  # fmt: skip
HEADERS = tuple(
    f"common/{name}.h"
    for name in (
        "attend",
        "attention",
        "blocks",
        "causal_blocks",
        "groups",
        "layers",
        "numbers",
        "pairs",
        "products",
        "quad_products",
        "quads",
        "tiles",
        "transpose",
        "vectors",
    )
)
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
SUFFIXES = {torch.float32: "f32", torch.bfloat16: "bf16"}
LETTERS: dict[str, type[ctypes._SimpleCData[Any]]] = {"p": ctypes.c_void_p, "i": ctypes.c_int64, "f": ctypes.c_float}


@functools.cache
def native_library() -> ctypes.CDLL | None:
    """The compiled library; None where there is no compiler or COGITATE_NATIVE=0 (said once in the log)."""
    plain, options = "decoding and training in plain PyTorch", compiler_options()
    if os.environ.get("COGITATE_NATIVE", "1") == "0":
        log.warning("COGITATE_NATIVE=0: %s", plain)
        return None
    compiler = os.environ.get("CXX") or next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None)
    if compiler is None:
        log.warning("no C++ compiler (g++, clang++ or CXX): %s, several times slower", plain)
        return None
    try:
        built = ctypes.CDLL(str(_compiled(compiler, options)))
        if built.can_run():
            return built
        log.warning("the system does not give this process the tiles (AMX) that the processor has: without them, slower")
        return ctypes.CDLL(str(_compiled(compiler, OPTIONS["avx512"])))
    except (subprocess.CalledProcessError, OSError) as error:
        details = getattr(error, "stderr", "") or str(error)
        log.warning("%s could not build the kernels: %s, several times slower\n%s", compiler, plain, details)
        return None


def library() -> ctypes.CDLL:
    """The compiled library where it is known to exist."""
    found = native_library()
    assert found is not None, "ask native_library() first"
    return found


def runs_natively(*tensors: Tensor) -> bool:
    """Whether there are kernels for these tensors: all on the CPU, all of the same, known type."""
    dtype = tensors[0].dtype
    return dtype in SUFFIXES and all(x.is_cpu and x.dtype == dtype for x in tensors) and native_library() is not None


@functools.cache
def function(
    name: str, dtype: torch.dtype | None = None, *, returns: type | None = None, takes: str | None = None
) -> ctypes._NamedFuncPointer:
    """An exported function, for one element type where it comes in several.

    Args:
        takes: the types of its arguments, which are then given as Python's numbers: p an address, i an int64, f a float.
            None: arguments are passed as ctypes values.
    """
    found: ctypes._NamedFuncPointer = getattr(library(), name if dtype is None else f"{name}_{SUFFIXES[dtype]}")
    found.restype = returns
    if takes is not None:
        found.argtypes = [LETTERS[letter] for letter in takes]
    return found


def _compiled(compiler: str, options: tuple[str, ...]) -> Path:
    """Path of the shared library, named after everything that can change it.

    Args:
        options: what tells the compiler which instructions to use.
    """
    here = Path(__file__).parent
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    flags = (*FLAGS, *options)
    digest = hashlib.sha256("\0".join((compiler, version, *flags, platform.machine(), processor_flags())).encode())
    for name in (*SOURCES, *HEADERS):
        digest.update((here / name).read_bytes())
    target = _cache_directory() / f"native-{digest.hexdigest()[:16]}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        built = Path(directory) / target.name
        sources = [str(here / name) for name in SOURCES]
        threads = ["-fopenmp"] if platform.system() == "Linux" else []  # shares PyTorch's OpenMP threads
        command = [compiler, *flags, *threads, "-o", str(built), *sources]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        built.replace(target)
    return target


def _cache_directory() -> Path:
    """$XDG_CACHE_HOME/cogitate, or a directory of this user's among the temporary files where that cannot be written."""
    for base in (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"),
        Path(tempfile.gettempdir()) / f"user-{os.getuid()}",
    ):
        directory = base / "cogitate"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(directory, os.W_OK) and directory.stat().st_uid == os.getuid():
            return directory
    return Path(tempfile.mkdtemp(prefix="cogitate-"))
