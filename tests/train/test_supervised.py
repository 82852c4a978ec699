"""The supervised loop: the loss is that of separate documents, however it is cut; resuming is exact; NaN stops it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate import backend, runtime
from cogitate.config import PretrainConfig
from cogitate.errors import Interrupted, TrainingDivergedError
from cogitate.model.transformer import Transformer
from cogitate.runtime import MetricsLog, request_interruption
from cogitate.train.checkpoint import latest_checkpoint, load_checkpoint
from cogitate.train.learners.supervised import SupervisedLearner, lm_and_mtp_loss, supervised_loss
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.rows.packing import pack_documents
from cogitate.train.supervised import SupervisedRun, train_supervised
from cogitate.types import PackedRows

MakeModel = Callable[..., Transformer]
OnRow = Callable[[Mapping[str, Any]], None]
Measure = Callable[[int, backend.SupervisedLearner], dict[str, float] | None]
ROW = 24
RATES = {"learning_rate": 3e-3, "final_learning_rate": 1e-3, "warmup_steps": 2}
CONFIG = PretrainConfig(steps=8, micro_rows=2, checkpoint_every=3, **RATES)


def documents(seed: int, count: int = 9) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(250) for _ in range(rng.randint(1, 15))] for _ in range(count)]


def rows(seed: int) -> PackedRows:
    masks = [[1] * len(document) for document in documents(seed)]
    masks[0] = [0] * len(masks[0])  # a document nothing is to be learnt from
    return pack_documents(documents(seed), masks, ROW, pad_id=0)


@torch.no_grad()
def plain_losses(model: Transformer, seed: int) -> tuple[float, float]:
    """Mean next-token and MTP loss, each document on its own, tokens predicted one by one."""
    total, next_sum, ahead_sum = 0, 0.0, 0.0
    for document in documents(seed)[1:]:
        tokens = torch.tensor([document])
        hidden = model(tokens)
        logprobs = torch.log_softmax(model.logits(hidden), -1)[0]
        ahead = torch.log_softmax(model.logits(model.mtp_hidden(hidden, tokens)), -1)[0]
        for t in range(len(document) - 1):
            next_sum -= float(logprobs[t, document[t + 1]])
            total += 1
        for t in range(len(document) - 2):
            ahead_sum -= float(ahead[t, document[t + 2]])
    return next_sum / total, ahead_sum / total


def test_loss_and_mtp_loss_are_those_of_separate_documents(make_micro_model: MakeModel) -> None:
    model = make_micro_model().eval()
    batch = rows(1)
    tokens_BT, documents_BT = torch.from_numpy(batch.tokens_BT), torch.from_numpy(batch.documents_BT)
    mask_BT = torch.from_numpy(batch.loss_mask_BT)
    total = sum(len(document) - 1 for document in documents(1)[1:])
    losses = lm_and_mtp_loss(model, tokens_BT, documents_BT, mask_BT, total, 0.3)
    expected = plain_losses(model, 1)
    assert losses["loss"].item() == pytest.approx(expected[0], rel=1e-5)
    assert losses["mtp_loss"].item() == pytest.approx(expected[1], rel=1e-5)
    assert float(lm_and_mtp_loss(model, tokens_BT, documents_BT, mask_BT, total, 0.0)["mtp_loss"]) == 0.0
    assert supervised_loss(model, batch, micro_rows=2) == pytest.approx(expected[0], rel=1e-5)


@pytest.mark.parametrize("micro_rows", [1, 2])
def test_a_step_does_not_depend_on_how_the_rows_are_cut(make_micro_model: MakeModel, micro_rows: int) -> None:
    batch = rows(2)
    assert len(batch.tokens_BT) == 3
    outcomes = []
    for size in (len(batch.tokens_BT), micro_rows):
        model = make_micro_model()
        config = CONFIG.model_copy(update={"micro_rows": size})
        row = SupervisedLearner(model, config).update(batch, 1e-3)
        outcomes.append((row, {name: p.grad for name, p in model.named_parameters()}, model.state_dict()))
    (whole, gradients, weights), (cut, cut_gradients, cut_weights) = outcomes
    for name in whole:
        assert cut[name] == pytest.approx(whole[name], rel=1e-5), name
    torch.testing.assert_close(cut_gradients, gradients, rtol=1e-5, atol=1e-6)
    for name in weights:
        if "e_score_correction_bias" in name:  # moved by the load of all micro-batches together
            assert torch.equal(weights[name], cut_weights[name]), name


def test_the_bias_of_busy_experts_falls_and_that_of_idle_ones_rises(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    config = CONFIG.model_copy(update={"router_bias_step": 0.01})
    SupervisedLearner(model, config).update(rows(3), 0.0)
    for router in model.routers():
        assert router.e_score_correction_bias is not None
        assert {round(bias, 6) for bias in router.e_score_correction_bias.abs().tolist()} <= {0.01, 0.0}
        assert router.e_score_correction_bias.max() > 0 > router.e_score_correction_bias.min()
        assert router.load.sum() == 0


def test_adamw_decays_matrices_alone(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    matrices, vectors = make_adamw(model, 1e-3, 0.1).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert all(p.dim() >= 2 for p in matrices["params"])
    assert all(p.dim() < 2 for p in vectors["params"])
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))


class Run:
    """One run of the loop in a directory of its own."""

    def __init__(self, folder: Path, model: Transformer, config: PretrainConfig = CONFIG):
        self.folder, self.model, self.config = folder, model, config
        self.checkpoint = folder / "checkpoint"
        self.checkpoint.mkdir(exist_ok=True, parents=True)
        self.began: list[tuple[int, int]] = []

    def train(self, on_row: OnRow | None = None, measure: Measure | None = None) -> None:
        metrics = MetricsLog(self.folder / "metrics.jsonl", on_row)
        begin = lambda steps, first: self.began.append((steps, first))  # noqa: E731
        run = SupervisedRun("base", self.config.steps, self.config, rows, metrics, self.checkpoint, begin)
        run = run if measure is None else replace(run, measure=measure)
        train_supervised(SupervisedLearner(self.model, self.config), run)

    def rows(self) -> list[dict[str, Any]]:
        written = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if key != "tokens_per_second"} for row in written]


def equal_weights(first: Transformer, second: Transformer) -> None:
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def stop_at(step: int) -> OnRow:
    def on_row(row: Mapping[str, Any]) -> None:
        if row["step"] == step:
            raise KeyboardInterrupt  # as a kill between two checkpoints: nothing is saved

    return on_row


@pytest.fixture(scope="module", params=["adamw", "muon"])
def whole(request: pytest.FixtureRequest, make_micro_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted run with each optimiser."""
    config = CONFIG.model_copy(update={"optimiser": request.param})
    run = Run(tmp_path_factory.mktemp("whole"), make_micro_model(), config)
    run.train()
    assert [row["step"] for row in run.rows()] == list(range(8))
    return run


