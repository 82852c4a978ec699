"""SFT on a data set of conversations, which three stages of the recipe do from different models on different data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config, FineTuneConfig
from cogitate.model.files.hf import save_model
from cogitate.recipe.context import StageContext
from cogitate.recipe.recipe import get_graph
from cogitate.tasks.files.datasets import load_conversations
from cogitate.tokenizer.conversation_form import ConversationForm, give_chat_template
from cogitate.train.conversations import pack_conversations
from cogitate.train.supervised import SupervisedRun, train_supervised, without_missing_mtp
from cogitate.types import Artifact

SECTIONS = ("seed", "{stage}", "runtime.dtype", "runtime.lora_rank", "runtime.lora_alpha")


def check_given_data(config: Config, stage: str) -> None:
    """Refuse a data set that the user gives (`inputs.sft_data=PATH`) and that cannot be read before any time is spent."""
    data = next(needs.needs[1] for needs in get_graph(config.graph) if needs.name == stage)
    if data in config.inputs:
        load_conversations(config.inputs[data])


def fine_tune(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    """Whole epochs over what the assistant says, from the first input's model on the second input's conversations.

    Raises:
        DataError: the data set cannot be used, or no conversation fits a row.
        TrainingDivergedError, Interrupted: see train_supervised.
    """
    start, data = inputs.values()
    settings: FineTuneConfig = getattr(config, context.stage)
    tokenizer = context.backend.tokenizer(start.path)
    model = context.backend.policy(start.path)
    conversations = load_conversations(data.path)
    rows = pack_conversations(
        conversations,
        ConversationForm.load(start.path, tokenizer),
        row_tokens=settings.row_tokens,
        longest=model.config.max_position_embeddings,
        rows_per_step=settings.rows,
        epochs=settings.epochs,
        shuffled_by=(config.seed, context.stage),
    )
    if rows.dropped:
        context.say(rows.dropped)
    train_supervised(
        model,
        SupervisedRun(
            name=context.stage,
            steps=rows.steps,
            config=without_missing_mtp(settings, model),
            batch_of=rows.batch_of,
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            begin=context.begin,
            measure=lambda step, model: None,
        ),
    )
    give_chat_template(tokenizer, start.path)
    save_model(model, out)
    tokenizer.save(out)
    return {
        "conversations": len(conversations),
        "turns": rows.examples,
        "dropped_too_long": rows.too_long,
        "rows": rows.count,
        "epochs": settings.epochs,
        "steps": rows.steps,
        "learnt_tokens": int(rows.packed.loss_mask_BT.sum()),
        "padding_share": round(rows.packed.padding_share, 4),
    }
