"""Completions with drafts against completions without, against exact probabilities, and on the shipped base model."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.decode import Decoder
from cogitate.engine.generator import Engine
from cogitate.engine.speculation import Speculation
from cogitate.errors import ConfigError
from cogitate.kernels import native_library
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import r1_zero_prompt
from cogitate.types import Completion, SamplingParams

END = 3
SMALL = TINY.model_copy(
    update={
        "vocab_size": 12,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.1,
    }
)


def make_model(config: ModelConfig = SMALL, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(config).eval()


def make_engine(speculative: bool, *, max_batch: int = 5, end_id: int = END, seed: int = 0) -> Engine:
    return Engine(make_model(seed=seed), end_id=end_id, max_batch=max_batch, max_context=64, speculative=speculative)


def prompts_of(lengths: list[int]) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(4)
    return [tuple(torch.randint(4, 12, (length,), generator=generator).tolist()) for length in lengths]


def speculation_of(engine: Engine) -> Speculation:
    assert engine.speculation is not None
    return engine.speculation


def requests() -> list[GenerationRequest]:
    """Groups and single completions, short and long, greedy and drawn in several ways, more than fit a batch."""
    settings = [(1.0, 1.0), (0.0, 1.0), (0.6, 0.9), (1.5, 0.5)] * 4
    return [
        GenerationRequest(f"{i}", prompt, SamplingParams(temperature, top_p, 1 + 7 * i % 31), tuple(range(i, i + 1 + i % 4)))
        for i, (prompt, (temperature, top_p)) in enumerate(
            zip(prompts_of([1, 5, 17, 16, 1, 30, 9, 2] * 2), settings, strict=True)
        )
    ]


def run(engine: Engine, asked: list[GenerationRequest]) -> dict[tuple[str, int], Completion]:
    for each in asked:
        engine.submit(each)
    completions = []
    while engine.pending():
        completions += engine.poll()
    return {(completion.request_id, completion.seed): completion for completion in completions}


@pytest.mark.parametrize("max_batch", [1, 5, 40])
def test_completions_are_those_without_drafts(path: str, max_batch: int) -> None:
    """By the kernels to the bit; in PyTorch log-probabilities differ by rounding."""
    plain, drafted = (make_engine(speculative, max_batch=max_batch) for speculative in (False, True))
    asked = requests()[: 8 if max_batch == 1 else None]  # one at a time takes long
    expected, got = run(plain, asked), run(drafted, asked)
    assert got.keys() == expected.keys()
    for key, completion in got.items():
        assert completion.token_ids == expected[key].token_ids
        assert completion.finish_reason == expected[key].finish_reason
        assert completion.weight_versions == expected[key].weight_versions
        torch.testing.assert_close(
            torch.tensor(completion.logprobs),
            torch.tensor(expected[key].logprobs),
            rtol=0,
            atol=0 if path == "kernels" else 1e-5,
        )
    assert {completion.finish_reason for completion in got.values()} == {"stop", "length"}
    assert drafted.tokens_sampled == plain.tokens_sampled == sum(len(completion.token_ids) for completion in got.values())
    assert drafted.prompt_tokens_prefilled == plain.prompt_tokens_prefilled


def test_bfloat16_models_draft_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoder, "supports", staticmethod(lambda model: False))
    engine = Engine(make_model().bfloat16(), end_id=END, max_batch=5, max_context=64, speculative=True)
    completions = run(engine, requests())
    assert len(completions) == sum(len(request.seeds) for request in requests())
    assert speculation_of(engine).right > 0


def test_right_drafts_save_steps_and_are_counted() -> None:
    """A step gives a completion one token, or two where the draft was right; the first token comes from the prompt."""
    engine = make_engine(True, max_batch=1, end_id=-1)
    engine.submit(GenerationRequest("a", (5, 6, 7), SamplingParams(max_new_tokens=61), (3,)))  # fills the context
    assert np.isnan(speculation_of(engine).acceptance_rate)
    polls = 0
    while engine.pending():
        before, right = engine.tokens_sampled, speculation_of(engine).right
        finished = engine.poll()
        polls += 1
        drafted_right = speculation_of(engine).right > right
        new = engine.tokens_sampled - before - (polls == 1)
        assert new in (1, 2)
    assert speculation_of(engine).drafted == polls
    # A draft of the last token saves nothing.
    assert len(finished[0].token_ids) == 61
    assert speculation_of(engine).right - (60 - polls) == (new == 1 and drafted_right)
    assert polls < 55
    assert speculation_of(engine).acceptance_rate == speculation_of(engine).right / polls


def test_what_completions_held_is_given_back() -> None:
    engine = make_engine(True)
    run(engine, requests())
    assert engine.cache.blocks_in_use == speculation_of(engine).cache.blocks_in_use == 0
    assert not engine.cache.lengths.any()
    assert not speculation_of(engine).cache.lengths.any()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.8)])
def test_three_tokens_follow_their_exact_joint_distribution(temperature: float, top_p: float) -> None:
    """Pearson's chi-square of 20,000 completions over all triples of a vocabulary of 5 (1e-6 quantile at 124 degrees)."""
    config = SMALL.model_copy(update={"vocab_size": 5, "initializer_range": 0.1})
    model, prompt, count = make_model(config), (1, 4, 2), 20000
    with torch.no_grad():
        texts = torch.tensor([prompt + triple for triple in itertools.product(range(5), repeat=3)])
        weights = torch.softmax(model.logits(model(texts))[:, len(prompt) - 1 : -1].double() / temperature, dim=-1)
    ordered, order = weights.sort(dim=-1, descending=True)
    kept = torch.zeros_like(weights, dtype=torch.bool).scatter_(2, order, ordered.cumsum(-1) - ordered < top_p)
    weights = weights * kept / (weights * kept).sum(-1, keepdim=True)
    exact = weights.gather(2, texts[:, len(prompt) :, None])[..., 0].prod(dim=1)
    assert abs(float(exact.sum()) - 1) < 1e-9

    engine = Engine(model, end_id=-1, max_batch=500, max_context=16, speculative=True)
    params = SamplingParams(temperature, top_p, 3)
    got = run(
        engine, [GenerationRequest(f"{i}", prompt, params, tuple(range(500 * i, 500 * (i + 1)))) for i in range(count // 500)]
    )
    triples = torch.tensor([completion.token_ids for completion in got.values()])
    counts = torch.bincount(triples @ torch.tensor([25, 5, 1]), minlength=125)
    assert counts[exact == 0].sum() == 0
    expected = exact[exact > 0] * count
    assert float(expected.min()) > 5
    assert float(((counts[exact > 0] - expected) ** 2 / expected).sum()) < 214.0
    assert 0.2 < speculation_of(engine).acceptance_rate < 0.98


def test_what_an_abort_returns_is_how_the_completions_begin() -> None:
    asked = requests()
    expected = run(make_engine(False, end_id=-1), asked)
    engine = make_engine(True, end_id=-1)
    for each in asked:
        engine.submit(each)
    for _ in range(6):
        engine.poll()
    stopped = engine.abort([each.id for each in asked if engine.partial(each.id)])
    assert sum(len(completion.token_ids) > 1 for completion in stopped) >= 3
    for completion in stopped:
        whole = expected[completion.request_id, completion.seed]
        assert completion.token_ids == whole.token_ids[: len(completion.token_ids)]
    for key, completion in run(engine, []).items():
        assert completion.token_ids == expected[key].token_ids


def test_new_weights_sample_what_they_say_they_sampled(tmp_path: Path) -> None:
    """Tokens after a change against a cached loop in which the model changes at the same token."""
    from cogitate.model.kv_cache import KVCache

    old, new = make_model(seed=0), make_model(seed=1)
    save_model(new, tmp_path)
    engine = make_engine(True, max_batch=1, end_id=-1)
    prompt = (5, 6, 7, 8)
    engine.submit(GenerationRequest("a", prompt, SamplingParams(max_new_tokens=40), (4, 5)))
    for _ in range(8):
        engine.poll()
    engine.load_weights(tmp_path, 1)
    first, second = run(engine, []).values()
    (_, before), (_, after) = first.weight_versions
    assert 9 <= before <= 17
    assert before + after == 40
    assert second.weight_versions == ((1, 40),)
    with torch.inference_mode():
        cache = KVCache(SMALL, 1, 64, dtype=torch.float32, device="cpu")
        logits = [old.logits(old(torch.tensor([prompt]), cache=cache)[:, -1])]
        for index, token in enumerate(first.token_ids[:-1]):
            model = old if index + 1 < before else new
            logits.append(model.logits(model(torch.tensor([[token]]), cache=cache)[:, -1]))
        expected = torch.log_softmax(torch.cat(logits), dim=-1)[np.arange(40), first.token_ids]
    torch.testing.assert_close(torch.tensor(first.logprobs), expected, rtol=0, atol=1e-5)
    fresh = run(
        make_engine(False, max_batch=1, end_id=-1, seed=1),
        [GenerationRequest("a", prompt, SamplingParams(max_new_tokens=40), (5,))],
    )
    assert second.token_ids == fresh["a", 5].token_ids


def test_a_model_without_an_mtp_block_is_refused() -> None:
    model = make_model(SMALL.model_copy(update={"num_nextn_predict_layers": 0}))
    with pytest.raises(ConfigError, match=r"this deepseek_v3 model has none .* set runtime.speculative = false"):
        Engine(model, end_id=END, max_batch=1, speculative=True)


@pytest.mark.skipif(native_library() is None, reason="slow without a compiler for the kernels")
@pytest.mark.parametrize("temperature", [0.0, 0.6])
def test_the_shipped_base_drafts_well(temperature: float) -> None:
    directory = SHIPPED / "base"
    tokenizer = Tokenizer.load(directory)
    questions = ["What is 17 + 25?", "Tom has 3 boxes of 12 apples and eats 5. How many are left?", "What is 6 * 7 - 8?"]
    asked = [
        GenerationRequest(
            question, tuple(tokenizer.encode(r1_zero_prompt(question))), SamplingParams(temperature, 0.95, 96), (1, 2, 3, 4)
        )
        for question in questions
    ]
    plain, drafted = (
        Engine(load_model(directory), end_id=tokenizer.end_id, max_batch=4, speculative=speculative)
        for speculative in (False, True)
    )
    expected, got = run(plain, asked), run(drafted, asked)
    assert {key: completion.token_ids for key, completion in got.items()} == {
        key: completion.token_ids for key, completion in expected.items()
    }
    assert speculation_of(drafted).drafted > 80
    assert speculation_of(drafted).acceptance_rate > 0.5
