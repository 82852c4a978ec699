"""How the processes of a published row are divided: one list of degrees, a field for each, or marks in its id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cogitate.apps.plan.published.row import whole
from cogitate.costs.layout import Layout, check_layout
from cogitate.costs.shape import Shape
from cogitate.errors import DataError

TOGETHER = "train_tp_cp_ep_pp"
APART = {  # degree of a Layout -> its fields; the last is also the mark in an id, as in cp2
    "tensor": ("tensor_parallel", "tp"), "context": ("context_parallel", "cp"), "experts": ("expert_parallel", "ep"),
    "pipeline": ("pipeline_parallel", "pp"),
}  # fmt: skip


def layout_of_row(row: Mapping[str, Any], name: str, shape: Shape, gpus: int) -> Layout | None:
    """The layout of a row's training; None where it says nothing of it, or 1 everywhere.

    Raises:
        DataError: a degree is none, or they are more than there are GPUs.
        ConfigError: it cannot be.
    """
    degrees = together(row) if row.get(TOGETHER) is not None else {what: degree(row, name, what) for what in APART}
    if max(degrees.values()) == 1:
        return None
    if not shape.experts:
        degrees["experts"] = 1
    tensor, pipeline, context = (degrees[what] for what in ("tensor", "pipeline", "context"))
    if tensor * pipeline * context > gpus:
        raise DataError(f"tp{tensor} x pp{pipeline} x cp{context} are more than the {gpus} gpus")
    sharding = "optimiser" if pipeline > 1 or row.get(TOGETHER) is not None else "full"
    layout = Layout(gpus, **degrees, sharding=sharding)  # type: ignore[arg-type]
    check_layout(layout, shape)
    return layout


def together(row: Mapping[str, Any]) -> dict[str, int]:
    said = row[TOGETHER]
    if not isinstance(said, list) or len(said) != len(APART) or not all(type(each) is int and each > 0 for each in said):
        raise DataError(f"{TOGETHER} = {said!r}: give four whole numbers above 0")
    return dict(zip(APART, said, strict=True))


def degree(row: Mapping[str, Any], name: str, what: str) -> int:
    for key in APART[what]:
        if row.get(key):
            return whole(row, key)
    found = re.search(rf"(?:^|[-_]){APART[what][-1]}(\d+)(?=[-_.]|$)", name)
    return max(1, int(found[1])) if found else 1
