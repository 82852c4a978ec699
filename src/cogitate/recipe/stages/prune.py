"""student_base_*: a part of base, where base is a given model and nothing smaller of its kind is at hand.

The paper's students are published models (R1, section 2.4). This one keeps base's tokenizer, embeddings and head, and has lost
layers (depth), neurons of its feed-forwards (width) or both: it must learn to speak again. With `texts` it does so here, on
texts that base writes by itself, so that distillation and RL alone both start from a model that speaks; R1 has no part in them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cogitate.backend import GenerationRequest, Generator, SupervisedLearner
from cogitate.config import Config, PruneConfig
from cogitate.errors import ConfigError, DataError
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.prune import every_nth_layer, most_active_neurons, with_neurons
from cogitate.model.transformer import Transformer
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.runtime import atomic_write, derive_seed
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rows.packing import pack_documents
from cogitate.train.supervised import SupervisedRun, train_supervised
from cogitate.types import PackedRows, SamplingParams

TEXTS = "texts.jsonl"  # what base wrote: {"tokens", "text"} of each
HELD_OUT = 10  # one text in so many is never learnt from


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse a student that is not smaller, and an architecture that would have no effect."""
    settings, name = config.section(stage.name, PruneConfig), stage.name
    if settings.every_nth_layer < 2 and (settings.every_nth_layer or settings.kept_neurons == 1):
        raise ConfigError(
            f"{name}.every_nth_layer = {settings.every_nth_layer}: 2 or more, since the student is part of base; 0 leaves all "
            f"layers where {name}.kept_neurons is below 1"
        )
    if settings.model:
        raise ConfigError(f"{name}.model: has no effect in a stage of kind prune, which makes the student of base's layers")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    """Cut, and pretrain where there are texts.

    Raises:
        ConfigError: neurons cannot be chosen in this base, or none would be left.
        TrainingDivergedError, Interrupted: see train_supervised.
    """
    (base,) = inputs.values()
    settings, tokenizer = config.section(context.stage, PruneConfig), Tokenizer.load(base.path)
    context.begin(1)
    texts = texts_of(base.path, tokenizer, settings, out, context) if settings.texts else []
    model = load_model(base.path, dtype=getattr(torch, config.runtime.dtype))
    student = pruned(model, texts, settings, context.stage)
    summary = {
        "layers": student.config.num_hidden_layers,
        "of": model.config.num_hidden_layers,
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
    }
    if settings.kept_neurons < 1:
        summary |= {"neurons": student.config.intermediate_size, "of_neurons": model.config.intermediate_size}
    if texts:
        del model
        summary |= pretrain(student, texts, tokenizer, settings, out, context)
    else:
        save_model(student, out)
        context.metrics.truncate(0)
        context.metrics.write({"step": 0, "layers": student.config.num_hidden_layers})
    tokenizer.save(out)
    return summary


def pruned(model: Transformer, texts: Sequence[Sequence[int]], settings: PruneConfig, stage: str) -> Transformer:
    """Neurons first, which are chosen in base as it is, then layers."""
    if settings.kept_neurons < 1:
        kept = round(settings.kept_neurons * model.config.intermediate_size)
        if not kept:
            raise ConfigError(
                f"{stage}.kept_neurons = {settings.kept_neurons}: none of {model.config.intermediate_size} is left"
            )
        learnt, _ = split(texts)
        try:
            neurons = most_active_neurons(model, [torch.tensor([text]) for text in learnt], kept)
        except ValueError as error:
            raise ConfigError(f"{stage}.kept_neurons: {error}; leave it out") from error
        model = with_neurons(model, neurons)
    return every_nth_layer(model, settings.every_nth_layer) if settings.every_nth_layer else model


def texts_of(base: Path, tokenizer: Tokenizer, settings: PruneConfig, out: Path, context: StageContext) -> list[list[int]]:
    """What base writes after one of the openings, token ids of each text; read back where an earlier attempt has drawn them."""
    if not (out / TEXTS).is_file():
        texts = drawn(context.backend.generator(base), tokenizer, settings, context)
        with atomic_write(out / TEXTS) as temporary:
            rows = ({"tokens": text, "text": tokenizer.decode(text)} for text in texts)
            temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return [json.loads(line)["tokens"] for line in (out / TEXTS).read_text(encoding="utf-8").splitlines()]


