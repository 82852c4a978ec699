"""Training on a device: the CPU's losses, few waits, and a resumed run with the bytes of one that was not stopped."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cogitate.config import DPOConfig, FineTuneConfig, PPOConfig, PreferenceTrainingConfig, RLConfig
from cogitate.model.head import token_logprobs
from cogitate.model.lora import add_lora
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.train.checkpoint import training_tensors
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.ppo import PPOLearner
from cogitate.train.learners.preference import DPOLearner, HelpfulnessLearner, ProcessLearner, SafetyLearner
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.rows.packing import pack_documents
from cogitate.types import LabelledSteps, LabelledText, Problem, Rollout, Text, TextPair, Verdict
from tests.conftest import micro_config
from tests.on_device.stand_in_device import KIND, Counts, stand_in

VOCABULARY = 60
MOST_WAITS, EXPERTS = 8, "model/moe.py"  # of the host, in an optimiser step
Learner = Any  # one of the seven; what they share has no name
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def tokens_of(lengths: tuple[int, ...], seed: int) -> list[tuple[int, ...]]:
    chance = random.Random(seed)
    return [tuple(chance.randrange(3, VOCABULARY) for _ in range(length)) for length in lengths]


ROWS = pack_documents(tokens_of((20, 30, 12, 25, 9, 14), 0), None, 48, pad_id=0)
PROMPTS = tokens_of((6, 4, 9), 1)
PAIRS = [TextPair(Text(prompt, c), Text(prompt, r)) for prompt in PROMPTS for c, r in [tokens_of((5, 7), len(prompt))]]


def rollouts() -> list[Rollout]:
    problem = Problem("p", "digits", "general", "Say a number.")
    return [
        Rollout(
            problem, prompt, said, (-1.0,) * len(said), (1,) * len(said), ((0, len(said)),), "stop", 0, "", 1.0, {},
            Verdict("none", 0.0, ""),
        )
        for prompt in PROMPTS
        for said in tokens_of((5, 6, 7), len(prompt))
    ]  # fmt: skip


LABELLED = [LabelledText(text, safe) for pair in PAIRS for text, safe in zip(pair, (True, False), strict=True)]
STEPS = [LabelledSteps(text, (2, len(text.completion_ids)), (1.0, 0.25)) for pair in PAIRS for text in pair]
ADVANTAGES = [1.0, -0.5, -0.5] * len(PROMPTS)
KINDS: dict[str, tuple[Callable[[Callable[[], Transformer]], Learner], Callable[[Learner], dict[str, float]]]] = {
    "supervised": (lambda m: SupervisedLearner(m(), FineTuneConfig(micro_rows=2)), lambda one: one.update(ROWS, 1e-3)),
    "grpo": (lambda m: GRPOLearner(m(), RLConfig(kl_beta=0.01)), lambda one: one.update(rollouts(), ADVANTAGES)),
    "ppo": (lambda m: PPOLearner(m(), ValueModel(m()), PPOConfig()), lambda one: one.update(rollouts(), ADVANTAGES)),
    "dpo": (lambda m: DPOLearner(m(), m(), DPOConfig()), lambda one: one.update(PAIRS, 1e-3)),
    "ipo": (lambda m: DPOLearner(m(), m(), DPOConfig(loss="ipo")), lambda one: one.update(PAIRS, 1e-3)),
    "safety": (
        lambda m: SafetyLearner(ValueModel(m()), PreferenceTrainingConfig()),
        lambda one: one.update(LABELLED, 1e-3),
    ),
    "steps": (lambda m: ProcessLearner(ValueModel(m()), PreferenceTrainingConfig()), lambda one: one.update(STEPS, 1e-3)),
    "helpfulness": (
        lambda m: HelpfulnessLearner(ValueModel(m()), PreferenceTrainingConfig()),
        lambda one: one.update(PAIRS, 1e-3),
    ),
}


def maker(dtype: torch.dtype, device: str, **switches: bool) -> Callable[[], Transformer]:
    def make() -> Transformer:
        torch.manual_seed(0)
        model = Transformer(micro_config(VOCABULARY)).to(dtype).to(device)
        model.gradient_checkpointing = switches.get("recompute", False)
        if switches.get("adapters"):
            add_lora(model, rank=4, alpha=8.0)
        return model

    return make


def weights_of(learner: Learner) -> dict[str, Tensor]:
    """Weights, masters' remainders and moments, on the CPU."""
    return {name: tensor.cpu() for name, tensor in training_tensors(learner.model, learner.optimiser).items()}