@pytest.mark.parametrize("killed_at", [1, 4, 7])
def test_a_killed_run_goes_on_to_the_same_bits_and_rows(
    whole: Run, tmp_path: Path, make_micro_model: MakeModel, killed_at: int
) -> None:
    config = whole.config
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path / "killed", make_micro_model(), config).train(stop_at(killed_at))
    resumed = Run(tmp_path / "killed", make_micro_model(seed=5), config)
    if killed_at < 3:  # before the first checkpoint: from the beginning, with the same first weights
        resumed.model = make_micro_model()
    resumed.train()
    assert resumed.began == [(8, killed_at // 3 * 3)]
    equal_weights(whole.model, resumed.model)
    assert resumed.rows() == whole.rows()


def test_a_signal_writes_a_checkpoint_of_the_steps_done(
    tmp_path: Path, make_micro_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_interrupted_by", None)
    run = Run(tmp_path, make_micro_model())
    with pytest.raises(Interrupted, match="stopped at step 5 of base; the same command goes on from there") as stopped:
        run.train(lambda row: request_interruption(15) if row["step"] == 4 else None)
    assert stopped.value.exit_code == 143
    checkpoint = latest_checkpoint(run.checkpoint)
    assert checkpoint is not None
    assert checkpoint.name == "step-000005"
    monkeypatch.setattr(runtime, "_interrupted_by", None)
    run.train()
    whole = Run(tmp_path / "whole", make_micro_model())
    whole.train()
    equal_weights(whole.model, run.model)
    assert whole.rows() == run.rows()


def test_a_finished_run_started_again_does_nothing(tmp_path: Path, make_micro_model: MakeModel) -> None:
    config = CONFIG.model_copy(update={"steps": 6})
    run = Run(tmp_path, make_micro_model(), config)
    run.train()
    again = Run(tmp_path, make_micro_model(seed=3), config)
    again.train()
    assert again.began == [(6, 6)]
    equal_weights(run.model, again.model)


def test_a_loss_that_is_not_a_number_stops_the_run_and_names_the_last_good_checkpoint(
    tmp_path: Path, make_micro_model: MakeModel
) -> None:
    def spoil(step: int, learner: backend.SupervisedLearner) -> None:
        assert isinstance(learner, SupervisedLearner)
        if step == 3:
            with torch.no_grad():
                learner.model.norm.weight[0] = float("nan")

    run = Run(tmp_path, make_micro_model())
    pattern = r"step 4 of base: the loss is nan; the last good checkpoint is .*step-000003"
    with pytest.raises(TrainingDivergedError, match=pattern):
        run.train(measure=spoil)
    assert [row["step"] for row in run.rows()] == [0, 1, 2, 3]
    early = Run(tmp_path / "early", make_micro_model())
    with torch.no_grad():
        early.model.norm.weight[0] = float("inf")
    with pytest.raises(TrainingDivergedError, match="step 0 of base: the loss is nan; there is no checkpoint yet"):
        early.train()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_a_number_stops_the_run_before_it_is_saved(
    tmp_path: Path, make_micro_model: MakeModel, value: float
) -> None:
    """The loss of such a step is still finite; the weights after it are not, and step 5 would write a checkpoint of them."""
    run = Run(tmp_path, make_micro_model())
    steps_done: list[int] = []
    run.model.norm.weight.register_hook(lambda gradient: gradient * (value if len(steps_done) == 5 else 1.0))
    pattern = r"step 5 of base: the gradient norm is (nan|inf); the last good checkpoint is .*step-000003"
    with pytest.raises(TrainingDivergedError, match=pattern):
        run.train(lambda row: steps_done.append(row["step"]))
    checkpoint = latest_checkpoint(run.checkpoint)
    assert checkpoint is not None
    tensors, state = load_checkpoint(checkpoint)
    assert state["step"] == 3
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_learning_rates_follow_the_schedule_and_the_loss_falls(tmp_path: Path, make_micro_model: MakeModel) -> None:
    batch = rows(1)
    config = CONFIG.model_copy(update={"steps": 30, "learning_rate": 0.02})
    run = Run(tmp_path, make_micro_model(), config)
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    nothing = lambda *_: None  # noqa: E731
    same = SupervisedRun("base", config.steps, config, lambda step: batch, metrics, run.checkpoint, nothing, nothing)
    train_supervised(SupervisedLearner(run.model, config), same)
    written = run.rows()
    assert [row["learning_rate"] for row in written[:3]] == pytest.approx([0.01, 0.02, 0.02])
    assert written[-1]["learning_rate"] == pytest.approx(1e-3)
    assert written[-1]["loss"] < 0.5 * written[0]["loss"]
    assert written[-1]["mtp_loss"] < written[0]["mtp_loss"]
    assert written[0]["tokens"] == int((batch.documents_BT >= 0).sum())


def test_measuring_changes_nothing_so_a_run_stopped_right_after_it_goes_on_to_the_same_bits(
    tmp_path: Path, make_micro_model: Callable[..., Transformer]
) -> None:
    held_out = rows(77)

    def measure(step: int, learner: backend.SupervisedLearner) -> dict[str, float] | None:
        return {"held_out_loss": learner.loss(held_out)} if (step + 1) % 3 == 0 else None

    config = CONFIG.model_copy(update={"router_bias_step": 0.01})
    measured, unmeasured = Run(tmp_path / "m", make_micro_model(), config), Run(tmp_path / "u", make_micro_model(), config)
    measured.train(measure=measure)
    unmeasured.train()
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path / "k", make_micro_model(), config).train(stop_at(4), measure)
    resumed = Run(tmp_path / "k", make_micro_model(), config)
    resumed.train(measure=measure)
    equal_weights(measured.model, resumed.model)
    equal_weights(measured.model, unmeasured.model)
