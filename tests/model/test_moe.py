"""Routing by hand, and the balance of experts."""

from types import SimpleNamespace
from typing import cast

import pytest
import torch

from cogitate.model.config import TINY, ModelConfig
from cogitate.model.moe import MixtureOfExperts, RoutedExperts, Router, limit_groups
from cogitate.model.transformer import Transformer


def router_with_scores(logits: list[list[float]], **switches: object) -> tuple[Router, torch.Tensor]:
    """A router whose scores are sigmoid(logits) for one-hot tokens."""
    experts = len(logits[0])
    shape = {"hidden_size": len(logits), "n_routed_experts": experts, "num_experts_per_tok": 2}
    router = Router(ModelConfig.from_dict({**TINY.to_dict(), **shape, **switches}))
    router.weight.data = torch.tensor(logits).t().contiguous()
    return router, torch.eye(len(logits))


def test_the_best_scores_are_chosen_and_normalised() -> None:
    """sigmoid(0) = 0.5 and sigmoid(ln 3) = 0.75 make 0.4 and 0.6, here times 2.5."""
    router, tokens = router_with_scores([[0.0, -9.0, 1.0986123, -9.0]], routed_scaling_factor=2.5)
    weights, experts = router(tokens)
    got = dict(zip(experts[0].tolist(), weights[0].tolist(), strict=True))
    assert sorted(got) == [0, 2]
    assert abs(got[0] - 1.0) < 1e-6
    assert abs(got[2] - 1.5) < 1e-6


def test_the_bias_takes_part_in_the_choice_but_not_in_the_weights() -> None:
    router, tokens = router_with_scores([[0.0, 0.0, 1.0986123, -1.0986123]])
    assert router.e_score_correction_bias is not None
    router.e_score_correction_bias.copy_(torch.tensor([-1.0, -1.0, 0.0, 0.5]))
    weights, experts = router(tokens)
    got = dict(zip(experts[0].tolist(), weights[0].tolist(), strict=True))
    assert sorted(got) == [2, 3]
    assert abs(got[2] - 0.75) < 1e-6
    assert abs(got[3] - 0.25) < 1e-6


def softmax_router(logits: list[list[float]], **switches: object) -> tuple[Router, torch.Tensor]:
    shape = {"vocab_size": 9, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 8}
    experts = {"num_experts": len(logits[0]), "num_experts_per_tok": 2}
    router = Router(ModelConfig.from_dict({"model_type": "qwen3_moe", "hidden_size": 1, **shape, **experts, **switches}))
    router.weight.data = torch.tensor(logits).t().contiguous()
    return router, torch.eye(len(logits))


def test_a_softmax_router_gives_shares_of_all_experts_or_of_the_chosen_ones() -> None:
    """Odds of 1 : 3 : 5 : 1 are shares of 0.3 and 0.5, or 3/8 and 5/8 among the two best."""
    logits = [[0.0, 1.0986123, 1.6094379, 0.0]]
    for normalised, expected in ((False, {1: 0.3, 2: 0.5}), (True, {1: 0.375, 2: 0.625})):
        router, tokens = softmax_router(logits, norm_topk_prob=normalised)
        weights, experts = router(tokens)
        got = dict(zip(experts[0].tolist(), weights[0].tolist(), strict=True))
        assert got.keys() == expected.keys()
        assert all(abs(got[expert] - expected[expert]) < 1e-6 for expert in expected)


def test_a_router_without_a_bias_is_not_balanced_and_has_nothing_to_store() -> None:
    router, _ = softmax_router([[0.0, 1.0]])
    router.load.copy_(torch.tensor([7, 1]))
    router.to(torch.bfloat16).balance(0.1)
    assert router.load.tolist() == [0, 0]
    assert list(router.state_dict()) == ["weight"]


def test_groups_are_ranked_by_their_two_best_experts() -> None:
    """Group 0 has the best expert (0.9 + 0.0), group 1 the best pair (0.6 + 0.5)."""
    limited = limit_groups(torch.tensor([[0.9, 0.0, 0.6, 0.5, 0.3, 0.3]]), groups=3, kept_groups=1)
    infinity = float("inf")
    assert torch.equal(limited, torch.tensor([[-infinity, -infinity, 0.6, 0.5, -infinity, -infinity]]))


def test_balance_moves_each_bias_towards_the_mean_load() -> None:
    router, _ = router_with_scores([[0.0, 0.0, 0.0, 0.0]])
    router.load.copy_(torch.tensor([10, 2, 6, 6]))
    router.balance(0.001)
    expected = torch.tensor([-0.001, 0.001, 0.0, 0.0])
    assert router.e_score_correction_bias is not None
    assert torch.allclose(router.e_score_correction_bias, expected)
    assert router.load.tolist() == [0, 0, 0, 0]


