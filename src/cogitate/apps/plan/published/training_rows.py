"""Training steps of FSDP2 trainers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.published.divided import layout_of_row
from cogitate.apps.plan.published.row import (
    MEMORY_OF_UNKNOWN_MODEL,
    PUBLISHED_AS,
    UNKNOWN_MODEL,
    Row,
    by_throughput,
    fits_of,
    given,
    gpu_of_row,
    nothing_published,
    number,
    shape_of_row,
    whole,
)
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import Layout
from cogitate.costs.memory import FLOAT32_ADAMW, FLOAT32_MUON, Training, training_memory
from cogitate.costs.training import KERNELS, best_kernel, can_run, training_seconds
from cogitate.errors import DataError

ACTIVATIONS = {
    "recompute": "recompute", "full": "recompute", "checkpointing": "recompute", "true": "recompute", "offload": "offload",
    "none": "keep", "selective": "keep", "keep": "keep", "false": "keep",
}  # fmt: skip

PLAIN_LOGITS, FUSED_LOGITS = ("sft", "pretrain", "pretraining"), ("rl",)  # by the type of a row


def training_row(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """A training step of an FSDP2 trainer: micro-batches are packed rows of seq_len tokens."""
    (shape, note), gpu = shape_of_row(row), gpu_of_row(row, hardware)
    cluster = Cluster(gpu, whole(row, "gpus", 1))
    layout = layout_of_row(row, name, shape, cluster.count) or Layout(cluster.count)
    activations = ACTIVATIONS.get(str(row.get("activation") or "none").lower())
    if activations is None:
        raise DataError(f"activation = {row.get('activation')!r}: one of {', '.join(ACTIVATIONS)}")
    sequence, muon = number(row, "seq_len"), "muon" in str(row.get("optimizer") or row.get("optimiser")).lower()
    # These rows were measured with another version of the framework: their throughput counts other seconds than that of the
    # rest, and a layer takes a fraction of the memory. Compiled layers would explain both.
    compiled = row.get("type") == "rl" and not row.get("lora_rank") and gpu.generation == "ampere"
    work = Training(
        tokens=sequence * number(row, "micro_batch_size", 1), sequence=sequence, muon=muon,
        micro_batches=number(row, "micro_batches_per_gpu", 1), lora_rank=whole(row, "lora_rank", 0, least=0),
        precision=FLOAT32_MUON if muon else FLOAT32_ADAMW, activations=activations,  # type: ignore[arg-type]
        logits="plain" if row.get("type") in PLAIN_LOGITS else "fused", compiled=compiled,
    )  # fmt: skip
    kernel = str(row.get("attention") or best_kernel(gpu.generation))
    runs = can_run(kernel, gpu.generation)
    published, fits = given(row, PUBLISHED_AS), fits_of(row)
    tokens = work.tokens * work.micro_batches * layout.data
    counts_all = row.get("type") == "rl" and not work.lora_rank  # then the throughput is of other seconds than those of a step
    derived: Iterable[str] = () if counts_all else by_throughput(row, published, "tokens_per_second_all_gpus", tokens)
    return Row(
        name,
        "training step",
        {
            "memory": lambda factors: training_memory(shape, work, layout, factors).total,
            "step_time": lambda factors: training_seconds(shape, work, layout, cluster, factors, kernel=kernel).total,
        },
        published,
        fits=fits,
        capacity=gpu.memory,
        further=UNKNOWN_MODEL if note else 0.0,
        further_memory=MEMORY_OF_UNKNOWN_MODEL if note else 0.0,
        cannot="" if runs else f"{kernel} has no kernels for {gpu.name} ({gpu.generation})",
        notes=tuple(
            filter(
                None,
                (note, "taken as compiled" if compiled else "", *left_open(row), *derived, *nothing_published(published, fits)),
            )
        ),
        memory=lambda factors: training_memory(shape, work, layout, factors),
    )


def left_open(row: Mapping[str, Any]) -> Iterator[str]:
    """What a row does not say, and what is taken for it."""
    if row.get("activation") is None:
        yield "activation not given: all kept"
    if row.get("gpus") is None:
        yield "gpus not given: one"
    if row.get("type") is None:
        yield "type not given: logits fused"
    elif row["type"] not in (*PLAIN_LOGITS, *FUSED_LOGITS):
        yield f"type = {row['type']!r}: logits taken as fused"
    if row.get("micro_batches_per_gpu") is None:
        yield "micro_batches_per_gpu not given: one"
    if (kernel := row.get("attention")) is not None and kernel not in KERNELS:
        yield f"attention = {kernel!r}: as slow as flash_attention_2"
