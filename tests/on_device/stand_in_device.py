"""A stand-in for an accelerator: tensors that hold their numbers on the CPU and say that they are on another device.

Nothing else knows the difference, so code that mixes devices fails as it would with CUDA, and what costs time there is counted:
launches of kernels, copies to the device, and synchronisations, where the host waits for a result.

    with stand_in() as counts:
        model.to(DEVICE)

It rests on private functions of torch.utils.backend_registration, as torch's own test of backends in Python does.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

KIND = "standin"
# Operations whose result the host has to wait for, by the shape of the result or by a number.
SYNCHRONISING = frozenset(
    ("_local_scalar_dense", "nonzero", "bincount", "masked_select", "repeat_interleave", "equal", "_unique2", "is_nonzero")
)
INDEXING = frozenset(("index", "index_put", "index_put_", "_index_put_impl_"))
NO_KERNEL = frozenset(
    ("detach", "_unsafe_view", "lift_fresh", "is_same_size", "empty", "empty_like", "empty_strided", "new_empty")
)
SORTING, SORT = frozenset(("index_put", "index_put_", "_index_put_impl_", "index_copy", "index_copy_")), 20  # kernels, about
KERNELS = {"attend_paged": 2}  # of ours, at most: parts of the rows, and what joins them
ONE_KERNEL = frozenset(("rms_norm", "_fused_rms_norm"))  # with CUDA; on a CPU torch makes it of others


class _Module:
    """What torch asks of the module of a device, such as torch.cuda."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.zeros(8, dtype=torch.uint8)

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        pass

    def device(self, index: Any) -> Any:
        return nullcontext()


@functools.cache
def register() -> None:
    """Make torch know the device's name: once in a process, before its first backward pass."""
    _setup_privateuseone_for_python_backend(KIND, backend_module=_Module())


@dataclass
class Counts:
    """What has been done on the device, by the place in Cogitate that asked for it ("engine/sampling.py:96").

    Attributes:
        launches: by the name of the operation; views and allocations launch nothing. What CUDA sorts places for where torch is
            asked for deterministic algorithms (Indexing.cu) launches SORT.
        written: bytes of the results of operations, by their name, those that change a tensor among them.
        copies: from the CPU to the device.
        synchronisations: copies to the CPU, operations whose result the host waits for, and copies to the device that are not
            asked not to block: these wait until the device has done all that it was given before.
    """

    launches: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    synchronisations: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        for counter in (self.launches, self.written, self.copies, self.synchronisations):
            counter.clear()


class MixedDevicesError(RuntimeError):
    """An operation has tensors of the CPU and of the device, which CUDA refuses."""


class CaptureError(RuntimeError):
    """What is captured copies to the device or waits for it, which CUDA refuses."""


class StandInTensor(Tensor):
    """A tensor of the device; `numbers` holds them."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> StandInTensor:
        made: StandInTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(KIND, 0),
        )
        made.numbers = inner
        return made

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @property
    def data(self) -> Tensor:
        made: Tensor = torch._C.TensorBase.data.__get__(self)  # type: ignore[attr-defined]
        return made

    @data.setter
    def data(self, value: Tensor) -> None:
        assert isinstance(value, StandInTensor), "CUDA does not take numbers of the CPU either"
        torch._C.TensorBase.data.__set__(self, value)  # type: ignore[attr-defined]
        self.numbers = value.numbers

    def __repr__(self) -> str:  # type: ignore[override]
        return f"StandInTensor({self.numbers})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled() and facts_of(func).is_made_of_others:
            return func.decompose(*args, **kwargs)
        return _run(func, args, kwargs, _counts[-1])


class Call(NamedTuple):
    """A kernel with the memory that it reads and writes."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any


_counts = [Counts()]
captured: list[list[Call]] = []  # of the region that is being captured (graphs.py)


@contextmanager
def stand_in() -> Iterator[Counts]:
    """As long as this lasts, tensors can be made on `torch.device("standin")`, and are counted."""
    register()
    _counts.append(Counts())
    try:
        with _Creation(), _Dispatch():  # type: ignore[no-untyped-call]
            yield _counts[-1]
    finally:
        _counts.pop()


class _Dispatch(TorchDispatchMode):
    """For operations without a tensor of the device among their arguments: making one, and copying to it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _is_stand_in(kwargs.get("device")) or any(isinstance(tensor, StandInTensor) for tensor in tensors_of(args, kwargs)):
            if torch.is_inference_mode_enabled() and facts_of(func).is_made_of_others:
                with self:
                    return func.decompose(*args, **kwargs)
            return _run(func, args, kwargs, _counts[-1])
        return func(*args, **kwargs)


class Facts(NamedTuple):
    """Of an operation.

    Attributes:
        is_made_of_others: inference mode hands it over whole.
    """

    name: str
    is_view: bool
    is_made_of_others: bool


@functools.cache
def facts_of(func: Any) -> Facts:
    is_view = any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.arguments)
    is_made_of_others = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    name = func._schema.name.split("::")[1]
    return Facts(name, is_view, is_made_of_others and name not in ONE_KERNEL)


def tensors_of(args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    """Those among the arguments of an operation, which are flat but for lists."""
    found = []
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, Tensor):
            found.append(argument)
        elif isinstance(argument, list | tuple):
            found += [one for one in argument if isinstance(one, Tensor)]
    return found


def _map(change: Callable[[Any], Any], argument: Any) -> Any:
    """Change an argument or result, or each one in a list of them."""
    return type(argument)(map(change, argument)) if type(argument) in (list, tuple) else change(argument)


class _Creation(TorchFunctionMode):
    """torch.tensor fills its result past the dispatcher, and so does an index that is a list."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and _is_stand_in(device := kwargs.get("device")):
            return torch.tensor(*args, **{**kwargs, "device": None}).to(device)
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], StandInTensor):
            args = (args[0], tuple(map(_index, args[1])) if isinstance(args[1], tuple) else _index(args[1]), *args[2:])
        return func(*args, **kwargs)


