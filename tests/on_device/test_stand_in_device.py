"""What the stand-in counts and refuses, which everything else here rests on."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cogitate.device import send
from tests.on_device.stand_in_device import KIND, MixedDevicesError, stand_in

HERE = torch.arange(3.0)
DONE: dict[str, tuple[Callable[[Tensor], object], tuple[int, int]]] = {  # with a tensor there; copies to it, and waits
    "a sum": (lambda there: there.sum(), (0, 0)),
    "its number": (lambda there: float(there.sum()), (0, 1)),
    "a copy to the host": (lambda there: there.cpu(), (0, 1)),
    "a copy to the device": (lambda there: HERE.to(KIND), (1, 1)),
    "a copy that nobody waits for": (lambda there: send(HERE, torch.device(KIND)), (1, 0)),
    "a tensor that is made there": (lambda there: torch.tensor([1.0, 2.0], device=KIND), (1, 1)),
    "indices of the host": (lambda there: there[torch.tensor([0, 2])], (1, 1)),
    "indices of the device": (lambda there: there[there.argsort()], (0, 0)),
    "a mask": (lambda there: there[there > 1], (0, 1)),
}


@pytest.mark.parametrize("what", DONE)
def test_copies_and_waits_are_counted(what: str) -> None:
    action, expected = DONE[what]
    with stand_in() as counts:
        there = HERE.to(KIND)
        counts.reset()
        action(there)
        assert (counts.copies.total(), counts.synchronisations.total()) == expected


def test_tensors_of_two_devices_are_refused() -> None:
    with stand_in(), pytest.raises(MixedDevicesError):
        HERE.to(KIND) + HERE
