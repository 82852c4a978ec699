import errno
import gc
import json
import platform
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cogitate.runtime import (
    MetricsLog,
    atomic_write,
    derive_seed,
    interruption_requested,
    is_disk_full,
    loaded_objects_exempt,
    lost_file,
    pause_garbage_collection,
    seed_everything,
    stop_at_checkpoint_on_ctrl_c,
)


def test_a_failed_atomic_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail_within() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_within()
    assert path.read_text() == "old"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_of_its_owners_is_at_no_moment_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with atomic_write(path, mode=0o600) as temporary:
        assert temporary.stat().st_mode & 0o777 == 0o600
        temporary.chmod(0o644)  # as a library might
    assert path.stat().st_mode & 0o777 == 0o600


def test_metrics_truncate_drops_later_steps_and_a_line_cut_within_a_character(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in range(4):
        log.write({"step": step, "text": "你好\u2028"})
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + '{"step": 4, "text": "你'.encode()[:-1])
    log.truncate(2)
    assert [json.loads(line)["step"] for line in log.path.read_bytes().splitlines()] == [0, 1]
    log.truncate(0)
    assert log.path.read_bytes() == b""


def test_metrics_are_valid_json_even_where_a_number_is_not_finite(tmp_path: Path) -> None:
    seen: list[Mapping[str, Any]] = []
    log = MetricsLog(tmp_path / "metrics.jsonl", seen.append)
    log.write({"step": 0, "loss": float("nan"), "kl": float("inf"), "reward": 0.5})
    assert log.path.read_text() == '{"step": 0, "loss": null, "kl": null, "reward": 0.5}\n'
    assert seen[0]["reward"] == 0.5


def test_disk_full_is_recognised_whichever_library_wrote() -> None:
    assert is_disk_full(OSError(errno.ENOSPC, "No space left on device"))
    assert is_disk_full(OSError(errno.EFBIG, "File too large"))
    assert not is_disk_full(PermissionError(errno.EACCES, "Permission denied"))
    assert not is_disk_full(RuntimeError("size mismatch"))
    wrapped = RuntimeError("could not save")
    wrapped.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_disk_full(wrapped)


def test_equal_parts_give_equal_seeds_and_other_parts_others() -> None:
    assert derive_seed(0, "base", 1) == derive_seed(0, "base", 1)
    assert len({derive_seed(0, "base", 1), derive_seed(0, "base", 2), derive_seed(1, "base", 1)}) == 3
    assert 0 <= derive_seed("x") < 2**63


def test_seed_everything_repeats_torch() -> None:
    seed_everything(derive_seed("a"))
    first = torch.rand(3)
    seed_everything(derive_seed("a"))
    assert torch.equal(first, torch.rand(3))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc's malloc")
def test_kept_memory_is_used_again_without_page_faults() -> None:
    code = """
import resource
import torch
from cogitate.runtime import keep_freed_memory

keep_freed_memory()
for _ in range(12):  # the heap grows at first
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(50 << 20)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
assert faults < 1000, faults  # 200 MB are 51,200 pages
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc's malloc")
def test_memory_that_was_kept_in_holes_is_given_back_by_a_large_process() -> None:
    code = """
import torch
from cogitate import runtime
from cogitate.runtime import give_back_memory, keep_freed_memory, resident_bytes

keep_freed_memory()
assert give_back_memory() is False  # a small one
runtime.LARGE_BYTES = 800 << 20
held = [torch.ones(1 << 20) for _ in range(200)]  # 800 MB
kept = held[::20]
del held
grown = resident_bytes()
assert give_back_memory() is True
assert resident_bytes() < grown - 600e6, (resident_bytes(), grown)
assert give_back_memory() is False
assert all(bool((block == 1).all()) for block in kept)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_loaded_is_exempt_from_collection_within_the_block_alone() -> None:
    class Node:
        itself: "Node"

    def cycle() -> weakref.ref[Node]:
        node = Node()
        node.itself = node
        return weakref.ref(node)

    gc.unfreeze()  # what these tests exempt
    garbage = cycle()
    with loaded_objects_exempt():
        assert garbage() is None  # collected first, not kept
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    gc.freeze()


def test_garbage_is_collected_again_once_what_a_start_has_loaded_is_exempt() -> None:
    gc.unfreeze()
    pause_garbage_collection()
    assert not gc.isenabled()
    with loaded_objects_exempt():
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    gc.freeze()


def test_a_program_that_has_exempted_its_objects_keeps_them_exempt() -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    pause_garbage_collection()
    assert gc.isenabled()
    with loaded_objects_exempt():
        assert gc.get_freeze_count() == before
    assert gc.get_freeze_count() == before


def test_a_file_that_is_gone_is_named_whichever_library_noticed(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "metrics.jsonl"
    with pytest.raises(FileNotFoundError) as missing:
        MetricsLog(gone).write({"step": 1})
    assert lost_file(missing.value) == f"{gone}: No such file or directory"
    with pytest.raises(Exception, match="No such file") as caught:
        save_file({"a": torch.zeros(1)}, gone)
    assert "No such file or directory" in (lost_file(caught.value) or "")
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = NotADirectoryError(errno.ENOTDIR, "Not a directory", "run")
    assert lost_file(wrapped) == "run: Not a directory"
    assert lost_file(FileNotFoundError(errno.ENOENT, "No such file")) == "the working directory, or a file in it: No such file"
    for other in (KeyError("x"), OSError(errno.ENOSPC, "No space left on device"), ValueError("os error 2")):
        assert lost_file(other) is None


def test_ctrl_c_asks_first_and_ends_then_and_leaves_no_trace() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_at_checkpoint_on_ctrl_c():  # noqa: PT012 - the first one goes on
        signal.raise_signal(signal.SIGINT)
        assert interruption_requested()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert not interruption_requested()


def test_in_another_thread_ctrl_c_stays_what_it_is() -> None:
    inside = []

    def work() -> None:
        with stop_at_checkpoint_on_ctrl_c():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [signal.getsignal(signal.SIGINT)]
