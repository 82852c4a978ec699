"""Sampling against exact distributions. Chi-square bounds are the 1e-6 quantiles of fixed draws: no test here is random."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cogitate.engine.sampling import (
    Demands,
    inverse_cdf,
    nucleus,
    sample,
    sample_in_torch,
    sample_without_waiting,
    uniforms,
)
from cogitate.errors import NotFiniteError


def draw(
    logits_V: torch.Tensor, count: int, *, temperature: float = 1.0, top_p: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    return sample(
        logits_V.expand(count, -1).clone(),
        torch.full((count,), temperature),
        torch.full((count,), top_p),
        torch.arange(count),
        torch.full((count,), 5),
    )


def chi_square(tokens: torch.Tensor, probabilities_V: torch.Tensor) -> float:
    """Pearson's statistic over the tokens of positive probability; the others must never be drawn."""
    counts = torch.bincount(tokens, minlength=len(probabilities_V)).double()
    possible = probabilities_V > 0
    assert counts[~possible].sum() == 0
    expected = probabilities_V[possible].double() * len(tokens)
    return float(((counts[possible] - expected) ** 2 / expected).sum())


def test_the_hash_is_splitmix64() -> None:
    """The first outputs of the reference implementation seeded with 1234567 (Vigna's splitmix64.c)."""
    from cogitate.engine.sampling import _GAMMA, _splitmix

    states = 1234567 + torch.arange(3) * _GAMMA
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [value % (1 << 64) for value in _splitmix(states).tolist()] == expected


def test_uniforms_are_uniform_and_unrelated_across_seeds_positions_and_streams() -> None:
    count = 20000
    same_seed = uniforms(torch.full((count,), 7), torch.arange(count))
    same_position = uniforms(torch.arange(count), torch.full((count,), 7))
    second_stream = uniforms(torch.arange(count), torch.full((count,), 7), stream=1)
    for numbers in (same_seed, same_position, second_stream):
        assert float(numbers.min()) >= 0
        assert float(numbers.max()) < 1
        cells = torch.bincount((numbers * 100).long(), minlength=100).double()
        assert float(((cells - count / 100) ** 2 / (count / 100)).sum()) < 184.0  # 99 degrees of freedom
    pairs = [(same_seed[:-1], same_seed[1:]), (same_position[:-1], same_position[1:]), (same_position, second_stream)]
    for one, other in pairs:
        assert abs(float(torch.corrcoef(torch.stack((one, other)))[0, 1])) < 0.035  # five standard errors


@pytest.mark.parametrize("vocabulary", [3, 64, 150])
def test_samples_follow_the_softmax(vocabulary: int) -> None:
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(vocabulary)) * 2
    tokens, logprobs = draw(logits, 40000, temperature=0.8)
    exact = torch.log_softmax(logits / 0.8, dim=-1)
    bound = {3: 27.7, 64: 136.1, 150: 243.9}[vocabulary]
    assert chi_square(tokens, exact.exp()) < bound
    torch.testing.assert_close(logprobs, exact[tokens], rtol=3e-7, atol=1e-6)


@pytest.mark.parametrize("top_p", [0.2, 0.5, 0.9, 0.99])
def test_samples_under_top_p_follow_the_truncated_softmax(top_p: float) -> None:
    logits = torch.randn(100, generator=torch.Generator().manual_seed(9)) * 2
    probabilities = torch.softmax(logits, dim=-1)
    ordered, order = probabilities.sort(descending=True)
    size = int((ordered.double().cumsum(0) < top_p).sum()) + 1
    truncated = torch.zeros(100)
    truncated[order[:size]] = ordered[:size] / ordered[:size].sum()
    tokens, logprobs = draw(logits, 40000, top_p=top_p)
    assert chi_square(tokens, truncated) < 190.0
    torch.testing.assert_close(logprobs, torch.log_softmax(logits, dim=-1)[tokens], rtol=0, atol=1e-6)


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p_and_prefers_lower_ids_among_equals() -> None:
    weights = torch.tensor([[1.0, 4.0, 2.0, 2.0, 1.0]])
    assert nucleus(weights, torch.tensor([0.59])).tolist() == [[0.0, 4.0, 2.0, 0.0, 0.0]]
    assert nucleus(weights, torch.tensor([0.61])).tolist() == [[0.0, 4.0, 2.0, 2.0, 0.0]]
    assert nucleus(weights, torch.tensor([1e-6])).tolist() == [[0.0, 4.0, 0.0, 0.0, 0.0]]


def test_the_most_likely_token_is_in_a_nucleus_that_rounds_to_nothing() -> None:
    logits, settings = 4 * torch.rand(40, 150), (torch.ones(40), torch.full((40,), 1e-50), torch.arange(40), torch.arange(40))
    assert not settings[1].any()
    for tokens, _ in (sample(logits.clone(), *settings), sample_in_torch(logits.clone(), *settings)):
        assert torch.equal(tokens, logits.argmax(dim=1))


