"""What a call costs, for tests that fail when our code is slow and not when the machine is busy.

One reading says little in a process of thousands of tests: a collection of all their garbage, or another thread, may fall into
it. So the least of several goes counts: code that is slow is slow in every go. Goes are numbered, so that a call can ask for
something new each time and no cache answers it.
"""

import gc
import time
from collections.abc import Callable
from functools import partial


def cheapest(call: Callable[[int], object], enough: float, goes: int = 5) -> float:
    """Seconds of processor time of `call(go)`, the least of up to `goes`; a go that takes less than `enough` is the last."""
    least = float("inf")
    for go in range(goes):
        least = min(least, _seconds(partial(call, go)))
        if least < enough:
            break
    return least


def grows_in_proportion(call: Callable[[int, int], object], size: int, slack: float, goes: int = 5) -> bool:
    """Whether `call(2 * size, go)` costs at most 2.5 times what `call(size, go)` costs, and `slack` seconds more."""
    single = double = float("inf")
    for go in range(goes):
        single = min(single, _seconds(partial(call, size, go)))
        double = min(double, _seconds(partial(call, 2 * size, go)))
        if double < 2.5 * single + slack:
            return True
    return False


def _seconds(call: Callable[[], object]) -> float:
    collects = gc.isenabled()
    gc.disable()
    try:
        start = time.process_time()
        call()
        return time.process_time() - start
    finally:
        if collects:
            gc.enable()
