"""Keys and values in 8 bits, against a cache in float32 whose entries were rounded as they are kept."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cogitate.engine.batch import share_units
from cogitate.engine.decode import Decoder
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError
from cogitate.kernels import native_library
from cogitate.model.config import ModelConfig
from cogitate.model.kv_cache import KVCache, Places, cache_width
from tests.engine.random_model import make_model
from tests.engine.test_decode import CONFIGS, LLAMA
from tests.engine.test_speculation import SMALL, requests, run

pytestmark = pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
GROUPED = ["llama", "qwen3", "qwen2 with a window", "qwen3_moe"]


class RoundedCache(KVCache):
    """What is written is rounded to 8 bits, a key or a value of a head at a time: the plain form."""

    def __init__(self, config: ModelConfig, rows: int, max_tokens: int):
        super().__init__(config, rows, max_tokens, dtype=torch.float32, device="cpu")
        self.parts = 2 * config.num_key_value_heads

    def write(self, layer: int, places: Places, entries_BTW: Tensor) -> None:
        heads = entries_BTW.unflatten(-1, (self.parts, -1))
        most = heads.abs().amax(dim=-1, keepdim=True)
        numbers = (heads * (127 / most)).round()
        super().write(layer, places, (numbers * (most / 127)).flatten(-2))

    def numbers_of(self, stored: Tensor) -> Tensor:
        """What a cache of 8 bits holds, int8 (blocks, bytes, 16), as this one holds it."""
        width = stored.shape[1] - 4 * self.parts  # then the scales, float32 (parts, 16)
        scales = stored[:, width:].contiguous().view(torch.float32).view(len(stored), self.parts, 1, 16)
        numbers: Tensor = (stored[:, :width].unflatten(1, (self.parts, -1)) * scales).flatten(1, 2)
        return numbers


@torch.no_grad()
@pytest.mark.parametrize("name", GROUPED)
def test_logits_are_those_of_a_rounded_cache(name: str) -> None:
    """Token by token after the first, of which the plain form keeps nothing before it reads it; three rows share a prompt of 17
    tokens from there on. A number that lies between two of 256 may be rounded to the other one."""
    model = make_model(CONFIGS[name])
    tokens = torch.randint(0, 90, (3, 50), generator=torch.Generator().manual_seed(1))
    kept = KVCache(model.config, 4, 64, dtype=torch.float32, device="cpu", bits=8)
    plain = RoundedCache(model.config, 4, 64)
    decoder, gaps = Decoder(model, 3, cache_bits=8), []
    for place in range(50):
        if place == 17:
            for cache in (kept, plain):
                cache.fork(3, [0, 1, 2])
        rows = np.array([3] if place < 17 else [0, 1, 2])
        new = tokens[: len(rows), place].contiguous()
        got = decoder.logits(new.numpy(), kept, rows, share_units(kept, rows))
        expected = model.logits(model(new[:, None], cache=plain, rows_B=torch.from_numpy(rows)))[:, 0]
        if not place:
            plain.layers = [plain.numbers_of(entries) for entries in kept.layers]
            continue
        gaps.append((got - expected).abs().mean())
    exact = KVCache(model.config, 1, 64, dtype=torch.float32, device="cpu")
    unrounded = Decoder(model, 1).prefill([tokens[0].tolist()], exact, [0])[0][0]
    rounding = (got[0] - unrounded).abs().mean()
    assert rounding > 1e-3
    assert torch.stack(gaps).median() < 0.02 * rounding
    assert torch.stack(gaps).max() < rounding


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_completions_depend_on_their_seeds_alone(dtype: torch.dtype) -> None:
    """In batches of other sizes, with drafts and with kept prefixes, to the bit; a prompt may be read in pieces."""
    config = LLAMA.model_copy(update={"vocab_size": 12})

    def engine(**options: int) -> Engine:
        settings = {"max_batch": 5, "max_context": 64, "cache_bits": 8, **options}
        return Engine(make_model(config, dtype), end_id=3, **settings)  # type: ignore[arg-type]

    expected = run(engine(), requests())
    assert run(engine(max_batch=1), requests()) == expected
    assert run(engine(ngram_drafts=5), requests()) == expected
    assert run(engine(prefix_bytes=1 << 20, prefill_tokens=7), requests()) == expected
    assert run(engine(cache_bits=0), requests()) != expected
    assert run(engine(weight_bits=8), requests()) != expected


@pytest.mark.parametrize("row", [6 * 8, 8 * 8], ids=["a key", "a value"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@torch.no_grad()
def test_what_is_not_finite_does_not_become_a_number_by_rounding(number: float, row: int) -> None:
    model = make_model(LLAMA)
    model.state_dict()["layers.0.self_attn.in_proj.weight"][row] = number
    cache = KVCache(LLAMA, 1, 64, dtype=torch.float32, device="cpu", bits=8)
    logits_1V, _ = Decoder(model, 1, cache_bits=8).prefill([[5, 6, 7]], cache, [0])
    assert bool(logits_1V.isnan().all())


def test_a_token_takes_a_byte_for_each_number_and_a_scale_for_each_key_and_value() -> None:
    engines = [Engine(make_model(LLAMA, torch.bfloat16), end_id=3, max_batch=1, cache_bits=bits) for bits in (0, 8)]
    numbers, scales = cache_width(LLAMA), 2 * LLAMA.num_key_value_heads
    assert [engine.cache.bytes_per_block // (16 * LLAMA.num_hidden_layers) for engine in engines] == [
        2 * numbers,
        numbers + 4 * scales,
    ]


def test_a_latent_cache_in_8_bits_is_refused() -> None:
    with pytest.raises(ConfigError, match="cache_bits = 8: the cache of a deepseek_v3 model is latent"):
        Engine(make_model(SMALL), end_id=3, max_batch=1, cache_bits=8)
