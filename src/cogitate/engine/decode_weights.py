"""A model's weights as kernels/decode.cpp reads them: the structures, and matrices laid out in panels."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cogitate.engine.bits.groups import HEAD_BITS, in_groups, in_quads
from cogitate.kernels import function, library
from cogitate.model.attention import GroupedQueryAttention
from cogitate.model.block import DecoderLayer
from cogitate.model.kv_cache import entry_width
from cogitate.model.layers import MLP, RMSNorm
from cogitate.model.mla import MultiHeadLatentAttention
from cogitate.model.moe import MixtureOfExperts
from cogitate.model.rope import rotate_pairs
from cogitate.model.transformer import Transformer

Int, Long, Float, Pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
LANES = 16


class Matrix(ctypes.Structure):
    _fields_ = (
        *((name, Pointer) for name in ("weights", "bias")),
        *((name, Int) for name in ("inputs", "outputs", "bits", "input_bits")),
    )


class Step(ctypes.Structure):
    _fields_ = (
        *((name, Int) for name in ("tokens", "units", "table_stride", "selected")),
        *((name, Pointer) for name in ("unit_token", "row", "length", "select", "table", "shared", "rotation")),
    )


class Attention(ctypes.Structure):
    _fields_ = (
        ("cache", Pointer),
        *((name, Int) for name in ("width", "bits", "heads", "kv_heads", "key_width", "value_width", "rope_width")),
        *((name, Int) for name in ("interleaved", "window")),
        *((name, Float) for name in ("scale", "eps")),
        *((name, Int) for name in ("nope", "v_width")),
        *((name, Pointer) for name in ("latent_norm", "key_up", "value_up", "q_norm", "k_norm")),
    )


class Routing(ctypes.Structure):
    _fields_ = (
        *((name, Int) for name in ("experts", "chosen", "groups", "kept_groups", "normalised", "softmax")),
        ("scaling", Float),
        ("bias", Pointer),
    )


class Layer(ctypes.Structure):
    _fields_ = (
        ("attention", Attention),
        *((name, Matrix) for name in ("in_proj", "query_up", "o_proj", "gate_up", "down", "router")),
        ("routing", Routing),
        *((name, Pointer) for name in ("expert_gate_up", "expert_down", "input_norm", "query_norm", "post_norm")),
        *((name, Float) for name in ("eps", "query_eps")),
    )


class Model(ctypes.Structure):
    _fields_ = (
        *((name, Int) for name in ("layers", "width", "is_mla")),
        ("eps", Float),
        *((name, Pointer) for name in ("layer", "embedding", "final_norm")),
        ("head", Matrix),
        ("weight_bytes", Long),
    )


class Hidden(ctypes.Structure):
    _fields_ = (
        *((name, Pointer) for name in ("given", "made")),
        ("join", Matrix),
        *((name, Pointer) for name in ("token_norm", "hidden_norm")),
    )


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers between embedding and head: the model's, or those of its MTP block, which `hidden` lets take in hidden states."""

    layers: ctypes.Array[Layer]
    model: Model
    hidden: Hidden


