"""The engine against plain loops over the uncached model."""

import copy
from typing import Any

import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import DataError, NotFiniteError
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.transformer import Transformer
from cogitate.types import Completion, SamplingParams

END = 3
DEEPSEEK = TINY.model_copy(update={"vocab_size": 90, "hidden_size": 64, "num_hidden_layers": 3, "initializer_range": 0.1})
LLAMA = ModelConfig.from_dict(
    {
        "model_type": "llama",
        "vocab_size": 90,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.15,
    }
)
QWEN3 = ModelConfig.from_dict({**LLAMA.to_dict(), "model_type": "qwen3", "head_dim": 16, "attention_bias": True})
WINDOW = {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}
WINDOWED = LLAMA.model_copy(update={"model_type": "qwen2", "attention_bias": True, **WINDOW})
FAMILIES = {"deepseek_v3": DEEPSEEK, "llama": LLAMA, "qwen3": QWEN3, "qwen2 with a window": WINDOWED}


def make_model(config: ModelConfig = DEEPSEEK, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(config).eval()


def prompts_of(lengths: list[int]) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(4)
    return [tuple(torch.randint(4, 90, (length,), generator=generator).tolist()) for length in lengths]


def request(name: str, prompt: tuple[int, ...], seeds: tuple[int, ...] = (0,), **params: float) -> GenerationRequest:
    return GenerationRequest(name, prompt, SamplingParams(**{"max_new_tokens": 20, **params}), seeds)  # type: ignore[arg-type]


def run(engine: Engine, *requests: GenerationRequest) -> list[Completion]:
    for each in requests:
        engine.submit(each)
    completions = []
    while engine.pending():
        completions += engine.poll()
    return completions


@torch.no_grad()
def greedy_by_full_forward(model: Transformer, prompt: tuple[int, ...], tokens: int) -> tuple[int, ...]:
    text = list(prompt)
    while len(text) < len(prompt) + tokens and (len(text) == len(prompt) or text[-1] != END):
        text.append(int(model.logits(model(torch.tensor([text]))[0, -1]).argmax()))
    return tuple(text[len(prompt) :])


@torch.no_grad()
def learner_logprobs(model: Transformer, prompt: tuple[int, ...], completion: Completion, temperature: float) -> torch.Tensor:
    text = torch.tensor([prompt + completion.token_ids])
    logprobs = torch.log_softmax(model.logits(model(text)) / temperature, dim=-1)[0, len(prompt) - 1 : -1]
    return logprobs.gather(1, text[0, len(prompt) :, None])[:, 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_completions_equal_a_loop_of_full_forward_passes(family: str) -> None:
    model = make_model(FAMILIES[family])
    prompts = prompts_of([1, 7, 30, 12, 12])
    engine = Engine(model, end_id=END, max_batch=3, max_context=64)
    got = run(engine, *(request(f"{i}", prompt, temperature=0.0) for i, prompt in enumerate(prompts)))
    by_id = {completion.request_id: completion for completion in got}
    for i, prompt in enumerate(prompts):
        expected = greedy_by_full_forward(model, prompt, 20)
        assert by_id[f"{i}"].token_ids == expected
        assert by_id[f"{i}"].finish_reason == ("stop" if expected[-1] == END else "length")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_those_the_learner_computes(family: str, temperature: float) -> None:
    model = make_model(FAMILIES[family])
    prompts = prompts_of([5, 40, 17])
    engine = Engine(model, end_id=END, max_batch=7, max_context=128)
    requests = [request(f"{i}", p, tuple(range(6)), temperature=temperature, max_new_tokens=60) for i, p in enumerate(prompts)]
    got = run(engine, *requests)
    assert len(got) == 18
    gaps = torch.cat(
        [learner_logprobs(model, prompts[int(c.request_id)], c, temperature).double() - torch.tensor(c.logprobs) for c in got]
    ).abs()
    assert len(gaps) > 200
    assert float(gaps.max()) < 1e-4
    assert float(gaps.mean()) < 1e-6


def test_a_completion_depends_on_its_seed_alone() -> None:
    """Other batch sizes, other neighbours, another order: the same tokens."""
    model = make_model()
    prompts = prompts_of([9, 20, 3, 14])
    requests = [request(f"{i}", prompt, tuple(range(10 * i, 10 * i + 5)), top_p=0.9) for i, prompt in enumerate(prompts)]
    results = []
    for batch, order in ((20, requests), (3, requests[::-1]), (1, requests[1:] + requests[:1])):
        got = run(Engine(make_model(), end_id=END, max_batch=batch, max_context=64), *order)
        results.append({(c.request_id, c.seed): c.token_ids for c in got})
    assert len(results[0]) == 20
    assert len(set(results[0].values())) > 15
    assert results[1] == results[0]
    assert results[2] == results[0]
    assert model.training is False


def test_completions_of_one_poll_come_in_the_order_of_submission_and_seeds() -> None:
    engine = Engine(make_model(), end_id=-1, max_batch=8, max_context=64)
    prompts = prompts_of([4, 4])
    got = run(engine, request("b", prompts[0], (9, 1, 5), max_new_tokens=4), request("a", prompts[1], (3, 2), max_new_tokens=4))
    assert [(c.request_id, c.seed) for c in got] == [("b", 9), ("b", 1), ("b", 5), ("a", 3), ("a", 2)]


def test_a_freed_slot_is_refilled_at_once() -> None:
    """Two slots; completions of 3, 6 and 4 tokens: the third starts right after the first ends."""
    engine = Engine(make_model(), end_id=-1, max_batch=2, max_context=64)
    prompt = prompts_of([5])[0]
    for name, tokens in (("a", 3), ("b", 6), ("c", 4)):
        engine.submit(request(name, prompt, max_new_tokens=tokens))
    finished: dict[str, int] = {}
    sampled: list[int] = []
    while engine.pending():
        before = engine.tokens_sampled
        for completion in engine.poll():
            finished[completion.request_id] = len(sampled)
        sampled.append(engine.tokens_sampled - before)
    # Polls: a and b start with two tokens each (prefill and step); a ends with the second poll; c starts in the third.
    assert sampled == [4, 2, 3, 2, 2]
    assert finished == {"a": 1, "c": 4, "b": 4}


def test_a_prompt_is_prefilled_once_for_all_its_completions() -> None:
    engine = Engine(make_model(), end_id=END, max_batch=4, max_context=64)
    prompts = prompts_of([11, 25, 8])
    got = run(engine, *(request(f"{i}", prompt, tuple(range(12))) for i, prompt in enumerate(prompts)))
    assert len(got) == 36
    assert engine.prompt_tokens_prefilled == 11 + 25 + 8
    assert engine.tokens_sampled == sum(len(c.token_ids) for c in got)


def test_a_completion_ends_at_its_first_token_where_that_is_the_end() -> None:
    model = make_model()
    prompt = prompts_of([6])[0]
    first = greedy_by_full_forward(model, prompt, 1)[0]
    engine = Engine(model, end_id=first, max_batch=2, max_context=64)
    got = run(engine, request("a", prompt, (0, 1, 2, 3, 4), temperature=0.0))
    assert [(c.token_ids, c.finish_reason) for c in got] == [((first,), "stop")] * 5


def test_a_completion_ends_at_the_first_of_several_end_tokens() -> None:
    """Instruction models have one for the turn and one for the text; the prompt may hold them all."""
    model = make_model()
    prompt = prompts_of([6])[0]
    greedy = greedy_by_full_forward(model, prompt, 12)
    ends = {greedy[-1], greedy[len(greedy) // 2]}
    cut = next(i for i, token in enumerate(greedy) if token in ends)
    for ids in (ends, tuple(ends), frozenset(ends)):
        engine = Engine(model, end_id=ids, max_batch=2, max_context=64)
        got = run(engine, request("a", prompt, (0,), temperature=0.0))
        assert [(c.token_ids, c.finish_reason) for c in got] == [(tuple(greedy[: cut + 1]), "stop")]


def test_a_token_that_the_model_does_not_have_is_refused() -> None:
    engine = Engine(make_model(), end_id=END, max_batch=2, max_context=64)
    vocabulary = engine.config.vocab_size
    for bad in (vocabulary, -1):
        with pytest.raises(DataError, match=f"token {bad} of the prompt is none of the model's {vocabulary}"):
            engine.submit(request("a", (1, bad, 2)))
    assert engine.pending() == 0


def test_one_new_token_is_sampled_from_the_prompt_alone() -> None:
    engine = Engine(make_model(), end_id=-1, max_batch=2, max_context=64)
    got = run(engine, request("a", prompts_of([6])[0], (0, 1, 2), max_new_tokens=1))
    assert [(len(c.token_ids), c.finish_reason) for c in got] == [(1, "length")] * 3


def test_prompt_and_completion_beyond_the_context_are_refused_with_the_lengths() -> None:
    engine = Engine(make_model(), end_id=END, max_batch=2, max_context=30)
    engine.submit(request("fits", prompts_of([10])[0]))
    with pytest.raises(DataError, match="prompt of 11 tokens and max_new_tokens = 20 do not fit the context of 30"):
        engine.submit(request("long", prompts_of([11])[0]))
    assert engine.pending() == 1
    with pytest.raises(DataError, match="max_context = 513: must be from 2 to the model's max_position_embeddings, 512"):
        Engine(make_model(), end_id=END, max_batch=2, max_context=513)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": -1.0}, "temperature = -1.0: must not be negative"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"temperature": 1e39}, r"temperature = 1e\+39: must be at most 3.4e\+38"),
        ({"temperature": float("inf")}, "temperature = inf: must be at most"),
        ({"top_p": 0.0}, "top_p = 0.0: must be above 0"),
        ({"top_p": 1.5}, "top_p = 1.5: must be above 0 and at most 1"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0: must be at least 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(params: dict[str, Any], message: str) -> None:
    engine = Engine(make_model(), end_id=END, max_batch=2, max_context=64)
    with pytest.raises(DataError, match=message):
        engine.submit(request("a", (5, 6), **params))


def test_a_seed_beyond_64_bits_is_refused_and_disturbs_nobody() -> None:
    engine = Engine(make_model(), end_id=-1, max_batch=3, max_context=64)
    for seed in (2**63, -(2**63) - 1):
        with pytest.raises(DataError, match=f"seed = {seed}: must fit in 64 bits"):
            engine.submit(request("a", (5, 6), (0, seed)))
    got = run(engine, request("a", (5, 6), (2**63 - 1, -(2**63)), max_new_tokens=2))
    assert [len(completion.token_ids) for completion in got] == [2, 2]


def test_empty_prompts_and_repeated_ids_are_refused() -> None:
    engine = Engine(make_model(), end_id=END, max_batch=2, max_context=64)
    with pytest.raises(DataError, match="the prompt is empty"):
        engine.submit(request("a", ()))
    engine.submit(request("a", (5, 6)))
    with pytest.raises(DataError, match="request a: a request of this id is still pending"):
        engine.submit(request("a", (7, 8)))


def test_abort_returns_what_was_sampled_and_frees_the_slots() -> None:
    model = make_model()
    prompts = prompts_of([6, 9])
    engine = Engine(model, end_id=-1, max_batch=3, max_context=64)
    engine.submit(request("a", prompts[0], (0, 1, 2, 3, 4), max_new_tokens=30))
    engine.submit(request("b", prompts[1], (7,), max_new_tokens=10))
    for _ in range(4):
        engine.poll()
    stopped = engine.abort(["a"])
    assert [(c.seed, len(c.token_ids), c.finish_reason) for c in stopped] == [
        (0, 5, "abort"), (1, 5, "abort"), (2, 5, "abort"), (3, 0, "abort"), (4, 0, "abort"),
    ]  # fmt: skip
    assert engine.pending() == 1
    alone = run(Engine(model, end_id=-1, max_batch=1, max_context=64), request("b", prompts[1], (7,), max_new_tokens=10))
    assert [c.token_ids for c in run(engine)] == [c.token_ids for c in alone]
    full = run(Engine(model, end_id=-1, max_batch=5, max_context=64), request("a", prompts[0], (0, 1, 2), max_new_tokens=30))
    assert [c.token_ids for c in stopped[:3]] == [c.token_ids[:5] for c in full]


@pytest.mark.parametrize(("seed", "speculative"), [(0, False), (3, False), (3, True)])
def test_a_completion_that_pauses_and_goes_on_is_the_one_that_never_did(seed: int, speculative: bool) -> None:
    engine = Engine(make_model(), end_id=1, max_batch=4, speculative=speculative)
    (prompt,) = prompts_of([9])
    (whole,) = run(engine, request("whole", prompt, (seed,), max_new_tokens=24))
    pauses, said, reason = frozenset(whole.token_ids[4:20:5]), list[int](), "pause"
    while reason == "pause":
        params = SamplingParams(max_new_tokens=24 - len(said))
        asked = GenerationRequest("parts", prompt, params, (seed,), tuple(said), pause_ids=pauses)
        (part,) = run(engine, asked)
        said, reason = [*said, *part.token_ids], part.finish_reason
        assert not pauses & set(part.token_ids[:-1])
    assert (tuple(said), reason) == (whole.token_ids, whole.finish_reason)


@pytest.mark.parametrize("family", ["deepseek_v3", "llama"])
@pytest.mark.parametrize("kept", [{}, {"prefix_bytes": 1 << 20}, {"ngram_drafts": 4}])
def test_a_completion_that_is_not_finite_fails_no_later_request(family: str, kept: dict[str, Any]) -> None:
    model = make_model(FAMILIES[family])
    model.embed_tokens.weight.data[5] = torch.nan
    good, longer = tuple(range(10, 21)), tuple(range(30, 60))
    (alone,) = run(Engine(copy.deepcopy(model), end_id=END, max_batch=2), request("good", good))
    engine = Engine(model, end_id=END, max_batch=2, **kept)
    engine.submit(request("beside", longer, max_new_tokens=60))
    engine.poll()
    engine.submit(request("bad", (*good[:6], 5, *good[:4])))
    with pytest.raises(NotFiniteError, match="the completion of seed 0, token 0"):
        run(engine)
    assert engine.pending() == 0
    assert engine.abort(["bad", "beside"]) == []
    assert run(engine, request("good", good)) == [alone]
