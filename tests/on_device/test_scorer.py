"""Models that judge given tokens, on a device: the CPU's numbers."""

from collections.abc import Callable

import pytest
import torch

from cogitate.model.value_head import ValueModel
from cogitate.train.learners.scorer import ModelScorer
from tests.on_device.stand_in_device import KIND, stand_in
from tests.on_device.test_training import PAIRS, maker

PROMPTS = [text.prompt_ids for pair in PAIRS for text in pair]
COMPLETIONS = [text.completion_ids for pair in PAIRS for text in pair]
ENDS = [[2, len(completion)] for completion in COMPLETIONS]
Scores = list[float] | list[list[float]]
ASKED: dict[str, Callable[[ModelScorer], Scores]] = {
    "log-probabilities": lambda scorer: scorer.logprobs(PROMPTS, COMPLETIONS),
    "values": lambda scorer: scorer.values(PROMPTS, COMPLETIONS),
    "rewards": lambda scorer: scorer.rewards(PROMPTS, COMPLETIONS),
    "scores of steps": lambda scorer: scorer.step_scores(PROMPTS, COMPLETIONS, ENDS),
}


def scorer_on(device: str) -> ModelScorer:
    model = ValueModel(maker(torch.float32, device)())
    with torch.no_grad():
        model.score.weight.copy_(torch.linspace(-1, 1, model.score.weight.numel()).view_as(model.score.weight))
    return ModelScorer(model)


@pytest.mark.parametrize("what", ASKED)
def test_a_scorer_gives_the_numbers_of_the_cpu(what: str) -> None:
    here = ASKED[what](scorer_on("cpu"))
    with stand_in():
        there = ASKED[what](scorer_on(KIND))
    assert flattened(there) == pytest.approx(flattened(here), abs=1e-5)


def flattened(made: Scores) -> list[float]:
    return [number for row in made for number in (row if isinstance(row, list) else [row])]
