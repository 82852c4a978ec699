"""The loop over preferences: planted rules are learnt, numbers worked by hand come out, a kill loses nothing."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import pytest
import torch

from cogitate import runtime
from cogitate.config import DPOConfig, PreferenceTrainingConfig
from cogitate.errors import DataError, Interrupted
from cogitate.model.files.hf import load_model
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.runtime import MetricsLog, request_interruption
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.learners.preference import (
    DPOLearner,
    HelpfulnessLearner,
    PreferenceLearner,
    ProcessLearner,
    SafetyLearner,
    completion_logprobs,
    text_rewards,
)
from cogitate.train.learners.scorer import ModelScorer
from cogitate.train.preference import ItemLearner, PreferenceRun, items_of_step, train_preferences
from cogitate.train.rows.shared_prompts import row_sizes
from cogitate.types import LabelledSteps, LabelledText, Text, TextPair

CONFIG = PreferenceTrainingConfig(
    batch=16, micro_tokens=400, learning_rate=3e-3, final_learning_rate=1e-3, warmup_steps=2, epochs=3, checkpoint_every=4
)
GOOD, BAD = 90, 95  # the planted rule: texts with more GOOD than BAD tokens are better


def drawn_text(rng: random.Random) -> Text:
    return Text((10, 11), tuple(rng.choice((GOOD, BAD, *range(20, 40))) for _ in range(rng.randint(4, 12))))


def worth(text: Text) -> int:
    return text.completion_ids.count(GOOD) - text.completion_ids.count(BAD)


def drawn_pairs(count: int, seed: int = 0) -> list[TextPair]:
    rng, pairs = random.Random(seed), list[TextPair]()
    while len(pairs) < count:
        pair = sorted((drawn_text(rng), drawn_text(rng)), key=worth, reverse=True)
        if worth(pair[0]) > worth(pair[1]):
            pairs.append(TextPair(pair[0], pair[1]))
    return pairs


def train(
    learner: PreferenceLearner[Any, Any],
    items: list[Any],
    folder: Path,
    config: PreferenceTrainingConfig = CONFIG,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """The rows of the log, without times."""
    (folder / "checkpoint").mkdir(parents=True, exist_ok=True)
    metrics = MetricsLog(folder / "metrics.jsonl", on_row)
    sizes = row_sizes([learner.texts_of(item) for item in items])
    run = PreferenceRun("reward", 7, config, metrics, folder / "checkpoint", lambda steps, first: None)
    train_preferences(cast(ItemLearner[Any], learner), items, sizes, run)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if "second" not in key} for row in rows]


def rewards_of(model: ValueModel, texts: list[Text]) -> list[float]:
    return ModelScorer(model).rewards([text.prompt_ids for text in texts], [text.completion_ids for text in texts])


def test_a_reward_model_learns_a_planted_rule_from_pairs_alone(
    make_micro_model: Callable[..., Transformer], tmp_path: Path
) -> None:
    learner = HelpfulnessLearner(ValueModel(make_micro_model()), CONFIG)
    rows = train(learner, drawn_pairs(700), tmp_path)
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)  # a new head finds all texts equal
    assert rows[0]["accuracy"] == rows[0]["margin"] == 0.0
    held_out = drawn_pairs(200, seed=1)
    chosen, rejected = (rewards_of(learner.model, [pair[side] for pair in held_out]) for side in (0, 1))
    assert sum(c > r for c, r in zip(chosen, rejected, strict=True)) / 200 > 0.9
    assert rows[-1]["chosen_reward"] - rows[-1]["rejected_reward"] == pytest.approx(rows[-1]["margin"], abs=1e-5)


def test_a_safety_model_learns_a_planted_rule_from_labels(make_micro_model: Callable[..., Transformer], tmp_path: Path) -> None:
    rng = random.Random(0)
    texts = [drawn_text(rng) for _ in range(900)]
    learner = SafetyLearner(ValueModel(make_micro_model()), CONFIG)
    train(learner, [LabelledText(text, worth(text) >= 0) for text in texts[:700]], tmp_path)
    scores = rewards_of(learner.model, texts[700:])
    assert sum((score > 0) == (worth(text) >= 0) for score, text in zip(scores, texts[700:], strict=True)) / 200 > 0.9


def test_the_loss_of_a_batch_does_not_depend_on_how_it_is_cut(
    make_micro_model: Callable[..., Transformer], tmp_path: Path
) -> None:
    gradients = []
    for micro_tokens in (40, 100_000):
        model = ValueModel(make_micro_model())
        with torch.no_grad():
            model.score.weight.fill_(0.1)
        config = CONFIG.model_copy(update={"micro_tokens": micro_tokens, "epochs": 1, "batch": 20})
        rows = train(HelpfulnessLearner(model, config), drawn_pairs(20), tmp_path / str(micro_tokens), config)
        gradients.append((rows[0]["loss"], rows[0]["gradient_norm"], rows[0]["margin"]))
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-4)


def test_rewards_in_training_are_those_of_the_scorer(make_micro_model: Callable[..., Transformer]) -> None:
    model = ValueModel(make_micro_model()).requires_grad_(False)
    model.score.weight.fill_(0.3)
    pairs = drawn_pairs(5)
    texts = [text for pair in pairs for text in pair]
    assert text_rewards(model, pairs).tolist() == pytest.approx(rewards_of(model, texts), abs=1e-5)


def test_completion_logprobs_are_sums_or_means_of_the_scorers(make_micro_model: Callable[..., Transformer]) -> None:
    model = make_micro_model().requires_grad_(False)
    pairs = drawn_pairs(5)
    texts = [text for pair in pairs for text in pair]
    tokens = ModelScorer(model).logprobs([text.prompt_ids for text in texts], [text.completion_ids for text in texts])
    sums = completion_logprobs(model, pairs, per_token=False).tolist()
    assert sums == pytest.approx([sum(row) for row in tokens], abs=1e-3)
    means = completion_logprobs(model, pairs, per_token=True).tolist()
    assert means == pytest.approx([sum(row) / len(row) for row in tokens], abs=1e-4)


def test_every_epoch_reads_every_item_once_in_batches_of_nearly_equal_size() -> None:
    config = CONFIG.model_copy(update={"batch": 16})
    batches = [items_of_step(step, 70, config, 1, "reward") for step in range(8)]  # 70 / 16 is nearest to 4 batches
    assert [len(batch) for batch in batches] == [17, 18, 17, 18] * 2
    first, second = ([item for batch in half for item in batch] for half in (batches[:4], batches[4:]))
    assert sorted(first) == sorted(second) == list(range(70))
    assert first != second


@pytest.mark.parametrize("loss", ["dpo", "conservative_dpo", "ipo"])
def test_dpo_moves_the_policy_towards_the_chosen_completions(
    digit_model: Path, micro_tokenizer: Tokenizer, tmp_path: Path, loss: str
) -> None:
    prompt = tuple(micro_tokenizer.encode("Say a number. Digit:"))
    digit = {n: Text(prompt, (*micro_tokenizer.encode(f" {n}"), micro_tokenizer.end_id)) for n in range(10)}
    pairs = [TextPair(digit[7], digit[n]) for n in range(10) if n != 7] * 6
    config = DPOConfig(
        **{**CONFIG.model_dump(), "learning_rate": 1e-3}, loss=loss, label_smoothing=0.1 if loss == "conservative_dpo" else 0.0
    )
    model = load_model(digit_model)
    rows = train(DPOLearner(model, load_model(digit_model), config), pairs, tmp_path, config)
    first = {"dpo": math.log(2), "conservative_dpo": math.log(2), "ipo": 25.0}[loss]  # h = 0; IPO: (1 / (2 * 0.1))^2
    assert rows[0]["loss"] == pytest.approx(first, abs=1e-3)
    assert rows[-1]["accuracy"] == 1.0
    with torch.no_grad():
        probabilities = completion_logprobs(model, [list(digit.values())], per_token=False).exp()
    assert probabilities[7] > 2 * probabilities[torch.arange(10) != 7].max()


def raise_at(step: int) -> Callable[[dict[str, Any]], None]:
    def on_row(row: dict[str, Any]) -> None:
        if row["step"] == step:
            raise KeyboardInterrupt  # as a kill right after the row was written

    return on_row


@pytest.mark.parametrize("killed_at", [2, 9, 14])
def test_a_killed_run_goes_on_to_the_same_bits_and_rows(
    make_micro_model: Callable[..., Transformer], tmp_path: Path, killed_at: int
) -> None:
    pairs = drawn_pairs(80)
    whole, killed, resumed = (HelpfulnessLearner(ValueModel(make_micro_model()), CONFIG) for _ in range(3))
    rows = train(whole, pairs, tmp_path / "whole")
    assert len(rows) == 15
    with pytest.raises(KeyboardInterrupt):
        train(killed, pairs, tmp_path / "killed", on_row=raise_at(killed_at))
    assert train(resumed, pairs, tmp_path / "killed") == rows
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_signal_saves_the_steps_done(
    make_micro_model: Callable[..., Transformer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_interrupted_by", None)
    learner = HelpfulnessLearner(ValueModel(make_micro_model()), CONFIG)
    with pytest.raises(Interrupted, match="stopped at step 3 of reward"):
        train(learner, drawn_pairs(80), tmp_path, on_row=lambda row: request_interruption(2) if row["step"] == 2 else None)


def test_a_finished_run_is_not_trained_again_and_leaves_later_rows_alone(
    make_micro_model: Callable[..., Transformer], tmp_path: Path
) -> None:
    learner = HelpfulnessLearner(ValueModel(make_micro_model()), CONFIG)
    rows = train(learner, drawn_pairs(20), tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 99, "model": "safety"}\n')
    again = HelpfulnessLearner(ValueModel(make_micro_model()), CONFIG)
    assert train(again, drawn_pairs(20), tmp_path) == [*rows, {"step": 99, "model": "safety"}]
    assert torch.equal(again.model.score.weight, learner.model.score.weight)


def test_nothing_to_learn_from_is_an_error(make_micro_model: Callable[..., Transformer], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="reward: there is nothing to learn from"):
        train(HelpfulnessLearner(ValueModel(make_micro_model()), CONFIG), [], tmp_path)


def test_a_process_model_learns_the_labels_of_single_steps(make_micro_model: Callable[..., Transformer]) -> None:
    rng = random.Random(0)
    items = []
    for _ in range(40):  # a step is two tokens; one that holds token 7 is wrong
        tokens = [rng.choice((3, 4, 5, 7)) for _ in range(6)]
        labels = tuple(float(7 not in tokens[start : start + 2]) for start in (0, 2, 4))
        items.append(LabelledSteps(Text((1, 2), tuple(tokens)), (2, 4, 6), labels))
    learner = ProcessLearner(ValueModel(make_micro_model()), PreferenceTrainingConfig(batch=40))
    first = learner.update(items, 1e-2)
    assert first["loss"] == pytest.approx(math.log(2))
    for _ in range(40):
        last = learner.update(items, 1e-2)
    assert last["accuracy"] > 0.9
    assert last["label"] == pytest.approx(fmean(label for item in items for label in item.labels))
