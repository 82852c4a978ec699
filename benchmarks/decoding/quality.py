"""What fewer bits change: the same tokens are read by each type, and its distributions compared with the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.decoding.types import REFERENCE, engine_of
from cogitate.backend import GenerationRequest
from cogitate.engine.batch import share_units
from cogitate.engine.decode import Decoder
from cogitate.engine.generator import Engine
from cogitate.model.kv_cache import KVCache
from cogitate.types import SamplingParams

READ = 64  # tokens that are read at a time


@dataclass(frozen=True, slots=True)
class Quality:
    """Over all tokens but the first of each text, each after those before it.

    Attributes:
        greedy_agreement: share of places where both hold the same token for the likeliest.
        perplexity, reference_perplexity: exp of the mean of -log p(token).
        gap, greatest_gap: mean and largest |log p - log p of the reference| of a token.
        divergence: mean KL(reference || type), nats.
    """

    tokens: int
    greedy_agreement: float
    perplexity: float
    reference_perplexity: float
    gap: float
    greatest_gap: float
    divergence: float


def compare(model: Path, name: str, texts: Sequence[Sequence[int]]) -> Quality:
    """Read texts of at least two tokens with a type and with the reference."""
    longest = max(map(len, texts))
    engines = [engine_of(model, each, READ, max_context=longest) for each in (REFERENCE, name)]
    agree, nll, reference_nll, gaps, divergences = [], [], [], [], []
    for text in texts:
        for next_X, (reference_XV, other_XV) in zip(
            next_tokens(text), zip(*(read(engine, text) for engine in engines), strict=True), strict=True
        ):
            agree.append((reference_XV.argmax(-1) == other_XV.argmax(-1)).float())
            of_reference, of_other = (each.gather(1, next_X[:, None])[:, 0] for each in (reference_XV, other_XV))
            nll.append(-of_other)
            reference_nll.append(-of_reference)
            gaps.append((of_other - of_reference).abs())
            divergences.append((reference_XV.exp() * (reference_XV - other_XV)).sum(-1))
    mean = {key: float(torch.cat(parts).mean()) for key, parts in (
        ("agree", agree), ("nll", nll), ("reference", reference_nll), ("gap", gaps), ("kl", divergences),
    )}  # fmt: skip
    return Quality(
        tokens=len(torch.cat(gaps)),
        greedy_agreement=mean["agree"],
        perplexity=float(np.exp(mean["nll"])),
        reference_perplexity=float(np.exp(mean["reference"])),
        gap=mean["gap"],
        greatest_gap=float(torch.cat(gaps).max()),
        divergence=mean["kl"],
    )


def next_tokens(text: Sequence[int]) -> Iterator[Tensor]:
    """The tokens that follow those that are read together."""
    for first in range(0, len(text) - 1, READ):
        yield torch.tensor(text[first + 1 : first + 1 + READ])


def read(engine: Engine, text: Sequence[int]) -> Iterator[Tensor]:
    """Log-probabilities (X, V) of the tokens after each of a text's, READ at a time, the last one left out."""
    decoder, config = engine.decoder, engine.config
    assert isinstance(decoder, Decoder), "types are those of the kernels"
    cache = KVCache(config, 1, len(text), dtype=engine.dtype, device="cpu", bits=decoder.cache_bits)
    rows = np.zeros(1, dtype=np.int64)
    for first in range(0, len(text) - 1, READ):
        tokens = np.array(text[first : min(first + READ, len(text) - 1)], dtype=np.int64)
        logits_XV = decoder.read_on(tokens, np.array([len(tokens)]), cache, rows, share_units(cache, rows))
        yield torch.log_softmax(logits_XV, dim=-1)


def sampled_texts(model: Path, prompts: Sequence[Sequence[int]], new_tokens: int) -> list[list[int]]:
    """Prompts with completions that the reference samples at temperature 1."""
    engine = engine_of(model, REFERENCE, len(prompts))
    for index, prompt in enumerate(prompts):
        engine.submit(GenerationRequest(str(index), tuple(prompt), SamplingParams(max_new_tokens=new_tokens), (index,)))
    completions = []
    while engine.pending():
        completions += engine.poll()
    return [
        [*prompts[int(completion.request_id)], *completion.token_ids]
        for completion in sorted(completions, key=lambda each: int(each.request_id))
    ]
