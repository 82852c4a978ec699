"""Products of weights of 8 and 4 bits with activations of 8, against the plain form, and generation from them."""

import ctypes
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cogitate.config import Config, RuntimeConfig
from cogitate.engine.bits.groups import in_quads
from cogitate.engine.bits.products import product, rounded_activations
from cogitate.engine.decode import Decoder
from cogitate.engine.decode_weights import LANES, Matrix
from cogitate.engine.generator import Engine
from cogitate.errors import CheckpointError, ConfigError
from cogitate.kernels import function, native_library
from cogitate.model.kv_cache import KVCache
from cogitate.recipe.kinds import GENERATION
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.run_directory.store import SHIPPED
from tests.engine.bits.test_groups import logits_of, source
from tests.engine.random_model import make_model
from tests.engine.test_decode import CONFIGS, LLAMA
from tests.engine.test_speculation import SMALL, requests, run

native = pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
ODD = [(1, 1, 1), (3, 33, 17), (15, 64, 16), (16, 95, 50), (17, 100, 48), (63, 576, 90), (70, 31, 96), (40, 1536, 33)]


def linear(x_NI: Tensor, weight_OI: Tensor, bits: int, bias_O: Tensor) -> Tensor:
    """By the kernels."""
    laid_out, bias, out_NO = in_quads(weight_OI, bits), F.pad(bias_O, (0, LANES)), torch.empty(len(x_NI), len(weight_OI))
    matrix = Matrix(laid_out.data_ptr(), bias.data_ptr(), weight_OI.shape[1], len(weight_OI), bits, 8)
    run = function("linear", x_NI.dtype, takes="ppip")
    run(ctypes.addressof(matrix), x_NI.data_ptr(), len(x_NI), out_NO.data_ptr())
    return out_NO


