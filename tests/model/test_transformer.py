"""The decoder against itself: every way of running the same text gives the same hidden states."""

import pytest
import torch

from cogitate.errors import ConfigError
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer
from cogitate.model.visibility import document_positions


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TINY.model_copy(update={"initializer_range": 0.1})).eval()


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randint(0, TINY.vocab_size, (3, 20), generator=torch.Generator().manual_seed(1))


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5 * float(expected.detach().abs().max()))


@torch.no_grad()
def test_decoding_through_the_cache_equals_one_forward_pass(model: Transformer, tokens: torch.Tensor) -> None:
    """Prefill (naive form), single tokens and a chunk of two (absorbed form), in rows out of order."""
    cache = KVCache(TINY, 4, 32, dtype=torch.float32, device="cpu")
    rows = torch.tensor([2, 0, 3])
    parts = [model(tokens[:, :10], cache=cache, rows_B=rows)]
    parts += [model(tokens[:, t : t + 1], cache=cache, rows_B=rows) for t in range(10, 18)]
    parts += [model(tokens[:, 18:], cache=cache, rows_B=rows)]
    assert_close(torch.cat(parts, dim=1), model(tokens))
    assert cache.lengths.tolist() == [20, 0, 20, 20]


@torch.no_grad()
def test_a_row_of_the_cache_is_shared_by_forking_it(model: Transformer, tokens: torch.Tensor) -> None:
    cache = KVCache(TINY, 4, 32, dtype=torch.float32, device="cpu")
    model(tokens[:1, :12], cache=cache, rows_B=torch.tensor([1]))
    cache.fork(1, [0, 3])
    assert cache.lengths.tolist() == [12, 12, 0, 12]
    followers = tokens[:, 12:13]
    got = model(followers, cache=cache, rows_B=torch.tensor([0, 1, 3]))
    prompts = tokens[:1, :12].expand(3, -1)
    assert_close(got, model(torch.cat((prompts, followers), dim=1))[:, -1:])
    cache.free([0, 3])
    assert cache.lengths.tolist() == [0, 13, 0, 0]


@torch.no_grad()
def test_right_padded_prompts_decode_from_their_true_lengths(model: Transformer, tokens: torch.Tensor) -> None:
    cache = KVCache(TINY, 3, 32, dtype=torch.float32, device="cpu")
    lengths = [5, 9, 12]
    model(tokens[:, :12], cache=cache)
    cache.lengths[:] = torch.tensor(lengths)
    got = model(tokens[:, 12:13], cache=cache)
    for row, length in enumerate(lengths):
        alone = torch.cat((tokens[row : row + 1, :length], tokens[row : row + 1, 12:13]), dim=1)
        assert_close(got[row : row + 1], model(alone)[:, -1:])


def test_the_cache_of_a_latent_model_holds_only_latent_and_rotated_key(model: Transformer) -> None:
    cache = KVCache(TINY, 4, 32, dtype=torch.float32, device="cpu")
    assert cache.bytes_per_block == 16 * TINY.num_hidden_layers * (64 + 8) * 4


def test_a_cache_that_is_too_short_is_refused(model: Transformer, tokens: torch.Tensor) -> None:
    cache = KVCache(TINY, 3, 16, dtype=torch.float32, device="cpu")
    with pytest.raises(ValueError, match="20 tokens do not fit a cache of max_tokens = 16"):
        model(tokens, cache=cache)


@torch.no_grad()
def test_packed_documents_do_not_see_each_other(model: Transformer, tokens: torch.Tensor) -> None:
    documents = torch.tensor([[0] * 7 + [1] * 13, [4] * 20, [2] * 1 + [3] * 19])
    packed = model(tokens, documents_BT=documents)
    assert_close(packed[0], torch.cat((model(tokens[:1, :7]), model(tokens[:1, 7:])), dim=1)[0])
    assert_close(packed[1], model(tokens[1:2])[0])
    assert_close(packed[2], torch.cat((model(tokens[2:, :1]), model(tokens[2:, 1:])), dim=1)[0])


def test_positions_restart_at_each_document() -> None:
    documents = torch.tensor([[5, 5, 5, 2, 2, 9]])
    assert document_positions(documents).tolist() == [[0, 1, 2, 0, 1, 0]]


@torch.no_grad()
def test_a_row_may_hold_more_padding_than_the_model_has_positions(model: Transformer) -> None:
    tokens = torch.zeros(1, TINY.max_position_embeddings + 40, dtype=torch.long)
    documents = torch.full_like(tokens, -1)
    documents[0, :6] = torch.tensor([0, 0, 0, 1, 1, 1])
    packed = model(tokens, documents_BT=documents, shared_prefix=True)
    assert_close(packed[:, :6], model(tokens[:, :6], documents_BT=documents[:, :6], shared_prefix=True))


def test_padding_on_the_right_changes_nothing_before_it(model: Transformer, tokens: torch.Tensor) -> None:
    padded = torch.cat((tokens, torch.zeros(3, 6, dtype=torch.long)), dim=1)
    assert_close(model(padded)[:, :20], model(tokens))


def test_multi_token_prediction_sees_no_token_beyond_the_next_one(model: Transformer, tokens: torch.Tensor) -> None:
    with torch.no_grad():
        before = model.mtp_hidden(model(tokens), tokens)
        changed = tokens.clone()
        changed[:, 10:] = 7
        after = model.mtp_hidden(model(changed), changed)
    assert_close(after[:, :9], before[:, :9])
    assert not torch.allclose(after[:, 9], before[:, 9])


def test_a_model_without_the_block_refuses_multi_token_prediction(tokens: torch.Tensor) -> None:
    plain = Transformer(ModelConfig.from_dict({**TINY.to_dict(), "num_nextn_predict_layers": 0}))
    with pytest.raises(ConfigError, match="no MTP block"):
        plain.mtp_hidden(plain(tokens), tokens)


def test_two_identical_passes_give_identical_bits(tokens: torch.Tensor) -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        model = Transformer(TINY)
        logprobs, _ = model.logprobs(model(tokens).flatten(0, 1), tokens.flatten())
        logprobs.sum().backward()
        results.append([logprobs.detach()] + [p.grad for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