def _index(part: Any) -> Any:
    return torch.tensor(part) if isinstance(part, list | range) else part


def _is_stand_in(device: Any) -> bool:
    return device is not None and torch.device(device).type == KIND


def _run(func: Any, args: Any, kwargs: dict[str, Any], counts: Counts) -> Any:
    """Do an operation on the inner tensors, count it, and wrap its results."""
    name = facts_of(func).name
    tensors = tensors_of(args, kwargs)
    here = [tensor for tensor in tensors if isinstance(tensor, StandInTensor)]
    on_cpu = [tensor for tensor in tensors if not isinstance(tensor, StandInTensor)]
    wanted = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
    stays = wanted == KIND if wanted is not None else bool(here) and name != "_local_scalar_dense"
    if name == "copy_":
        stays = isinstance(args[0], StandInTensor)
    if wanted != "meta":
        non_blocking = bool(kwargs.get("non_blocking")) or (name == "copy_" and args[2:3] == (True,))
        _count(counts, func, name, args, here, on_cpu, stays=stays, non_blocking=non_blocking)
        if name not in ("_to_copy", "copy_") and here:
            _refuse_mixed(name, args, on_cpu)
    inner_args = tuple(_map(_inner, one) for one in args)
    inner_kwargs = {**kwargs, "device": torch.device("cpu")} if wanted == KIND else kwargs
    inner_kwargs = {key: _map(_inner, one) for key, one in inner_kwargs.items()}
    out = func(*inner_args, **inner_kwargs)
    if not facts_of(func).is_view and name not in NO_KERNEL:
        counts.written[name] += sum(one.nbytes for one in tensors_of((out,), {}))
        if captured:
            captured[-1].append(Call(func, inner_args, inner_kwargs, out))
    if not stays:
        return out
    if name == "_conj":  # a mark on the inner tensor, which the outer one lacks and operations on it would not see
        return StandInTensor(out.resolve_conj())
    if any(out is tensor for tensor in on_cpu):
        out = out.clone()
    is_view = facts_of(func).is_view
    of_normal = is_view and bool(here) and not here[0].is_inference()  # such a view counts its changes with its base
    with torch.inference_mode(torch.is_inference_mode_enabled() and not of_normal):
        out = _map(lambda one: StandInTensor(one) if isinstance(one, Tensor) else one, out)
    return return_and_correct_aliasing(func, args, kwargs, out) if here else out


def _count(
    counts: Counts, func: Any, name: str, args: Any, here: list[StandInTensor], on_cpu: list[Tensor], *, stays: bool,
    non_blocking: bool,
) -> None:  # fmt: skip
    if not facts_of(func).is_view and name not in NO_KERNEL:
        sorts = name in SORTING and torch.are_deterministic_algorithms_enabled()
        counts.launches[name] += SORT if sorts else KERNELS.get(name, 1)
    indices = [one for one in args[1] if one is not None] if here and name in INDEXING else []
    by_mask = any(one.dtype in (torch.bool, torch.uint8) for one in indices)
    is_copy = name in ("_to_copy", "copy_")
    copies = is_copy and stays and bool(on_cpu) and (name == "_to_copy" or on_cpu[0].dim() > 0)
    copies = copies or not all(isinstance(one, StandInTensor) for one in indices)
    waits = bool(here) and (name in SYNCHRONISING or by_mask or (is_copy and not stays))
    waits = waits or (copies and not non_blocking)
    if captured and (copies or waits):
        raise CaptureError(f"{name} at {_site()} copies from the host or waits for the device: no graph can")
    if copies:
        counts.copies[_site()] += 1
    if waits:
        counts.synchronisations[_site()] += 1


def _refuse_mixed(name: str, args: Any, on_cpu: list[Tensor]) -> None:
    """Indices may lie on the CPU, and numbers without dimensions where they are not joined or given to a fused optimiser."""
    indices = [one for one in args[1] if one is not None] if name in INDEXING else []
    strict = name in ("cat", "stack", "mm", "bmm", "addmm", "_fused_adamw_")
    for tensor in on_cpu:
        if not any(tensor is one for one in indices) and (strict or tensor.dim()):
            raise MixedDevicesError(f"{name}: a tensor {tuple(tensor.shape)} of the CPU beside tensors of {KIND}")


def _inner(leaf: Any) -> Any:
    return leaf.numbers if isinstance(leaf, StandInTensor) else leaf


def _site() -> str:
    """The innermost line of Cogitate on the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        if "/src/cogitate/" in frame.f_code.co_filename:
            return f"{frame.f_code.co_filename.split('/src/cogitate/')[-1]}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "outside"


def counted(function: Callable[..., Any], into: Counts) -> Callable[..., Any]:
    """The function, with what it does on the device counted apart, in `into` alone."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        _counts.append(into)
        try:
            return function(*args, **kwargs)
        finally:
            _counts.pop()

    return run
