"""The decoding kernels against Transformer.forward over the same cache, which is tested against full forward passes."""

import numpy as np
import pytest
import torch

from cogitate.engine.batch import UNIT_ROWS, share_units
from cogitate.engine.decode import Decoder
from cogitate.engine.decode_weights import in_panels
from cogitate.kernels import native_library
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer
from tests.engine.random_model import make_model

SMALL = TINY.model_copy(update={"vocab_size": 90, "hidden_size": 64, "num_hidden_layers": 2, "initializer_range": 0.1})
LLAMA = ModelConfig.from_dict(
    {
        "model_type": "llama",
        "vocab_size": 90,
        "hidden_size": 48,
        "intermediate_size": 100,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.15,
        "mlp_bias": True,
    }
)
CONFIGS = {
    "deepseek_v3": SMALL,
    "deepseek_v3 with low-rank queries, groups of experts and odd widths": SMALL.model_copy(
        update={
            "q_lora_rank": 41,
            "attention_bias": True,
            "n_group": 4,
            "topk_group": 2,
            "routed_scaling_factor": 2.5,
            "kv_lora_rank": 37,
            "qk_nope_head_dim": 11,
            "qk_rope_head_dim": 6,
            "v_head_dim": 13,
            "moe_intermediate_size": 21,
            "rope_interleave": False,
            "norm_topk_prob": False,
        }
    ),
    "deepseek_v3 without shared experts": SMALL.model_copy(update={"n_shared_experts": 0, "num_experts_per_tok": 3}),
    "llama": LLAMA,
    "qwen3_moe": ModelConfig.from_dict(
        {
            **{key: value for key, value in LLAMA.to_dict().items() if key not in ("architectures", "mlp_bias")},
            "model_type": "qwen3_moe",
            "head_dim": 20,
            "num_experts": 21,
            "num_experts_per_tok": 4,
            "moe_intermediate_size": 28,
            "norm_topk_prob": True,
            "mlp_only_layers": [0],
        }
    ),
    "qwen3": LLAMA.model_copy(update={"model_type": "qwen3", "head_dim": 20, "attention_bias": True, "mlp_bias": False}),
    "qwen2 with a window": LLAMA.model_copy(
        update={
            "model_type": "qwen2",
            "attention_bias": True,
            "use_sliding_window": True,
            "sliding_window": 9,
            "max_window_layers": 1,
            "mlp_bias": False,
        }
    ),
}
pytestmark = pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")


def filled_cache(model: Transformer, tokens: torch.Tensor) -> tuple[KVCache, np.ndarray]:
    """Rows 0, 2, 4 share a prompt of 17 tokens, 1 and 3 one of 32; 5 has 33 tokens of its own. Batch order: by prompt."""
    cache = KVCache(model.config, 8, 128, dtype=model.embed_tokens.weight.dtype, device="cpu")
    model(tokens[:2, :32], cache=cache, rows_B=torch.tensor([6, 7]))
    cache.truncate([6], [17])
    cache.fork(6, [0, 2, 4])
    cache.fork(7, [1, 3])
    model(tokens[5:6, :33], cache=cache, rows_B=torch.tensor([5]))
    return cache, np.array([0, 2, 4, 1, 3, 5])


@torch.no_grad()
def decode_plainly(model: Transformer, steps: int) -> list[torch.Tensor]:
    """The logits of each step by the forward pass, in the model's type."""
    tokens = torch.randint(0, 90, (8, 33 + steps), generator=torch.Generator().manual_seed(1))
    cache, rows = filled_cache(model, tokens)
    new = [tokens[rows, 33 + step] for step in range(steps)]
    return [model.logits(model(each[:, None], cache=cache, rows_B=torch.from_numpy(rows)))[:, 0] for each in new]


@torch.no_grad()
def decode_both_ways(model: Transformer, steps: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    tokens = torch.randint(0, 90, (8, 33 + steps), generator=torch.Generator().manual_seed(1))
    cache, rows = filled_cache(model, tokens)
    decoder, results = Decoder(model, len(rows)), []
    for step, plain in enumerate(decode_plainly(model, steps)):
        new = tokens[rows, 33 + step]
        results.append((decoder.logits(new.numpy(), cache, rows, share_units(cache, rows)).clone(), plain.float()))
    return results


@pytest.mark.parametrize("name", CONFIGS)
def test_decoding_by_kernels_equals_the_forward_pass(name: str) -> None:
    for got, expected in decode_both_ways(make_model(CONFIGS[name]), steps=36):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=3e-5)


