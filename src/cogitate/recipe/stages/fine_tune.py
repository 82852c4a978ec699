"""SFT on a data set of conversations (R1, supplement B.4.3): whole epochs over what the assistant says.

Three stages of the figure are this one from different models on different data: r1_dev1 from base on the cold-start data
(section 2.3.1), r1_dev3 from base again on the rejection-sampled and general data (section 2.3.3), and r1_distill_* from a
dense student on the latter, without any RL (section 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, FineTuneConfig
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.tasks.files.datasets import load_conversations
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm, give_chat_template
from cogitate.train.conversations import pack_conversations
from cogitate.train.supervised import SupervisedRun, train_supervised


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse a data set that the user gives (`inputs.sft_data=PATH`) and that cannot be read before any time is spent."""
    data = stage.needs[1]
    if data in config.inputs:
        load_conversations(config.inputs[data])


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    """Train the first input's model on the second input's conversations.

    Raises:
        DataError: the data set cannot be used, or no conversation fits a row.
        TrainingDivergedError, Interrupted: see train_supervised.
    """
    start, data = inputs.values()
    settings = config.section(context.stage, FineTuneConfig)
    tokenizer = Tokenizer.load(start.path)
    learner = context.backend.supervised_learner(start.path, settings, adapters=True)
    conversations = load_conversations(data.path)
    rows = pack_conversations(
        conversations,
        ConversationForm.load(start.path, tokenizer),
        row_tokens=settings.row_tokens,
        longest=learner.max_context,
        rows_per_step=settings.rows,
        epochs=settings.epochs,
        shuffled_by=(config.seed, context.stage),
    )
    if rows.dropped:
        context.say(rows.dropped)
    train_supervised(
        learner,
        SupervisedRun(
            name=context.stage,
            steps=rows.steps,
            config=settings,
            batch_of=rows.batch_of,
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            begin=context.begin,
        ),
    )
    give_chat_template(tokenizer, start.path)
    learner.save_weights(out)
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
