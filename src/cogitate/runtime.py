"""What every stage needs of the machine: device and dtype, seeds, durable files, the metrics log, interruption."""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import math
import os
import random
import re
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogitate.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from types import FrameType

    import torch

LOST = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EACCES, errno.EROFS)
LARGE_BYTES = 2 << 30  # from here on a process gives back what malloc keeps
PR_SET_PDEATHSIG = 1  # of prctl(2)

_interrupted_by: int | None = None


def pick_device(name: str) -> torch.device:
    """`auto` is cuda where there is one, else cpu.

    Raises:
        ConfigError: no device's name, or this machine has no such device.
    """
    import torch  # here and below, so that commands without tensors need not wait for it

    from cogitate.config.shared import device_fault  # nor commands without settings for these

    if fault := device_fault(name):
        raise ConfigError(f"device {name!r}: {fault}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if count else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= count:
        there = f"torch finds cuda:0 to cuda:{count - 1}" if count else "torch finds no CUDA device"
        raise ConfigError(f"device {name!r} is not there: {there}; set runtime.device=cpu or auto")
    return torch.device(name)


def name_of_device(device: torch.device) -> str:
    """For records: cpu, or a GPU with its model."""
    if device.type != "cuda":
        return str(device)
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch. Stages draw from generators of their own beside these."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def keep_freed_memory() -> None:
    """Have malloc keep freed memory for later use; for processes that train.

    A step of a large model frees gigabytes that the next step needs again, and each page that the kernel has taken back costs
    a fault: a sixth of the time of a step of SmolLM2. Between phases that need memory in turn a large process gives it back
    (`give_back_memory`). Nothing happens where malloc is not glibc's.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block is mapped for itself, to be unmapped when it is freed
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never
        mallopt(-2, 64 << 20)  # M_TOP_PAD: grow by 64 MB at least


def pause_garbage_collection() -> None:
    """Until `loaded_objects_exempt`: a start leaves hardly any garbage, and to look for it is an eighth of the time."""
    if not gc.get_freeze_count():
        gc.disable()


@contextmanager
def loaded_objects_exempt() -> Iterator[None]:
    """Have the garbage collector leave alone what is loaded by now: it would go through all of it again and again, in vain.

    A program that has exempted its own objects (`gc.freeze`) has decided for itself: here and above nothing happens.
    """
    if gc.get_freeze_count():
        yield
        return
    if gc.isenabled():  # else only a start has come before
        gc.collect()
    gc.freeze()
    gc.enable()
    try:
        yield
    finally:
        gc.unfreeze()


def give_back_memory() -> bool:
    """Give back what malloc has kept, where the process has grown large; for loops whose phases need memory in turn.

    What learning has freed are holes that generation's blocks do not fit, and the reverse: both together would be the size of
    the process, and it would grow for as long as it runs. A small process keeps them, since every page has to be zeroed again.

    What torch keeps of freed memory of a GPU is given back as well.

    Returns:
        whether it was given back; never where malloc is not glibc's.
    """
    import ctypes

    import torch

    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim, resident = getattr(ctypes.CDLL(None), "malloc_trim", None), resident_bytes()
    if trim is None or resident is None or resident < LARGE_BYTES:
        return False
    trim(0)
    return True


def resident_bytes() -> int | None:
    """How much of this process is in memory; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def reset_peak_memory() -> bool:
    """Begin to measure the peak of this process anew; what malloc keeps of earlier work is given back first. Returns whether it
    begins anew: only Linux can."""
    import ctypes

    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets VmHWM
    except OSError:
        return False
    return True


def peak_resident_bytes() -> int | None:
    """The most of this process that was in memory since `reset_peak_memory`; None where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return None if found is None else int(found[1]) * 1024


def python_path() -> str:
    """PYTHONPATH for a Python process of ours: it finds this very package, wherever it is started."""
    import cogitate

    root = str(Path(cogitate.__file__).resolve().parents[1])
    inherited = [path for path in [os.environ.get("PYTHONPATH", "")] if path]
    return os.pathsep.join([root, *inherited])


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; end it now where the parent is not `parent` any more.

    Linux only. Elsewhere the closing of standard input ends a process of ours that waits for work.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from a path of parts, e.g. derive_seed(config.seed, "r1_zero", step): equal parts, equal seed."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def atomic_write(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Write to a temporary name beside `path`, then fsync and rename: readers see the old file or the new one, never half.

    A kill in between leaves a `.tmp` file that the next write of the same path replaces. The file has the permissions that the
    user's umask gives a new one, whatever the library that wrote it chose (safetensors: the owner alone reads).

    Args:
        mode: the permissions before the umask; 0o600: nobody else can read it at any moment.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode)
    permissions = stat.S_IMODE(temporary.stat().st_mode)
    yield temporary
    with temporary.open("rb+") as handle:
        os.fchmod(handle.fileno(), permissions)
        os.fsync(handle.fileno())
    temporary.replace(path)
    fsync_directory(path.parent)


def fsync_directory(path: Path) -> None:
    """Make a rename in this directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Atomic, indented, keys in the given order, UTF-8."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


class MetricsLog:
    """metrics.jsonl: one JSON object a line, `step` first; a number that is NaN or infinite is written as null.

    A stage that resumes from step n calls `truncate(n)` so that no step stands twice. `listener` sees every row
    (progress bars, TensorBoard).
    """

    def __init__(self, path: Path, listener: Callable[[dict[str, Any]], None] | None = None):
        self.path = path
        self.listener = listener

    def write(self, row: dict[str, Any]) -> None:
        line = json.dumps({key: _finite_or_none(value) for key, value in row.items()}, ensure_ascii=False, allow_nan=False)
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")
        if self.listener is not None:
            self.listener(row)

    def truncate(self, first_step: int) -> None:
        """Drop rows of step >= first_step and a half-written last line."""
        if not self.path.exists():
            return
        kept = [line for line in self.path.read_bytes().split(b"\n") if line and _step_of(line) < first_step]
        with atomic_write(self.path) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in kept))


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _step_of(line: bytes) -> float:
    try:
        return float(json.loads(line)["step"])
    except ValueError:  # half-written, perhaps within a character
        return float("inf")


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception means that no more could be written, whichever library wrote."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    words = ("No space left on device", "Disk quota exceeded", "File too large")  # safetensors raises a class of its own
    if any(word in str(error) for word in words):
        return True
    return any(is_disk_full(inner) for inner in (error.__cause__, error.__context__) if inner is not None)


