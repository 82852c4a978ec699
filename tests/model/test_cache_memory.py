"""Memory of a cache: it grows in place on a CPU, and layer by layer elsewhere."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from cogitate.model.cache_memory import CacheMemory, CopiedMemory, ReservedMemory

FORMS: dict[str, Callable[[], CacheMemory]] = {
    "reserved": lambda: ReservedMemory(3, (5, 16), torch.bfloat16),
    "copied": lambda: CopiedMemory(3, (5, 16), torch.bfloat16, "cpu"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_stays_and_what_is_new_is_zero(form: str) -> None:
    memory = FORMS[form]()
    assert [tuple(entries.shape) for entries in memory.give_back()] == [(0, 5, 16)] * 3
    filled = 0
    for missing in (1, 20, 300):
        layers = memory.grow(missing)
        assert all(len(entries) >= filled + missing for entries in layers)
        for number, entries in enumerate(layers):
            assert (entries[:filled] == number + 1).all()
            assert not entries[filled:].any()
            entries[:] = number + 1
        filled = len(layers[0])
    assert [len(entries) for entries in memory.give_back()] == [0] * 3
    assert not torch.stack(memory.grow(1)).any()


def test_growing_moves_nothing_on_a_cpu() -> None:
    memory = ReservedMemory(3, (5, 16), torch.float32)
    first = memory.grow(1)
    places = [entries.data_ptr() for entries in first]
    grown = memory.grow(100_000)
    assert [entries.data_ptr() for entries in grown] == places
    grown[2][0] = 7.0
    assert (first[2][0] == 7.0).all()


def test_tensors_outlive_the_memory_that_was_given_back() -> None:
    memory = ReservedMemory(2, (5, 16), torch.float32)
    (first, _) = memory.grow(1)
    first[:] = 3.0
    memory.give_back()
    other = memory.grow(1)[0]
    other[:] = 4.0
    del memory
    assert (first == 3.0).all()
    assert (other == 4.0).all()


def test_more_than_the_machine_has_is_refused() -> None:
    with pytest.raises(MemoryError, match=r"blocks of the cache take .* GB, more than this process can have"):
        ReservedMemory(2, (1024, 16), torch.float32).grow(10**9)


MEASURED = """
import resource
import torch
from cogitate.model.cache_memory import CopiedMemory, ReservedMemory, most_bytes
def told(key):
    return int(open("/proc/self/status").read().split(key)[1].split()[0]) * 1024
peak, resident = (lambda: told("VmHWM:")), (lambda: told("VmRSS:"))
size = lambda layers: sum(entries.nbytes for entries in layers)

memory, before = CopiedMemory(16, (64, 16), torch.float32, "cpu"), peak()
held = size(memory.grow(1000))
grown = size(memory.grow(1))
print((peak() - before) / held, grown / held)

memory = ReservedMemory(16, (64, 16), torch.float32)
before, layers = resident(), memory.grow(3000)
for entries in layers: entries[:] = 1.0
used = size(layers)
written = (resident() - before) / used
print(written, size(memory.grow(9000)) / used, (resident() - before) / used)

del memory, layers, entries
resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
print(most_bytes() / (8 << 30), size(ReservedMemory(4, (64, 16), torch.float32).grow(20_000)) / (20_000 * 4 * 64 * 16 * 4))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory of a process is told in other ways elsewhere")
def test_resident_memory_follows_what_is_written_and_growing_takes_none_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    (copied, half), (written, usable, after), (share, limited) = (map(float, line.split()) for line in done.stdout.splitlines())
    assert half == 1.5
    assert copied < 1.5 + 3 / 16  # old and new memory of one layer: 2.5 with all layers at the same time
    assert 0.9 < written < 1.1
    assert usable > 3.9
    assert after < 1.1
    assert share <= 1.0  # of a limit of address space half is left to others
    assert limited == 1.0
