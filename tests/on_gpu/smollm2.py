"""A model whose speed means something, and a prompt for it."""

import torch

from cogitate.model.config import ModelConfig

PROMPT = tuple(range(4, 132))  # with 40 new tokens nine to eleven blocks, of one bucket: none is captured while time is taken
LONG = PROMPT * 14  # 1,792 tokens, 112 blocks; with new ones 113 to 116, of one bucket
CUDA = torch.device("cuda")
SMOLLM2 = ModelConfig.from_dict(
    {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    }
)  # fmt: skip
