"""Optimisers without torch's compiler."""

from __future__ import annotations

from torch.optim import Optimizer

UNTRACED = Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict


def do_without_compiler() -> None:
    """Have optimisers run as they are: on a CPU nothing is compiled, and loading the compiler takes 1.4 s and 72 MB of each
    process that trains.

    The first call of these methods loads it, to tell it that it must not trace them, and torch keeps what comes of that in an
    attribute (torch/_compile.py): here the method itself. Where torch keeps it elsewhere the compiler is loaded as before.
    Recomputing activations loads it, too.
    """
    for method in UNTRACED:
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)
