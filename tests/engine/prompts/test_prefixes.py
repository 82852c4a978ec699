"""Requests that begin like others read only what is new, and their completions are the same to the bit."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError, DataError
from cogitate.kernels import native_library
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.kv_cache import BLOCK
from cogitate.types import Completion, SamplingParams
from tests.engine.random_model import make_model
from tests.engine.test_decode import CONFIGS

FAMILIES = {name: CONFIGS[name] for name in ("deepseek_v3", "llama", "qwen2 with a window")}
PLENTY = 1 << 30
kernels = pytest.mark.skipif(native_library() is None, reason="to the bit with the kernels alone")


def make_engine(config: ModelConfig, prefix_bytes: int, dtype: torch.dtype = torch.float32, max_batch: int = 6) -> Engine:
    return Engine(make_model(config, dtype), end_id=3, max_batch=max_batch, max_context=200, prefix_bytes=prefix_bytes)


def run(engine: Engine, *requests: GenerationRequest) -> dict[tuple[str, int], Completion]:
    for each in requests:
        engine.submit(each)
    found: dict[tuple[str, int], Completion] = {}
    while engine.pending():
        found |= {(each.request_id, each.seed): each for each in engine.poll()}
    return found


def tokens_of(rng: random.Random, count: int) -> tuple[int, ...]:
    """Few different ones, so that much begins alike by chance."""
    return tuple(rng.choice((4, 5, 6)) for _ in range(count))


def branches(seed: int, engines: tuple[Engine, ...]) -> int:
    """Ask all engines the same random questions, most of which go on from earlier ones or from their answers; how many were
    equal."""
    rng = random.Random(seed)
    prompts = [tokens_of(rng, rng.randrange(1, 60)) for _ in range(3)]
    had: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    compared = 0
    for step in range(8):
        requests = []
        for number in range(rng.randrange(1, 5)):
            prompt = rng.choice(prompts)
            given: tuple[int, ...] = ()
            if had and rng.random() < 0.7:
                prompt, given = rng.choice(had)
                given = given[: rng.randrange(len(given) + 1)]
            elif rng.random() < 0.3:
                prompt = (*prompt[: rng.randrange(1, len(prompt) + 1)], *tokens_of(rng, rng.randrange(20)))
            given = (*given, *tokens_of(rng, rng.choice([0, 0, 3])))
            params = SamplingParams(rng.choice([0.0, 1.0]), 1.0, rng.randrange(1, 30))
            seeds = tuple(range(step * 10, step * 10 + rng.randrange(1, 4)))
            requests.append(GenerationRequest(f"{step}/{number}", prompt, params, seeds, given[:90]))
        expected, *others = [run(engine, *requests) for engine in engines]
        assert all(other == expected for other in others)
        compared += len(expected)
        by_id = {each.id: each for each in requests}
        for (name, _), each in expected.items():
            had.append((by_id[name].prompt_ids, (*by_id[name].given_ids, *each.token_ids)))
    return compared


@kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_completions_are_the_same_to_the_bit_with_much_little_and_no_memory(family: str, dtype: torch.dtype) -> None:
    config = FAMILIES[family]
    none, plenty = make_engine(config, 0, dtype), make_engine(config, PLENTY, dtype)
    little = make_engine(config, 6 * plenty.cache.bytes_per_block, dtype)
    assert branches(0, (none, plenty, little)) > 20
    assert plenty.prompt_tokens_prefilled < 0.6 * none.prompt_tokens_prefilled
    assert plenty.prompt_tokens_prefilled + plenty.prompt_tokens_shared == none.prompt_tokens_prefilled
    assert plenty.prefixes is not None
    assert little.prefixes is not None
    assert little.prefixes.bytes <= little.prefixes.max_bytes
    assert plenty.cache.blocks_in_use == len(plenty.prefixes)


def test_without_the_kernels_they_are_the_same_up_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cogitate.engine.decode.native_library", lambda: None)
    none, plenty = make_engine(FAMILIES["llama"], 0), make_engine(FAMILIES["llama"], PLENTY)
    prompt = tokens_of(random.Random(1), 37)
    long = GenerationRequest("b", (*prompt, 5, 6), SamplingParams(0.0, max_new_tokens=9), (1,))
    requests = [GenerationRequest("a", prompt, SamplingParams(0.0, max_new_tokens=9), (1, 2)), long]
    for each in requests:
        (expected, *_), (found, *_) = (run(engine, each).values() for engine in (none, plenty))
        assert found.token_ids == expected.token_ids
        assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert plenty.prompt_tokens_prefilled == 37 + 2


@kernels
def test_a_completion_that_goes_on_is_the_one_that_was_never_stopped_to_the_bit() -> None:
    prompt = tokens_of(random.Random(1), 21)
    for prefix_bytes in (0, PLENTY):
        engine = make_engine(FAMILIES["deepseek_v3"], prefix_bytes)
        whole = GenerationRequest("a", prompt, SamplingParams(max_new_tokens=40), (1,))
        (expected,) = run(make_engine(FAMILIES["deepseek_v3"], 0), whole).values()
        engine.submit(whole)
        for _ in range(23):
            engine.poll()
        (had,) = engine.abort(["a"])
        room = SamplingParams(max_new_tokens=40 - len(had.token_ids))
        (rest,) = run(engine, replace(whole, params=room, given_ids=had.token_ids)).values()
        assert had.token_ids + rest.token_ids == expected.token_ids
        assert had.logprobs + rest.logprobs == expected.logprobs


def test_beams_read_no_token_twice() -> None:
    """16 beams from 4 parents: each step costs one token a parent, the last one that was sampled."""
    engine = Engine(make_model(FAMILIES["llama"]), end_id=-1, max_batch=16, prefix_bytes=PLENTY)
    prompt = tokens_of(random.Random(1), 77)
    parents: list[tuple[int, ...]] = [()] * 4
    for step in range(4):
        requests = [
            GenerationRequest(
                f"{number}", prompt, SamplingParams(max_new_tokens=13), tuple(range(4 * number, 4 * number + 4)), had
            )
            for number, had in enumerate(parents)
        ]
        before = engine.prompt_tokens_prefilled
        found = run(engine, *requests)
        assert engine.prompt_tokens_prefilled - before == (len(prompt) if not step else len(set(parents)))
        parents = [(*had, *found[f"{number}", 4 * number + step % 4].token_ids) for number, had in enumerate(parents)]


def test_a_branch_of_a_running_completion_costs_its_new_tokens() -> None:
    engine = Engine(make_model(FAMILIES["llama"]), end_id=-1, max_batch=6, prefix_bytes=PLENTY)
    prompt = tokens_of(random.Random(1), 21)
    engine.submit(GenerationRequest("a", prompt, SamplingParams(max_new_tokens=60), (1,)))
    for _ in range(30):
        engine.poll()
    said = tuple(engine.partial("a")[1])
    engine.submit(GenerationRequest("b", prompt, SamplingParams(max_new_tokens=5), (2, 3), (*said[:25], 8, 9)))
    engine.poll()
    assert engine.prompt_tokens_prefilled == 21 + 2
    assert engine.prompt_tokens_shared == 21 + 25


def test_requests_that_come_together_wait_for_what_they_share() -> None:
    engine = make_engine(FAMILIES["llama"], PLENTY)
    shared = tokens_of(random.Random(1), 3 * BLOCK)
    ends = [(8, 9), (10, 11), (8, 12)]
    run(
        engine,
        *(GenerationRequest(f"{n}", (*shared, *end), SamplingParams(max_new_tokens=3), (1,)) for n, end in enumerate(ends)),
    )
    assert len(shared) + 2 + 2 + 1 <= engine.prompt_tokens_prefilled <= len(shared) + 6


def test_new_weights_forget_what_the_old_ones_read(tmp_path: Path) -> None:
    config = FAMILIES["llama"]
    torch.manual_seed(5)
    other = make_model(config)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.5)
    save_model(other, tmp_path / "new")
    prompt = tokens_of(random.Random(1), 40)
    first = GenerationRequest("a", prompt, SamplingParams(max_new_tokens=40), (1,))
    second = GenerationRequest("b", prompt, SamplingParams(max_new_tokens=8), (1,))
    engine = make_engine(config, PLENTY)
    run(engine, second)
    engine.submit(first)
    for _ in range(5):
        engine.poll()
    engine.load_weights(tmp_path / "new", 1)
    run(engine)  # the first one ends, begun by the old weights
    assert engine.prefixes is not None
    assert len(engine.prefixes) == 0
    before = engine.prompt_tokens_prefilled
    found = run(engine, second)
    assert engine.prompt_tokens_prefilled - before == len(prompt)
    expected = Engine(other, end_id=3, max_batch=6, max_context=200)
    (wanted,), (got,) = run(expected, second).values(), found.values()
    assert got.token_ids == wanted.token_ids
    assert got.logprobs == wanted.logprobs


def test_prefixes_cannot_be_kept_with_drafts_or_in_negative_memory() -> None:
    with pytest.raises(ConfigError, match="not kept for the MTP block"):
        Engine(make_model(FAMILIES["deepseek_v3"]), end_id=3, max_batch=2, speculative=True, prefix_bytes=5)
    with pytest.raises(DataError, match="must not be negative"):
        make_engine(FAMILIES["llama"], -1)


@kernels
def test_requests_that_go_on_from_one_place_in_two_ways_do_not_write_over_each_other() -> None:
    """Both ends are there in copies, the place before them in a block that is partly empty."""
    engine, plain = (make_engine(FAMILIES["llama"], prefix_bytes) for prefix_bytes in (PLENTY, 0))
    prompt = tokens_of(random.Random(1), 11)
    ends = [(*prompt, token) for token in (8, 9)]
    params = SamplingParams(0.0, max_new_tokens=4)
    run(engine, *(GenerationRequest(f"{token}", (*end, token, token), params, (1,)) for token, end in enumerate(ends)))
    run(engine, GenerationRequest("a", prompt, params, (1,)))
    both = [GenerationRequest(f"{number}", end, params, (1,)) for number, end in enumerate(ends)]
    assert run(engine, *both) == run(plain, *both)
