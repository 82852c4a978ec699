"""Models for tests of decoding."""

import torch

from cogitate.model.config import ModelConfig
from cogitate.model.transformer import Transformer


def make_model(config: ModelConfig, dtype: torch.dtype = torch.float32) -> Transformer:
    """Random norms, biases and balance, too."""
    torch.manual_seed(0)
    model = Transformer(config).eval()
    for name, tensor in model.state_dict().items():
        if tensor.dim() == 1 and tensor.is_floating_point():
            tensor += 0.2 * torch.randn_like(tensor)
            if "score_correction" in name:
                tensor *= 0.2
    return model.to(dtype)
