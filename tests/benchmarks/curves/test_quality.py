"""Equal quality as `make bench-curves` measures it, on a very small Llama, and its verdicts by hand-worked numbers."""

from pathlib import Path

import pytest
import torch

from benchmarks.curves import quality
from benchmarks.curves.work import NEVER, small_model
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model, save_model
from cogitate.types import SamplingParams

PROMPTS = [(5, 9, 2, 7, 7), (11, 3)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "micro"
    save_model(small_model(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2), path)
    return path


def test_a_choice_is_a_tie_below_a_ten_thousandth_and_another_token_above_it() -> None:
    logits_TV = torch.tensor([[1.0, 0.99995, 0.0], [1.0, 0.99995, 0.0], [1.0, 0.9998, 0.0], [0.0, 0.0, 2.0]])
    assert quality.other_choices(logits_TV, torch.tensor([0, 1, 1, 0])) == (1, 2)


def test_greedy_tokens_of_a_model_are_those_of_transformers(directory: Path) -> None:
    compared, others, _ = quality.greedy_checks(directory, PROMPTS, 6)
    assert compared["value"] == 12
    assert others["value"] == 0
    assert others["holds"]


def test_sampler_and_learner_agree_in_float32_and_less_in_bfloat16(directory: Path) -> None:
    checks = quality.gap_checks(directory, PROMPTS, 6)
    greatest, mean, greatest_bf16, mean_bf16, rounding = (each["value"] for each in checks)
    assert mean <= greatest < quality.GAP_MAX
    assert mean < quality.GAP_MEAN
    assert mean < mean_bf16 <= greatest_bf16
    assert 0 < rounding < quality.GAP_MEAN


def test_gaps_are_those_of_the_weights_that_learn(directory: Path) -> None:
    """A learner with other weights than the sampler is told apart."""
    model = load_model(directory, dtype=torch.float32)
    engine = Engine(model, end_id=NEVER, max_batch=4)
    groups = quality.generate(engine, PROMPTS, SamplingParams(max_new_tokens=6), 2)
    same = quality.learner_metrics(load_model(directory, dtype=torch.float32), PROMPTS, groups, 6)
    other = load_model(directory, dtype=torch.float32)
    with torch.no_grad():
        other.norm.weight.mul_(1.5)
    assert quality.learner_metrics(other, PROMPTS, groups, 6)["logprob_gap"] > 100 * same["logprob_gap"]


def test_sides_that_learn_alike_hold_and_a_side_that_learns_nothing_does_not() -> None:
    noise = [0.0, 0.01, -0.01, 0.005]
    ours, theirs = ([[0.5 + step / 40 + shift for step in range(20)] for shift in noise[at : at + 2]] for at in (0, 2))
    alike = quality.reward_checks({"ours": ours, "trl": theirs})
    assert [each["holds"] for each in alike] == [True, True, None, True]
    flat = quality.reward_checks({"ours": ours, "trl": [[0.5] * 20, [0.51] * 20]})
    assert [each["holds"] for each in flat] == [True, False, None, False]
