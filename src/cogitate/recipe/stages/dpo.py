"""dpo: the SFT model learns from preference pairs directly, without a reward model and without sampling (arXiv:2305.18290).

The first input is the SFT model, and the reference it is kept close to; the second holds preferences.parquet, or is a file of
pairs in TRL's format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.model.files.hf import load_model, save_model
from cogitate.recipe.context import StageContext
from cogitate.recipe.data.preferences import PAIRS
from cogitate.tasks.files.datasets import load_preferences
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.train.preference import DirectPreference, Pair, PreferenceRun, train_preferences
from cogitate.train.shared_prompts import Text
from cogitate.types import Artifact, Message

VERSION = 1
SECTIONS = ("seed", "{stage}", "runtime.dtype", "runtime.lora_rank", "runtime.lora_alpha")


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    start, data = (artifact.path for artifact in inputs.values())
    backend, settings = context.backend, getattr(config, context.stage)
    tokenizer = backend.tokenizer(start)
    form = ConversationForm.load(start, tokenizer)
    model = backend.policy(start)
    rows = load_preferences(data / PAIRS if data.is_dir() else data)
    longest = model.config.max_position_embeddings
    pairs = [(text(form, row.prompt, row.chosen), text(form, row.prompt, row.rejected)) for row in rows]
    fitting: list[Pair] = [pair for pair in pairs if max(len(one.tokens) for one in pair) <= longest]
    reference = load_model(start, dtype=backend.dtype, device=backend.device)
    steps = train_preferences(
        DirectPreference(model, reference, fitting, settings),
        PreferenceRun(context.stage, config.seed, settings, context.metrics, context.checkpoint, context.begin),
    )
    save_model(model, out)
    tokenizer.save(out)
    return {"pairs": len(fitting), "too_long": len(rows) - len(fitting), "steps": steps}


def text(form: ConversationForm, question: str, answer: str) -> Text:
    """A pair's side as the policy would write it, thinking included."""
    prompt = form.prompt_ids([Message("user", question)])
    return Text(tuple(prompt), tuple(form.completion_ids(answer, prompt)))
