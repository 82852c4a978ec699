"""The parts of a decoder layer as decoding runs them: each adds its result to the residual stream x_ND in place."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from cogitate.model.attention import GroupedQueryAttention
from cogitate.model.block import DecoderLayer
from cogitate.model.layers import MLP, RMSNorm
from cogitate.model.mla import MultiHeadLatentAttention
from cogitate.model.moe import MixtureOfExperts
from cogitate.model.native import function
from cogitate.model.rope import rotate_pairs

Int, Size, Float, Pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p


class StepArguments(ctypes.Structure):
    """`Step` of native/attention.cpp."""

    _fields_ = (
        ("units", Int),
        ("table_stride", Int),
        ("unit_row", Pointer),
        ("row", Pointer),
        ("table", Pointer),
        ("shared", Pointer),
        ("length", Pointer),
        ("rotation", Pointer),
    )


class LayerArguments(ctypes.Structure):
    """`Layer` of native/attention.cpp."""

    _fields_ = (
        ("cache", Pointer),
        *((name, Int) for name in ("width", "heads", "kv_heads", "key_width", "value_width", "rope_width")),
        *((name, Int) for name in ("interleaved", "window")),
        ("scale", Float),
        ("eps", Float),
        ("nope", Int),
        ("v_width", Int),
        *((name, Pointer) for name in ("latent_norm", "key_up", "value_up", "q_norm", "k_norm")),
    )


class RoutingArguments(ctypes.Structure):
    """`Routing` of native/layers.cpp."""

    _fields_ = (
        *((name, Int) for name in ("experts", "chosen", "groups", "kept_groups", "normalised")),
        ("scaling", Float),
        ("bias", Pointer),
    )


class Buffers:
    """Memory by name that is used again in every layer and step."""

    def __init__(self, max_rows: int, dtype: torch.dtype):
        self.max_rows, self.dtype = max_rows, dtype
        self._views: dict[str, tuple[int, int, Tensor]] = {}
        self._memory: dict[str, Tensor] = {}

    def get(self, name: str, rows: int, width: int, dtype: torch.dtype | None = None, *, per_row: int = 1) -> Tensor:
        """(rows, width) of memory whose contents last until this name is asked for again; rows <= max_rows * per_row."""
        known = self._views.get(name)
        if known is not None and known[0] == rows and known[1] == width:
            return known[2]
        needed = self.max_rows * per_row * width
        memory = self._memory.get(name)
        if memory is None or memory.numel() < needed:
            memory = self._memory[name] = torch.empty(needed, dtype=dtype or self.dtype)
        view = memory[: rows * width].view(rows, width)
        self._views[name] = rows, width, view
        return view


class Norm:
    """RMSNorm into a buffer."""

    def __init__(self, norm: RMSNorm, buffers: Buffers, name: str = "normed"):
        self.weight, self.eps, self.name, self.buffers = norm.weight.detach().float(), Float(norm.eps), name, buffers
        self.kernel, self.weight_at = function("rms_norm", buffers.dtype), Pointer(self.weight.data_ptr())

    def __call__(self, x_ND: Tensor) -> Tensor:
        rows, width = x_ND.shape
        out_ND = self.buffers.get(self.name, rows, width)
        self.kernel(
            Pointer(x_ND.data_ptr()), Size(x_ND.stride(0)), self.weight_at, self.eps, Int(rows), Int(width),
            Pointer(out_ND.data_ptr()),
        )  # fmt: skip
        return out_ND


class Product:
    """A linear layer, into a buffer or added to the residual stream."""

    def __init__(self, weight_OI: Tensor, bias_O: Tensor | None, buffers: Buffers, name: str = ""):
        self.weight_IO, self.bias_O, self.name, self.buffers = weight_OI.detach().t(), bias_O, name, buffers

    def __call__(self, x_NI: Tensor) -> Tensor:
        out_NO = self.buffers.get(self.name, len(x_NI), self.weight_IO.shape[1])
        if self.bias_O is None:
            return torch.mm(x_NI, self.weight_IO, out=out_NO)
        return torch.addmm(self.bias_O, x_NI, self.weight_IO, out=out_NO)

    def add_to(self, residual_NO: Tensor, x_NI: Tensor) -> None:
        residual_NO.addmm_(x_NI, self.weight_IO)
        if self.bias_O is not None:
            residual_NO.add_(self.bias_O)


class LatentAttention:
    """MLA: projections here; normalising, rotating, caching, expanding and attending in one kernel."""

    def __init__(self, module: MultiHeadLatentAttention, cache_width: int, buffers: Buffers):
        bias = None
        if module.in_proj_bias is not None:
            bias = module.in_proj.weight.new_zeros(module.in_proj.out_features)
            bias[-len(module.in_proj_bias) :] = module.in_proj_bias.detach()
        self.in_proj = Product(module.in_proj.weight, bias, buffers, "projected")
        self.o_proj = Product(module.o_proj.weight, module.o_proj.bias, buffers)
        self.query_up = self.query_norm = None
        if module.q_b_proj is not None and module.q_a_layernorm is not None:
            self.query_norm = Norm(module.q_a_layernorm, buffers, "query_normed")
            self.query_up = Product(module.q_b_proj.weight, None, buffers, "query")
        self.query_width, self.out_width, self.buffers = module.query_width, module.heads * module.v_width, buffers
        expand_HKL = module.kv_b_proj.weight.detach().float().unflatten(0, (module.heads, -1))
        self.key_up_HKL = expand_HKL[:, : module.nope].contiguous()
        self.value_up_HLV = expand_HKL[:, module.nope :].transpose(1, 2).contiguous()
        self.latent_norm = module.kv_a_layernorm.weight.detach().float()
        self.kernel = function("mla_attend", buffers.dtype)
        self.layer = LayerArguments(
            width=cache_width, heads=module.heads, kv_heads=1, key_width=module.latent + module.rope, value_width=module.latent,
            rope_width=module.rope, interleaved=module.rotate is rotate_pairs, window=0, scale=module.scale,
            eps=module.kv_a_layernorm.eps, nope=module.nope, v_width=module.v_width, latent_norm=self.latent_norm.data_ptr(),
            key_up=self.key_up_HKL.data_ptr(), value_up=self.value_up_HLV.data_ptr(),
        )  # fmt: skip

    def __call__(self, x_ND: Tensor, normed_ND: Tensor, step: StepArguments, entries: Tensor) -> None:
        projected = self.in_proj(normed_ND)
        query, entry = projected, projected[:, self.query_width :]
        if self.query_norm is not None and self.query_up is not None:
            query = self.query_up(self.query_norm(projected[:, : self.query_width]))
        out = self.buffers.get("attended", len(x_ND), self.out_width)
        self.layer.cache = entries.data_ptr()
        self.kernel(
            ctypes.byref(step), ctypes.byref(self.layer), Pointer(query.data_ptr()), Size(query.stride(0)),
            Pointer(entry.data_ptr()), Size(entry.stride(0)), Pointer(out.data_ptr()),
        )  # fmt: skip
        self.o_proj.add_to(x_ND, out)


class GroupedAttention:
    """GQA: projections here; normalising, rotating, caching and attending in one kernel."""

    def __init__(self, module: GroupedQueryAttention, cache_width: int, buffers: Buffers):
        self.in_proj = Product(module.in_proj.weight, module.in_proj.bias, buffers, "projected")
        self.o_proj = Product(module.o_proj.weight, module.o_proj.bias, buffers)
        self.out_width, self.buffers = module.heads * module.width, buffers
        self.kernel = function("gqa_attend", buffers.dtype)
        self.layer = LayerArguments(
            width=cache_width, heads=module.heads, kv_heads=module.kv_heads, key_width=module.width, value_width=module.width,
            rope_width=module.width, interleaved=False, window=module.window or 0, scale=module.scale,
        )  # fmt: skip
        if module.q_norm is not None and module.k_norm is not None:
            self.norms = module.q_norm.weight.detach().float(), module.k_norm.weight.detach().float()
            self.layer.q_norm, self.layer.k_norm = self.norms[0].data_ptr(), self.norms[1].data_ptr()
            self.layer.eps = module.q_norm.eps

    def __call__(self, x_ND: Tensor, normed_ND: Tensor, step: StepArguments, entries: Tensor) -> None:
        projected = self.in_proj(normed_ND)
        out = self.buffers.get("attended", len(x_ND), self.out_width)
        self.layer.cache = entries.data_ptr()
        self.kernel(ctypes.byref(step), ctypes.byref(self.layer), Pointer(projected.data_ptr()), Pointer(out.data_ptr()))
        self.o_proj.add_to(x_ND, out)


class SwiGLU:
    """silu(gate) * up * weight of a row, from the first 2 * width columns of gate_up."""

    def __init__(self, width: int, buffers: Buffers, name: str):
        self.width, self.buffers, self.name = width, buffers, name
        self.kernel = function("swiglu", buffers.dtype)

    def __call__(self, gate_up: Tensor, weights_N: Tensor | None = None, per_row: int = 1) -> Tensor:
        rows = len(gate_up)
        out = self.buffers.get(self.name, rows, self.width, per_row=per_row)
        self.kernel(
            Pointer(gate_up.data_ptr()), Size(gate_up.stride(0)), Pointer(None if weights_N is None else weights_N.data_ptr()),
            Int(rows), Int(self.width), Pointer(out.data_ptr()),
        )  # fmt: skip
        return out


class Dense:
    """A SwiGLU MLP."""

    def __init__(self, module: MLP, buffers: Buffers):
        self.gate_up = Product(module.gate_up_proj.weight, module.gate_up_proj.bias, buffers, "gate_up")
        self.swiglu = SwiGLU(module.down_proj.in_features, buffers, "inner")
        self.down = Product(module.down_proj.weight, module.down_proj.bias, buffers)

    def __call__(self, x_ND: Tensor, normed_ND: Tensor) -> None:
        self.down.add_to(x_ND, self.swiglu(self.gate_up(normed_ND)))


class Experts:
    """Shared and routed experts. In float32 the router is part of the shared experts' first product."""

    def __init__(self, module: MixtureOfExperts, buffers: Buffers):
        config, self.buffers = module.gate.config, buffers
        self.experts, self.chosen, inner = config.n_routed_experts, config.num_experts_per_tok, config.moe_intermediate_size
        self.bias = module.gate.e_score_correction_bias.detach().float()
        self.routing = RoutingArguments(
            self.experts, self.chosen, config.n_group, config.topk_group, config.norm_topk_prob, config.routed_scaling_factor,
            self.bias.data_ptr(),
        )  # fmt: skip
        router = module.gate.weight.detach().float()
        self.first = self.router = self.shared_down = None
        self.shared_width = 0
        if module.shared_experts is not None:
            shared = module.shared_experts.gate_up_proj.weight.detach()
            self.shared_width = shared.shape[0] // 2
            if buffers.dtype == torch.float32:
                self.first = Product(torch.cat((shared, router)), None, buffers, "gate_up")
            else:
                self.first = Product(shared, None, buffers, "gate_up")
            self.shared_swiglu = SwiGLU(self.shared_width, buffers, "inner")
            self.shared_down = Product(module.shared_experts.down_proj.weight, None, buffers)
        if self.first is None or buffers.dtype != torch.float32:
            self.router = router.t().contiguous()
        self.gate_up = [matrix.t() for matrix in module.experts.gate_up_proj.detach()]
        self.down = [matrix.t() for matrix in module.experts.down_proj.detach()]
        self.swiglu = SwiGLU(inner, buffers, "expert_inner")
        self.counts = torch.empty(self.experts, dtype=torch.int32)
        self.choose, self.sort, self.spread = function("moe_choose"), function("moe_sort"), function("moe_spread")
        self.gather = function("moe_gather", buffers.dtype)

    def __call__(self, x_ND: Tensor, normed_ND: Tensor) -> None:
        logits_NE = self._shared(x_ND, normed_ND)
        rows, width = x_ND.shape
        get, chosen = self.buffers.get, self.chosen
        pairs = rows * chosen
        indices, place = (get(name, rows, chosen, torch.int32) for name in ("expert_of", "place"))
        weights, sorted_weights = (get(name, rows, chosen, torch.float32) for name in ("weight", "sorted_weight"))
        sorted_MD = get("expert_in", pairs, width, per_row=chosen)
        n, k, place_at = Int(rows), Int(chosen), Pointer(place.data_ptr())
        at, weights_at = Pointer(indices.data_ptr()), Pointer(weights.data_ptr())
        self.choose(ctypes.byref(self.routing), Pointer(logits_NE.data_ptr()), Size(logits_NE.stride(0)), n, at, weights_at)
        self.sort(
            at, weights_at, n, k, Int(self.experts), Pointer(self.counts.data_ptr()), place_at,
            Pointer(sorted_weights.data_ptr()),
        )  # fmt: skip
        self.spread(
            Pointer(normed_ND.data_ptr()), place_at, n, k, Size(width * x_ND.element_size()), Pointer(sorted_MD.data_ptr())
        )
        counts = self.counts.tolist()
        gate_up_M2I = get("expert_gate_up", pairs, 2 * self.swiglu.width, per_row=chosen)
        _grouped(sorted_MD, self.gate_up, counts, gate_up_M2I)
        inner_MI = self.swiglu(gate_up_M2I, sorted_weights, per_row=chosen)
        _grouped(inner_MI, self.down, counts, sorted_MD)
        self.gather(Pointer(sorted_MD.data_ptr()), place_at, n, k, Int(width), Pointer(x_ND.data_ptr()))

    def _shared(self, x_ND: Tensor, normed_ND: Tensor) -> Tensor:
        """Add the shared experts' output; return the router's logits."""
        logits_NE = None
        if self.first is not None and self.shared_down is not None:
            first = self.first(normed_ND)
            if self.router is None:
                logits_NE = first[:, 2 * self.shared_width :]
            self.shared_down.add_to(x_ND, self.shared_swiglu(first))
        if self.router is not None:
            logits_NE = self.buffers.get("router", len(x_ND), self.experts, torch.float32)
            torch.mm(normed_ND.float(), self.router, out=logits_NE)
        assert logits_NE is not None
        return logits_NE


