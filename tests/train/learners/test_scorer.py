"""Reading fixed models: one number for each completion, whatever it is batched with."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from cogitate.errors import ConfigError
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.train.learners.scorer import ModelScorer


@pytest.fixture
def judge(make_micro_model: Callable[..., Transformer]) -> ValueModel:
    model = ValueModel(make_micro_model(1))
    with torch.no_grad():
        model.score.weight.normal_(generator=torch.Generator().manual_seed(2))
    return model.requires_grad_(False)


def drawn(count: int) -> tuple[list[list[int]], list[list[int]]]:
    rng = random.Random(0)
    texts = [[[rng.randrange(100) for _ in range(rng.randint(1, 12))] for _ in range(count)] for _ in range(2)]
    return texts[0], texts[1]


def test_a_reward_is_the_value_at_the_last_token_of_the_text_alone(judge: ValueModel) -> None:
    prompts, completions = drawn(20)
    rewards = ModelScorer(judge, batch_tokens=60).rewards(prompts, completions)
    alone = [judge(torch.tensor([p + c]))[0, -1].item() for p, c in zip(prompts, completions, strict=True)]
    assert rewards == pytest.approx(alone, abs=1e-5)


def test_rewards_do_not_depend_on_what_else_is_judged(judge: ValueModel) -> None:
    prompts, completions = drawn(20)
    scorer = ModelScorer(judge)
    whole = scorer.rewards(prompts, completions)
    assert scorer.rewards(prompts[::-1], completions[::-1]) == pytest.approx(whole[::-1], abs=1e-5)
    assert scorer.rewards(prompts[3:5], completions[3:5]) == pytest.approx(whole[3:5], abs=1e-5)
    assert scorer.rewards(prompts, completions) == whole
    assert scorer.rewards([], []) == []


def test_values_stand_before_each_token_of_the_completion(judge: ValueModel) -> None:
    prompts, completions = drawn(6)
    values = ModelScorer(judge, batch_tokens=40).values(prompts, completions)
    for prompt, completion, row in zip(prompts, completions, values, strict=True):
        whole = judge(torch.tensor([prompt + completion]))[0]
        assert row == pytest.approx(whole[len(prompt) - 1 : -1].tolist(), abs=1e-5)
        assert len(row) == len(completion)


def test_logprobs_are_those_of_the_next_token_at_each_place(make_micro_model: Callable[..., Transformer]) -> None:
    model = make_micro_model(3).requires_grad_(False)
    prompts, completions = drawn(6)
    logprobs = ModelScorer(model, batch_tokens=40).logprobs(prompts, completions)
    for prompt, completion, row in zip(prompts, completions, logprobs, strict=True):
        every_TV = torch.log_softmax(model.logits(model(torch.tensor([prompt + completion])))[0], dim=-1)
        wanted = [float(every_TV[len(prompt) - 1 + place, token]) for place, token in enumerate(completion)]
        assert row == pytest.approx(wanted, abs=1e-4)


def test_a_language_model_gives_no_rewards_and_an_empty_prompt_is_refused(
    make_micro_model: Callable[..., Transformer], judge: ValueModel
) -> None:
    with pytest.raises(ConfigError, match="without a value head"):
        ModelScorer(make_micro_model()).rewards([[1]], [[2]])
    with pytest.raises(ValueError, match="a prompt is empty"):
        ModelScorer(judge).rewards([[]], [[2]])


def test_prompts_that_are_shared_and_texts_that_come_twice_are_judged_as_alone(
    judge: ValueModel, make_micro_model: Callable[..., Transformer]
) -> None:
    prompts = [[5, 6, 7], [8], [5, 6, 7], [5, 6, 7], [8]]
    completions = [[1, 2, 3], [4], [9], [1, 2, 3], []]
    whole = [torch.tensor([p + c]) for p, c in zip(prompts, completions, strict=True)]
    assert ModelScorer(judge).rewards(prompts, completions) == pytest.approx([judge(w)[0, -1].item() for w in whole], abs=1e-5)
    model = make_micro_model(3).requires_grad_(False)
    values, logprobs = ModelScorer(judge).values(prompts, completions), ModelScorer(model).logprobs(prompts, completions)
    for place, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        assert values[place] == pytest.approx(judge(whole[place])[0, len(prompt) - 1 : -1].tolist(), abs=1e-5)
        every_TV = torch.log_softmax(model.logits(model(whole[place]))[0], dim=-1)
        expected = [every_TV[len(prompt) - 1 + i, token].item() for i, token in enumerate(completion)]
        assert logprobs[place] == pytest.approx(expected, abs=1e-5)


def test_step_scores_are_probabilities_at_the_ends_of_steps(judge: ValueModel) -> None:
    prompts, completions = drawn(6)
    ends = [[1, len(completion)] for completion in completions]
    scores = ModelScorer(judge, batch_tokens=40).step_scores(prompts, completions, ends)
    for prompt, completion, row in zip(prompts, completions, scores, strict=True):
        whole = torch.sigmoid(judge(torch.tensor([prompt + completion]))[0])
        assert row == pytest.approx([whole[len(prompt)].item(), whole[-1].item()], abs=1e-5)
