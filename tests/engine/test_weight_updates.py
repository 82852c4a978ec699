"""Weights replaced while requests wait and run."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import CheckpointError
from cogitate.kernels import native_library
from cogitate.model.config import TINY
from cogitate.model.files.hf import save_model
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer
from cogitate.types import Completion, SamplingParams

CONFIG = TINY.model_copy(update={"vocab_size": 90, "hidden_size": 64, "num_hidden_layers": 2, "initializer_range": 0.1})
PROMPTS = [(5, 6, 7, 8, 9), (10, 11, 12), (20, 21, 22, 23)]
SAMPLING = SamplingParams(max_new_tokens=12)


def make_model(seed: int) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(CONFIG).eval()


def make_engine(model: Transformer, max_batch: int) -> Engine:
    return Engine(model, end_id=-1, max_batch=max_batch, max_context=64)


def request(index: int, seeds: tuple[int, ...] = (1, 2, 3)) -> GenerationRequest:
    return GenerationRequest(f"{index}", PROMPTS[index], SAMPLING, seeds)


def finish(engine: Engine) -> dict[tuple[str, int], Completion]:
    completions = []
    while engine.pending():
        completions += engine.poll()
    return {(completion.request_id, completion.seed): completion for completion in completions}


@pytest.fixture
def new_weights(tmp_path: Path) -> Path:
    save_model(make_model(seed=1), tmp_path / "new")
    return tmp_path / "new"


def test_loaded_weights_sample_as_an_engine_made_with_them(new_weights: Path) -> None:
    engine, expected = make_engine(make_model(seed=0), 4), make_engine(make_model(seed=1), 4)
    engine.load_weights(new_weights, 3)
    for each in (engine, expected):
        each.submit(request(0))
    got, wanted = finish(engine), finish(expected)
    assert [c.token_ids for c in got.values()] == [c.token_ids for c in wanted.values()]
    assert [c.logprobs for c in got.values()] == [c.logprobs for c in wanted.values()]
    assert {c.weight_versions for c in got.values()} == {((3, 12),)}


@pytest.fixture(params=["1", "0"], ids=["native", "plain"])
def either_form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COGITATE_NATIVE", request.param)
    native_library.cache_clear()
    yield
    native_library.cache_clear()


@pytest.mark.usefixtures("either_form")
def test_weights_may_be_freed_while_nothing_is_pending(new_weights: Path) -> None:
    engine, expected = make_engine(make_model(seed=0), 4), make_engine(make_model(seed=1), 4)
    engine.submit(request(1))
    with pytest.raises(AssertionError, match="pending"):
        engine.free_weights()
    finish(engine)
    engine.free_weights()
    engine.submit(request(2))
    with pytest.raises(AssertionError, match="freed"):
        engine.poll()
    engine.abort(["2"])
    engine.load_weights(new_weights, 1)
    for each in (engine, expected):
        each.submit(request(0))
    got, wanted = finish(engine), finish(expected)
    assert [c.token_ids for c in got.values()] == [c.token_ids for c in wanted.values()]


def test_completions_in_flight_go_on_with_the_new_weights_and_say_which_sampled_what(new_weights: Path) -> None:
    """Two rows: request 0 has two completions in flight and one not started when the weights change."""
    engine = make_engine(make_model(seed=0), 2)
    engine.load_weights(new_weights, 5)  # replaced at once: version 5 never samples
    save_model(make_model(seed=0), new_weights.parent / "old")
    engine.load_weights(new_weights.parent / "old", 6)
    engine.submit(request(0))
    engine.submit(request(1))
    for _ in range(4):
        engine.poll()
    engine.load_weights(new_weights, 7)
    engine.load_weights(new_weights, 8)
    assert engine.prompt_tokens_prefilled == 5 + 3
    got = finish(engine)
    assert got["0", 1].weight_versions == got["0", 2].weight_versions == ((6, 5), (8, 7))
    assert got["0", 3].weight_versions == got["1", 1].weight_versions == ((8, 12),)
    assert engine.prompt_tokens_prefilled == 2 * (5 + 3)

    old, new = make_engine(make_model(seed=0), 4), make_engine(make_model(seed=1), 4)
    for each in (old, new):
        each.submit(request(0))
        each.submit(request(1))
    before, after = finish(old), finish(new)
    assert got["0", 1].token_ids[:5] == before["0", 1].token_ids[:5]
    assert got["0", 3].token_ids == after["0", 3].token_ids
    assert got["1", 2].token_ids == after["1", 2].token_ids


def test_tokens_after_a_change_are_sampled_by_the_new_weights_over_the_old_keys(new_weights: Path) -> None:
    old, new = make_model(seed=0), make_model(seed=1)
    engine = make_engine(make_model(seed=0), 1)
    engine.submit(request(0, seeds=(4,)))
    for _ in range(4):
        engine.poll()
    engine.load_weights(new_weights, 1)
    completion = finish(engine)["0", 4]
    with torch.inference_mode():
        cache = KVCache(CONFIG, 1, 64, dtype=torch.float32, device="cpu")
        logits = [old.logits(old(torch.tensor([PROMPTS[0]]), cache=cache)[:, -1])]
        for index, token in enumerate(completion.token_ids[:-1]):
            model = old if index < 4 else new
            logits.append(model.logits(model(torch.tensor([[token]]), cache=cache)[:, -1]))
        expected = torch.log_softmax(torch.cat(logits), dim=-1)[np.arange(12), completion.token_ids]
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, rtol=0, atol=1e-5)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_model(Transformer(CONFIG.model_copy(update={"hidden_size": 32})), tmp_path)
    engine = make_engine(make_model(seed=0), 1)
    with pytest.raises(CheckpointError, match="hidden_size = 32, but the model to fill has 64"):
        engine.load_weights(tmp_path, 1)
    assert engine.version == 0
