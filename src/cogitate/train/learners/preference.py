"""Learners of preferences: reward models from pairs (Bradley-Terry), labelled texts and labelled steps, and DPO.

Each says what is lost on some of its items; the step is the same for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from cogitate.algorithms.numbers import added, as_floats
from cogitate.algorithms.preference_loss import (
    PreferenceLoss,
    bradley_terry_loss,
    conservative_dpo_loss,
    dpo_loss,
    ipo_loss,
    safety_loss,
    step_loss,
)
from cogitate.config import DPOConfig, PreferenceTrainingConfig
from cogitate.device import send
from cogitate.model.files.adapter import save_trained
from cogitate.model.files.value_model import save_value_model
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.train.checkpoint import load_training, save_training
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.optimisers.master_weights import clip_gradients, optimiser_for
from cogitate.train.optimisers.schedule import set_learning_rate
from cogitate.train.rows.packing import length_batches
from cogitate.train.rows.shared_prompts import SharedRows, hidden_at, hidden_of, lay_out, row_sizes
from cogitate.train.sharded.ranks import ALONE, Ranks, shares
from cogitate.types import LabelledSteps, LabelledText, Text, TextPair

Item = TypeVar("Item")
ModelType = TypeVar("ModelType", bound=nn.Module)


class PreferenceLearner(ABC, Generic[ModelType, Item]):
    """What all of them do: one optimiser step over items, in micro-batches whose losses add up to the batch's."""

    def __init__(self, model: ModelType, config: PreferenceTrainingConfig, ranks: Ranks = ALONE):
        self.model, self.config, self.ranks = ranks.shard(model), config, ranks
        self.optimiser = optimiser_for(model, lambda trained: make_adamw(trained, config.learning_rate, config.weight_decay))

    @abstractmethod
    def texts_of(self, item: Item) -> Sequence[Text]:
        """The texts of an item; they have one prompt."""

    @abstractmethod
    def loss(self, items: Sequence[Item], total: int) -> tuple[Tensor, dict[str, Tensor]]:
        """These items' share of the loss of a batch of `total`, and the sums over them of what is logged."""

    def update(self, items: Sequence[Item], learning_rate: float) -> dict[str, float]:
        sizes = row_sizes([self.texts_of(item) for item in items])
        measured: dict[str, list[Tensor]] = {"loss": []}
        self.optimiser.zero_grad(set_to_none=True)
        for places, real in item_passes(sizes, self.config.micro_tokens, self.ranks):
            part, logged = self.loss([items[place] for place in places], len(items))
            if not real:
                part, logged = part * 0, {name: value * 0 for name, value in logged.items()}
            part.backward()
            measured["loss"].append(part.detach())
            for name, value in logged.items():
                measured.setdefault(name, []).append(value)
        norm = clip_gradients(self.model, self.optimiser, self.config.gradient_clip, self.ranks)
        numbers = iter(as_floats([value for values in measured.values() for value in values]))
        loss, *sums = self.ranks.added([added(next(numbers) for _ in values) for values in measured.values()])
        set_learning_rate(self.optimiser, learning_rate)
        self.optimiser.step()
        means = {name: value / len(items) for name, value in zip([*measured][1:], sums, strict=True)}
        return {"loss": loss, **means, "gradient_norm": norm}

    def save(self, path: Path, step: int, state: Mapping[str, Any]) -> None:
        save_training(path, step, self.model, self.optimiser, state, self.ranks)

    def load(self, path: Path) -> dict[str, Any]:
        return load_training(path, self.model, self.optimiser)


def item_passes(sizes: Sequence[int], micro_tokens: int, ranks: Ranks) -> list[tuple[Sequence[int], bool]]:
    """This rank's micro-batches of items of these sizes, by their indices, and whether each is real; an idle one is the
    smallest item."""
    mine, room = shares(sizes, ranks.count)[ranks.rank], max(micro_tokens, *sizes)
    batches = length_batches([sizes[index] for index in mine], room).batches
    real: list[tuple[Sequence[int], bool]] = [([mine[place] for place in places], True) for places in batches]
    idle = int(ranks.highest([len(real)])[0]) - len(real)
    return real + [([min(range(len(sizes)), key=sizes.__getitem__)], False)] * idle


class HelpfulnessLearner(PreferenceLearner[ValueModel, TextPair]):
    """A reward model from pairs: `bradley_terry_loss`."""

    def texts_of(self, item: TextPair) -> Sequence[Text]:
        return item

    def loss(self, items: Sequence[TextPair], total: int) -> tuple[Tensor, dict[str, Tensor]]:
        chosen_B, rejected_B = text_rewards(self.model, items).view(-1, 2).unbind(1)
        return bradley_terry_loss(chosen_B, rejected_B, total_pairs=total), pair_sums(chosen_B, rejected_B)

    def save_weights(self, path: Path) -> None:
        self.ranks.save(self.model, path, save_value_model)


class SafetyLearner(PreferenceLearner[ValueModel, LabelledText]):
    """A reward model from labelled texts: `safety_loss`."""

    def texts_of(self, item: LabelledText) -> Sequence[Text]:
        return (item.text,)

    def loss(self, items: Sequence[LabelledText], total: int) -> tuple[Tensor, dict[str, Tensor]]:
        scores_B = text_rewards(self.model, [self.texts_of(item) for item in items])
        safe_B = send(torch.tensor([item.safe for item in items]), scores_B.device)
        loss = safety_loss(scores_B, safe_B, total_items=total)
        with torch.no_grad():
            return loss, {"accuracy": ((scores_B > 0) == safe_B).sum(), "reward": scores_B.sum()}

    def save_weights(self, path: Path) -> None:
        self.ranks.save(self.model, path, save_value_model)


