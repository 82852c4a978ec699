"""Low-rank adapters (LoRA, arXiv:2106.09685): the model's weights stay, a product of two thin matrices beside each is trained.

Every nn.Linear of the layers gets one (attention, dense MLPs, shared experts, the MTP block). Embedding, head, norms, routers
and routed experts are frozen. Exports hold plain weights, adapters merged in.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cogitate.model.transformer import Transformer


class LoRALinear(nn.Module):
    """base(x) + scale * up(down(x)), where down is random and up starts as zeros, so that training starts at the base model."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float):
        super().__init__()
        weight = base.weight
        self.base = base
        self.scale = alpha / rank
        down = torch.empty(rank, weight.shape[1], dtype=weight.dtype, device="cpu")
        nn.init.kaiming_uniform_(down, a=math.sqrt(5))  # on the CPU, so that a seed gives the same adapters on every device
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank, dtype=weight.dtype, device=weight.device))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x) + F.linear(F.linear(x, self.down), self.up) * self.scale
        return out

    @property
    def weight(self) -> Tensor:
        """The merged matrix, for code that multiplies by itself (absorbed attention, decoding)."""
        return torch.addmm(self.base.weight, self.up, self.down, alpha=self.scale)

    @property
    def bias(self) -> Tensor | None:
        return self.base.bias

    @property
    def in_features(self) -> int:
        return self.base.in_features

    @property
    def out_features(self) -> int:
        return self.base.out_features


def add_lora(model: Transformer, *, rank: int, alpha: float) -> None:
    """Freeze the model and give it adapters, in place. `down` is drawn from torch's global generator of the CPU.

    Raises:
        ValueError: rank below 1, or the model has adapters already.
    """
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}")
    if lora_layers(model):
        raise ValueError("the model has adapters already")
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and child is not model.lm_head:
                setattr(parent, name, LoRALinear(child, rank, alpha))


def lora_layers(model: nn.Module) -> list[LoRALinear]:
    return [module for module in model.modules() if isinstance(module, LoRALinear)]


@torch.no_grad()
def merged_state_dict(model: Transformer) -> dict[str, Tensor]:
    """The state_dict with the adapters added to the weights; tensors without adapters are not copied."""
    state = {}
    adapted = {f"{name}.": module for name, module in model.named_modules() if isinstance(module, LoRALinear)}
    for key, tensor in model.state_dict().items():
        prefix = next((prefix for prefix in adapted if key.startswith(prefix)), None)
        if prefix is None:
            state[key] = tensor
        elif key == f"{prefix}base.weight":
            state[f"{prefix}weight"] = adapted[prefix].weight
        elif key == f"{prefix}base.bias":
            state[f"{prefix}bias"] = tensor
    return state