def test_the_inverse_of_the_cumulative_distribution_by_hand() -> None:
    weights = torch.tensor([[0.0, 1.0, 0.0, 3.0, 0.0]]).expand(6, -1)
    numbers = torch.tensor([0.0, 0.1, 0.2499, 0.25, 0.9, 1 - 2.0**-53], dtype=torch.float64)
    tokens, totals = inverse_cdf(weights, numbers)
    assert tokens.tolist() == [1, 1, 1, 3, 3, 3]
    assert totals.tolist() == [4.0] * 6


@pytest.mark.parametrize("temperature", [0.0, 1e-9])
def test_temperature_zero_takes_the_most_likely_token_and_reports_its_logprob_at_temperature_one(temperature: float) -> None:
    logits = torch.tensor([0.0, 2.0, 2.0, -1.0])
    tokens, logprobs = draw(logits, 50, temperature=temperature, top_p=0.5)
    assert tokens.tolist() == [1] * 50
    torch.testing.assert_close(logprobs, torch.log_softmax(logits, dim=-1)[tokens])


def test_rows_of_one_batch_have_settings_of_their_own() -> None:
    logits = torch.randn(4, 70, generator=torch.Generator().manual_seed(2))
    settings = torch.tensor([1.0, 0.0, 0.5, 1.0]), torch.tensor([1.0, 1.0, 0.9, 0.3])
    seeds, positions = torch.tensor([5, 6, 7, 8]), torch.tensor([0, 3, 9, 2])
    together = sample(logits.clone(), *settings, seeds, positions)
    for row in range(4):
        alone = sample(*(part[row : row + 1].clone() for part in (logits, *settings, seeds, positions)))
        assert torch.equal(alone[0], together[0][row : row + 1])
        torch.testing.assert_close(alone[1], together[1][row : row + 1])


def test_settings_may_be_one_number_for_all_rows() -> None:
    logits = torch.randn(5, 70, generator=torch.Generator().manual_seed(2))
    alike = torch.tensor([0.7]), torch.tensor([0.9]), torch.tensor([3]), torch.tensor([4])
    got, expected = (
        sample(logits.clone(), *(one.expand(5) if expanded else one.repeat(5) for one in alike)) for expanded in (True, False)
    )
    assert all(torch.equal(*pair) for pair in zip(got, expected, strict=True))


def test_extreme_logits_give_finite_logprobs() -> None:
    logits = torch.tensor([3e4, -3e4, 3e4, float("-inf")])
    tokens, logprobs = draw(logits, 100, temperature=1e-4)
    assert set(tokens.tolist()) == {0, 2}
    torch.testing.assert_close(logprobs, torch.full((100,), 0.5).log())


@pytest.mark.parametrize("draw_rows", [sample, sample_in_torch])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_of_logits_that_are_not_finite_is_refused_with_its_seed(
    value: float, temperature: float, draw_rows: Callable[..., tuple[Tensor, Tensor]]
) -> None:
    for columns in (slice(None), slice(70, 71), slice(129, 130)):
        logits = torch.zeros(3, 130)
        logits[1, columns] = value
        settings = torch.full((3,), temperature), torch.ones(3), torch.tensor([5, 6, 7]), torch.tensor([0, 3, 9])
        with pytest.raises(NotFiniteError, match="the completion of seed 6, token 3"):
            draw_rows(logits, *settings)


@pytest.mark.parametrize("draw_rows", [sample, sample_in_torch])
def test_a_row_that_allows_no_token_does_not_fail_others(draw_rows: Callable[..., tuple[Tensor, Tensor]]) -> None:
    logits = torch.zeros(2, 130)
    logits[1] = -torch.inf
    settings = torch.ones(2), torch.ones(2), torch.tensor([5, 6]), torch.tensor([0, 3])
    alone = draw_rows(logits[:1].clone(), *(part[:1] for part in settings))
    assert draw_rows(logits, *settings)[0][0] == alone[0][0]


def test_sampling_without_waiting_gives_the_tokens_of_sampling_that_waits() -> None:
    generator = torch.Generator().manual_seed(0)
    chance_B, other_B, third_B = (torch.rand(40, generator=generator) for _ in range(3))
    logits_BV = 4 * torch.rand(40, 150, generator=generator)
    seeds_B = torch.arange(40)
    for temperatures_B in (torch.ones(40), torch.where(chance_B < 0.3, 0.0, 0.3 + other_B)):
        for top_p_B in (torch.ones(40), torch.where(third_B < 0.5, 1.0, other_B.clamp_min(0.05))):
            settings = (temperatures_B, top_p_B, seeds_B, seeds_B % 7)
            waiting = sample_in_torch(logits_BV.clone(), *settings)
            known_B, again_B = (uniforms(seeds_B, seeds_B % 7, stream=stream) for stream in (0, 1))
            demands = Demands.of(temperatures_B.numpy(), top_p_B.numpy())
            without = sample_without_waiting(logits_BV, temperatures_B, top_p_B, known_B, again_B, demands)
            assert torch.equal(waiting[0], without[0])
            assert torch.equal(waiting[1], without[1])