class ProcessLearner(PreferenceLearner[ValueModel, LabelledSteps]):
    """A process reward model from labelled steps: `step_loss`."""

    def texts_of(self, item: LabelledSteps) -> Sequence[Text]:
        return (item.text,)

    def loss(self, items: Sequence[LabelledSteps], total: int) -> tuple[Tensor, dict[str, Tensor]]:
        shared, hidden_RTD = read_rows(self.model.trunk, [self.texts_of(item) for item in items])
        device = hidden_RTD.device
        places = [span.start + end - 1 for span, item in zip(shared.spans, items, strict=True) for end in item.ends]
        scores_N = self.model.values(hidden_at(hidden_RTD, send(torch.tensor(places), device)))
        labels_N = send(torch.tensor([label for item in items for label in item.labels]), device)
        weights_N = send(torch.tensor([1 / len(item.ends) for item in items for _ in item.ends]), device)
        loss = step_loss(scores_N, labels_N, weights_N, total_items=total)
        with torch.no_grad():
            agreeing_N = ((scores_N > 0) == (labels_N > 0.5)).float()
            return loss, {"accuracy": (agreeing_N * weights_N).sum(), "label": (labels_N * weights_N).sum()}

    def save_weights(self, path: Path) -> None:
        self.ranks.save(self.model, path, save_value_model)


class DPOLearner(PreferenceLearner[Transformer, TextPair]):
    """A policy from pairs, against the reference it starts from (DPO, its conservative form, or IPO)."""

    def __init__(self, model: Transformer, reference: Transformer, config: DPOConfig, ranks: Ranks = ALONE):
        super().__init__(model, config, ranks)
        self.reference = ranks.shard(reference.requires_grad_(False)).eval()
        self.per_token = config.loss == "ipo"
        self.pair_loss = pair_loss_of(config)

    def texts_of(self, item: TextPair) -> Sequence[Text]:
        return item

    def loss(self, items: Sequence[TextPair], total: int) -> tuple[Tensor, dict[str, Tensor]]:
        chosen_B, rejected_B = completion_logprobs(self.model, items, per_token=self.per_token).view(-1, 2).unbind(1)
        with torch.no_grad():
            reference_B = completion_logprobs(self.reference, items, per_token=self.per_token)
        ref_chosen_B, ref_rejected_B = reference_B.view(-1, 2).unbind(1)
        result = self.pair_loss(chosen_B, rejected_B, ref_chosen_B, ref_rejected_B, total)
        return result.loss, pair_sums(result.chosen_rewards_B, result.rejected_rewards_B)

    def save_weights(self, path: Path) -> None:
        self.ranks.save(self.model, path, save_trained)


class PairLoss(Protocol):
    """A loss of (chosen, rejected, reference chosen, reference rejected, pairs in all)."""

    def __call__(self, c: Tensor, r: Tensor, rc: Tensor, rr: Tensor, total: int, /) -> PreferenceLoss: ...


def pair_loss_of(config: DPOConfig) -> PairLoss:
    """The loss the settings name."""
    beta = config.beta
    losses: dict[str, PairLoss] = {
        "dpo": lambda c, r, rc, rr, total: dpo_loss(c, r, rc, rr, beta=beta, total_pairs=total),
        "conservative_dpo": lambda c, r, rc, rr, total: conservative_dpo_loss(
            c, r, rc, rr, beta=beta, label_smoothing=config.label_smoothing, total_pairs=total
        ),
        "ipo": lambda c, r, rc, rr, total: ipo_loss(c, r, rc, rr, beta=beta, total_pairs=total),
    }
    return losses[config.loss]


def text_rewards(model: ValueModel, rows: Sequence[Sequence[Text]]) -> Tensor:
    """The value at the last token of each text, float32 (S,), row by row; the texts of a row have one prompt."""
    shared, hidden_RTD = read_rows(model.trunk, rows)
    return model.values(hidden_at(hidden_RTD, send(shared.last_places, hidden_RTD.device)))


def completion_logprobs(model: Transformer, rows: Sequence[Sequence[Text]], *, per_token: bool) -> Tensor:
    """log pi(completion | prompt), float32 (S,), row by row: the sum over its tokens, or their mean."""
    shared, hidden_RTD = read_rows(model, rows)
    device, texts = hidden_RTD.device, [text for row in rows for text in row]
    lengths_S = torch.tensor([len(text.completion_ids) for text in texts])
    sources_N = send(torch.from_numpy(np.concatenate([span.sources for span in shared.spans])), device)
    targets_N = send(torch.tensor([token for text in texts for token in text.completion_ids]), device)
    logprobs_N = model.logprobs(hidden_at(hidden_RTD, sources_N), targets_N)[0]
    text_N = send(torch.repeat_interleave(torch.arange(len(texts)), lengths_S), device)
    sums_S = logprobs_N.new_zeros(len(texts)).index_add(0, text_N, logprobs_N)
    return sums_S / send(lengths_S, device) if per_token else sums_S


def read_rows(model: Transformer, rows: Sequence[Sequence[Text]]) -> tuple[SharedRows, Tensor]:
    """Where the texts stand, and the hidden states (R, T, D) of their rows."""
    shared = lay_out(rows)
    return shared, hidden_of(model, shared)


@torch.no_grad()
def pair_sums(chosen_B: Tensor, rejected_B: Tensor) -> dict[str, Tensor]:
    """Sums over pairs of what is logged of them."""
    return {
        "accuracy": (chosen_B > rejected_B).sum(),
        "margin": (chosen_B - rejected_B).sum(),
        "chosen_reward": chosen_B.sum(),
        "rejected_reward": rejected_B.sum(),
    }
