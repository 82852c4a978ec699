"""The C++ parts of decoding: compiled by the machine's own compiler on first use, cached, called through ctypes.

A profile showed why they exist: with the model of the tiny recipe at 252 rows, PyTorch's attention over the cache took 13 ms of
a step whose matrix products need 5 ms, because it has no kernel for a few queries against many short, ragged lists of keys.
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

import torch

log = logging.getLogger(__name__)
SOURCES = ("causal_attention.cpp", "decode.cpp", "sampling.cpp", "token_logprobs.cpp")
HEADERS = ("attention.h", "blocks.h", "layers.h", "products.h", "tiles.h", "vectors.h")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
SUFFIXES = {torch.float32: "f32", torch.bfloat16: "bf16"}


@functools.cache
def native_library() -> ctypes.CDLL | None:
    """The compiled library; None where there is no compiler or COGITATE_NATIVE=0 (said once in the log)."""
    if os.environ.get("COGITATE_NATIVE", "1") == "0":
        log.warning("COGITATE_NATIVE=0: decoding in plain PyTorch")
        return None
    compiler = os.environ.get("CXX") or next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None)
    if compiler is None:
        log.warning("no C++ compiler (g++, clang++ or CXX): decoding in plain PyTorch, several times slower")
        return None
    try:
        return ctypes.CDLL(str(_compiled(compiler)))
    except (subprocess.CalledProcessError, OSError) as error:
        details = getattr(error, "stderr", "") or str(error)
        log.warning(
            "%s could not build the decoding kernels, decoding in plain PyTorch, several times slower:\n%s", compiler, details
        )
        return None


def library() -> ctypes.CDLL:
    """The compiled library where it is known to exist."""
    found = native_library()
    assert found is not None, "ask native_library() first"
    return found


def function(name: str, dtype: torch.dtype | None = None, *, returns: type | None = None) -> ctypes._NamedFuncPointer:
    """An exported function, for one element type where it comes in several. Arguments are passed as ctypes values."""
    found = getattr(library(), name if dtype is None else f"{name}_{SUFFIXES[dtype]}")
    found.restype = returns
    return found


def _compiled(compiler: str) -> Path:
    """Path of the shared library, named after everything that can change it."""
    here = Path(__file__).parent
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256("\0".join((compiler, version, *FLAGS, platform.machine(), _processor())).encode())
    for name in (*SOURCES, *HEADERS):
        digest.update((here / name).read_bytes())
    target = _cache_directory() / f"decode-{digest.hexdigest()[:16]}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        built = Path(directory) / target.name
        sources = [str(here / name) for name in SOURCES]
        threads = ["-fopenmp"] if platform.system() == "Linux" else []  # shares PyTorch's OpenMP threads
        command = [compiler, *FLAGS, *threads, "-o", str(built), *sources]
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


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
