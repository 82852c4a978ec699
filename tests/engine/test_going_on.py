"""A completion that was stopped goes on from what it had, to the tokens that it would have had."""

from __future__ import annotations

import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import DataError
from cogitate.model.config import TINY
from cogitate.model.transformer import Transformer
from cogitate.types import Completion, SamplingParams

PROMPT = (5, 6, 7)


def make_engine(*, speculative: bool = False) -> Engine:
    torch.manual_seed(0)
    model = Transformer(TINY.model_copy(update={"vocab_size": 90}))
    return Engine(model, end_id=-1, max_batch=4, speculative=speculative)


def finish(engine: Engine) -> list[Completion]:
    finished: list[Completion] = []
    while engine.pending():
        finished += engine.poll()
    return finished


@pytest.mark.parametrize("speculative", [False, True])
def test_a_stopped_completion_goes_on_as_if_it_had_never_been_stopped(speculative: bool) -> None:
    whole = make_engine(speculative=speculative)
    whole.submit(GenerationRequest("a", PROMPT, SamplingParams(max_new_tokens=20), (11,)))
    (expected,) = finish(whole)
    engine = make_engine(speculative=speculative)
    engine.submit(GenerationRequest("a", PROMPT, SamplingParams(max_new_tokens=20), (11,)))
    for _ in range(6):
        engine.poll()
    (stopped,) = engine.abort(["a"])
    had = stopped.token_ids
    assert 0 < len(had) < 20
    rest = SamplingParams(max_new_tokens=20 - len(had))
    engine.submit(GenerationRequest("b", PROMPT, rest, (11,), given_ids=had))
    (after,) = finish(engine)
    assert had + after.token_ids == expected.token_ids
    assert stopped.logprobs + after.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


def test_given_tokens_count_towards_the_context() -> None:
    engine = make_engine()
    room = engine.max_context - len(PROMPT)
    with pytest.raises(DataError, match="do not fit the context"):
        engine.submit(GenerationRequest("a", PROMPT, SamplingParams(max_new_tokens=room), (1,), given_ids=(8,)))


def test_tokens_that_were_set_and_not_sampled_are_not_learnt_from() -> None:
    completion = Completion("a", (4, 5, 6), (0.0, 0.0, 0.0), "stop", ((0, 3),), 1, forced=(1,))
    assert completion.loss_mask == (1, 0, 1)
