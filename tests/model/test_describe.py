"""Counts against published numbers and against real models."""

from cogitate.model.config import DEEPSEEK_V3, TINY, ModelConfig
from cogitate.model.describe import describe
from cogitate.model.transformer import Transformer

LLAMA_3_8B = ModelConfig.from_dict(
    {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
    }
)


def test_deepseek_v3_has_the_published_sizes() -> None:
    """671.03 B and 11.6 B for MTP; active 37.55 B, or 36.63 B without the embedding table (arXiv:2412.19437)."""
    sizes = describe(DEEPSEEK_V3)
    assert abs(sizes.parameters / 671.03e9 - 1) < 1e-4
    assert abs(sizes.mtp_parameters / 11.61e9 - 1) < 1e-3
    assert abs(sizes.active / 37.55e9 - 1) < 1e-3
    assert abs(sizes.active_without_embedding / 36.63e9 - 1) < 1e-3


def test_the_latent_cache_is_71_times_smaller_than_plain_heads() -> None:
    """(512 + 64) x 61 layers against 128 heads x (192 + 128) x 61."""
    sizes = describe(DEEPSEEK_V3)
    assert sizes.cache_numbers == 576 * 61
    assert sizes.plain_cache_numbers == 128 * 320 * 61


def test_a_dense_model_uses_all_it_has() -> None:
    """Llama 3 8B: 8.03 B parameters; 2 x 8 heads x 128 x 32 layers of cache."""
    sizes = describe(LLAMA_3_8B)
    assert sizes.parameters == sizes.active == 8_030_261_248
    assert sizes.cache_numbers == 65536
    assert sizes.plain_cache_numbers == 4 * 65536


def test_counts_are_those_of_the_real_model() -> None:
    sizes, model = describe(TINY), Transformer(TINY)
    assert sizes.parameters + sizes.mtp_parameters == sum(parameter.numel() for parameter in model.parameters())
    unused_experts = 3 * 6 * 3 * 160 * 112  # layers, idle experts, matrices
    assert sizes.active == sizes.parameters - unused_experts


def test_the_table_shows_totals_memory_and_what_fits() -> None:
    text = describe(DEEPSEEK_V3).text()
    for part in (
        "671.03 B",
        "37.55 B",
        "36.63 B",
        "11.61 B",
        "70,272 bytes per token",
        "1,365.27 GB",
        "8 accelerators of 141 GB",
    ):
        assert part in text, part
    assert "one accelerator" not in text
