"""SFT on a data set of conversations (R1, supplement B.4.3): whole epochs over what the assistant says.

Three stages of the figure are this one from different models on different data: r1_dev1 from base on the cold-start data
(section 2.3.1), r1_dev3 from base again on the rejection-sampled and general data (section 2.3.3), and r1_distill_* from a
dense student on the latter, without any RL (section 2.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, FineTuneConfig
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.tasks.files.datasets import each_conversation
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm, give_chat_template
from cogitate.train.conversations import pack_conversations
from cogitate.train.supervised import SupervisedRun, train_supervised
from cogitate.types import Conversation


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse a data set that the user gives (`inputs.sft_data=PATH`) and that cannot be read before any time is spent."""
    data = stage.needs[1]
    if data in config.inputs:
        for _ in each_conversation(config.inputs[data]):
            pass


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
    conversations = 0

    def counted() -> Iterator[Conversation]:
        nonlocal conversations
        for conversation in each_conversation(data.path):
            conversations += 1
            yield conversation

    rows = pack_conversations(
        counted(),
        ConversationForm.load(start.path, tokenizer),
        row_tokens=settings.row_tokens,
        longest=learner.max_context,
        rows_per_step=settings.rows,
        epochs=settings.epochs,
        shuffled_by=(config.seed, context.stage),
        directory=out,
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
        "conversations": conversations,
        "turns": rows.examples,
        "dropped_too_long": rows.too_long,
        "rows": rows.count,
        "epochs": settings.epochs,
        "steps": rows.steps,
        "learnt_tokens": rows.stored.learnt_tokens,
        "padding_share": round(rows.padding_share, 4),
    }
