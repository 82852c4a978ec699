"""GRPO's learner against plain computations: one sequence at a time, nothing padded, packed or shared."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cogitate.config import RLConfig
from cogitate.errors import TrainingDivergedError
from cogitate.model.files.hf import load_model
from cogitate.model.transformer import Transformer
from cogitate.train.checkpoint import latest_checkpoint
from cogitate.train.learners import policy as learner_module
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.policy import fit_pass, size_of_pass
from cogitate.train.rows.packing import split_evenly
from cogitate.types import Problem, Rollout, Verdict

MakeModel = Callable[..., Transformer]
Ids = tuple[int, ...]
CONFIG = RLConfig(
    temperature=0.8, learning_rate=1e-3, gradient_clip=100.0, kl_beta=0.05, max_new_tokens=12, importance_cap=1.05
)  # fmt: skip


@torch.no_grad()
def make_rollouts(model: Transformer, count: int = 9, seed: int = 0, noise: float = 0.0) -> tuple[list[Rollout], list[float]]:
    """Random completions of three prompts, with the logprobs that a sampler of these very weights (plus noise) would give."""
    rng = random.Random(seed)
    prompts = [tuple(rng.randrange(250) for _ in range(length)) for length in (3, 9, 6)]
    rollouts = []
    for index in range(count):
        prompt = prompts[index % 3]
        completion = tuple(rng.randrange(250) for _ in range(rng.randint(1, 12)))
        exact = plain_logprobs(model, prompt, completion, CONFIG.temperature)
        mask = (*(int(rng.random() < 0.8) for _ in completion[:-1]), 1)
        logprobs = tuple(float(x) + rng.gauss(0.0, noise) for x in exact)
        rollouts.append(make_rollout(prompt, completion, mask, logprobs))
    return rollouts, [rng.gauss(0.0, 1.0) for _ in rollouts]


def make_rollout(prompt: Ids, completion: Ids, mask: Ids, logprobs: tuple[float, ...]) -> Rollout:
    return Rollout(
        problem=Problem("p", "t", "math", "?"), prompt_ids=prompt, completion_ids=completion, loss_mask=mask, logprobs=logprobs,
        weight_versions=((0, len(completion)),), finish_reason="stop", seed=0, text="", reward=1.0, reward_breakdown={},
        verdict=Verdict("right", 1.0, ""),
    )  # fmt: skip


def plain_logprobs(model: Transformer, prompt: Ids, completion: Ids, temperature: float) -> torch.Tensor:
    logits = model.logits(model(torch.tensor([prompt + completion])))[0] / temperature
    return torch.stack([torch.log_softmax(logits[len(prompt) - 1 + t], -1)[token] for t, token in enumerate(completion)])


def plain_loss(
    model: Transformer, reference: Transformer, rollouts: list[Rollout], advantages: list[float], config: RLConfig,
    old_of: Callable[[Rollout], torch.Tensor] | None = None,
) -> torch.Tensor:  # fmt: skip
    """DeepSeekMath's equation 3 written out token by token; `old_of` None is the current policy."""
    sums, counts = [], []
    for each, advantage in zip(rollouts, advantages, strict=True):
        now = plain_logprobs(model, each.prompt_ids, each.completion_ids, config.temperature)
        with torch.no_grad():
            ref = plain_logprobs(reference, each.prompt_ids, each.completion_ids, config.temperature)
        old = now.detach() if old_of is None else old_of(each)
        total = torch.zeros(())
        for t, counted in enumerate(each.loss_mask):
            if not counted:
                continue
            ratio = torch.exp(now[t] - old[t])
            too_high = ratio.item() > 1 + config.clip_eps_high and advantage > 0
            too_low = ratio.item() < 1 - config.clip_eps_low and advantage < 0
            bound = 1 + config.clip_eps_high if too_high else 1 - config.clip_eps_low
            surrogate = torch.tensor(bound * advantage) if too_high or too_low else ratio * advantage
            weight = min(torch.exp(old[t] - each.logprobs[t]).item(), config.importance_cap)
            kl = torch.exp(ref[t] - now[t]) - (ref[t] - now[t]) - 1
            total = total - weight * surrogate + config.kl_beta * kl
        sums.append(total)
        counts.append(sum(each.loss_mask))
    if config.loss_average == "sequence":
        return torch.stack([s / n for s, n in zip(sums, counts, strict=True)]).mean()
    if config.loss_average == "token":
        return torch.stack(sums).sum() / sum(counts)
    return torch.stack(sums).sum() / (len(sums) * config.max_new_tokens)


def gradients(model: Transformer) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], tolerance: float = 2e-5) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.allclose(ours[name], tensor, atol=tolerance * max(1e-2, float(tensor.abs().max()))), name


