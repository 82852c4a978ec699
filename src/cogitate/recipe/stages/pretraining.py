"""Pretraining a tokenizer and a model on the generated corpus, for base and for the bases of students."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from cogitate.config import PretrainConfig, TokenizerConfig
from cogitate.errors import ConfigError
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.context import StageContext
from cogitate.runtime import derive_seed, seed_everything
from cogitate.tasks.corpus.documents import documents, write_document
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.train.packing import PackedRows, pack_documents
from cogitate.train.supervised import SupervisedRun, supervised_loss, train_supervised, without_missing_mtp

FILL = 0.97  # share of a step's tokens that documents are drawn for; best-fit packing seldom fills more


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


def pretrain(
    tokenizer_settings: TokenizerConfig,
    architecture: Mapping[str, Any],
    settings: PretrainConfig,
    name: str,
    out: Path,
    context: StageContext,
) -> dict[str, Any]:
    """Train from random weights and save.

    Equal seeds and tokenizer settings give every model the same tokenizer, and each step the same documents; `name` draws the
    weights.

    Args:
        architecture: a Hugging Face config.json, its vocabulary size apart.
    """
    seed_everything(derive_seed(settings.seed, name))
    tokenizer = train_tokenizer(islice(documents(derive_seed(settings.seed, "tokenizer")), tokenizer_settings.corpus_documents),
                                tokenizer_settings.vocab_size)  # fmt: skip
    model = Transformer(ModelConfig.from_dict({**architecture, "vocab_size": tokenizer.vocab_size}))
    model = context.backend.trainable(model)
    held_out = pack(tokenizer, list(islice(documents(derive_seed(settings.seed, "held_out")), settings.held_out_documents)),
                    settings.row_tokens)  # fmt: skip

    def batch_of(step: int) -> PackedRows:
        """Rows drawn anew for each step from the step's own seed: one epoch, no document file, nothing to restore."""
        rng = random.Random(derive_seed(settings.seed, "base", step))
        return draw_rows(rng, tokenizer, settings.rows, settings.row_tokens)

    def measure(step: int, model: Transformer) -> dict[str, float] | None:
        last = step == settings.steps - 1
        if not last and (step + 1) % settings.held_out_every:
            return None
        return {"held_out_loss": supervised_loss(model, held_out, settings.micro_rows)}

    train_supervised(
        model,
        SupervisedRun(
            name=name,
            steps=settings.steps,
            config=without_missing_mtp(settings, model),
            batch_of=batch_of,
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            begin=context.begin,
            measure=measure,
        ),
    )
    save_model(model, out, dtype=torch.bfloat16)
    tokenizer.save(out)
    return {"held_out_loss": supervised_loss(model, held_out, settings.micro_rows)}


def draw_rows(rng: random.Random, tokenizer: Tokenizer, rows: int, row_tokens: int) -> PackedRows:
    """Documents enough for `rows` packed rows; the rare document longer than a row is cut."""
    wanted, drawn = int(rows * row_tokens * FILL), 0
    documents_: list[list[int]] = []
    while drawn < wanted:
        ids = [*tokenizer.encode(write_document(rng)), tokenizer.end_id][:row_tokens]
        documents_.append(ids)
        drawn += len(ids)
    return pack_documents(documents_, None, row_tokens, pad_id=tokenizer.pad_id)


def pack(tokenizer: Tokenizer, texts: list[str], row_tokens: int) -> PackedRows:
    """Texts, each closed by the end token, as packed rows."""
    ids = [[*tokens, tokenizer.end_id][:row_tokens] for tokens in tokenizer.encode_batch(texts)]
    return pack_documents(ids, None, row_tokens, pad_id=tokenizer.pad_id)