def test_long_sums_in_float32_lose_hardly_more_digits_than_those_of_pytorch() -> None:
    """Of 1,536 and 3,000 inputs, against the same in float64; made in one go they would lose 2.6 times as many."""
    widths = {"hidden_size": 1536, "intermediate_size": 3000, "num_attention_heads": 24, "initializer_range": 0.02}
    model = make_model(LLAMA.model_copy(update=widths))
    pairs = decode_both_ways(model, steps=8)
    exact = decode_plainly(model.double(), steps=8)
    ours, pytorch = (
        torch.stack([(pair[i] - true).abs().mean() for pair, true in zip(pairs, exact, strict=True)]).mean() for i in (0, 1)
    )
    assert ours < 1.3 * pytorch


@pytest.mark.parametrize("name", ["llama", "qwen3", "qwen2 with a window"])
def test_decoding_in_bfloat16_differs_by_rounding_alone(name: str) -> None:
    """Compared with both computed in float32 from the same weights: as close as PyTorch's bfloat16 is, or closer."""
    model = make_model(CONFIGS[name], torch.bfloat16)
    exact = [expected for _, expected in decode_both_ways(model.float(), steps=20)]
    pairs = decode_both_ways(model.bfloat16(), steps=20)
    ours = torch.stack([(got - true).abs().mean() for (got, _), true in zip(pairs, exact, strict=True)]).mean()
    pytorch = torch.stack([(plain - true).abs().mean() for (_, plain), true in zip(pairs, exact, strict=True)]).mean()
    assert 0 < ours < 1.2 * pytorch


def test_decoding_in_bfloat16_serves_latent_attention_and_experts() -> None:
    """With as many experts chosen as there are, rounding cannot send tokens to other experts."""
    model = make_model(SMALL.model_copy(update={"num_experts_per_tok": 8}), torch.bfloat16)
    for got, expected in decode_both_ways(model, steps=8):
        torch.testing.assert_close(got, expected, rtol=0, atol=0.15)


@pytest.mark.parametrize(("config", "dtype"), [(SMALL, torch.float32), (SMALL, torch.bfloat16), (LLAMA, torch.bfloat16)])
@torch.no_grad()
def test_a_row_has_the_same_bits_whatever_is_decoded_beside_it_and_by_however_many_threads(
    config: ModelConfig, dtype: torch.dtype
) -> None:
    model = make_model(config, dtype)
    tokens = torch.randint(0, 90, (8, 40), generator=torch.Generator().manual_seed(1))
    results = []
    before = torch.get_num_threads()
    for threads, chosen in ((1, [0, 1, 2, 3, 4, 5]), (2, [0, 1, 2, 3, 4, 5]), (1, [1, 2, 4]), (2, [2])):
        torch.set_num_threads(threads)
        cache, rows = filled_cache(model, tokens)
        rows = rows[chosen]
        decoder = Decoder(model, 6)
        outputs = [decoder.logits(tokens[rows, t].numpy(), cache, rows, share_units(cache, rows))[chosen.index(2)].clone()
                   for t in range(33, 40)]  # fmt: skip
        results.append(torch.stack(outputs))
    torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


def test_weights_read_anew_decode() -> None:
    tokens = torch.randint(0, 90, (8, 40), generator=torch.Generator().manual_seed(1))
    model, other = make_model(LLAMA), make_model(LLAMA)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.9)
    cache, rows = filled_cache(model, tokens)
    expected_cache, _ = filled_cache(model, tokens)
    decoder = Decoder(model, 6)
    model.load_state_dict(other.state_dict())
    decoder.read(model)
    got = decoder.logits(tokens[rows, 33].numpy(), cache, rows, share_units(cache, rows)).clone()
    expected = Decoder(other, 6).logits(tokens[rows, 33].numpy(), expected_cache, rows, share_units(expected_cache, rows))
    assert torch.equal(got, expected)


def test_rows_are_cut_where_the_prompt_changes_and_after_enough_of_them() -> None:
    cache = KVCache(LLAMA, 60, 64, dtype=torch.float32, device="cpu")
    cache.reserve(np.array([50, 51]), np.array([5, 6]))
    cache.lengths[[50, 51]] = torch.tensor([5, 6])
    cache.fork(50, range(20))
    cache.fork(51, range(20, 23))
    bounds = share_units(cache, np.array([*range(23), 30, 31]))
    assert bounds.tolist() == [0, UNIT_ROWS, 20, 23, 24, 25]


