"""Rotary position embedding (arXiv:2104.09864) and its extensions to longer contexts: linear, llama3 and YaRN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cogitate.errors import ConfigError
from cogitate.kernels import elementwise, runs_natively
from cogitate.model.config import ModelConfig


class RotaryTable:
    """exp(i * position * frequency) for every position of the context, made on first use on each device.

    Not a buffer: `model.to(bfloat16)` must not touch it.
    """

    def __init__(self, config: ModelConfig):
        self.config = config
        self._tables: dict[torch.device, Tensor] = {}

    def at(self, positions: Tensor) -> Tensor:
        """complex64 (*positions.shape, rope_width / 2)."""
        return self._table(positions.device)[positions]

    def first(self, tokens: int, device: torch.device) -> Tensor:
        """complex64 (tokens, rope_width / 2): positions 0, 1, 2, ..."""
        if tokens > self.config.max_position_embeddings:
            raise ConfigError(
                f"{tokens} tokens are more than max_position_embeddings = {self.config.max_position_embeddings}: "
                "use shorter rows"
            )
        return self._table(device)[:tokens]

    def _table(self, device: torch.device) -> Tensor:
        table = self._tables.get(device)
        if table is None:
            frequencies, amplitude = rope_frequencies(self.config)
            positions = torch.arange(self.config.max_position_embeddings, dtype=torch.float32)
            angles = torch.outer(positions, frequencies)
            table = torch.polar(torch.full_like(angles, amplitude), angles).to(device)
            self._tables[device] = table
        return table


def rotate_pairs(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate neighbouring dimensions (0, 1), (2, 3), ...: DeepSeek's layout.

    Args:
        x: (..., 2 * R); computed in float32, returned in x's type.
        rotation: complex64 that broadcasts to (..., R).
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation).flatten(-2).to(x.dtype)


def rotate_halves(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate dimensions (0, R), (1, R + 1), ...: the layout of Llama and Qwen. Arguments as in rotate_pairs."""
    if runs_natively(x) and x.dim() == 4:
        return _native_rotate_halves(x, rotation)
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = rotation.real, rotation.imag
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


def turns_of(rotation: Tensor) -> tuple[Tensor, Tensor]:
    """What `turn_halves` multiplies by, made once for all layers: float32 (..., 1, 2 * R) each, of a rotation (..., R)."""
    cos, sin = rotation.real, rotation.imag
    return torch.cat((cos, cos), dim=-1).unsqueeze(-2), torch.cat((-sin, sin), dim=-1).unsqueeze(-2)


def turn_halves(x: Tensor, turns: tuple[Tensor, Tensor]) -> None:
    """`rotate_halves` in place, in few kernels and without a backward pass: for steps on a device.

    Args:
        x: (..., heads, 2 * R), overwritten; computed in float32.
    """
    cos, sin = turns
    other = x.roll(x.shape[-1] // 2, dims=-1)
    if x.dtype == torch.float32:
        x.mul_(cos).addcmul_(other, sin)
    else:
        x.copy_(torch.addcmul(x * cos, other, sin))


class _NativeRotateHalves(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BTHK: Tensor, rotation: Tensor) -> Tensor:
        ctx.save_for_backward(rotation)
        return elementwise.rotate_halves(x_BTHK, rotation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (rotation,) = ctx.saved_tensors
        return elementwise.rotate_halves(grads[0], rotation, -1.0), None


_native_rotate_halves: Callable[[Tensor, Tensor], Tensor] = _NativeRotateHalves.apply


def rope_frequencies(config: ModelConfig) -> tuple[Tensor, float]:
    """Angle per position of each pair, float32 (rope_width / 2), and the factor on the rotated vectors."""
    width = config.rope_width
    frequencies = 1.0 / (config.rope_theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
    scaling = config.rope_scaling
    if scaling is None:
        return frequencies, 1.0
    if scaling["rope_type"] == "linear":
        return frequencies / scaling["factor"], 1.0
    if scaling["rope_type"] == "llama3":
        return _llama3(frequencies, scaling), 1.0
    return _yarn(frequencies, scaling, config)


def attention_scale(config: ModelConfig) -> float:
    """Factor on query-key products: 1 / sqrt(head width); YaRN's temperature goes in here with MLA (mscale_all_dim)."""
    if not config.is_mla:
        plain: float = config.head_width**-0.5
        return plain
    scale: float = config.qk_head_dim**-0.5
    scaling = config.rope_scaling or {}
    if scaling.get("mscale_all_dim"):
        scale *= _yarn_mscale(scaling["factor"], scaling["mscale_all_dim"]) ** 2
    return scale


def _llama3(frequencies: Tensor, scaling: dict[str, Any]) -> Tensor:
    """Slow pairs are interpolated, fast ones kept, those between blended (Llama 3.1)."""
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    original = scaling["original_max_position_embeddings"]
    wavelength = 2 * math.pi / frequencies
    blend = (original / wavelength - low) / (high - low)
    blended = (1 - blend) * frequencies / factor + blend * frequencies
    slow = torch.where(wavelength > original / low, frequencies / factor, frequencies)
    between = (wavelength >= original / high) & (wavelength <= original / low)
    return torch.where(between, blended, slow)


def _yarn(frequencies: Tensor, scaling: dict[str, Any], config: ModelConfig) -> tuple[Tensor, float]:
    """YaRN (arXiv:2309.00071): a ramp from interpolated to kept pairs, and a temperature."""
    factor = scaling["factor"]
    original = scaling.get("original_max_position_embeddings") or config.max_position_embeddings
    width = config.rope_width

    def pair_turning(rotations: float) -> float:
        return width * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(config.rope_theta))

    low = pair_turning(scaling.get("beta_fast") or 32)
    high = pair_turning(scaling.get("beta_slow") or 1)
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    if low == high:
        high += 0.001
    interpolated = ((torch.arange(width // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
    blended = frequencies / factor * interpolated + frequencies * (1 - interpolated)

    amplitude = scaling.get("attention_factor")
    if amplitude is None:
        mscale, all_dim = scaling.get("mscale"), scaling.get("mscale_all_dim")
        if mscale and all_dim:
            amplitude = _yarn_mscale(factor, mscale) / _yarn_mscale(factor, all_dim)
        else:
            amplitude = _yarn_mscale(factor, 1.0)
    return blended, float(amplitude)


def _yarn_mscale(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0
