"""base: a tokenizer and a small DeepSeek-V3, pretrained on the generated corpus (DeepSeek-V3, sections 2.2 and 4)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from cogitate.backend import SupervisedLearner
from cogitate.config import Config, PretrainConfig, TokenizerConfig
from cogitate.errors import ConfigError
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.runtime import derive_seed, seed_everything
from cogitate.tasks.corpus.documents import NO_PUZZLES, Reading, documents, write_document
from cogitate.tasks.corpus.styles import Population
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.train.rows.packing import pack_documents
from cogitate.train.supervised import SupervisedRun, train_supervised
from cogitate.types import PackedRows

FILL = 0.97  # share of a step's tokens that documents are drawn for; best-fit packing seldom fills more


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse a missing or wrong architecture before any time is spent."""
    check_architecture(config.model, config.tokenizer, "model")


def check_architecture(architecture: Mapping[str, Any], tokenizer: TokenizerConfig, section: str) -> None:
    """Refuse a config.json that no model can be made from; `section` is where it stands in the recipe.

    Raises:
        ConfigError: it is empty, or a key is missing, unknown or wrong.
    """
    if not architecture:
        raise ConfigError(f"{section}: empty; give it the keys of a config.json, model_type first")
    try:
        ModelConfig.from_dict({**architecture, "vocab_size": tokenizer.vocab_size})
    except ConfigError as error:
        raise ConfigError(f"{section}: {error}") from error


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    return pretrain(config, config.model, config.section(context.stage, PretrainConfig), out, context)


def pretrain(
    config: Config, architecture: Mapping[str, Any], settings: PretrainConfig, out: Path, context: StageContext
) -> dict[str, Any]:
    """Train from random weights and save.

    Equal seeds and tokenizer settings give every model the same tokenizer, and each step the same documents; the stage's name
    draws the weights.

    Args:
        architecture: a Hugging Face config.json, its vocabulary size apart.
    """
    seed_everything(derive_seed(settings.seed, context.stage))
    corpus = corpus_of(config.tokenizer, settings)
    learner = untrained(corpus.architecture(architecture), settings, context)

    def measure(step: int, learner: SupervisedLearner) -> dict[str, float] | None:
        last = step == settings.steps - 1
        if not last and (step + 1) % settings.held_out_every:
            return None
        return {"held_out_loss": learner.loss(corpus.held_out)}

    train_supervised(
        learner,
        SupervisedRun(
            name=context.stage,
            steps=settings.steps,
            config=settings,
            batch_of=corpus.batch_of,
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            begin=context.begin,
            measure=measure,
        ),
    )
    learner.save_weights(context.handover / "trained")
    save_model(load_model(context.handover / "trained"), out, dtype=torch.bfloat16)
    corpus.tokenizer.save(out)
    return {"held_out_loss": learner.loss(corpus.held_out)}


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a base model reads.

    Attributes:
        held_out: rows that it never learns from.
    """

    settings: PretrainConfig
    reading: Reading
    tokenizer: Tokenizer
    held_out: PackedRows

    def architecture(self, keys: Mapping[str, Any]) -> ModelConfig:
        """The model of a config.json without vocabulary size."""
        return ModelConfig.from_dict({**keys, "vocab_size": self.tokenizer.vocab_size})

    def batch_of(self, step: int) -> PackedRows:
        """Rows drawn anew for each step from the step's own seed: one epoch, no document file, nothing to restore."""
        settings, rng = self.settings, random.Random(derive_seed(self.settings.seed, "base", step))
        return draw_rows(rng, self.tokenizer, settings.rows, settings.row_tokens, self.reading)


def corpus_of(of_tokenizer: TokenizerConfig, settings: PretrainConfig) -> Corpus:
    """Train the tokenizer and draw the held-out rows. Torch's random state is left alone."""
    reading = reading_of(settings)
    texts = islice(documents(derive_seed(settings.seed, "tokenizer"), reading), of_tokenizer.corpus_documents)
    tokenizer = train_tokenizer(texts, of_tokenizer.vocab_size)
    held_out_texts = islice(documents(derive_seed(settings.seed, "held_out"), reading), settings.held_out_documents)
    return Corpus(settings, reading, tokenizer, pack(tokenizer, list(held_out_texts), settings.row_tokens))


def untrained(model: ModelConfig, settings: PretrainConfig, context: StageContext) -> SupervisedLearner:
    """A learner of random weights. They are drawn here, since no other place draws the same, and handed over in a directory."""
    initial = context.handover / "initial"
    save_model(Transformer(model), initial)
    return context.backend.supervised_learner(initial, settings, adapters=False)


def reading_of(settings: PretrainConfig) -> Reading:
    """What the model reads."""
    return Reading(settings.puzzles, Population(settings.guessers, settings.going_back))


def draw_rows(
    rng: random.Random, tokenizer: Tokenizer, rows: int, row_tokens: int, reading: Reading = NO_PUZZLES
) -> PackedRows:
    """Documents enough for `rows` packed rows; the rare document longer than a row is cut."""
    wanted, drawn = int(rows * row_tokens * FILL), 0
    documents_: list[list[int]] = []
    while drawn < wanted:
        ids = [*tokenizer.encode(write_document(rng, reading)), tokenizer.end_id][:row_tokens]
        documents_.append(ids)
        drawn += len(ids)
    return pack_documents(documents_, None, row_tokens, pad_id=tokenizer.pad_id)


def pack(tokenizer: Tokenizer, texts: list[str], row_tokens: int) -> PackedRows:
    """Texts, each closed by the end token, as packed rows."""
    ids = [[*tokens, tokenizer.end_id][:row_tokens] for tokens in tokenizer.encode_batch(texts)]
    return pack_documents(ids, None, row_tokens, pad_id=tokenizer.pad_id)
