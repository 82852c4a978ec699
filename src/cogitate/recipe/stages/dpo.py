"""dpo: the SFT model learns from preference pairs directly, without a reward model and without sampling (arXiv:2305.18290).

The first input is the SFT model, and the reference it is kept close to; the second holds preferences.parquet, or is a file of
pairs (tasks/files/preference_forms.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.model.files.hf import load_model, save_model
from cogitate.recipe.context import StageContext
from cogitate.recipe.data.preferences import PAIRS
from cogitate.tasks.files.preference_forms import load_pairs
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.conversations import texts_of
from cogitate.train.preference import DirectPreference, Pair, PreferenceRun, train_preferences
from cogitate.types import Artifact, PreferencePair

VERSION = 1
SECTIONS = ("seed", "{stage}", "runtime.dtype", "runtime.lora_rank", "runtime.lora_alpha")


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    start, data = (artifact.path for artifact in inputs.values())
    backend, settings = context.backend, getattr(config, context.stage)
    tokenizer = backend.tokenizer(start)
    form = ConversationForm.load(start, tokenizer)
    model = backend.policy(start)
    rows, ties = load_pairs(data / PAIRS if data.is_dir() else data)
    longest = model.config.max_position_embeddings
    pairs = [pair_of(form, row) for row in rows]
    fitting = [pair for pair in pairs if max(len(one.tokens) for one in pair) <= longest]
    reference = load_model(start, dtype=backend.dtype, device=backend.device)
    steps = train_preferences(
        DirectPreference(model, reference, fitting, settings),
        PreferenceRun(context.stage, config.seed, settings, context.metrics, context.checkpoint, context.begin),
    )
    save_model(model, out)
    tokenizer.save(out)
    return {
        "pairs": len(fitting), "too_long": len(rows) - len(fitting), **({"ties": ties} if ties else {}), "steps": steps,
    }  # fmt: skip


def pair_of(form: ConversationForm, row: PreferencePair) -> Pair:
    """Both sides as the policy would write them, thinking included."""
    chosen, rejected = texts_of(form, row.prompt, (row.chosen, row.rejected))
    return chosen, rejected
