"""What a completion has so far can be shown before it is finished."""

import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.model.config import TINY
from cogitate.model.transformer import Transformer
from cogitate.types import SamplingParams


def test_partial_tokens_are_those_the_completion_begins_with() -> None:
    torch.manual_seed(0)
    engine = Engine(Transformer(TINY.model_copy(update={"vocab_size": 90})), end_id=-1, max_batch=3)
    engine.submit(GenerationRequest("a", (5, 6), SamplingParams(max_new_tokens=4), (11, 12)))
    engine.submit(GenerationRequest("b", (7,), SamplingParams(max_new_tokens=9), (11, 13)))
    seen: dict[tuple[str, int], list[int]] = {}
    finished = []
    while engine.pending():
        finished += engine.poll()
        for name in ("a", "b"):
            for seed, tokens in engine.partial(name, start=1).items():
                assert tokens[: len(seen.get((name, seed), []))] == seen.get((name, seed), [])
                seen[name, seed] = tokens
    assert len(finished) == len(seen) == 4
    for completion in finished:
        shown = seen[completion.request_id, completion.seed]
        assert list(completion.token_ids[1 : 1 + len(shown)]) == shown
        assert len(shown) == len(completion.token_ids) - 2  # the last token comes with the finished completion
    assert engine.partial("a") == {}