def lost_file(error: BaseException) -> str | None:
    """What an exception says of a file or directory that is gone or out of reach, whichever library noticed; None of others."""
    if isinstance(error, OSError) and error.errno in LOST:
        return f"{error.filename or 'the working directory, or a file in it'}: {error.strerror}"
    if re.search(r"\(os error (?:2|13|20|116)\)", str(error)):  # safetensors and tokenizers raise classes of their own
        return str(error)
    return None if error.__cause__ is None else lost_file(error.__cause__)


def stop_at_checkpoint_on_signals() -> None:
    """SIGINT and SIGTERM let the stage write a checkpoint; the second one ends the process at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if interruption_requested():
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h")  # the progress bar hid the cursor
            os._exit(128 + number)
        request_interruption(number)
        os.write(2, b"stopping at the next checkpoint; once more to stop at once\n")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


@contextmanager
def stop_at_checkpoint_on_ctrl_c() -> Iterator[None]:
    """The same for Ctrl-C alone, for as long as this lasts: the second one is a KeyboardInterrupt.

    Only the main thread can handle signals; in others nothing changes.
    """
    global _interrupted_by
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if interruption_requested():
            raise KeyboardInterrupt
        request_interruption(number)
        os.write(2, b"stopping at the next checkpoint; once more to stop at once\n")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        _interrupted_by = None


def request_interruption(signal_number: int) -> None:
    """Called by the signal handler: stages stop at their next safe point."""
    global _interrupted_by
    _interrupted_by = signal_number


def interruption_requested() -> bool:
    return _interrupted_by is not None


def raise_interrupted(where: str) -> None:
    """To be called right after a stage has written its checkpoint."""
    assert _interrupted_by is not None
    raise Interrupted(f"stopped at {where}; the same command goes on from there", 128 + _interrupted_by)
