"""A completion's logits can be changed before each draw, and its neighbours notice nothing."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import DataError
from cogitate.model.config import TINY
from cogitate.model.transformer import Transformer
from cogitate.types import SamplingParams


class Alternate:
    """Allows two tokens in turn, and remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def shape(self, token_ids: np.ndarray, logits_V: Tensor) -> None:
        self.seen.append(token_ids.tolist())
        kept = logits_V[3 + len(token_ids) % 2].clone()
        logits_V.fill_(-torch.inf)
        logits_V[3 + len(token_ids) % 2] = kept


def make_engine() -> Engine:
    torch.manual_seed(0)
    return Engine(Transformer(TINY.model_copy(update={"vocab_size": 90})), end_id=-1, max_batch=3)


def request(name: str, *seeds: int) -> GenerationRequest:
    return GenerationRequest(name, (5, 6), SamplingParams(max_new_tokens=5), seeds)


def drawn(engine: Engine) -> dict[str, tuple[int, ...]]:
    completions = []
    while engine.pending():
        completions += engine.poll()
    return {completion.request_id: completion.token_ids for completion in completions}


def test_a_shaper_decides_what_its_completion_is_drawn_from_and_no_other() -> None:
    engine, shaper = make_engine(), Alternate()
    engine.submit(request("alone", 7))
    alone = drawn(engine)["alone"]
    engine.submit(request("first", 7))
    engine.submit(request("shaped", 7), shaper)
    engine.submit(request("last", 7))
    assert drawn(engine) == {"first": alone, "shaped": (3, 4, 3, 4, 3), "last": alone}
    assert shaper.seen == [[], [3], [3, 4], [3, 4, 3], [3, 4, 3, 4]]
    engine.submit(request("shaped", 7))
    assert drawn(engine)["shaped"] == alone  # of a later request of this name it knows nothing


def test_fresh_tokens_of_many_requests_are_their_partial_ones() -> None:
    engine = make_engine()
    for name in ("a", "b"):
        engine.submit(request(name, 7))
    engine.poll()
    engine.poll()
    assert engine.fresh({"a": 0, "b": 2, "gone": 0}) == {
        "a": engine.partial("a")[7], "b": engine.partial("b", start=2)[7],
    }  # fmt: skip


def test_a_shaper_needs_one_seed() -> None:
    with pytest.raises(DataError, match="request a: a shaper needs a request of one seed"):
        make_engine().submit(request("a", 1, 2), Alternate())