def test_the_load_counts_every_choice_in_training_and_none_in_evaluation() -> None:
    torch.manual_seed(0)
    layer = MixtureOfExperts(TINY)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = torch.randn(2, 9, TINY.hidden_size)
    layer.train()(x)
    assert int(layer.gate.load.sum()) == 2 * 9 * 2
    layer.eval()(x)
    assert int(layer.gate.load.sum()) == 2 * 9 * 2


def test_balancing_evens_out_a_lopsided_router() -> None:
    """A router that strongly prefers expert 0 spreads its tokens after some steps of the bias."""
    torch.manual_seed(0)
    layer = MixtureOfExperts(TINY).train()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    x = torch.randn(1, 256, TINY.hidden_size) + 1.0
    layer.gate.weight.data[0] += 0.02  # times the offset of 1 in 160 dimensions: 3.2 more than other experts
    shares = []
    for _ in range(120):
        with torch.no_grad():
            layer(x)
        shares.append(float(layer.gate.load.max()) / float(layer.gate.load.sum()))
        layer.gate.balance(0.01)
    assert shares[0] > 0.4
    assert shares[-1] < 0.2


def test_experts_that_get_no_token_get_a_zero_gradient() -> None:
    torch.manual_seed(0)
    layer = MixtureOfExperts(TINY)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    assert layer.gate.e_score_correction_bias is not None
    layer.gate.e_score_correction_bias[5] = -9.0
    layer(torch.randn(1, 6, TINY.hidden_size)).sum().backward()
    gradient = layer.experts.gate_up_proj.grad
    assert gradient is not None
    assert torch.equal(gradient[5], torch.zeros_like(gradient[5]))
    assert float(gradient.abs().sum()) > 0


def test_gradient_checkpointing_gives_the_same_bits() -> None:
    tokens = torch.randint(0, TINY.vocab_size, (2, 30), generator=torch.Generator().manual_seed(0))
    results = []
    for recompute in (False, True):
        torch.manual_seed(2)
        model = Transformer(TINY).train()
        model.gradient_checkpointing = recompute
        model.logprobs(model(tokens).flatten(0, 1), tokens.flatten())[0].sum().backward()
        results.append([parameter.grad for parameter in model.parameters() if parameter.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_experts_are_one_product_only_where_torch_has_a_kernel_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    experts = RoutedExperts(TINY)

    def on(dtype: torch.dtype, capability: tuple[int, int] | None = None) -> bool:
        """On a GPU of this compute capability; None: on another device."""
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        x = SimpleNamespace(is_cpu=False, is_cuda=capability is not None, dtype=dtype, itemsize=dtype.itemsize, device="")
        return experts.can_be_grouped(cast(torch.Tensor, x))

    assert [on(torch.bfloat16, (major, 0)) for major in (8, 9, 10, 12)] == [False, True, True, False]
    assert [on(torch.float32, (9, 0)), on(torch.float16, (9, 0)), on(torch.bfloat16), on(torch.float32)] == [
        False, False, True, False,
    ]  # fmt: skip
    assert not experts.can_be_grouped(torch.zeros(2, TINY.hidden_size, dtype=torch.bfloat16))


def test_experts_as_one_grouped_product_are_those_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form for devices, forward and backward, with an expert that nobody chose."""
    config = TINY.model_copy(update={"hidden_size": 32, "moe_intermediate_size": 16, "n_routed_experts": 6})
    outcomes = []
    for grouped in (False, True):
        monkeypatch.setattr(RoutedExperts, "can_be_grouped", lambda self, x_ND, grouped=grouped: grouped)
        torch.manual_seed(0)
        experts = RoutedExperts(config)
        x_ND, weights_NK = torch.randn(20, 32, requires_grad=True), torch.rand(20, 2, requires_grad=True)
        for parameter in experts.parameters():
            parameter.data.normal_()
        experts_NK = torch.stack((torch.randint(0, 2, (20,)), torch.randint(3, 6, (20,))), dim=1)
        out_ND = experts(x_ND, weights_NK, experts_NK, torch.bincount(experts_NK.flatten(), minlength=6))
        inputs = (x_ND, weights_NK, *experts.parameters())
        outcomes.append([out_ND.detach(), *torch.autograd.grad(out_ND.square().mean(), inputs)])
    for looped, as_one in zip(*outcomes, strict=True):
        assert torch.allclose(looped, as_one, atol=1e-5), (looped - as_one).abs().max()
