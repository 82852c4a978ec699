"""The decoder: embedding, layers, final norm, head; and the MTP block where the config has one."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cogitate.device import send
from cogitate.errors import ConfigError
from cogitate.model.attention import CacheView, TokenContext
from cogitate.model.block import DecoderLayer
from cogitate.model.config import ModelConfig
from cogitate.model.head import token_logprobs
from cogitate.model.kv_cache import KVCache
from cogitate.model.layers import RMSNorm
from cogitate.model.moe import Router
from cogitate.model.mtp import MultiTokenPrediction
from cogitate.model.rope import RotaryTable
from cogitate.model.visibility import Visibility, additive, document_bounds, document_positions
from cogitate.runtime import give_back_memory

# MKL looks for the kind of processor in the first call of any of its vector functions, and a second thread that calls one
# meanwhile can get a kernel of low accuracy, for that call alone: processes of one run would differ now and then. One number
# is handled by one thread.
torch.zeros(1).exp_()

# A backward pass that computes layers again leaves holes in memory: glibc before 2.38 does not find an aligned block again for
# another one of its size. They are given back after so many layers.
LAYERS_BETWEEN_TRIMS = 10


class Embedding(nn.Embedding):
    """Draws nothing on "meta", where there is nothing to fill and torch would import its compiler, which takes a second."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:
            super().reset_parameters()


