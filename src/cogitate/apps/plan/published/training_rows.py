"""Training steps of FSDP2 trainers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.models import find_shape
from cogitate.apps.plan.published.row import PUBLISHED_AS, Row, degree, given, number
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import Layout
from cogitate.costs.memory import Training, training_memory
from cogitate.costs.training import best_kernel, can_run, training_seconds
from cogitate.errors import DataError

ACTIVATIONS = {"recompute": "recompute", "offload": "offload", "none": "keep", "selective": "keep", "keep": "keep"}


def training_row(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """A training step of an FSDP2 trainer: micro-batches are packed rows of seq_len tokens."""
    (shape, note), gpu = find_shape(str(row["model"])), hardware.find(str(row["gpu"]))
    cluster = Cluster(gpu, int(number(row, "gpus", 1)))
    context, experts = degree(row, name, ("context_parallel", "cp"), "cp"), degree(row, name, ("expert_parallel", "ep"), "ep")
    layout = Layout(cluster.count, context=min(context, cluster.count), experts=experts if shape.experts else 1)
    activations = ACTIVATIONS.get(str(row.get("activation") or "none").lower())
    if activations is None:
        raise DataError(f"activation = {row.get('activation')!r}: one of {', '.join(ACTIVATIONS)}")
    sequence = number(row, "seq_len")
    # These rows were measured with another version of the framework: their throughput counts other seconds than that of the
    # rest, and a layer takes a fraction of the memory. Compiled layers would explain both.
    compiled = row.get("type") == "rl" and not row.get("lora_rank") and gpu.generation == "ampere"
    work = Training(
        tokens=sequence, sequence=sequence, micro_batches=number(row, "micro_batches_per_gpu", 1),
        lora_rank=int(row.get("lora_rank") or 0), activations=activations,  # type: ignore[arg-type]
        logits="plain" if row.get("type") == "sft" else "fused", compiled=compiled,
    )  # fmt: skip
    kernel = str(row.get("attention") or best_kernel(gpu.generation))
    runs = can_run(kernel, gpu.generation)
    return Row(
        name,
        "training step",
        {
            "memory": lambda factors: training_memory(shape, work, layout, factors).total,
            "step_time": lambda factors: training_seconds(shape, work, layout, cluster, factors, kernel=kernel).total,
        },
        given(row, PUBLISHED_AS),
        fits=row.get("fits"),
        capacity=gpu.memory,
        cannot="" if runs else f"{kernel} has no kernels for {gpu.name} ({gpu.generation})",
        notes=tuple(filter(None, (note, "taken as compiled" if compiled else ""))),
        memory=lambda factors: training_memory(shape, work, layout, factors),
    )