@pytest.mark.parametrize("average", ["sequence", "token", "dr_grpo"])
def test_gradients_of_an_update_are_those_of_separate_sequences(make_micro_model: MakeModel, average: str) -> None:
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model, noise=0.1)
    config = CONFIG.model_copy(update={"loss_average": average})
    plain, reference = copy.deepcopy(model), make_micro_model(seed=4)
    learner = GRPOLearner(model, config)
    assert learner.reference is not None
    learner.reference.load_state_dict(reference.state_dict())
    row = learner.update(rollouts, advantages)
    loss = plain_loss(plain, reference, rollouts, advantages, config)
    loss.backward()
    assert row["loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert_close(gradients(model), gradients(plain))
    norm = torch.stack([gradient.norm() for gradient in gradients(plain).values()]).norm()
    assert row["gradient_norm"] == pytest.approx(norm.item(), rel=1e-4)
    assert not any("mtp" in name for name in gradients(model))


def test_an_update_does_not_depend_on_the_size_of_micro_batches(
    make_micro_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, grads = [], []
    for batch_tokens, row_tokens in ((4096, 384), (30, 25), (1, 1)):
        monkeypatch.setattr(learner_module, "MICRO_BATCH_TOKENS", batch_tokens)
        monkeypatch.setattr(learner_module, "ROW_TOKENS", row_tokens)
        model = make_micro_model()
        rollouts, advantages = make_rollouts(model, noise=0.1)
        rows.append(GRPOLearner(model, CONFIG).update(rollouts, advantages))
        grads.append(gradients(model))
    for row, grad in zip(rows[1:], grads[1:], strict=True):
        assert row.keys() == rows[0].keys()
        assert all(row[name] == pytest.approx(rows[0][name], rel=1e-4, abs=1e-6) for name in row)
        assert_close(grad, grads[0])


def test_on_policy_the_ratio_is_one_and_the_metrics_are_those_of_the_tokens(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model)
    with torch.no_grad():
        entropies = []
        for each in rollouts:
            logits = model.logits(model(torch.tensor([each.prompt_ids + each.completion_ids])))[0] / CONFIG.temperature
            counted = [len(each.prompt_ids) - 1 + t for t, mask in enumerate(each.loss_mask) if mask]
            entropies += [float(torch.distributions.Categorical(logits=logits[place]).entropy()) for place in counted]
    row = GRPOLearner(model, CONFIG).update(rollouts, advantages)
    assert row["ratio_mean"] == 1.0
    assert row["ratio_max"] == 1.0
    assert row["clip_share"] == row["old_kl"] == 0.0
    assert row["kl"] == pytest.approx(0.0, abs=1e-6)  # the reference is the policy still
    assert row["logprob_gap_max"] < 1e-4
    assert row["entropy"] == pytest.approx(sum(entropies) / len(entropies), rel=1e-5)
    assert row["learning_rate"] == CONFIG.learning_rate


def test_the_gap_to_the_sampler_is_measured(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model, noise=0.2)
    clean, _ = make_rollouts(model, noise=0.0)
    gaps = []
    for noisy, true in zip(rollouts, clean, strict=True):
        pairs = zip(noisy.logprobs, true.logprobs, noisy.loss_mask, strict=True)
        gaps += [abs(a - b) for a, b, counted in pairs if counted]
    row = GRPOLearner(model, CONFIG).update(rollouts, advantages)
    assert row["logprob_gap"] == pytest.approx(sum(gaps) / len(gaps), rel=1e-3)
    assert row["logprob_gap_max"] == pytest.approx(max(gaps), rel=1e-3)


def test_several_optimiser_steps_on_one_batch_keep_the_policy_that_sampled_as_the_old_one(make_micro_model: MakeModel) -> None:
    """Two minibatches, two epochs: four steps of AdamW, each with ratios to the policy before the first."""
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model, count=8)
    config = CONFIG.model_copy(update={"minibatches": 2, "inner_epochs": 2, "learning_rate": 5e-3, "clip_eps_high": 0.05})
    plain, start = copy.deepcopy(model), copy.deepcopy(model)
    row = GRPOLearner(model, config).update(rollouts, advantages)

    def old_of(each: Rollout) -> torch.Tensor:
        with torch.no_grad():
            return plain_logprobs(start, each.prompt_ids, each.completion_ids, config.temperature)

    optimiser = torch.optim.AdamW(plain.parameters(), lr=5e-3, betas=(0.9, 0.95), weight_decay=0.0)
    losses = []
    for _ in range(2):
        for part in (slice(0, 4), slice(4, 8)):
            optimiser.zero_grad()
            loss = plain_loss(plain, start, rollouts[part], advantages[part], config, old_of)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert row["loss"] == pytest.approx(sum(losses) / 4, rel=1e-3)
    assert row["ratio_max"] > 1.01
    assert 0 < row["clip_share"] < 1
    for name, weight in plain.state_dict().items():
        assert torch.allclose(model.state_dict()[name], weight, atol=5e-4), name  # AdamW's first steps amplify rounding
    changed = max(float((plain.state_dict()[n] - start.state_dict()[n]).abs().max()) for n in plain.state_dict())
    assert changed > 5e-3


def test_more_minibatches_than_rollouts_are_as_many_as_there_are() -> None:
    assert split_evenly(7, 3) == [range(2), range(2, 4), range(4, 7)]
    assert split_evenly(2, 5) == [range(1), range(1, 2)]
    assert split_evenly(4, 1) == [range(4)]


def test_the_reference_is_replaced_every_so_many_optimiser_steps(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model)
    learner = GRPOLearner(model, CONFIG.model_copy(update={"reference_refresh_steps": 2}))
    kl = [learner.update(rollouts, advantages)["kl"] for _ in range(4)]
    assert kl[0] == pytest.approx(0.0, abs=1e-6)
    assert kl[1] > 1e-5
    assert kl[2] == pytest.approx(0.0, abs=1e-6)
    assert kl[3] > 1e-5
    assert learner.reference is not None
    weights = learner.reference.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(p.requires_grad for p in learner.reference.parameters())


def test_without_kl_there_is_no_reference(make_micro_model: MakeModel) -> None:
    learner = GRPOLearner(make_micro_model(), CONFIG.model_copy(update={"kl_beta": 0.0}))
    assert learner.reference is None
    assert learner.update(*make_rollouts(learner.model))["kl"] == 0.0


def test_expert_biases_are_frozen(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    learner = GRPOLearner(model, CONFIG)
    learner.update(*make_rollouts(model))
    biases = [router.e_score_correction_bias for router in model.routers()]
    assert biases
    assert all(bias is not None and not bias.any() for bias in biases)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_a_number_changes_no_weight(make_micro_model: MakeModel, bad: float) -> None:
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model)
    before = copy.deepcopy(model.state_dict())
    learner = GRPOLearner(model, CONFIG)
    with pytest.raises(TrainingDivergedError, match=r"the loss is (nan|-?inf) and its gradient norm"):
        learner.update(rollouts, [bad, *advantages[1:]])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert learner.steps_done == 0


def test_a_learner_goes_on_from_its_checkpoint_to_the_last_bit(make_micro_model: MakeModel, tmp_path: Path) -> None:
    rollouts, advantages = make_rollouts(make_micro_model())
    config = CONFIG.model_copy(update={"reference_refresh_steps": 2, "warmup_steps": 6})
    whole = GRPOLearner(make_micro_model(), config)
    for _ in range(3):
        whole.update(rollouts, advantages)
    whole.save(tmp_path, whole.steps_done, {})
    again = GRPOLearner(make_micro_model(seed=8), config)
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    again.load(newest)
    assert again.steps_done == 3
    rows = [learner.update(rollouts, advantages) for learner in (whole, again)]
    assert rows[0] == rows[1]
    assert rows[0]["learning_rate"] == pytest.approx(CONFIG.learning_rate * 4 / 6)
    assert whole.reference is not None
    assert again.reference is not None
    for mine, theirs in ((whole.model, again.model), (whole.reference, again.reference)):
        assert all(torch.equal(theirs.state_dict()[name], tensor) for name, tensor in mine.state_dict().items())


def test_the_weights_it_hands_on_are_its_own(make_micro_model: MakeModel, tmp_path: Path) -> None:
    learner = GRPOLearner(make_micro_model(), CONFIG)
    learner.update(*make_rollouts(learner.model))
    learner.save_weights(tmp_path)
    loaded = load_model(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in learner.model.state_dict().items())


def test_large_models_compute_layers_again_and_the_largest_take_fewer_tokens_at_a_time(make_micro_model: MakeModel) -> None:
    small = make_micro_model()
    wide = small.config.model_copy(update={"num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536})
    widest = wide.model_copy(update={"hidden_size": 8192, "intermediate_size": 28672})
    with torch.device("meta"):
        large, largest = Transformer(wide).bfloat16(), Transformer(widest).bfloat16()
    assert fit_pass(small) == fit_pass(large) == 4096
    assert [model.gradient_checkpointing for model in (small, large)] == [False, True]
    assert fit_pass(largest) == 2**29 // (2 * (30 * 8192 + 8 * 8192 + 3 * 28672))
    assert fit_pass(small, largest) == fit_pass(largest)
    assert not small.gradient_checkpointing


def test_layers_computed_again_give_the_same_weights_to_the_bit(make_micro_model: MakeModel) -> None:
    plain, again = (GRPOLearner(make_micro_model(), CONFIG) for _ in range(2))
    again.model.gradient_checkpointing = True
    rollouts = make_rollouts(plain.model)
    for learner in (plain, again):
        learner.update(*rollouts)
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)


def test_the_pass_of_a_gpu_is_that_of_the_cpu_doubled_as_long_as_it_takes_an_eighth_of_the_memory() -> None:
    assert [size_of_pass(None if gb is None else gb << 30) for gb in (None, 6, 8, 24, 32, 80, 141)] == [1, 1, 2, 4, 8, 16, 16]