def drawn(generator: Generator, tokenizer: Tokenizer, settings: PruneConfig, context: StageContext) -> list[list[int]]:
    """As `texts_of`, in the order of their numbers; what base has ended has its end token.

    Raises:
        DataError: an opening and the tokens to write do not fit a row.
    """
    params, beginnings = SamplingParams(1.0, 1.0, settings.text_tokens), list[tuple[int, ...]]()
    for number in range(settings.texts):
        opening = settings.openings[number % len(settings.openings)]
        beginnings.append(tuple(tokenizer.encode_prompt(opening)))
        if len(beginnings[-1]) + settings.text_tokens > settings.row_tokens:
            raise DataError(
                f"{context.stage}: {opening!r} and text_tokens = {settings.text_tokens} do not fit a row of "
                f"{settings.row_tokens} tokens; lower text_tokens or raise row_tokens"
            )
        seed = derive_seed(settings.seed, context.stage, "text", number)
        generator.submit(GenerationRequest(str(number), beginnings[-1], params, (seed,)))
    texts: dict[int, list[int]] = {}
    while generator.pending():
        context.stop_if_interrupted()
        for completion in generator.poll():
            number = int(completion.request_id)
            texts[number] = [*beginnings[number], *completion.token_ids]
    return [texts[number] for number in range(settings.texts)]


def pretrain(
    student: Transformer,
    texts: Sequence[list[int]],
    tokenizer: Tokenizer,
    settings: PruneConfig,
    out: Path,
    context: StageContext,
) -> dict[str, Any]:
    """Next tokens of the texts; the trained student is left in `out`.

    Returns:
        {"texts", "text_tokens", "held_out_loss_before", "held_out_loss"}, the losses in nats a token.
    """
    save_model(student, context.handover / "pruned")
    tokenizer.save(context.handover / "pruned")
    learner = context.backend.supervised_learner(context.handover / "pruned", settings, adapters=False)
    learnt, held_out = split(texts)
    kept_apart = pack_documents(held_out, None, settings.row_tokens, pad_id=tokenizer.pad_id)
    before = learner.loss(kept_apart)

    def batch_of(step: int) -> PackedRows:
        return drawn_rows(learnt, settings, tokenizer, step)

    def measure(step: int, learner: SupervisedLearner) -> dict[str, float] | None:
        last = step == settings.steps - 1
        return {"held_out_loss": learner.loss(kept_apart)} if last or not (step + 1) % settings.held_out_every else None

    train_supervised(
        learner,
        SupervisedRun(
            name=context.stage,
            steps=settings.steps,
            config=settings,
            batch_of=batch_of,
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            begin=context.begin,
            measure=measure,
        ),
    )
    learner.save_weights(out)
    return {
        "texts": len(texts),
        "text_tokens": sum(map(len, texts)),
        "held_out_loss_before": before,
        "held_out_loss": learner.loss(kept_apart),
    }


def split(texts: Sequence[Sequence[int]]) -> tuple[list[Sequence[int]], list[Sequence[int]]]:
    """Those that are learnt from, and those held out: every tenth, at least the last one."""
    chosen = set(range(HELD_OUT - 1, len(texts), HELD_OUT)) or {len(texts) - 1}
    return [t for i, t in enumerate(texts) if i not in chosen], [t for i, t in enumerate(texts) if i in chosen]


def drawn_rows(texts: Sequence[Sequence[int]], settings: PruneConfig, tokenizer: Tokenizer, step: int) -> PackedRows:
    """The rows of a step: as many texts as they hold, drawn anew in each step without repetition."""
    rng, chosen, free = random.Random(derive_seed(settings.seed, "texts", step)), [], settings.rows * settings.row_tokens
    order = rng.sample(range(len(texts)), len(texts))
    for index in order:
        if len(texts[index]) > free:
            break
        chosen.append(texts[index])
        free -= len(texts[index])
    return pack_documents(chosen, None, settings.row_tokens, pad_id=tokenizer.pad_id)
