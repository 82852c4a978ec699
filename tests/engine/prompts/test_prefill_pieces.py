"""Prompts that are read in pieces, beside the steps of running completions."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.batch import Batch
from cogitate.engine.decode import Decoder
from cogitate.engine.decode_weights import Stack
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError, DataError
from cogitate.kernels import native_library
from cogitate.model.files.hf import save_model
from cogitate.types import Completion, SamplingParams
from tests.engine.prompts.test_prefixes import FAMILIES, PLENTY, branches, run, tokens_of
from tests.engine.random_model import make_model
from tests.engine.test_decode import CONFIGS

kernels = pytest.mark.skipif(native_library() is None, reason="to the bit with the kernels alone")
LONG = tokens_of(random.Random(3), 150)


def make_engine(
    prefill_tokens: int, family: str = "llama", *, prefix_bytes: int = 0, end_id: int = 3, dtype: torch.dtype = torch.float32
) -> Engine:
    return Engine(
        make_model(FAMILIES[family], dtype), end_id=end_id, max_batch=6, max_context=200, prefix_bytes=prefix_bytes,
        prefill_tokens=prefill_tokens,
    )  # fmt: skip


def request(name: str, prompt: tuple[int, ...], tokens: int = 20, given: tuple[int, ...] = ()) -> GenerationRequest:
    return GenerationRequest(name, prompt, SamplingParams(max_new_tokens=tokens), (1,), given)


@kernels
@pytest.mark.parametrize(
    ("family", "dtype"),
    [("llama", torch.float32), ("deepseek_v3", torch.bfloat16), ("qwen2 with a window", torch.float32)],
)
def test_completions_are_the_same_to_the_bit_wherever_prompts_are_cut(family: str, dtype: torch.dtype) -> None:
    settings = ((0, 0), (1, 0), (7, PLENTY), (16, 0))
    engines = tuple(make_engine(size, family, prefix_bytes=memory, dtype=dtype) for size, memory in settings)
    assert branches(1, engines) > 20
    assert engines[0].prompt_tokens_prefilled == engines[1].prompt_tokens_prefilled
    assert engines[1].cache.blocks_in_use == 0


@kernels
def test_running_completions_go_on_while_a_long_prompt_is_read() -> None:
    engine, alone = make_engine(10, end_id=-1), make_engine(0, end_id=-1)
    expected = {**run(alone, request("a", (4, 5, 6), 40)), **run(alone, request("b", LONG)), **run(alone, request("c", (5, 5)))}
    engine.submit(request("a", (4, 5, 6), 40))
    engine.poll()
    engine.submit(request("b", LONG))
    found: dict[tuple[str, int], Completion] = {}
    for poll in range(200):
        before = engine.prompt_tokens_prefilled
        if poll == 15:
            engine.submit(request("c", (5, 5)))
        found |= {(each.request_id, each.seed): each for each in engine.poll()}
        assert engine.prompt_tokens_prefilled - before <= 10
        if poll < 14:
            assert len(engine.partial("a")[1]) == poll + 3
            assert not engine.partial("b")
    assert engine.pending() == 0
    assert found == expected


@kernels
def test_a_piece_and_a_step_go_through_the_layers_together(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, forward = make_engine(10, end_id=-1), Decoder._forward
    passes: list[int] = []

    def noted(self: Decoder, stack: Stack, batch: Batch, *others: Any, **options: Any) -> None:
        passes.append(len(batch.tokens))
        forward(self, stack, batch, *others, **options)

    monkeypatch.setattr(Decoder, "_forward", noted)
    engine.submit(request("a", (4, 5, 6), 40))
    engine.submit(request("b", (4, 5, 7), 40))
    engine.poll()
    engine.submit(request("c", LONG))
    for _ in range(15):
        engine.poll()
    engine.poll()
    assert passes == [6, 2, *[2 + 10] * 15, 3]


def test_more_is_read_in_a_step_where_few_run_and_many_wait() -> None:
    engine = make_engine(3, end_id=-1)

    def read() -> int:
        before = engine.prompt_tokens_prefilled
        engine.poll()
        return engine.prompt_tokens_prefilled - before

    engine.submit(request("first", LONG[:40], 100))
    assert [read(), read(), read()] == [24, 16, 0]  # nobody waits for it
    for name in "abcd":
        engine.submit(request(name, LONG[40:58], 100))
    assert [read(), read()] == [12, 12]  # four wait and one runs
    assert [read(), read()] == [3, 3]  # three wait and two run


def test_a_request_that_is_aborted_while_it_is_read_leaves_nothing_behind() -> None:
    engine = make_engine(2)
    engine.submit(request("a", LONG))
    engine.submit(request("b", (4, 5, 6)))
    engine.poll()
    assert engine.cache.blocks_in_use == 1
    (stopped,) = engine.abort(["a"])
    assert (stopped.token_ids, stopped.finish_reason, engine.cache.blocks_in_use) == ((), "abort", 0)
    (found,) = run(engine).values()
    assert found == next(iter(run(make_engine(0), request("b", (4, 5, 6))).values()))


@kernels
def test_new_weights_read_a_prompt_from_its_beginning(tmp_path: Path) -> None:
    torch.manual_seed(7)
    other = make_model(FAMILIES["llama"])
    with torch.no_grad():
        other.embed_tokens.weight.add_(0.1)
    save_model(other, tmp_path)
    engine = make_engine(8, prefix_bytes=PLENTY)
    shared: list[int] = []
    engine.submit(request("a", LONG), on_read=shared.append)
    engine.poll()
    engine.load_weights(tmp_path, 1)
    new = Engine(other, end_id=3, max_batch=6, max_context=200)
    (found,), (expected,) = run(engine).values(), run(new, request("a", LONG)).values()
    assert (found.token_ids, found.logprobs, shared) == (expected.token_ids, expected.logprobs, [0])


def test_what_had_not_to_be_computed_is_told_for_each_request() -> None:
    told: dict[str, int] = {}
    engine = make_engine(20, prefix_bytes=PLENTY)
    asked = [("a", LONG), ("again", LONG), ("begins alike", (*LONG[:70], 7, 7, 7)), ("other", (9, *LONG[1:]))]
    for name, prompt in asked:
        engine.submit(request(name, prompt), on_read=lambda shared, name=name: told.__setitem__(name, shared))  # type: ignore[misc]
        run(engine)
    assert told == {"a": 0, "again": 150, "begins alike": 70, "other": 0}
    assert engine.prompt_tokens_prefilled == sum(len(prompt) - told[name] for name, prompt in asked)


def test_without_the_kernels_pieces_give_the_same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cogitate.engine.decode.native_library", lambda: None)
    whole, pieces = make_engine(0), make_engine(16)
    asked = [request("a", LONG, 8), request("b", LONG[:40], 8, LONG[:30])]
    expected, found = run(whole, *asked), run(pieces, *asked)
    assert [each.token_ids for each in found.values()] == [each.token_ids for each in expected.values()]


def test_pieces_do_not_go_with_speculation() -> None:
    with pytest.raises(ConfigError, match="the MTP block reads whole prompts"):
        Engine(make_model(CONFIGS["deepseek_v3"]), end_id=3, max_batch=2, prefill_tokens=8, speculative=True)
    with pytest.raises(DataError, match="prefill_tokens = -1: must not be negative"):
        make_engine(-1)
