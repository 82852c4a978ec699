"""Completions with drafts by n-gram lookup against completions without, and which drafts there are."""

import numpy as np
import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.drafts.lookup import Lookup, continuation
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError
from cogitate.model.config import TINY, ModelConfig
from cogitate.types import SamplingParams
from tests.engine.random_model import make_model
from tests.engine.test_decode import LLAMA
from tests.engine.test_speculation import END, SMALL, prompts_of, requests, run


def engine_of(config: ModelConfig, drafts: int, *, max_batch: int = 5, end_id: int = END, prefix_bytes: int = 0) -> Engine:
    return Engine(
        make_model(config), end_id=end_id, max_batch=max_batch, max_context=64, ngram_drafts=drafts, prefix_bytes=prefix_bytes
    )


def lookup_of(engine: Engine) -> Lookup:
    assert engine.lookup is not None
    return engine.lookup


def ints(*tokens: int) -> np.ndarray:
    return np.array(tokens, dtype=np.int32)


@pytest.mark.parametrize(("config", "max_batch"), [(SMALL, 1), (SMALL, 5), (LLAMA.model_copy(update={"vocab_size": 12}), 40)])
def test_completions_are_those_without_drafts(path: str, config: ModelConfig, max_batch: int) -> None:
    """By the kernels to the bit; in PyTorch log-probabilities differ by rounding."""
    plain, drafted = (engine_of(config, drafts, max_batch=max_batch) for drafts in (0, 7))
    asked = requests()[: 8 if max_batch == 1 else None]  # one at a time takes long
    expected, got = run(plain, asked), run(drafted, asked)
    assert got.keys() == expected.keys()
    for key, completion in got.items():
        assert completion.token_ids == expected[key].token_ids
        assert completion.finish_reason == expected[key].finish_reason
        tolerance = 0 if path == "kernels" else 1e-5
        torch.testing.assert_close(
            torch.tensor(completion.logprobs), torch.tensor(expected[key].logprobs), rtol=0, atol=tolerance
        )
    lookup, tokens_per_step = lookup_of(drafted), drafted.tokens_per_step()
    assert 0 < lookup.right < lookup.drafted
    assert drafted.tokens_sampled == plain.tokens_sampled == sum(len(completion.token_ids) for completion in got.values())
    in_steps = drafted.tokens_sampled - len(got)  # the first of each comes from its prompt
    assert tokens_per_step == in_steps / (in_steps - lookup.right)
    assert drafted.tokens_per_step() is plain.tokens_per_step() is None  # since it was last asked; without drafts


def test_kept_prefixes_of_drafted_completions_are_continued_to_the_bit() -> None:
    """What a wrong draft left in the cache is not part of what is kept."""
    (prompt,) = prompts_of([9])
    params = SamplingParams(max_new_tokens=30)
    whole = run(engine_of(SMALL, 0, end_id=-1), [GenerationRequest("a", prompt, params, (1, 2))])
    engine = engine_of(SMALL, 6, end_id=-1, prefix_bytes=1 << 20)
    begun = run(engine, [GenerationRequest("a", prompt, SamplingParams(max_new_tokens=18), (1, 2))])
    assert lookup_of(engine).drafted > lookup_of(engine).right
    rest = [
        GenerationRequest(f"{seed}", prompt, SamplingParams(max_new_tokens=12), (seed,), given_ids=begun["a", seed].token_ids)
        for seed in (1, 2)
    ]
    before = engine.prompt_tokens_prefilled
    for (_, seed), completion in run(engine, rest).items():
        assert begun["a", seed].token_ids + completion.token_ids == whole["a", seed].token_ids
        assert begun["a", seed].logprobs + completion.logprobs == whole["a", seed].logprobs
    assert engine.prompt_tokens_prefilled - before == 2  # the last token of each, which was sampled and not read


def test_equal_greedy_siblings_are_drafted_from_each_other() -> None:
    """The second of two greedy completions is known: a step gives it as many tokens as are drafted, and its own."""
    engine = engine_of(TINY.model_copy(update={"vocab_size": 90, "initializer_range": 0.1}), 5, max_batch=1, end_id=-1)
    (prompt,) = prompts_of([9])
    engine.submit(GenerationRequest("a", prompt, SamplingParams(0.0, max_new_tokens=48), (1, 2)))
    finished, polls = [], []
    while engine.pending():
        finished += engine.poll()
        polls.append(len(finished))
    first, second = polls.count(0), polls.count(1)
    assert finished[0].token_ids == finished[1].token_ids
    assert second < 1 + (48 - 3) / 6 + 3 < first


def test_what_followed_the_longest_match_is_drafted() -> None:
    nothing = ints()
    assert continuation(ints(1, 2, 3, 4, 9, 2, 3), nothing, 2).tolist() == [4, 9]
    assert continuation(ints(1, 2, 3, 4, 5, 2, 3, 6, 7, 2, 3), nothing, 2).tolist() == [6, 7]  # the latest
    assert continuation(ints(1, 2, 3, 4, 8, 2, 3, 5, 1, 2, 3), nothing, 1).tolist() == [4]  # the longest
    assert continuation(ints(7, 3, 4, 9, 3), nothing, 2).tolist() == []  # one token is no match
    assert continuation(ints(5, 6, 5, 6, 5, 6), nothing, 3).tolist() == [5, 6]  # as many as there are
    assert continuation(ints(*[5, 6] * 6), nothing, 3).tolist() == [5, 6, 5]
    others = ints(1, 2, 3, -1, 2, 3, 8, -1, 9, -1)
    assert continuation(ints(2, 3), others, 3).tolist() == [8]  # not beyond the other text's end
    assert continuation(ints(2, 3, 4, 2, 3), others, 1).tolist() == [4]  # its own text before others
    assert continuation(ints(7), nothing, 1).tolist() == []


def test_more_completions_than_are_worth_it_are_not_drafted_for() -> None:
    engine = engine_of(SMALL, 4, max_batch=65, end_id=-1)
    (prompt,) = prompts_of([4])
    run(engine, [GenerationRequest("a", prompt, SamplingParams(max_new_tokens=6), tuple(range(65)))])
    assert lookup_of(engine).drafted == 0


def test_new_weights_forget_what_old_ones_wrote() -> None:
    engine = engine_of(SMALL, 4, end_id=-1)
    (prompt,) = prompts_of([4])
    run(engine, [GenerationRequest("a", prompt, SamplingParams(max_new_tokens=6), (1,))])
    assert lookup_of(engine)._finished
    engine.free_weights()
    assert not lookup_of(engine)._finished


def test_drafts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="ngram_drafts = 16: must be from 1 to 15"):
        engine_of(SMALL, 16)
    with pytest.raises(ConfigError, match="set ngram_drafts = 0 or speculative = false"):
        Engine(make_model(SMALL), end_id=END, max_batch=1, ngram_drafts=3, speculative=True)
