"""Rows in which a prompt stands once: every completion token is there, predicted from the right place."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cogitate.train.rows import shared_prompts
from cogitate.train.rows.shared_prompts import even_rows, hidden_of, lay_out, prompt_rows
from cogitate.types import Problem, Rollout, Text, Verdict
from tests.engine.random_model import make_model
from tests.engine.test_decode import CONFIGS


def rollout(prompt: tuple[int, ...], completion: tuple[int, ...], mask: tuple[int, ...] | None = None) -> Rollout:
    logprobs = tuple(-0.1 * (i + 1) for i in range(len(completion)))
    return Rollout(
        problem=Problem("p", "t", "math", "?"), prompt_ids=prompt, completion_ids=completion, logprobs=logprobs,
        loss_mask=mask or (1,) * len(completion), weight_versions=((0, len(completion)),), finish_reason="stop", seed=0,
        text="", reward=1.0, reward_breakdown={}, verdict=Verdict("right", 1.0, ""),
    )  # fmt: skip


def test_rows_by_hand() -> None:
    first, second = rollout((7, 8), (1, 2, 3)), rollout((7, 8), (4, 5))
    (batch,) = prompt_rows([first, second], row_tokens=7, batch_tokens=100)
    assert batch.tokens_RT.tolist() == [[7, 8, 1, 2, 3, 4, 5]]
    assert batch.documents_RT.tolist() == [[0, 0, 1, 1, 1, 2, 2]]
    assert batch.indices == (0, 1)
    assert batch.sources_N.tolist() == [1, 2, 3, 1, 5]  # both first tokens are predicted by the prompt's last
    assert batch.targets_N.tolist() == [1, 2, 3, 4, 5]
    assert batch.mask_SL.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.sampler_logprobs_SL[1].tolist() == pytest.approx([-0.1, -0.2, 0.0])


def test_a_row_that_is_full_begins_the_prompt_anew() -> None:
    rollouts = [rollout((7, 8), (1, 2, 3)), rollout((7, 8), (4, 5)), rollout((9,), (6,))]
    (batch,) = prompt_rows(rollouts, row_tokens=6, batch_tokens=100)
    used = (batch.documents_RT >= 0).sum(1).tolist()
    rows = [row[:tokens] for row, tokens in zip(batch.tokens_RT.tolist(), used, strict=True)]
    assert sorted(rows) == [[7, 8, 1, 2, 3], [7, 8, 4, 5], [9, 6]]


def test_a_long_prompt_stands_once_for_completions_of_twice_its_length() -> None:
    rollouts = [rollout((7, 8, 9, 6), (i, i, i)) for i in range(1, 5)]
    (batch,) = prompt_rows(rollouts, row_tokens=5, batch_tokens=100)
    used = (batch.documents_RT >= 0).sum(1).tolist()
    assert used == [10, 10]  # 8 tokens of completions at most: two of three tokens
    (whole,) = prompt_rows(rollouts[:2], row_tokens=5, batch_tokens=100)
    assert whole.tokens_RT.tolist() == [[7, 8, 9, 6, 1, 1, 1, 2, 2, 2]]


def test_tokens_outside_the_loss_mask_are_seen_but_not_counted() -> None:
    (batch,) = prompt_rows([rollout((7,), (1, 2, 3), (1, 0, 1))], row_tokens=8, batch_tokens=8)
    assert batch.tokens_RT.tolist() == [[7, 1, 2, 3]]
    assert batch.mask_SL.tolist() == [[1, 0, 1]]
    assert batch.sources_N.tolist() == [0, 2]
    assert batch.targets_N.tolist() == [1, 3]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), row_tokens=st.integers(4, 60), batch_tokens=st.integers(4, 200))
def test_every_rollout_stands_in_one_place_whole_after_its_own_prompt(seed: int, row_tokens: int, batch_tokens: int) -> None:
    rng = random.Random(seed)
    prompts = [tuple(rng.randrange(50) for _ in range(rng.randint(1, 8))) for _ in range(3)]
    rollouts = [rollout(rng.choice(prompts), tuple(rng.randrange(50) for _ in range(rng.randint(1, 20)))) for _ in range(12)]
    batches = prompt_rows(rollouts, row_tokens=row_tokens, batch_tokens=batch_tokens)
    assert sorted(index for batch in batches for index in batch.indices) == list(range(12))
    for batch in batches:
        rows, width = batch.tokens_RT.shape
        longest = max(len(each.prompt_ids + each.completion_ids) for each in rollouts)
        assert rows * width <= max(batch_tokens, row_tokens, longest, 3 * max(map(len, prompts)))
        flat_tokens, flat_documents = batch.tokens_RT.flatten(), batch.documents_RT.flatten()
        counted = 0
        for place, index in enumerate(batch.indices):
            each = rollouts[index]
            length = len(each.completion_ids)
            assert batch.mask_SL[place].tolist() == [1.0] * length + [0.0] * (batch.mask_SL.shape[1] - length)
            sources = batch.sources_N[counted : counted + length]
            assert batch.targets_N[counted : counted + length].tolist() == list(each.completion_ids)
            counted += length
            row = int(sources[0]) // width
            assert flat_tokens[row * width : int(sources[0]) + 1].tolist() == list(each.prompt_ids)
            assert set(flat_documents[row * width : int(sources[0]) + 1].tolist()) == {0}
            if length > 1:
                assert flat_tokens[sources[1:]].tolist() == list(each.completion_ids[:-1])
                assert len(set(flat_documents[sources[1:]].tolist())) == 1
                assert torch.equal(sources[1:].diff(), torch.ones(length - 2, dtype=torch.long))
        assert counted == len(batch.targets_N)


def test_the_gradient_of_the_place_that_all_completions_start_from_is_the_same_bytes_every_time() -> None:
    (batch,) = prompt_rows([rollout((7, 8), (1 + i % 9, 2)) for i in range(2000)], row_tokens=9000, batch_tokens=9000)
    hidden_RTD = torch.randn(*batch.tokens_RT.shape, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    upstream_ND = torch.randn(len(batch.sources_N), 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(batch.sources_of(hidden_RTD), hidden_RTD.flatten(0, 1)[batch.sources_N])
    gradients = {
        torch.autograd.grad(batch.sources_of(hidden_RTD), hidden_RTD, upstream_ND)[0].numpy().tobytes() for _ in range(8)
    }
    assert len(gradients) == 1


def test_a_group_that_needs_two_rows_is_split_evenly() -> None:
    rows = even_rows([5, 4, 4, 3, 3, 2], 12)  # a second row of what the first left over would be 9 shorter
    assert sorted(sum([5, 4, 4, 3, 3, 2][index] for index in row) for row in rows) == [10, 11]
    assert sorted(index for row in rows for index in row) == list(range(6))


def test_rows_are_more_where_an_even_split_would_be_too_long() -> None:
    assert [len(row) for row in even_rows([3, 3, 3], 5)] == [1, 1, 1]


def test_the_last_place_of_a_completion_is_its_last_token_and_of_an_empty_one_the_prompts() -> None:
    rows = lay_out([[Text((7, 8), (1, 2, 3)), Text((7, 8), ())], [Text((9,), (4,))]])
    assert rows.tokens_RT.tolist() == [[7, 8, 1, 2, 3], [9, 4, 0, 0, 0]]
    assert rows.last_places.tolist() == [4, 1, 6]
    assert rows.spans[0].sources.tolist() == [1, 2, 3]
    assert rows.spans[1].sources.tolist() == []


WORKED = (5, 6, 7, 8)  # what three prompts begin with


def test_prompts_that_begin_alike_share_that_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_prompts, "LEAST_SHARED", 4)
    first, second, third = rollout((*WORKED, 1), (2, 3)), rollout((*WORKED, 4, 9), (1,)), rollout((*WORKED, 1), (9,))
    (batch,) = prompt_rows([first, second, third], row_tokens=100, batch_tokens=100)
    assert batch.tokens_RT.tolist() == [[*WORKED, 1, 2, 3, 9, 4, 9, 1]]
    assert batch.documents_RT.tolist() == [[0, 0, 0, 0, 1, 2, 2, 3, 4, 4, 5]]
    assert batch.prompts_RT is not None
    assert batch.prompts_RT.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 4]]
    assert batch.indices == (0, 2, 1)
    assert batch.sources_N.tolist() == [4, 5, 4, 9]
    assert batch.targets_N.tolist() == [2, 3, 9, 1]


def test_a_prompt_that_another_goes_on_from_keeps_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_prompts, "LEAST_SHARED", 3)
    (batch,) = prompt_rows([rollout(WORKED, (1,)), rollout((*WORKED, 2), (3,))], row_tokens=100, batch_tokens=100)
    assert batch.tokens_RT.tolist() == [[5, 6, 7, 8, 1, 8, 2, 3]]
    assert batch.documents_RT.tolist() == [[0, 0, 0, 1, 2, 3, 3, 4]]


@pytest.mark.parametrize("name", CONFIGS)
def test_losses_and_gradients_are_those_of_rows_of_one_prompt(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    begin = tuple(rng.randrange(90) for _ in range(37))
    prompts = [(*begin, *(rng.randrange(90) for _ in range(length))) for length in (3, 1, 6, 2)]
    rollouts = [rollout(prompt, tuple(rng.randrange(90) for _ in range(rng.randint(1, 9)))) for prompt in prompts * 4]
    model = make_model(CONFIGS[name])
    found, tokens = [], []
    for least in (32, 10**6):
        monkeypatch.setattr(shared_prompts, "LEAST_SHARED", least)
        model.zero_grad()
        logprobs, read = torch.zeros(len(rollouts), 9), 0
        for batch in prompt_rows(rollouts, row_tokens=200, batch_tokens=400):
            values_N, _ = model.logprobs(batch.sources_of(hidden_of(model, batch)), batch.targets_N)
            values_SL = torch.zeros_like(batch.mask_SL).masked_scatter(batch.mask_SL.bool(), values_N)
            (values_SL.sin() * batch.mask_SL).sum().backward()
            logprobs[list(batch.indices), : values_SL.shape[1]] = values_SL.detach()
            read += int((batch.documents_RT >= 0).sum())
        found.append([logprobs, *(p.grad for p in model.parameters() if p.grad is not None)])
        tokens.append(read)
    assert tokens[0] < tokens[1] - 2 * 37
    for together, apart in zip(*found, strict=True):
        torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