def _grouped(x_MA: Tensor, matrices: list[Tensor], counts: list[int], out_MB: Tensor) -> None:
    """Rows of expert e times matrix e."""
    start = 0
    for matrix_AB, count in zip(matrices, counts, strict=True):
        if count:
            torch.mm(x_MA[start : start + count], matrix_AB, out=out_MB[start : start + count])
            start += count


class DecodingLayer:
    """A DecoderLayer of the model, one token a row."""

    def __init__(self, layer: DecoderLayer, cache_width: int, buffers: Buffers):
        self.input_norm = Norm(layer.input_layernorm, buffers)
        self.post_norm = Norm(layer.post_attention_layernorm, buffers)
        attention = layer.self_attn
        self.attention: LatentAttention | GroupedAttention
        if isinstance(attention, MultiHeadLatentAttention):
            self.attention = LatentAttention(attention, cache_width, buffers)
        else:
            self.attention = GroupedAttention(attention, cache_width, buffers)
        mlp = layer.mlp
        self.mlp = Experts(mlp, buffers) if isinstance(mlp, MixtureOfExperts) else Dense(mlp, buffers)

    def __call__(self, x_ND: Tensor, step: StepArguments, entries: Tensor) -> None:
        self.attention(x_ND, self.input_norm(x_ND), step, entries)
        self.mlp(x_ND, self.post_norm(x_ND))