class DecodeWeights:
    """The stacks point into memory that lives as long as this object. Weights that change afterwards are not noticed.

    Attributes:
        main: the model without its MTP block.
        mtp: the MTP block, with the model's embedding and head; None where it is not asked for.
    """

    def __init__(
        self,
        source: Transformer,
        *,
        dtype: torch.dtype,
        bits: int = 0,
        activation_bits: int = 0,
        cache_bits: int = 0,
        mtp: bool = False,
        in_place: bool = False,
    ):
        """
        Args:
            dtype: of the embedding, and of matrices where `bits` is 0: the source's there.
            bits: of the weights of matrices, but for routers: 8 or 4 (bits/groups.py).
            activation_bits: of what these matrices are multiplied with: 8 (bits/products.py).
            cache_bits: of the cache that is read and written.
            in_place: matrices of the source's layers are laid out in their own memory where they fit it, so that hardly any
                weight is there twice. The source is of no use afterwards.
        """
        self._kept: list[object] = []
        self._dtype = dtype
        self._bytes, self._bits, self._activation_bits, self._cache_bits = 0, bits, activation_bits, cache_bits
        self._in_place = False
        embedding = self._at(source.embed_tokens.weight.detach().to(dtype))
        head = self._matrix(source.head_weight, bits=bits and max(bits, HEAD_BITS))
        self._in_place = in_place
        self.main = self._stack(list(source.layers), source.norm, source, embedding, head, Hidden())
        self.mtp = None
        if mtp:
            assert source.mtp is not None
            hidden = Hidden(
                join=self._matrix(source.mtp.eh_proj.weight),
                token_norm=self._floats(source.mtp.enorm.weight),
                hidden_norm=self._floats(source.mtp.hnorm.weight),
            )
            self.mtp = self._stack([source.mtp.block], source.mtp.norm, source, embedding, head, hidden)

    def _stack(
        self, blocks: list[nn.Module], norm: RMSNorm, source: Transformer, embedding: int, head: Matrix, hidden: Hidden
    ) -> Stack:
        layers = (Layer * len(blocks))(*(self._layer(block, source) for block in blocks))  # type: ignore[arg-type]
        self._kept.append(layers)
        model = Model(
            layers=len(layers),
            width=source.config.hidden_size,
            is_mla=source.config.is_mla,
            eps=norm.eps,
            layer=ctypes.addressof(layers),
            embedding=embedding,
            final_norm=self._floats(norm.weight),
            head=head,
            weight_bytes=self._bytes,
        )
        return Stack(layers, model, hidden)

    def _layer(self, layer: DecoderLayer, source: Transformer) -> Layer:
        made = Layer(
            input_norm=self._floats(layer.input_layernorm.weight),
            post_norm=self._floats(layer.post_attention_layernorm.weight),
            eps=layer.input_layernorm.eps,
        )
        width = entry_width(source.config, self._cache_bits)
        if isinstance(layer.self_attn, MultiHeadLatentAttention):
            self._latent_attention(made, layer.self_attn, width)
        else:
            self._grouped_attention(made, layer.self_attn, width)
        if isinstance(layer.mlp, MixtureOfExperts):
            self._experts(made, layer.mlp)
            if layer.mlp.shared_experts is not None:
                self._mlp(made, layer.mlp.shared_experts)
        else:
            self._mlp(made, layer.mlp)
        return made

    def _latent_attention(self, made: Layer, module: MultiHeadLatentAttention, width: int) -> None:
        bias = None
        if module.in_proj_bias is not None:
            bias = F.pad(module.in_proj_bias.detach(), (module.in_proj.out_features - len(module.in_proj_bias), 0))
        made.in_proj = self._matrix(module.in_proj.weight, bias)
        made.o_proj = self._matrix(module.o_proj.weight, module.o_proj.bias)
        if module.q_b_proj is not None and module.q_a_layernorm is not None:
            made.query_up = self._matrix(module.q_b_proj.weight)
            made.query_norm, made.query_eps = self._floats(module.q_a_layernorm.weight), module.q_a_layernorm.eps
        expand_HKL = module.kv_b_proj.weight.detach().unflatten(0, (module.heads, -1))
        made.attention = Attention(
            width=width,
            heads=module.heads,
            kv_heads=1,
            key_width=module.latent + module.rope,
            value_width=module.latent,
            rope_width=module.rope,
            interleaved=module.rotate is rotate_pairs,
            scale=module.scale,
            eps=module.kv_a_layernorm.eps,
            nope=module.nope,
            v_width=module.v_width,
            latent_norm=self._floats(module.kv_a_layernorm.weight),
            key_up=self._floats(expand_HKL[:, : module.nope]),
            value_up=self._floats(expand_HKL[:, module.nope :].transpose(1, 2)),
        )

    def _grouped_attention(self, made: Layer, module: GroupedQueryAttention, width: int) -> None:
        made.in_proj = self._matrix(module.in_proj.weight, module.in_proj.bias)
        made.o_proj = self._matrix(module.o_proj.weight, module.o_proj.bias)
        made.attention = Attention(
            width=width,
            bits=self._cache_bits,
            heads=module.heads,
            kv_heads=module.kv_heads,
            key_width=module.width,
            value_width=module.width,
            rope_width=module.width,
            window=module.window or 0,
            scale=module.scale,
        )
        if module.q_norm is not None and module.k_norm is not None:
            made.attention.eps = module.q_norm.eps
            made.attention.q_norm, made.attention.k_norm = (
                self._floats(module.q_norm.weight),
                self._floats(module.k_norm.weight),
            )

    def _mlp(self, made: Layer, module: MLP) -> None:
        made.gate_up = self._matrix(module.gate_up_proj.weight, module.gate_up_proj.bias)
        made.down = self._matrix(module.down_proj.weight, module.down_proj.bias)

    def _experts(self, made: Layer, module: MixtureOfExperts) -> None:
        config, experts = module.gate.config, module.experts
        bias = module.gate.e_score_correction_bias
        made.router = self._panels(module.gate.weight.detach().float(), None)
        made.routing = Routing(
            experts=config.n_routed_experts,
            chosen=config.num_experts_per_tok,
            groups=config.n_group,
            kept_groups=config.topk_group,
            normalised=config.norm_topk_prob,
            softmax=config.family.router == "softmax",
            scaling=config.routed_scaling_factor,
            bias=self._floats(module.gate.weight.new_zeros(config.n_routed_experts) if bias is None else bias),
        )
        made.expert_gate_up, made.expert_down = self._matrices(experts.gate_up_proj), self._matrices(experts.down_proj)

    def _matrices(self, weights_EOI: Tensor) -> int:
        matrices = (Matrix * len(weights_EOI))(*(self._matrix(weight) for weight in weights_EOI))
        self._kept.append(matrices)
        return ctypes.addressof(matrices)

    def _matrix(self, weight_OI: Tensor, bias_O: Tensor | None = None, *, bits: int | None = None) -> Matrix:
        """
        Args:
            bits: other than those of most matrices.
        """
        weight_OI, bits = weight_OI.detach(), self._bits if bits is None else bits
        if not bits:
            assert weight_OI.dtype == self._dtype, f"a matrix of {weight_OI.dtype} in a model of {self._dtype}"
            return self._panels(weight_OI, bias_O)
        bias = None if bias_O is None else self._floats(bias_O, room=LANES)
        rounded, inputs = self._activation_bits, weight_OI.shape[1]
        laid_out = in_quads(weight_OI, bits) if rounded else in_groups(weight_OI, bits, library().panel_width())
        return Matrix(self._at(laid_out), bias, inputs, len(weight_OI), bits, rounded)

    def _panels(self, weight_OI: Tensor, bias_O: Tensor | None) -> Matrix:
        """A matrix whose numbers are kept as they are."""
        bias = None if bias_O is None else self._floats(bias_O, room=LANES)
        depth = library().bf16_depth() if weight_OI.dtype == torch.bfloat16 else 1
        panels = in_panels(weight_OI, library().panel_width(), depth)
        if self._in_place and panels.numel() == weight_OI.numel() and weight_OI.is_contiguous():
            panels = weight_OI.flatten().copy_(panels)
        return Matrix(self._at(panels), bias, weight_OI.shape[1], len(weight_OI))

    def _floats(self, values: Tensor, room: int = 0) -> int:
        return self._at(F.pad(values.detach().float().flatten(), (0, room)))

    def _at(self, values: Tensor) -> int:
        values = values.contiguous()
        self._kept.append(values)
        self._bytes += values.numel() * values.element_size()
        return values.data_ptr()


def in_panels(weight_OI: Tensor, panel: int, depth: int) -> Tensor:
    """The layout that kernels/panels.cpp describes, flat."""
    outputs, inputs = weight_OI.shape
    padded = (outputs + -outputs % LANES) * (inputs + -inputs % depth)
    weight_OI, laid_out = weight_OI.contiguous(), weight_OI.new_empty(padded)
    run = function("in_panels", weight_OI.dtype, takes="piiiip")
    run(weight_OI.data_ptr(), outputs, inputs, panel, depth, laid_out.data_ptr())
    return laid_out
