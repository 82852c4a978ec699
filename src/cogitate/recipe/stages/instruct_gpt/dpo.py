"""dpo: the SFT model learns from preference pairs directly, without a reward model and without sampling (arXiv:2305.18290).

The first input is the SFT model, and the reference it is kept close to; the second holds preferences.parquet, or is a file of
pairs (tasks/files/preference_forms.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, DPOConfig
from cogitate.errors import CheckpointError
from cogitate.json_lines import RowFaults
from cogitate.model.files.hf import load_config
from cogitate.recipe.data.preferences import PAIRS
from cogitate.recipe.stage import Inputs, StageContext
from cogitate.tasks.files.preference_forms import load_pairs
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.conversations import texts_of, too_long_line
from cogitate.train.preference import PreferenceRun, train_preferences
from cogitate.train.rows.shared_prompts import row_sizes
from cogitate.types import PreferencePair, TextPair


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, data = (artifact.path for artifact in inputs.values())
    settings = config.section(context.stage, DPOConfig)
    tokenizer = Tokenizer.load(start)
    form = ConversationForm.load(start, tokenizer)
    rows, ties = load_pairs(data / PAIRS if data.is_dir() else data)
    longest = load_config(start).max_position_embeddings
    pairs = pairs_of(form, rows)
    fitting = [pair for pair in pairs if tokens_of(pair) <= longest]
    long = [(row.place, tokens_of(pair)) for row, pair in zip(rows, pairs, strict=True) if tokens_of(pair) > longest]
    if long:
        context.say(too_long_line("pairs", long, len(rows), longest))
    learner = context.backend.dpo_learner(start, settings)
    steps = train_preferences(
        learner,
        fitting,
        row_sizes(fitting),
        PreferenceRun(context.stage, config.seed, settings, context.metrics, context.checkpoint, context.begin),
    )
    learner.save_weights(out)
    tokenizer.save(out)
    return {
        "pairs": len(fitting), "too_long": len(rows) - len(fitting), **({"ties": ties} if ties else {}), "steps": steps,
    }  # fmt: skip


def pairs_of(form: ConversationForm, rows: Sequence[PreferencePair]) -> list[TextPair]:
    """Both sides of each as the policy would write them, thinking included.

    Raises:
        CheckpointError: the model's chat template refuses prompts: names the first of them, and says how many there are.
    """
    pairs: list[TextPair] = []
    faults = RowFaults("pairs", CheckpointError)
    for row in rows:
        with faults.at(row.place):
            chosen, rejected = texts_of(form, row.prompt, (row.chosen, row.rejected))
            pairs.append(TextPair(chosen, rejected))
    faults.check()
    return pairs


def tokens_of(pair: TextPair) -> int:
    """Of the longer side, prompt included."""
    return max(len(text.tokens) for text in pair)
