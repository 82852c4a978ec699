"""Generation from weights of 8 and 4 bits, against the same from weights that were rounded before."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.config import Config, RuntimeConfig
from cogitate.engine.batch import share_units
from cogitate.engine.bits.groups import STORED, in_groups, round_model, rounded
from cogitate.engine.decode import Decoder
from cogitate.engine.generator import Engine
from cogitate.errors import CheckpointError, ConfigError
from cogitate.kernels import native_library
from cogitate.model.config import ModelConfig
from cogitate.model.files.gguf.quantise import encode
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer
from cogitate.recipe.kinds import GENERATION
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.types import SamplingParams
from tests.engine.random_model import make_model
from tests.engine.test_decode import CONFIGS, LLAMA, filled_cache
from tests.engine.test_speculation import SMALL, requests, run

native = pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
WIDE = LLAMA.model_copy(update={"hidden_size": 192, "intermediate_size": 160, "tie_word_embeddings": True})


def source(config: ModelConfig) -> Transformer:
    """In float32, its numbers in bfloat16: what is not rounded to groups is the same in both."""
    return make_model(config, torch.bfloat16).float()


@torch.no_grad()
def logits_of(decoder: Decoder, model: Transformer) -> list[torch.Tensor]:
    """Of some steps after prompts of several lengths, and after a prompt of more rows than are multiplied at a time."""
    tokens = torch.randint(0, model.config.vocab_size, (8, 70), generator=torch.Generator().manual_seed(1))
    cache, rows = filled_cache(model, tokens)
    steps = [decoder.logits(tokens[rows, 33 + i].numpy(), cache, rows, share_units(cache, rows)).clone() for i in range(3)]
    empty = KVCache(model.config, 1, 128, dtype=decoder.dtype, device="cpu")
    return [*steps, decoder.prefill([tokens[0].tolist()], empty, [0])[0]]


@native
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("name", [*CONFIGS, "wide and tied"])
def test_logits_are_to_the_bit_those_of_weights_that_were_rounded_before(name: str, bits: int, dtype: torch.dtype) -> None:
    config = CONFIGS.get(name, WIDE)
    model, before = source(config), round_model(source(config), bits).to(dtype)
    got = logits_of(Decoder(model, 8, bits=bits, dtype=dtype), before)
    for one, other in zip(got, logits_of(Decoder(before, 8), before), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("bits", [8, 4])
def test_rounding_is_that_of_ggml_and_finds_its_own_numbers_again(bits: int) -> None:
    weight = torch.randn(7, 96, generator=torch.Generator().manual_seed(0)) * torch.logspace(-9, 3, 7)[:, None]
    weight[2, 32:64] = 0
    got, kind = rounded(weight, bits), gguf.GGMLQuantizationType(STORED[bits])
    np.testing.assert_array_equal(got, gguf.dequantize(encode(weight.numpy(), STORED[bits]), kind))
    usual = slice(1, None)  # scales of the first row are denormal in float16
    np.testing.assert_array_equal(rounded(got, bits)[usual], got[usual])


@native
@pytest.mark.parametrize("bits", [8, 4])
def test_the_kernel_rounds_as_the_plain_form(bits: int) -> None:
    """Also numbers half way between two, denormal scales and those without an inverse, and groups of zeros; by the bytes of one
    output after the other."""
    halves = torch.arange(-128, 128).float().view(-1, 32) / 2
    sizes = torch.cat((torch.logspace(-9, 4, 40), torch.logspace(-45, -34, 40)))
    weight = torch.cat((halves, torch.randn(80, 32) * sizes[:, None], torch.zeros(1, 32)))
    stored = torch.from_numpy(encode(weight.numpy(), STORED[bits]))
    got = in_groups(weight, bits, 16).view(-1, stored.shape[1] * 16)
    for index, expected in enumerate(stored):
        panel, lane = got[index // 16], index % 16
        assert torch.equal(panel[:32].view(16, 2)[lane], expected[:2])
        numbers, packed = panel[32:].view(-1, 16)[:, lane], expected[2:]
        if bits == 4:  # ours are pairs of neighbours, ggml's of numbers 16 apart
            numbers = torch.stack((numbers & 15, numbers >> 4), dim=1).flatten()
            packed = torch.cat((packed & 15, packed >> 4))
        assert torch.equal(numbers, packed)


@native
@pytest.mark.parametrize("bits", [8, 4])
def test_weights_of_any_strides_are_rounded(bits: int) -> None:
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(in_groups(weight.t().contiguous().t(), bits, 16), in_groups(weight, bits, 16))


@native
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e7])
def test_weights_without_a_scale_are_refused(number: float) -> None:
    weight = torch.ones(3, 40)
    weight[2, 39] = number
    said = "not finite, or too large for weights of 8 bits"
    with pytest.raises(CheckpointError, match=said):
        in_groups(weight, 8, 48)
    with pytest.raises(CheckpointError, match=said):
        rounded(weight, 8)


@native
def test_an_engine_rounds_what_it_is_given_and_what_it_loads(tmp_path: Path) -> None:
    """Completions, drafts of the MTP block included, are those of an engine with rounded weights."""
    model, before = source(SMALL), round_model(source(SMALL), 8).bfloat16()
    save_model(model, tmp_path)
    options: dict[str, Any] = {"end_id": 3, "max_batch": 5, "max_context": 64, "speculative": True}
    expected = run(Engine(before, **options), requests())
    engine = Engine(source(SMALL), dtype=torch.bfloat16, weight_bits=8, **options)
    assert run(engine, requests()) == expected
    engine.free_weights()
    engine.load_weights(tmp_path, 0)
    assert run(engine, requests()) == expected
    plain = run(Engine(model, dtype=torch.bfloat16, **options), requests())
    assert plain != expected


@native
def test_the_setting_reaches_generators_and_the_ids_of_what_is_sampled() -> None:
    config = Config(runtime=RuntimeConfig(weight_bits=8, dtype="bfloat16"))
    engine = LocalBackend(config).generator(SHIPPED / "base")
    assert isinstance(engine.decoder, Decoder)
    assert (engine.decoder.bits, engine.dtype) == (8, torch.bfloat16)
    request = GenerationRequest("a", (5, 6, 7), SamplingParams(0.0, max_new_tokens=12), (0,))
    rounded_before = Engine(round_model(load_model(SHIPPED / "base"), 8).bfloat16(), end_id=-1, max_batch=1)
    assert [c.token_ids[:3] for c in run(engine, [request]).values()] == [
        c.token_ids[:3] for c in run(rounded_before, [request]).values()
    ]
    assert "runtime.weight_bits" in GENERATION
    assert "weight_bits" in config.runtime.identity()
    assert "weight_bits" not in RuntimeConfig().identity()


def test_bits_that_would_save_nothing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="weight_bits = 5: must be 8 or 4, or 0"):
        Engine(make_model(LLAMA), end_id=3, max_batch=1, weight_bits=5)
    monkeypatch.setattr(Decoder, "supports", staticmethod(lambda model: False))
    with pytest.raises(ConfigError, match="weight_bits = 4 has kernels for the CPU alone"):
        Engine(make_model(LLAMA), end_id=3, max_batch=1, weight_bits=4)