class Transformer(nn.Module):
    """A causal language model of any supported family. Weights start as N(0, initializer_range), norms as 1, biases as 0.

    Attributes:
        gradient_checkpointing: keep only the input of each layer for the backward pass and compute the rest of it again.
        windows: the window sizes of the layers; None among them: some have no window.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.mtp = MultiTokenPrediction(config) if config.num_nextn_predict_layers else None
        self.gradient_checkpointing = False
        self._rotary = RotaryTable(config)
        self.windows = {config.window_of_layer(layer) for layer in range(config.num_hidden_layers)}
        if not self.embed_tokens.weight.is_meta:
            self._initialise()

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
        shared_prefix: bool = False,
        prompts_BT: Tensor | None = None,
        cache: KVCache | None = None,
        rows_B: Tensor | None = None,
    ) -> Tensor:
        """Hidden states after the final norm, (B, T, D).

        Args:
            positions_BT: positions for RoPE; counted from the row's, the document's or the cached text's start by default.
            documents_BT: rows packed from several documents: an id for each token, -1 in padding. A token sees earlier tokens
                of equal id. None: each row is one text; padding on its right changes nothing before it.
            shared_prefix: document 0 of each row is a prompt that all documents of the row go on from: they see it, too, and
                their positions start where it ends.
            prompts_BT: with it, the document that each token's own goes on from and sees besides, 0 for none: prompts that
                begin alike share document 0, and each is shared by its completions.
            cache: the tokens are appended to its rows `rows_B` (default 0, 1, ...), see what these hold, and lengths grow by T.
        """
        if cache is None:
            context = self._context(tokens_BT, positions_BT, documents_BT, prompts_BT, shared_prefix=shared_prefix)
        else:
            if documents_BT is not None:
                raise ValueError("documents_BT cannot be combined with a cache: a cache row holds one text")
            rows = np.arange(len(tokens_BT)) if rows_B is None else rows_B.cpu().numpy()
            context = self._cached_context(tokens_BT, positions_BT, cache, rows)
        x_BTD = self.embed_tokens(tokens_BT)
        recompute = self.gradient_checkpointing and torch.is_grad_enabled() and cache is None
        for number, layer in enumerate(self.layers):
            if (
                recompute
                and x_BTD.requires_grad
                and x_BTD.is_cpu
                and (number % LAYERS_BETWEEN_TRIMS == LAYERS_BETWEEN_TRIMS // 2 or number == 0)
            ):
                x_BTD.register_hook(_give_back_memory)
            x_BTD = checkpoint(layer, x_BTD, context, use_reentrant=False) if recompute else layer(x_BTD, context)
        if cache is not None:
            cache.lengths[rows] += tokens_BT.shape[1]
        if recompute and x_BTD.is_cpu:  # before the logits: what layers have freed lies between the inputs that are kept
            give_back_memory()
        hidden_BTD: Tensor = self.norm(x_BTD)
        return hidden_BTD

    def read(self, tokens_BT: Tensor, context: TokenContext) -> Tensor:
        """`forward` of tokens of which everything is said: hidden states after the final norm, (B, T, D)."""
        x_BTD = self.embed_tokens(tokens_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, context)
        hidden_BTD: Tensor = self.norm(x_BTD)
        return hidden_BTD

    def read_ahead(self, hidden_BTD: Tensor, next_tokens_BT: Tensor, context: TokenContext) -> Tensor:
        """The same of the MTP block, (B, T, D)."""
        assert self.mtp is not None
        ahead_BTD: Tensor = self.mtp(hidden_BTD, self.embed_tokens(next_tokens_BT), context)
        return ahead_BTD

    def rotation_at(self, positions_BT: Tensor) -> Tensor:
        """RoPE of positions, as TokenContext has it."""
        return self._rotary.at(positions_BT)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., V), not normalised."""
        return F.linear(hidden, self.head_weight)

    def logprobs(
        self, hidden_ND: Tensor, targets_N: Tensor, *, temperature: float = 1.0, chunk: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Log-probability of each target and the (detached) entropy of each distribution, both float32 (N,)."""
        return token_logprobs(hidden_ND, self.head_weight, targets_N, temperature=temperature, chunk=chunk)

    def mtp_hidden(
        self,
        hidden_BTD: Tensor,
        tokens_BT: Tensor,
        positions_BT: Tensor | None = None,
        documents_BT: Tensor | None = None,
    ) -> Tensor:
        """Hidden states of the MTP block: at position t they predict token t + 2 through the same head, (B, T, D).

        The last position of a row (and of a packed document) sees an embedding that is not its next token: leave the last two
        positions of each text out of the loss.

        Args:
            hidden_BTD: what `forward` returned for the same tokens.

        Raises:
            ConfigError: the model has no MTP block.
        """
        if self.mtp is None:
            raise ConfigError("num_nextn_predict_layers = 0: this model has no MTP block")
        context = self._context(tokens_BT, positions_BT, documents_BT)
        next_embedding = self.embed_tokens(F.pad(tokens_BT[:, 1:], (0, 1)))
        ahead_BTD: Tensor = self.mtp(hidden_BTD, next_embedding, context)
        return ahead_BTD

    def mtp_cached(self, hidden_BTD: Tensor, next_tokens_BT: Tensor, cache: KVCache, rows_B: Tensor) -> Tensor:
        """The same, on from what rows of a cache of the MTP block hold, for the hidden states of T positions and the tokens
        that follow them. Lengths grow by T."""
        assert self.mtp is not None
        rows = rows_B.cpu().numpy()
        context = self._cached_context(next_tokens_BT, None, cache, rows)
        ahead_BTD: Tensor = self.mtp(hidden_BTD, self.embed_tokens(next_tokens_BT), context)
        cache.lengths[rows] += next_tokens_BT.shape[1]
        return ahead_BTD

    @property
    def head_weight(self) -> Tensor:
        """(V, D); the embedding itself where the config ties them."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def balance_experts(self, step: float) -> None:
        """Move every router's bias towards balance by `step`, after the load recorded since the last call."""
        for router in self.routers():
            router.balance(step)

    def routers(self) -> list[Router]:
        """The routers in the order of layers, that of the MTP block last."""
        return [module for module in self.modules() if isinstance(module, Router)]

    def _context(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor | None,
        documents_BT: Tensor | None,
        prompts_BT: Tensor | None = None,
        *,
        shared_prefix: bool = False,
    ) -> TokenContext:
        tokens, device = tokens_BT.shape[1], tokens_BT.device
        if positions_BT is None and documents_BT is not None:
            # Padding may be longer than any text: all of it stands at 0.
            positions_BT = document_positions(documents_BT).masked_fill_(documents_BT < 0, 0)
            if shared_prefix:
                prefix_B1 = (documents_BT == 0).sum(1, keepdim=True)
                positions_BT = positions_BT + torch.where(documents_BT > 0, prefix_B1, 0)
            if prompts_BT is not None:
                from_BT, to_BT = document_bounds(documents_BT, prompts_BT)
                positions_BT = positions_BT + to_BT - from_BT
        rotation = self._rotary.first(tokens, device) if positions_BT is None else self._rotary.at(positions_BT)
        dtype = self.embed_tokens.weight.dtype
        seen = {
            window: Visibility(tokens, device, dtype, documents_BT, shared_prefix, window, positions_BT, prompts_BT)
            for window in self.windows | {None}
        }
        return TokenContext(rotation, seen, {}, None)

    def _cached_context(self, tokens_BT: Tensor, positions_BT: Tensor | None, cache: KVCache, rows: np.ndarray) -> TokenContext:
        tokens, device = tokens_BT.shape[1], tokens_BT.device
        start_B = cache.lengths[rows].numpy()
        longest = int(start_B.max())
        cache.reserve(rows, start_B + tokens)
        new_BT = start_B[:, None] + np.arange(tokens)
        steps_BT = send(torch.from_numpy(new_BT), device)
        rotation = self._rotary.at(steps_BT if positions_BT is None else positions_BT)
        keys = longest + tokens
        masks: dict[int | None, Tensor | None] = {}
        for window in self.windows | {None}:
            if longest == 0 and (window is None or window >= tokens):
                masks[window] = None
                continue
            distance = steps_BT[:, None, :, None] - torch.arange(keys, device=device)
            seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
            masks[window] = additive(seen, self.embed_tokens.weight.dtype)
        held = cache.places(rows, np.broadcast_to(np.arange(keys), (len(rows), keys))) if longest else None
        return TokenContext(rotation, {}, masks, CacheView(cache, cache.places(rows, new_BT), held))

    @torch.no_grad()
    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1.0)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.normal_(0.0, self.config.initializer_range)


def _give_back_memory(_: Tensor) -> None:
    give_back_memory()
