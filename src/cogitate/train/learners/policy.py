"""What learners of policies share: the policy and its reference, batches of rollouts laid out in rows, the optimiser's step.

One `update` is one or more optimiser steps over a batch of graded rollouts. `grpo.py` and `ppo.py` say what is lost.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from cogitate.algorithms.averages import BatchTotals
from cogitate.config import RLConfig
from cogitate.device import memory_of_device
from cogitate.model.files.adapter import save_trained
from cogitate.model.transformer import Transformer
from cogitate.train.checkpoint import (
    load_checkpoint,
    load_weights,
    restore_training_tensors,
    save_checkpoint,
    training_tensors,
)
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.optimisers.master_weights import optimiser_for
from cogitate.train.optimisers.schedule import set_learning_rate, warmup_constant, warmup_over_tokens
from cogitate.train.rows.packing import split_evenly
from cogitate.train.rows.shared_prompts import PromptRows, fill, hidden_of, prompt_rows
from cogitate.train.sharded.parts import Pieces
from cogitate.train.sharded.ranks import ALONE, Ranks, shares
from cogitate.types import Rollout

MICRO_BATCH_TOKENS = 4096  # padded tokens of one forward and backward pass, at most
ACTIVATION_BYTES = 1 << 29  # that a pass keeps for its backward pass, about
ROW_TOKENS = 2048  # a row holds a prompt and completions of it up to about this length
ACTIVATION_SHARE, MOST_TIMES = 8, 16  # of a GPU's memory; of a CPU's pass
LEAST_TOKENS = 256  # of a pass of a model, however large it is
REFERENCE = "reference."


class HasRows(Protocol):
    """A micro-batch."""

    @property
    def rows(self) -> PromptRows: ...


Batch = TypeVar("Batch", bound=HasRows)
Settings = TypeVar("Settings", bound=RLConfig)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Batch]):
    """A rollout batch before the first update on it.

    Attributes:
        minibatches: of micro-batches; an optimiser step is taken on each.
        metrics: what is known of the batch by now.
    """

    minibatches: Sequence[Sequence[Batch]]
    metrics: Mapping[str, float]


class ReferencedPolicy(ABC, Generic[Batch, Settings]):
    """A policy in training, and the reference it is kept close to where `kl_beta` asks for it."""

    def __init__(self, model: Transformer, config: Settings, ranks: Ranks = ALONE):
        self.config, self.ranks = config, ranks
        reference = copy.deepcopy(model).requires_grad_(False) if config.kl_beta > 0 else None
        self.reference = None if reference is None else ranks.shard(reference)
        self.model = ranks.shard(model)
        self.optimiser = optimiser_for(model, lambda trained: make_adamw(trained, config.learning_rate, config.weight_decay))
        self.steps_done = 0
        self.tokens = 0
        self.temperature = config.temperature
        self.model.train()
        self.pass_tokens = fit_pass(self.model)

    def update(
        self, rollouts: Sequence[Rollout], advantages: Sequence[float], tokens: int = 0, temperature: float | None = None
    ) -> dict[str, float]:
        """All optimiser steps of one rollout batch; rollouts of dead groups and without a verdict must have been left out.

        Args:
            tokens: generated so far in the stage, this batch included; read where there is a token budget.
            temperature: at which the rollouts were sampled; None: the settings'.

        Raises:
            TrainingDivergedError: a loss is NaN or infinite; the weights are those before that step.
        """
        self.tokens = tokens
        self.temperature = self.config.temperature if temperature is None else temperature
        if self.config.reset_optimiser:
            self.optimiser.state.clear()
        parts = split_evenly(len(rollouts), self.config.minibatches)
        single = len(parts) * self.config.inner_epochs == 1
        prepared = self.prepared(
            [self.micro_batches([rollouts[i] for i in part], [advantages[i] for i in part], single=single) for part in parts]
        )
        rows = [self.optimiser_step(batches) for _ in range(self.config.inner_epochs) for batches in prepared.minibatches]
        means = {name: (max if name.endswith("_max") else fmean)([row[name] for row in rows]) for name in rows[0]}
        return {**means, **prepared.metrics}

    def micro_batches(self, rollouts: Sequence[Rollout], advantages: Sequence[float], *, single: bool) -> list[Batch]:
        """The rollouts of an optimiser step laid out in rows, as many at a time as fit a pass."""
        device, row_tokens = next(self.model.parameters()).device, min(ROW_TOKENS, self.pass_tokens)
        mine = share_of(rollouts, self.ranks)
        passes = prompt_rows([rollouts[i] for i in mine], row_tokens=row_tokens, batch_tokens=self.pass_tokens)
        idle = int(self.ranks.highest([len(passes)])[0]) - len(passes)
        batches = [
            self.micro_batch(rows.to(device), [advantages[mine[i]] for i in rows.indices], single=single) for rows in passes
        ]
        shortest = min(rollouts, key=lambda rollout: len(rollout.completion_ids))
        for _ in range(idle):
            batch = self.micro_batch(fill([[shortest]], [0]).to(device), [0.0], single=single)
            batches.append(replace(batch, rows=uncounted(batch.rows)))  # type: ignore[type-var]
        return batches

    @abstractmethod
    def micro_batch(self, rows: PromptRows, advantages: Sequence[float], *, single: bool) -> Batch:
        """What the loss reads of rows, computed before the first update.

        Args:
            advantages: of each of its sequences, what `update` was given.
            single: the batch is used for one optimiser step alone.
        """

    def prepared(self, minibatches: Sequence[Sequence[Batch]]) -> Prepared[Batch]:
        """What has to be done with all micro-batches together."""
        return Prepared(minibatches, {})

    @abstractmethod
    def optimiser_step(self, batches: Sequence[Batch]) -> dict[str, float]:
        """One optimiser step; returns its metrics."""

    def logprobs(self, model: Transformer, rows: PromptRows) -> tuple[Tensor, Tensor]:
        """Logprobs (S, L) of the counted tokens at the sampling temperature, 0 elsewhere, and their entropies (N,)."""
        hidden_RTD = hidden_of(model, rows)
        logprobs_N, entropy_N = model.logprobs(rows.sources_of(hidden_RTD), rows.targets_N, temperature=self.temperature)
        return rows.spread(logprobs_N.float()), entropy_N

    def totals(self, batches: Sequence[Batch]) -> BatchTotals:
        """What the losses of micro-batches are divided by."""
        sequences = sum(batch.rows.sequences for batch in batches)
        tokens = sum(len(batch.rows.targets_N) for batch in batches)
        sequences, tokens = map(int, self.ranks.added([sequences, tokens]))
        return BatchTotals(sequences, tokens, self.config.max_new_tokens)

    def move(self) -> float:
        """Let the optimiser take its step, and the reference follow where it is time to; returns the learning rate."""
        config = self.config
        rate = warmup_constant(self.steps_done, peak=config.learning_rate, warmup_steps=config.warmup_steps)
        if config.token_budget:
            rate = warmup_over_tokens(self.tokens, peak=config.learning_rate, warmup_tokens=config.warmup_tokens)
        set_learning_rate(self.optimiser, rate)
        self.optimiser.step()
        self.steps_done += 1
        if self.reference is not None and self.steps_done % config.reference_refresh_steps == 0:
            self.reference.load_state_dict(self.model.state_dict())
        return rate

    def save(self, path: Path, step: int, state: Mapping[str, Any]) -> None:
        save_checkpoint(path, step, self.tensors(), {**state, "optimiser_steps": self.steps_done}, self.ranks)

    def load(self, path: Path) -> dict[str, Any]:
        tensors, state = load_checkpoint(path)
        self.restore(tensors, path)
        self.steps_done = int(state.pop("optimiser_steps"))
        return state

    def tensors(self) -> dict[str, Tensor]:
        """Everything large that a checkpoint holds."""
        tensors = training_tensors(self.model, self.optimiser)
        if self.reference is not None:
            tensors |= {f"{REFERENCE}{name}": tensor for name, tensor in self.reference.state_dict().items()}
        return tensors

    def restore(self, tensors: Pieces, path: Path) -> None:
        """The inverse of `tensors`, in place, from those of the checkpoint `path`."""
        restore_training_tensors(self.model, self.optimiser, tensors, path)
        if self.reference is not None:
            load_weights(self.reference, tensors.below(REFERENCE))

    def save_weights(self, path: Path) -> None:
        self.ranks.save(self.model, path, save_trained)


def share_of(rollouts: Sequence[Rollout], ranks: Ranks) -> list[int]:
    """Which rollouts this rank reads: those of a prompt stay together, and ranks get about as many tokens of completions."""
    of_prompt: dict[tuple[int, ...], list[int]] = {}
    for index, rollout in enumerate(rollouts):
        of_prompt.setdefault(rollout.prompt_ids, []).append(index)
    groups = [*of_prompt.values()]
    sizes = [sum(len(rollouts[index].completion_ids) for index in group) for group in groups]
    return sorted(index for group in shares(sizes, ranks.count)[ranks.rank] for index in groups[group])


def uncounted(rows: PromptRows) -> PromptRows:
    """The same rows, from which nothing is learnt."""
    nothing = {name: getattr(rows, name)[:0] for name in ("sources_N", "targets_N", "counted_N")}
    return replace(rows, mask_SL=torch.zeros_like(rows.mask_SL), sequences=0, **nothing)


def fit_pass(*models: Transformer) -> int:
    """Set large models to compute their layers again in the backward pass; returns the tokens of a pass of these models.

    They are MICRO_BATCH_TOKENS, more where a GPU's memory has room (`size_of_pass`), fewer only of the very largest. A model is
    large where such a pass would keep more than ACTIVATION_BYTES. With 135 M parameters computing again (gradient
    checkpointing) takes less time than several small passes, whose products have few rows and whose gradients have to be
    added up.
    """
    times = size_of_pass(memory_of_device(models[0].head_weight.device))
    tokens, activation_bytes = times * MICRO_BATCH_TOKENS, times * ACTIVATION_BYTES
    for model in models:
        if tokens * kept_bytes(model) > activation_bytes:
            model.gradient_checkpointing = True
    return min(tokens, max(LEAST_TOKENS, activation_bytes // max(map(kept_bytes, models))))


def size_of_pass(memory: int | None) -> int:
    """How many times the pass of a CPU suits a GPU of so much memory, a power of two: activations take an eighth of it."""
    times = 1
    while memory is not None and 2 * times * ACTIVATION_BYTES * ACTIVATION_SHARE <= memory and times < MOST_TIMES:
        times *= 2
    return times


def kept_bytes(model: Transformer) -> int:
    """What a token keeps for the backward pass, about: all of each layer, or the input of each layer and all of one."""
    config, recompute = model.config, model.gradient_checkpointing
    of_layer = 8 * config.hidden_size + 3 * config.intermediate_size
    numbers = config.num_hidden_layers * (config.hidden_size if recompute else of_layer) + of_layer * recompute
    return numbers * model.head_weight.dtype.itemsize
