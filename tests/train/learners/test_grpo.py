"""What the learner does for single methods: tokens whitened or chosen over the whole batch, an optimiser that forgets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cogitate.config import RLConfig
from cogitate.model.transformer import Transformer
from cogitate.train.learners.grpo import GRPOLearner, choose_tokens
from tests.train.learners.test_policy import CONFIG, make_rollouts

MakeModel = Callable[..., Transformer]


def test_reinforce_plus_plus_whitens_rewards_less_the_kl_over_all_tokens_of_the_batch(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    rollouts, rewards = make_rollouts(model)
    learner = GRPOLearner(model, RLConfig(method="reinforce_pp", kl_beta=0.1, temperature=0.8, minibatches=3))
    assert learner.reference is not None
    learner.reference.load_state_dict(make_micro_model(seed=4).state_dict())
    parts = [learner.micro_batches(rollouts[i::3], rewards[i::3], single=False) for i in range(3)]
    before = [(batch.advantages[mask], mask) for part in parts for batch in part for mask in [batch.rows.mask_SL.bool()]]
    after = [batch.advantages for part in learner.prepared(parts).minibatches for batch in part]
    returns = torch.cat([values for values, _ in before])
    whitened = torch.cat([values[mask] for values, (_, mask) in zip(after, before, strict=True)])
    torch.testing.assert_close(whitened, (returns - returns.mean()) / returns.std())


def test_the_tokens_of_highest_covariance_are_those_of_the_whole_batch(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model)
    config = RLConfig(method="kl_cov", covariance_share=0.1, temperature=0.8)
    learner = GRPOLearner(model, config)
    batches = [b for i in range(3) for b in learner.micro_batches(rollouts[i::3], advantages[i::3], single=True)]
    chosen = choose_tokens(batches, config, draw=0)
    tokens = sum(int(batch.rows.mask_SL.sum()) for batch in batches)
    assert sum(int(each.sum()) for each in chosen) == int(0.1 * tokens)
    assert not any(bool((each & ~batch.rows.mask_SL.bool()).any()) for each, batch in zip(chosen, batches, strict=True))
    row = learner.update(rollouts, advantages)
    assert row["ratio_mean"] == pytest.approx(1.0, abs=1e-6)  # old log-probabilities are there though there is one step


def test_an_optimiser_that_is_reset_has_moments_of_the_last_batch_alone(make_micro_model: MakeModel) -> None:
    def trained(batches: list[int], **settings: bool) -> dict[str, torch.Tensor]:
        model = make_micro_model()
        learner = GRPOLearner(model, CONFIG.model_copy(update={"learning_rate": 0.0, **settings}))
        for seed in batches:
            learner.update(*make_rollouts(model, seed=seed))
        return {name: t for name, t in learner.tensors().items() if name.startswith("optimiser.") and "exp_avg" in name}

    once, again, kept = trained([1], reset_optimiser=True), trained([0, 1], reset_optimiser=True), trained([0, 1])
    assert once.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in once.items())
    assert any(not torch.equal(tensor, kept[name]) for name, tensor in once.items())


def test_masked_importance_weights_are_counted(make_micro_model: MakeModel) -> None:
    model = make_micro_model()
    rollouts, advantages = make_rollouts(model, noise=0.5)
    shares = {}
    for correction in ("token_mask", "sequence_mask", "token_truncate"):
        learner = GRPOLearner(make_micro_model(), CONFIG.model_copy(update={"importance_correction": correction}))
        shares[correction] = learner.update(rollouts, advantages).get("importance_masked_share")
    assert shares["token_truncate"] is None
    assert shares["token_mask"] is not None
    assert 0 < shares["token_mask"] < 1
    assert shares["sequence_mask"] is not None
    assert 0 < shares["sequence_mask"] < 1