def random_product(rows: int, inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of all sizes: rows from large numbers to denormal ones, a group of zeros."""
    torch.manual_seed(rows + inputs)
    x_NI = torch.randn(rows, inputs) * torch.logspace(6, -42, rows)[:, None]
    x_NI[rows // 2, 32:64] = 0
    return x_NI, torch.randn(outputs, inputs) * torch.logspace(-9, 3, outputs)[:, None], torch.randn(outputs)


@native
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("shape", ODD)
def test_the_kernel_computes_the_plain_form_to_the_bit(shape: tuple[int, int, int], bits: int, dtype: torch.dtype) -> None:
    x_NI, weight_OI, bias_O = random_product(*shape)
    x_NI = x_NI.to(dtype)
    got = linear(x_NI, weight_OI, bits, bias_O)
    torch.testing.assert_close(got, product(x_NI, weight_OI, bits, bias_O), rtol=0, atol=0)
    backwards = linear(x_NI.flip(0).contiguous(), weight_OI, bits, bias_O).flip(0)
    assert torch.equal(got, backwards)
    assert torch.equal(got[-1:], linear(x_NI[-1:].contiguous(), weight_OI, bits, bias_O))


@native
def test_products_do_not_depend_on_threads() -> None:
    x_NI, weight_OI, bias_O = random_product(70, 100, 200)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(linear(x_NI, weight_OI, 8, bias_O))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@native
def test_a_row_that_is_not_finite_has_no_finite_result() -> None:
    """And leaves the others as they are."""
    x_NI, weight_OI, bias_O = random_product(20, 64, 20)
    expected = linear(x_NI, weight_OI, 8, bias_O)
    x_NI[3, 5], x_NI[7, 40] = float("nan"), float("-inf")
    got = linear(x_NI, weight_OI, 8, bias_O)
    assert not got[[3, 7]].isfinite().any()
    others = [row for row in range(20) if row not in (3, 7)]
    assert torch.equal(got[others], expected[others])


def test_rounding_by_hand() -> None:
    """The largest number becomes 127, ties go to the even number, and each group has its own scale."""
    x = torch.zeros(1, 40)
    x[0, :5] = torch.tensor([-254.0, 2, 3, 5, -1])
    x[0, 32] = 0.5
    numbers, scales = rounded_activations(x)
    assert numbers[0, 0, :5].tolist() == [-127, 1, 2, 2, 0]
    assert numbers[0, 1, 0] == 127
    torch.testing.assert_close(scales[0], torch.tensor([2.0, 0.5 / 127]), rtol=0, atol=0)


@native
def test_weights_without_a_scale_are_refused() -> None:
    weight = torch.ones(3, 40)
    weight[2, 39] = float("nan")
    with pytest.raises(CheckpointError, match="not finite, or too large for weights of 8 bits"):
        in_quads(weight, 8)


class RoundedProducts(TorchFunctionMode):
    """Every linear layer computes the plain form."""

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.linear:
            return func(*args, **(kwargs or {}))
        x, weight_OI, bias_O = (*args, None)[:3]
        made: Tensor = product(x.flatten(0, -2), weight_OI, self.bits, bias_O)
        return made.view(*x.shape[:-1], -1)


@native
@torch.no_grad()
@pytest.mark.parametrize("name", ["llama", "qwen3", "qwen2 with a window"])
def test_logits_are_those_of_a_model_of_plain_products(name: str) -> None:
    """Other sums differ in their last bits, and a number that lies between two of 255 may be rounded to the other one."""
    model, tokens = source(CONFIGS[name]), torch.randint(0, 90, (1, 70), generator=torch.Generator().manual_seed(1))
    with RoundedProducts(8):
        expected = model.logits(model(tokens))[:, -1]
    got, unrounded = (read(Decoder(model, 1, bits=8, activation_bits=bits), tokens) for bits in (8, 0))
    assert (got - expected).norm() < 0.2 * (got - unrounded).norm()


def read(decoder: Decoder, tokens: Tensor) -> Tensor:
    """The logits after a prompt."""
    cache = KVCache(decoder.config, 1, 128, dtype=decoder.dtype, device="cpu")
    return decoder.prefill([tokens[0].tolist()], cache, [0])[0]


@native
@pytest.mark.parametrize("name", CONFIGS)
def test_every_family_rounds_its_activations_a_little(name: str) -> None:
    """Experts, latent attention and odd widths included."""
    model = source(CONFIGS[name])
    steps = [logits_of(Decoder(model, 8, bits=8, activation_bits=each), model) for each in (8, 0)]
    for one, other in zip(*steps, strict=True):
        assert 0 < (one - other).norm() < 0.1 * other.norm()


@native
def test_completions_depend_on_their_seeds_alone() -> None:
    """In batches of other sizes, with drafts of both kinds and with kept prefixes, to the bit."""

    def engine(**options: Any) -> Engine:
        settings = {"max_batch": 5, "max_context": 64, "weight_bits": 8, "activation_bits": 8, **options}
        return Engine(source(SMALL), end_id=3, dtype=torch.bfloat16, **settings)

    expected = run(engine(), requests())
    assert run(engine(max_batch=1), requests()) == expected
    assert run(engine(ngram_drafts=5), requests()) == expected
    assert run(engine(speculative=True), requests()) == expected
    assert run(engine(prefix_bytes=1 << 20, prefill_tokens=7), requests()) == expected
    assert run(engine(activation_bits=0), requests()) != expected


@native
def test_the_setting_reaches_generators_and_the_ids_of_what_is_sampled() -> None:
    config = Config(runtime=RuntimeConfig(weight_bits=4, activation_bits=8))
    decoder = LocalBackend(config).generator(SHIPPED / "base").decoder
    assert isinstance(decoder, Decoder)
    assert (decoder.bits, decoder.activation_bits) == (4, 8)
    assert "runtime.activation_bits" in GENERATION
    assert "activation_bits" in config.runtime.identity()
    assert "activation_bits" not in RuntimeConfig().identity()


def test_activations_alone_are_not_rounded() -> None:
    with pytest.raises(ConfigError, match="activation_bits = 8 needs weights of fewer bits: set weight_bits = 8 or 4"):
        Engine(make_model(LLAMA), end_id=3, max_batch=1, activation_bits=8)
    with pytest.raises(ValueError, match="activation_bits has no effect with weight_bits=0"):
        RuntimeConfig(activation_bits=8)
