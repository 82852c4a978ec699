"""dpo: the SFT model learns from preference pairs directly, without a reward model and without sampling (arXiv:2305.18290).

The first input is the SFT model, and the reference it is kept close to; the second holds preferences.parquet, or is a file of
pairs in TRL's format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config, DPOConfig
from cogitate.model.files.hf import load_config
from cogitate.recipe.data.preferences import PAIRS
from cogitate.recipe.stage import Inputs, StageContext
from cogitate.tasks.files.datasets import load_preferences
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.preference import PreferenceRun, train_preferences
from cogitate.train.shared_prompts import row_sizes
from cogitate.types import Message, Text, TextPair


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, data = (artifact.path for artifact in inputs.values())
    settings = config.section(context.stage, DPOConfig)
    tokenizer = Tokenizer.load(start)
    form = ConversationForm.load(start, tokenizer)
    rows = load_preferences(data / PAIRS if data.is_dir() else data)
    longest = load_config(start).max_position_embeddings
    pairs = [TextPair(text(form, row.prompt, row.chosen), text(form, row.prompt, row.rejected)) for row in rows]
    fitting = [pair for pair in pairs if max(len(one.tokens) for one in pair) <= longest]
    learner = context.backend.dpo_learner(start, settings)
    steps = train_preferences(
        learner,
        fitting,
        row_sizes(fitting),
        PreferenceRun(context.stage, config.seed, settings, context.metrics, context.checkpoint, context.begin),
    )
    learner.save_weights(out)
    tokenizer.save(out)
    return {"pairs": len(fitting), "too_long": len(rows) - len(fitting), "steps": steps}


def text(form: ConversationForm, question: str, answer: str) -> Text:
    """A pair's side as the policy would write it, thinking included."""
    prompt = form.prompt_ids([Message("user", question)])
    return Text(tuple(prompt), tuple(form.completion_ids(answer, prompt)))