@pytest.fixture
def counts() -> Iterator[Counts]:
    with stand_in() as counts:
        yield counts


@pytest.mark.parametrize(("kind", "dtype"), [*((kind, "float32") for kind in KINDS), ("grpo", "bfloat16")])
def test_a_step_has_the_metrics_of_the_cpu_and_waits_seldom(kind: str, dtype: str, counts: Counts) -> None:
    make, update = KINDS[kind]
    there, here = make(maker(DTYPES[dtype], KIND)), make(maker(DTYPES[dtype], "cpu"))
    first = update(there), update(here)
    counts.reset()
    second = update(there), update(here)
    exact = dtype == "float32"  # then experts take the loop, which waits once for each layer
    waits = {place: count for place, count in counts.synchronisations.items() if not (exact and place.startswith(EXPERTS))}
    assert sum(waits.values()) <= MOST_WAITS, waits
    assert first[0] == pytest.approx(first[1], rel=1e-5 if exact else 5e-2, abs=1e-6 if exact else 1e-3)
    assert second[0] == pytest.approx(second[1], rel=2e-3 if exact else 5e-2, abs=1e-3)  # Adam makes rounding large


@pytest.mark.parametrize("switches", [{"recompute": True}, {"adapters": True}], ids=["layers again", "adapters"])
def test_layers_computed_again_and_adapters_mix_no_devices(switches: dict[str, bool], counts: Counts) -> None:
    make, update = KINDS["grpo"]
    there, here = make(maker(torch.float32, KIND, **switches)), make(maker(torch.float32, "cpu", **switches))
    assert update(there) == pytest.approx(update(here), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("adapters", [False, True], ids=["weights", "adapters"])
def test_what_is_saved_for_generation_is_what_the_cpu_saves(adapters: bool, tmp_path: Path, counts: Counts) -> None:
    make, _ = KINDS["grpo"]
    for device in (KIND, "cpu"):
        make(maker(torch.float32, device, adapters=adapters)).save_weights(tmp_path / device)
    there, here = (
        {file.name: file.read_bytes() for file in (tmp_path / device).rglob("*.*") if file.is_file()}
        for device in (KIND, "cpu")
    )
    assert ("adapter_model.safetensors" in there) == adapters
    assert there == here


def test_logits_are_kept_for_the_backward_pass(counts: Counts) -> None:
    """Its products are the gradients' alone: of hidden states and of weights."""
    hidden_ND, weight_VD = (torch.randn(shape, 16).to(KIND).requires_grad_() for shape in (40, VOCABULARY))
    counts.reset()
    logprobs_N, _ = token_logprobs(hidden_ND, weight_VD, torch.arange(40).to(KIND))
    assert counts.launches["mm"] == 1
    logprobs_N.sum().backward()
    assert counts.launches["mm"] == 3


@pytest.mark.parametrize(("kind", "dtype"), [("supervised", "bfloat16"), ("ppo", "float32")])
def test_a_resumed_run_has_the_bytes_of_one_that_was_not_stopped(kind: str, dtype: str, tmp_path: Path, counts: Counts) -> None:
    make, update = KINDS[kind]
    straight, stopped, resumed = (make(maker(DTYPES[dtype], KIND)) for _ in range(3))
    for learner, steps in ((straight, 2), (stopped, 1)):
        for _ in range(steps):
            update(learner)
    stopped.save(tmp_path, 1, {})
    resumed.load(next(tmp_path.iterdir()))
    update(resumed)
    expected, made = weights_of(straight), weights_of(resumed)
    assert expected.keys() == made.keys()
    assert all(torch.equal(expected[name], made[name]) for name in expected)
