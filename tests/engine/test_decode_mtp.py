"""The MTP block over a cache of its own, two tokens at a time, against mtp_hidden over whole texts."""

import numpy as np
import pytest
import torch

from cogitate.engine.batch import share_units
from cogitate.engine.decode import Decoder
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.kernels import native_library
from cogitate.model.config import TINY
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer
from tests.engine.random_model import make_model

SMALL = TINY.model_copy(update={"vocab_size": 90, "hidden_size": 64, "num_hidden_layers": 2, "initializer_range": 0.1})
CONFIGS = {
    "as the tiny recipe": SMALL,
    "low-rank queries and odd widths": SMALL.model_copy(
        update={
            "hidden_size": 57,
            "q_lora_rank": 41,
            "attention_bias": True,
            "kv_lora_rank": 37,
            "qk_nope_head_dim": 11,
            "qk_rope_head_dim": 6,
            "v_head_dim": 13,
            "rope_interleave": False,
            "tie_word_embeddings": True,
        }
    ),
    "one dense layer": SMALL.model_copy(update={"num_hidden_layers": 1, "first_k_dense_replace": 2}),
}
PROMPTS = (5, 40, 17, 1)  # tokens
ROWS_OF_PROMPT = ((0, 1, 2), (3, 4), (5,), (6, 7))
ROWS = np.arange(8)


def make_decoder(kind: str, model: Transformer) -> Decoder | PlainDecoder:
    if kind == "plain":
        return PlainDecoder(model)
    if native_library() is None:
        pytest.skip("no compiler for the kernels")
    return Decoder(model, len(ROWS), mtp=True)


def texts_of(model: Transformer, tokens: int) -> list[list[int]]:
    """One for each row; those of one prompt begin alike."""
    generator = torch.Generator().manual_seed(3)
    texts = []
    for length, rows in zip(PROMPTS, ROWS_OF_PROMPT, strict=True):
        prompt = torch.randint(0, 90, (length,), generator=generator).tolist()
        texts += [prompt + torch.randint(0, 90, (tokens,), generator=generator).tolist() for _ in rows]
    return texts


def expected_logits(model: Transformer, text: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the token after each position, and of the one after that by the MTP block: (T, V) each."""
    tokens = torch.tensor([text])
    hidden = model(tokens)
    return model.logits(hidden)[0].float(), model.logits(model.mtp_hidden(hidden, tokens))[0].float()


Read = tuple[int, int, str, torch.Tensor]  # a row, a position, "next" or "ahead", logits


@torch.no_grad()
def read_texts(decoder: Decoder | PlainDecoder, model: Transformer, texts: list[list[int]], polls: int) -> list[Read]:
    """Prefill, fork, then verify and draft, where in each poll another third of the drafts is wrong.

    Returns:
        (row, position, "next" or "ahead", logits), where the logits are those after this position of the row's text.
    """
    caches = [
        KVCache(model.config, 12, 128, dtype=model.embed_tokens.weight.dtype, device="cpu", mtp=mtp) for mtp in (False, True)
    ]
    cache, mtp_cache = caches
    starts = np.concatenate([[length] * len(rows) for length, rows in zip(PROMPTS, ROWS_OF_PROMPT, strict=True)])
    prompts = [texts[rows[0]][:length] for length, rows in zip(PROMPTS, ROWS_OF_PROMPT, strict=True)]
    logits, hidden_PD = decoder.prefill(prompts, cache, [8, 9, 10, 11], mtp_cache)
    results = [
        (rows[0], length - 1, "next", logits[i]) for i, (length, rows) in enumerate(zip(PROMPTS, ROWS_OF_PROMPT, strict=True))
    ]
    assert hidden_PD is not None
    hidden = torch.zeros(8, 2, model.config.hidden_size)
    for index, rows in enumerate(ROWS_OF_PROMPT):
        for each in caches:
            each.fork(8 + index, rows)
        hidden[list(rows), 0] = hidden_PD[index].float()
    at, counts = starts.copy(), np.ones(8, dtype=np.int64)  # `at`: the position of the token read last by the MTP block
    units = share_units(cache, ROWS)
    for poll in range(polls):
        following = np.array([[texts[row][at[row] - counts[row] + 1], texts[row][at[row]]] for row in ROWS])
        ahead = decoder.draft(hidden, following, counts, mtp_cache, ROWS, units)
        results += [(int(row), int(at[row]) - 1, "ahead", ahead[row].float().clone()) for row in ROWS]
        assert mtp_cache.lengths[:8].tolist() == at.tolist()
        right = (ROWS + poll) % 3 > 0
        read = np.array([[texts[row][at[row]], (texts[row][at[row] + 1] + 1 - right[row]) % 90] for row in ROWS])
        both, hidden = decoder.verify(read, cache, ROWS, units)
        hidden = hidden.float().clone()
        for row in ROWS:
            results.append((int(row), int(at[row]), "next", both[row, 0].float().clone()))
            if right[row]:
                results.append((int(row), int(at[row]) + 1, "next", both[row, 1].float().clone()))
        cache.lengths[ROWS[~right]] -= 1
        counts = 1 + right
        at = at + counts
    return results


@pytest.mark.parametrize("kind", ["kernels", "plain"])
@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_two_tokens_at_a_time_give_the_logits_of_whole_texts(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cogitate.engine.decode.PREFILL_TOKENS", 23)
    model = make_model(CONFIGS[name])
    texts = texts_of(model, 50)
    expected = [expected_logits(model, text) for text in texts]
    results = read_texts(make_decoder(kind, model), model, texts, polls=24)
    assert len(results) > 8 * 24 * 2.5
    for row, position, which, logits in results:
        torch.testing.assert_close(logits, expected[row][which == "ahead"][position], rtol=1e-4, atol=3e-5)


@pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
@torch.no_grad()
def test_the_mtp_block_in_bfloat16_differs_by_rounding_alone() -> None:
    model = make_model(CONFIGS["one dense layer"], torch.bfloat16)
    texts = texts_of(model, 30)
    got = read_texts(make_decoder("kernels", model), model, texts, polls=12)
    exact = make_model(CONFIGS["one dense layer"], torch.bfloat16).float()
    expected = [expected_logits(exact, text) for text in texts]
    ahead = [(logits, expected[row][1][position]) for row, position, which, logits in got if which == "ahead"]
    gap, size = (float(torch.stack(each).std()) for each in ([a - b for a, b in ahead], [b for _, b in ahead]))
    assert 0 < gap < 0.02 * size


@pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_a_token_read_before_a_draft_has_the_bits_of_one_read_alone(dtype: torch.dtype) -> None:
    model = make_model(SMALL, dtype)
    texts = texts_of(model, 40)
    cache = KVCache(SMALL, 4, 128, dtype=dtype, device="cpu")
    decoder, rows = Decoder(model, 3, mtp=True), np.array([0, 1, 2])
    decoder.prefill([texts[3][:40], texts[3][:40], texts[5][:17]], cache, [0, 1, 2])
    units = share_units(cache, rows)
    for step in range(20):
        tokens = np.array([texts[3][40 + step], texts[3][40 + step], texts[5][17 + step]])
        alone = decoder.logits(tokens, cache, rows, units).clone()
        cache.lengths[:3] -= 1
        pairs, _ = decoder.verify(np.stack((tokens, tokens * 0 + step), axis=1), cache, rows, units)
        cache.lengths[:3] -= 1
        assert torch.equal(pairs[:, 0], alone)