def test_the_layout_in_panels_by_hand() -> None:
    weight = torch.arange(34 * 3).view(34, 3).float()
    laid_out = in_panels(weight, 32, 1)
    assert len(laid_out) == 32 * 3 + 16 * 3
    assert laid_out[:32].tolist() == weight[:32, 0].tolist()
    assert laid_out[96:114].tolist() == [96.0, 99.0] + [0.0] * 14 + [97.0, 100.0]
    pairs = in_panels(weight.bfloat16(), 32, 2)
    assert pairs[:4].tolist() == [0.0, 1.0, 3.0, 4.0]
    assert pairs[64:68].tolist() == [2.0, 0.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("dtype", "together", "depth"), [(torch.float32, 1, 1), (torch.bfloat16, 2, 2), (torch.bfloat16, 2, 32)]
)
@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (16, 2), (50, 33), (129, 64), (64, 100), (600, 70)])
def test_panels_hold_every_weight_in_its_place_and_zeros_elsewhere(
    outputs: int, inputs: int, dtype: torch.dtype, together: int, depth: int
) -> None:
    weight = torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(0)).to(dtype)
    padded = torch.zeros(-(-outputs // 16) * 16, -(-inputs // depth) * depth, dtype=dtype)
    padded[:outputs, :inputs] = weight
    panels = [part.unflatten(1, (-1, together)).transpose(0, 1).flatten() for part in padded.split(48)]
    assert torch.equal(in_panels(weight, 48, depth), torch.cat(panels))


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_prefilling_by_kernels_equals_the_forward_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts shorter and longer than a block, in pieces that end anywhere, then further tokens to rows that hold some."""
    model = make_model(CONFIGS[name])
    generator = torch.Generator().manual_seed(2)
    prompts = [tuple(torch.randint(0, 90, (length,), generator=generator).tolist()) for length in (5, 40, 16, 1, 23)]
    rows = [3, 0, 6, 2, 5]
    for piece, threads in ((512, 1), (7, 1), (30, 2)):
        monkeypatch.setattr("cogitate.engine.decode.PREFILL_TOKENS", piece)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        cache = KVCache(model.config, 8, 128, dtype=torch.float32, device="cpu")
        decoder = Decoder(model, 4)
        got, _ = decoder.prefill(prompts, cache, rows)
        more, _ = decoder.prefill([prompts[4], prompts[0]], cache, [0, 3])
        torch.set_num_threads(before)
        for index, prompt in enumerate(prompts):
            expected = model.logits(model(torch.tensor([prompt])))[0, -1]
            torch.testing.assert_close(got[index], expected, rtol=1e-4, atol=3e-5)
        for index, text in enumerate((prompts[1] + prompts[4], prompts[0] + prompts[0])):
            expected = model.logits(model(torch.tensor([text])))[0, -1]
            torch.testing.assert_close(more[index], expected, rtol=1e-4, atol=3e-5)
        assert cache.lengths.tolist() == [63, 0, 1, 10, 0, 23, 16, 0]


def test_more_threads_than_the_machine_has_processors_stay_within_the_memory_of_a_step() -> None:
    decoder = Decoder(make_model(LLAMA), 4)
    size, prompts = len(decoder._memory), [[number] * 32 for number in range(16)]
    with_more = torch.full((2 * size,), 7, dtype=torch.uint8)
    decoder._memory = with_more[:size]
    before = torch.get_num_threads()
    torch.set_num_threads(16)  # a part of the tokens each
    decoder.prefill(prompts, KVCache(LLAMA, 16, 64, dtype=torch.float32, device="cpu"), range(16))
    torch.set_num_threads(before)
    assert bool((with_more[size:] == 7).all())


def test_a_matrix_of_another_type_than_the_model_is_refused() -> None:
    model = make_model(LLAMA, torch.bfloat16)
    model.get_submodule("layers.1.mlp.down_proj").float()
    with pytest.raises(AssertionError, match=r"a matrix of torch.float32 in a model of torch.bfloat16"):
        Decoder(model, 4)


@pytest.mark.parametrize("family", [name for name in CONFIGS if name != "deepseek_v3"])
def test_what_an_earlier_step_left_in_memory_does_not_reach_a_later_one(family: str) -> None:
    """Widths that do not fill registers are read beyond their end, by weights of zero: what stands there must be a number."""
    model = make_model(CONFIGS[family], torch.bfloat16)
    decoder = Decoder(model, 4)
    tokens = np.random.default_rng(0).integers(0, 90, 60).tolist()
    first = None
    for sizes in ((60,), (21, 39), (1, 59), (33, 27), (21, 39)):
        cache, read = KVCache(model.config, 1, 64, dtype=torch.bfloat16, device="cpu"), 0
        for size in sizes:
            logits_1V, _ = decoder.prefill([tokens[read : read + size]], cache, [0])
            read += size
        first = logits_1V.clone() if first is None else first
        assert torch.equal(logits_1V, first)
