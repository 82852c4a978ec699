"""What `make bench-curves` times: for each curve a piece of work at every size, on small models with random weights.

A piece does its work once and returns seconds for each unit: a token, a completion, a step.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.peers.setup import TINY_LLAMA
from cogitate.backend import GenerationRequest
from cogitate.config import RLConfig, SupervisedConfig
from cogitate.engine.generator import Engine
from cogitate.engine.sampling import sample
from cogitate.model.config import ModelConfig
from cogitate.model.head import token_logprobs
from cogitate.model.transformer import Transformer
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.rows.packing import pack_documents
from cogitate.types import Problem, Rollout, SamplingParams, Verdict

NEVER = -1  # an end token that is not sampled: every completion is as long as asked for
GROUP = 8  # completions of a prompt
PROMPT, COMPLETION = 32, 32  # tokens, where the curve is not one of lengths
RUNNING = 32  # completions decoded at the same time, where the curve is not one of batches
AT_CONTEXT, CONTEXT_STEPS = 4, 16  # sequences decoded at a context, and steps of a piece
MORE = 512  # tokens of a context beyond the longest, for what is decoded there
HEAD_TOKENS, SAMPLED_ROWS = 256, 32
LEAST_SECONDS = 0.05  # of a piece that is done again and again
RATE = 1e-6  # of learning: what it learns is beside the point

Piece = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One cost over one size.

    Attributes:
        over: what the sizes count.
        of: what the seconds are for.
        bar: the most that it may grow: "flat" or "linear".
    """

    title: str
    over: str
    of: str
    bar: str
    sizes: tuple[int, ...]
    make: Callable[[int], Piece]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the points of all curves.

    Attributes:
        requests: that the engine holds; RUNNING of them run.
        tokens: of a prefill or a training step, at every length.
    """

    requests: tuple[int, ...]
    completions: tuple[int, ...]
    lengths: tuple[int, ...]
    batches: tuple[int, ...]
    vocabularies: tuple[int, ...]

    @property
    def tokens(self) -> int:
        return max(self.lengths)


FULL = Sizes(
    requests=(32, 64, 128, 256, 512, 1024, 2032),
    completions=(8, 16, 32, 64, 128, 256, 512),
    lengths=(128, 256, 512, 1024, 2048, 4096, 8192),
    batches=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    vocabularies=(512, 2048, 8192, 32768, 131072),
)
QUICK = Sizes((32, 48, 64), (8, 16, 32), (128, 256, 512), (1, 4, 16), (512, 2048, 8192))


def curves(sizes: Sizes) -> dict[str, Curve]:
    """All curves by name."""
    tokens = sizes.tokens
    return {
        "waiting": Curve(
            f"decoding while requests wait, {RUNNING} running", "requests held", "token", "flat", sizes.requests, Queue
        ),
        "engine": Curve(
            f"engine, {GROUP} completions of a prompt, {GROUP} at a time", "completions", "completion", "flat",
            sizes.completions, lambda count: Generating(count, GROUP),
        ),
        "engine_one_prompt": Curve(
            f"engine, one prompt, {GROUP} at a time", "completions", "completion", "flat",
            sizes.completions, lambda count: Generating(count, count),
        ),
        "learner": Curve(
            f"learner, {GROUP} completions of a prompt", "completions", "completion", "flat",
            sizes.completions, lambda count: Learning(count, GROUP),
        ),
        "learner_one_prompt": Curve(
            "learner, one prompt", "completions", "completion", "flat",
            sizes.completions, lambda count: Learning(count, count),
        ),
        "decode_length": Curve(
            f"decoding at a context, {AT_CONTEXT} sequences", "tokens of context", "token", "linear",
            sizes.lengths, lambda length: AtContext(length, tokens),
        ),
        "prefill_length": Curve(
            "reading a prompt", "tokens of the prompt", "token", "linear",
            sizes.lengths, lambda length: Prefill(length, tokens),
        ),
        "train_length": Curve(
            "training, a document fills its row", "tokens of a row", "token", "linear",
            sizes.lengths, lambda length: Training(length, length, tokens),
        ),
        "train_packed": Curve(
            f"training, packed documents of {min(sizes.lengths)} tokens", "tokens of a row", "token", "flat",
            sizes.lengths, lambda length: Training(length, min(sizes.lengths), tokens),
        ),
        "decode_batch": Curve("a step of decoding", "sequences", "step", "linear", sizes.batches, Batch),
        "head_vocabulary": Curve(
            "head, forward and backward", "vocabulary", "token", "linear", sizes.vocabularies, Head
        ),
        "sampling_vocabulary": Curve(
            "sampling", "vocabulary", "token", "linear", sizes.vocabularies, lambda size: Sampling(size, 1.0)
        ),
        "nucleus_vocabulary": Curve(
            "sampling, top-p 0.95", "vocabulary", "token", "linear", sizes.vocabularies, lambda size: Sampling(size, 0.95)
        ),
    }  # fmt: skip


def small_model(**changes: Any) -> Transformer:
    """The small Llama of `make bench-peers`, random weights."""
    torch.manual_seed(0)
    return Transformer(ModelConfig.from_dict({**TINY_LLAMA, **changes}))


def random_tokens(count: int, seed: int, vocabulary: int = int(TINY_LLAMA["vocab_size"])) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(0, vocabulary, count).tolist())


class Queue:
    """Decoding with always as many requests: for each that ends another is submitted."""

    POLLS = 3 * COMPLETION

    def __init__(self, requests: int):
        self.engine = Engine(small_model(), end_id=NEVER, max_batch=RUNNING, max_context=PROMPT + COMPLETION)
        self.numbers = itertools.count()
        for _ in range(requests):
            self.submit()

    def submit(self) -> None:
        number = next(self.numbers)
        params = SamplingParams(max_new_tokens=COMPLETION)
        self.engine.submit(GenerationRequest(str(number), random_tokens(PROMPT, number), params, (number,)))

    def __call__(self) -> float:
        before, started = self.engine.tokens_sampled, time.perf_counter()
        for _ in range(self.POLLS):
            for _ in self.engine.poll():
                self.submit()
        return (time.perf_counter() - started) / (self.engine.tokens_sampled - before)


class Generating:
    """`count` completions from submission to the last, GROUP at a time; `group` of them share a prompt."""

    def __init__(self, count: int, group: int):
        self.count, self.group = count, group
        self.engine = Engine(small_model(), end_id=NEVER, max_batch=GROUP, max_context=PROMPT + COMPLETION)

    def __call__(self) -> float:
        params, started = SamplingParams(max_new_tokens=COMPLETION // 2), time.perf_counter()
        for first in range(0, self.count, self.group):
            seeds = tuple(range(first, first + self.group))
            self.engine.submit(GenerationRequest(str(first), random_tokens(PROMPT, first), params, seeds))
        drain(self.engine)
        return (time.perf_counter() - started) / self.count


class Learning:
    """`GRPOLearner.update` on `count` rollouts, `group` of a prompt."""

    def __init__(self, count: int, group: int):
        self.learner = GRPOLearner(small_model(), RLConfig(learning_rate=RATE, kl_beta=0.0))
        self.rollouts = [rollout(index, index // group) for index in range(count)]
        self.advantages = [1.0 - 2.0 * (index % 2) for index in range(count)]

    def __call__(self) -> float:
        started = time.perf_counter()
        self.learner.update(self.rollouts, self.advantages)
        return (time.perf_counter() - started) / len(self.rollouts)


def rollout(index: int, prompt: int) -> Rollout:
    """A completion of random tokens."""
    logprob = -float(np.log(TINY_LLAMA["vocab_size"]))
    return Rollout(
        problem=Problem(str(prompt), "curves", "custom", ""),
        prompt_ids=random_tokens(PROMPT, prompt),
        completion_ids=random_tokens(COMPLETION, 1_000_000 + index),
        logprobs=(logprob,) * COMPLETION,
        loss_mask=(1,) * COMPLETION,
        weight_versions=((0, COMPLETION),),
        finish_reason="length",
        seed=index,
        text="",
        reward=0.0,
        reward_breakdown={},
        verdict=Verdict("right", 1.0, "not graded"),
    )


class AtContext:
    """Decoding of some sequences that hold about `length` tokens each."""

    def __init__(self, length: int, longest: int):
        model = small_model(max_position_embeddings=longest + MORE)
        self.engine = Engine(model, end_id=NEVER, max_batch=AT_CONTEXT)
        params = SamplingParams(max_new_tokens=MORE)
        for number in range(AT_CONTEXT):
            self.engine.submit(GenerationRequest(str(number), random_tokens(length, number), params, (number,)))
        self.engine.poll()

    def __call__(self) -> float:
        before, started = self.engine.tokens_sampled, time.perf_counter()
        for _ in range(CONTEXT_STEPS):
            self.engine.poll()
        sampled = self.engine.tokens_sampled - before
        assert sampled == AT_CONTEXT * CONTEXT_STEPS, f"{sampled}: too many rounds, the completions have ended"
        return (time.perf_counter() - started) / sampled


class Prefill:
    """Reading prompts of `length` tokens one by one, `tokens` in all, until each has its first sampled token."""

    def __init__(self, length: int, tokens: int):
        self.engine = Engine(small_model(max_position_embeddings=tokens + 1), end_id=NEVER, max_batch=1)
        self.prompts = [random_tokens(length, number) for number in range(tokens // length)]

    def __call__(self) -> float:
        started = time.perf_counter()
        for prompt in self.prompts:
            self.engine.submit(GenerationRequest("", prompt, SamplingParams(max_new_tokens=1), (0,)))
            drain(self.engine)
        return (time.perf_counter() - started) / sum(map(len, self.prompts))


class Training:
    """`SupervisedLearner.update` on rows of `row` tokens, `tokens` in all, filled with documents of `document` tokens."""

    def __init__(self, row: int, document: int, tokens: int):
        documents = [random_tokens(document, number) for number in range(tokens // document)]
        self.batch = pack_documents(documents, None, row, pad_id=0)
        rows = len(self.batch.tokens_BT)
        self.config = SupervisedConfig(rows=rows, row_tokens=row, micro_rows=rows, mtp_weight=0.0)
        self.learner = SupervisedLearner(small_model(max_position_embeddings=tokens), self.config)

    def __call__(self) -> float:
        started = time.perf_counter()
        self.learner.update(self.batch, RATE)
        return (time.perf_counter() - started) / self.batch.tokens_BT.size


class Batch:
    """Steps of decoding at a fixed batch, prompts shared by GROUP, reading them not counted."""

    def __init__(self, batch: int):
        self.batch = batch
        self.engine = Engine(small_model(), end_id=NEVER, max_batch=batch, max_context=PROMPT + 2 * COMPLETION)

    def __call__(self) -> float:
        params = SamplingParams(max_new_tokens=2 * COMPLETION)
        for first in range(0, self.batch, GROUP):
            seeds = tuple(range(first, min(first + GROUP, self.batch)))
            self.engine.submit(GenerationRequest(str(first), random_tokens(PROMPT, first), params, seeds))
        self.engine.poll()
        before, started = self.engine.tokens_sampled, time.perf_counter()
        drain(self.engine)
        return (time.perf_counter() - started) / ((self.engine.tokens_sampled - before) / self.batch)


class Head:
    """Log-probabilities of given tokens, and their gradients for hidden states and weights."""

    def __init__(self, vocabulary: int):
        torch.manual_seed(0)
        width = int(TINY_LLAMA["hidden_size"])
        self.hidden_ND = torch.randn(HEAD_TOKENS, width, requires_grad=True)
        self.weight_VD = (0.1 * torch.randn(vocabulary, width)).requires_grad_()
        self.targets_N = torch.randint(vocabulary, (HEAD_TOKENS,))

    def __call__(self) -> float:
        return again_and_again(self.both_ways) / HEAD_TOKENS

    def both_ways(self) -> None:
        self.hidden_ND.grad = self.weight_VD.grad = None
        token_logprobs(self.hidden_ND, self.weight_VD, self.targets_N)[0].sum().backward()


class Sampling:
    """A token for each of some rows of logits."""

    def __init__(self, vocabulary: int, top_p: float):
        torch.manual_seed(0)
        self.logits_BV = 2 * torch.randn(SAMPLED_ROWS, vocabulary)
        self.top_p_B = torch.full((SAMPLED_ROWS,), top_p)
        self.positions = itertools.count()

    def __call__(self) -> float:
        return again_and_again(self.draw) / SAMPLED_ROWS

    def draw(self) -> None:
        positions_B = torch.full((SAMPLED_ROWS,), next(self.positions))
        sample(self.logits_BV.clone(), torch.ones(SAMPLED_ROWS), self.top_p_B, torch.arange(SAMPLED_ROWS), positions_B)


def again_and_again(work: Callable[[], None]) -> float:
    """Mean seconds of a work too short to be timed alone."""
    times, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < LEAST_SECONDS or not times:
        work()
        times += 1
    return seconds / times


def drain(engine: Engine) -> None:
    while engine.pending():
        engine.poll()
