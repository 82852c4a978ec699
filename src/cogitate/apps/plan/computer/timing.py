"""A few short steps on this computer, timed: matrix products, copies of memory, training steps, completions, updates of RL.

Small models of two families at several sizes, so that what grows with tokens and what comes with every step can be told apart,
and one whose vocabulary is that of a published model, in each type that runs of this computer compute in.
"""

from __future__ import annotations

import gc
import importlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Literal

import numpy as np
import torch

from cogitate.backend import GenerationRequest
from cogitate.config import RLConfig, SupervisedConfig
from cogitate.costs.hardware import GIB
from cogitate.costs.lengths import SPREAD
from cogitate.costs.shape import Shape
from cogitate.engine.generator import Engine
from cogitate.evals import evaluate
from cogitate.evals.levels import PUZZLES
from cogitate.evals.prompts import R1_ZERO
from cogitate.kernels.isa import faster_type
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.transformer import Transformer
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.runtime import peak_resident_bytes, reset_peak_memory, resident_bytes
from cogitate.tasks.corpus.puzzles.documents import DRAW, solve_puzzle
from cogitate.tasks.corpus.styles import Population
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.rollouts import Sampled as SampledText
from cogitate.types import Completion, PackedRows, Problem, Rollout, SamplingParams, Verdict

Optimiser = Literal["adamw", "muon"]

SMALL_LLAMA = ModelConfig(
    model_type="llama", vocab_size=1536, hidden_size=160, intermediate_size=480, num_hidden_layers=4, num_attention_heads=5,
    num_key_value_heads=1, max_position_embeddings=512,
)  # fmt: skip
WIDER_LLAMA = SMALL_LLAMA.model_copy(update={"hidden_size": 480, "intermediate_size": 1280, "num_attention_heads": 15})
MANY_WORDS = ModelConfig(  # four layers of SmolLM2-135M
    model_type="llama", vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=4, num_attention_heads=9,
    num_key_value_heads=3, tie_word_embeddings=True, max_position_embeddings=512,
)  # fmt: skip
STEPS: tuple[tuple[ModelConfig, int, int, Optimiser], ...] = (
    (TINY, 4, 256, "adamw"), (TINY, 16, 256, "adamw"), (TINY, 16, 256, "muon"), (SMALL_LLAMA, 4, 256, "adamw"),
    (SMALL_LLAMA, 16, 256, "adamw"), (WIDER_LLAMA, 4, 256, "adamw"), (WIDER_LLAMA, 4, 256, "muon"),
    (MANY_WORDS, 2, 512, "adamw"),
)  # fmt: skip
ROLLOUTS = (
    (TINY, 8, 48), (TINY, 128, 48), (SMALL_LLAMA, 64, 48), (WIDER_LLAMA, 32, 48), (MANY_WORDS, 64, 24),
    (TINY, 64, 400),  # long ones, whose caches are most of what is read
)  # fmt: skip
UPDATES = ((TINY, 16, 12, 48), (SMALL_LLAMA, 16, 12, 48), (WIDER_LLAMA, 3, 8, 48), (MANY_WORDS, 2, 8, 32))
PROMPT, LONGEST_TIMES = 48, 4  # tokens of a prompt; of a completion at most, over the mean
LONGEST = 3.0  # seconds of one thing that is timed, after which no further round begins
UPDATE_ROUNDS, LONGEST_UPDATES = 7, 8.0  # the same of updates, of which some are needed: a process grows from one to the next


@dataclass(frozen=True, slots=True)
class Step:
    """A training step that was timed.

    Attributes:
        base: bytes of this process before it; peak: at its fullest; None where the system does not say.
        dtype: of weights and activations.
    """

    shape: Shape
    rows: int
    row_tokens: int
    optimiser: str
    seconds: float
    base: int | None = None
    peak: int | None = None
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Sampled:
    """Completions that were timed: `batch` of `tokens` each, of one prompt."""

    shape: Shape
    batch: int
    tokens: int
    seconds: float
    base: int | None = None
    peak: int | None = None
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Update:
    """An update of RL with a reference that was timed: `groups` of `size` completions of `tokens` on average, LONGEST_TIMES
    that at most.

    Attributes:
        peaks: bytes of this process at its fullest after so many updates, the first and all; {} where the system does not say.
    """

    shape: Shape
    groups: int
    size: int
    tokens: int
    seconds: float
    base: int | None = None
    peaks: Mapping[int, int] = field(default_factory=dict)
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class Timings:
    """All that a calibration measures.

    Attributes:
        peak: operations a second of matrix products, by type.
        resident: bytes of this process after its work, with nothing of it left, as between two stages.
        measured: seconds of a token of a puzzle's completion that an evaluation measures; None where that was not timed.
    """

    peak: Mapping[str, float]
    bandwidth: float
    resident: float
    steps: Sequence[Step]
    rollouts: Sequence[Sampled]
    updates: Sequence[Update] = ()
    measured: float | None = None

    @property
    def dtypes(self) -> list[str]:
        """The types in which steps were timed."""
        return list(dict.fromkeys(step.dtype for step in self.steps))


def measure(
    say: Callable[[str], None],
    *,
    rounds: int = 3,
    update_rounds: int = UPDATE_ROUNDS,
    share: float = 1.0,
    steps: Sequence[tuple[ModelConfig, int, int, Optimiser]] = STEPS,
    rollouts: Sequence[tuple[ModelConfig, int, int]] = ROLLOUTS,
    updates: Sequence[tuple[ModelConfig, int, int, int]] = UPDATES,
    dtypes: Sequence[str] = (),
) -> Timings:
    """Time all of it.

    Args:
        share: of the matrices' side and the copied memory.
        steps: model, rows, tokens of a row and optimiser; rollouts: model, completions and tokens of each; updates: model,
            groups, completions of each and tokens of these.
        dtypes: of models; (): float32, and bfloat16 where this computer is faster in it.
    """
    import_what_a_run_imports()
    peak = {dtype: matrix_speed(int(1536 * share), rounds, getattr(torch, dtype)) for dtype in ("float32", "bfloat16")}
    bandwidth = memory_speed(int(6e7 * share), rounds)
    speeds = ", ".join(f"{speed / 1e9:,.0f} G operations a second in {dtype}" for dtype, speed in peak.items())
    say(f"matrix products: {speeds}; memory {bandwidth / 1e9:,.1f} GB a second")
    timed_steps, timed_rollouts, timed_updates = list[Step](), list[Sampled](), list[Update]()
    for dtype in dtypes or dict.fromkeys(("float32", faster_type())):
        for config, rows, tokens, optimiser in steps:
            timed_steps.append(time_step(config, rows, tokens, optimiser, rounds, dtype))
            say(f"training step of {rows * tokens:,} tokens, {optimiser}, {dtype}: {timed_steps[-1].seconds:.3f} s")
        for config, batch, tokens in rollouts:
            timed_rollouts.append(time_rollout(config, batch, tokens, rounds, dtype))
            say(f"{batch} completions of {tokens} tokens, {dtype}: {timed_rollouts[-1].seconds:.3f} s")
        for config, groups, size, tokens in updates:
            timed_updates.append(time_update(config, groups, size, tokens, update_rounds, dtype))
            say(f"update on {groups * size} completions of {tokens} tokens, {dtype}: {timed_updates[-1].seconds:.3f} s")
    begin_peak()
    resident = float(resident_bytes() or 0.4 * GIB)  # a process that has worked is larger than a fresh one
    measured = time_measured()
    say(f"what an evaluation counts in the text of a puzzle: {1e6 * measured:.0f} microseconds a token")
    return Timings(peak, bandwidth, resident, timed_steps, timed_rollouts, timed_updates, measured)


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of some rounds, after one that warms up."""
    return min(timed(work, rounds))


def usual(work: Callable[[], object], rounds: int, longest: float = LONGEST) -> float:
    """The median: a stage takes what most of its steps take."""
    return median(timed(work, rounds, longest))


def timed(work: Callable[[], object], rounds: int, longest: float = LONGEST) -> list[float]:
    """Seconds of each round; fewer rounds of what takes long."""
    work()
    found: list[float] = []
    while len(found) < rounds and sum(found) < longest:
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return found


def matrix_speed(size: int, rounds: int, dtype: torch.dtype) -> float:
    """Operations a second of a square product."""
    left, right = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    return 2.0 * size**3 / fastest(lambda: left @ right, rounds)


def memory_speed(numbers: int, rounds: int) -> float:
    """Bytes a second, read and written, of copying."""
    source, target = torch.ones(numbers), torch.empty(numbers)
    return 8.0 * numbers / fastest(lambda: target.copy_(source), rounds)


def model_of(config: ModelConfig, dtype: str) -> Transformer:
    torch.manual_seed(0)
    return Transformer(config).to(dtype=getattr(torch, dtype))


def time_step(config: ModelConfig, rows: int, row_tokens: int, optimiser: Optimiser, rounds: int, dtype: str) -> Step:
    base = begin_peak()
    learner = SupervisedLearner(model_of(config, dtype), SupervisedConfig(micro_rows=rows, optimiser=optimiser))
    tokens = np.random.default_rng(0).integers(3, config.vocab_size, (rows, row_tokens))
    whole = np.zeros_like(tokens)
    positions = np.broadcast_to(np.arange(row_tokens), tokens.shape).copy()
    batch = PackedRows(tokens, np.ones_like(tokens, dtype=bool), whole, positions, 0.0)
    seconds = usual(lambda: learner.update(batch, 1e-4), rounds)
    peak = peak_resident_bytes() if base is not None else None
    return Step(Shape.from_config(config.to_dict()), rows, row_tokens, optimiser, seconds, base, peak, dtype)


def time_rollout(config: ModelConfig, batch: int, tokens: int, rounds: int, dtype: str) -> Sampled:
    base = begin_peak()
    engine = Engine(model_of(config, dtype), end_id=[], max_batch=batch)
    prompt = tuple(range(3, 3 + PROMPT))

    def draw() -> None:
        params = SamplingParams(max_new_tokens=tokens)
        engine.submit(GenerationRequest("calibration", prompt, params, tuple(range(batch))))
        while engine.pending():
            engine.poll()

    seconds = usual(draw, rounds)
    peak = peak_resident_bytes() if base is not None else None
    return Sampled(Shape.from_config(config.to_dict()), batch, tokens, seconds, base, peak, dtype)


def time_update(config: ModelConfig, groups: int, size: int, tokens: int, rounds: int, dtype: str) -> Update:
    """An update as RL makes it, on other completions each time; all of them are learnt from."""
    base = begin_peak()
    learner = GRPOLearner(model_of(config, dtype), RLConfig(max_new_tokens=LONGEST_TIMES * tokens))
    numbers = np.random.default_rng(0)
    batches = [drawn_batch(config, groups, size, tokens, numbers) for _ in range(rounds + 1)]
    advantages = [(-1.0) ** number for number in range(groups * size)]
    grown: list[int | None] = []

    def learn() -> None:
        learner.update(batches.pop(), advantages)
        grown.append(peak_resident_bytes() if base is not None else None)

    seconds = usual(learn, rounds, LONGEST_UPDATES)
    peaks = {count: peak for count in (1, len(grown)) if (peak := grown[count - 1]) is not None}
    return Update(Shape.from_config(config.to_dict()), groups, size, tokens, seconds, base, peaks, dtype)


def time_measured(texts: int = 25) -> float:
    """Seconds of a token of puzzles' completions that an evaluation measures: of each task so many texts, each once, since what
    has been read is remembered. The mean over the tasks.
    """
    tokenizer, numbers, found = Tokenizer.load(SHIPPED / "base"), random.Random(0), list[float]()
    for kind in sorted(PUZZLES):
        solved = [sampled_solution(kind, numbers, tokenizer) for _ in range(texts)]
        for one in solved[:3]:
            evaluate.measured(one, R1_ZERO, tokenizer)
        started = time.thread_time()  # no other thread has a part in it, and so no other program
        for one in solved[3:]:
            evaluate.measured(one, R1_ZERO, tokenizer)
        found.append((time.thread_time() - started) / sum(len(one.completion.token_ids) for one in solved[3:]))
    return fmean(found)


def sampled_solution(kind: str, numbers: random.Random, tokenizer: Tokenizer) -> SampledText:
    """A puzzle, solved as somebody of the corpus does who tries much."""
    item = DRAW[kind](numbers, "eval")
    worked = solve_puzzle(numbers, kind, item, "many", Population())
    text = f" <think> {worked.thinking} </think> <answer> {worked.answer} </answer>"
    ids = tuple(tokenizer.encode(text))
    completion = Completion("calibration", ids, (-1.0,) * len(ids), "stop", ((0, len(ids)),), 0)
    return SampledText(item.problem(), (), completion, text, False, Verdict("wrong", 0.0, ""))


def drawn_batch(config: ModelConfig, groups: int, size: int, tokens: int, numbers: np.random.Generator) -> list[Rollout]:
    """Completions of lengths as problems of many kinds have them: those of one problem alike, those of several not."""
    found: list[Rollout] = []
    usual_lengths = np.exp(SPREAD / 2**0.5 * numbers.standard_normal(groups))
    for group, usual_length in enumerate(usual_lengths / usual_lengths.mean()):
        prompt = numbers.integers(3, config.vocab_size, PROMPT).tolist()
        for own in np.exp(SPREAD / 4 * numbers.standard_normal(size)):
            length = int(min(max(1, usual_length * own * tokens), LONGEST_TIMES * tokens))
            found.append(rollout_of(str(group), prompt, numbers.integers(3, config.vocab_size, length).tolist()))
    return found


def rollout_of(name: str, prompt: Sequence[int], completion: Sequence[int]) -> Rollout:
    ids = tuple(completion)
    return Rollout(
        problem=Problem(name, "calibration", "math", ""), prompt_ids=tuple(prompt), completion_ids=ids,
        logprobs=(-1.0,) * len(ids), loss_mask=(1,) * len(ids), weight_versions=((0, len(ids)),), finish_reason="stop", seed=0,
        text="", reward=0.0, reward_breakdown={}, verdict=Verdict("wrong", 0.0, ""),
    )  # fmt: skip


def begin_peak() -> int | None:
    """Forget what was there before, and begin to measure the peak of this process anew; returns its bytes now, None where that
    cannot be."""
    gc.collect()
    return resident_bytes() if reset_peak_memory() else None


def import_what_a_run_imports() -> None:
    """So that this process is as large as that of a run."""
    for stage in ("pretrain", "fine_tune", "rl_zero", "reward_models", "evaluate"):
        importlib.import_module(f"cogitate.recipe.stages.{stage}")
    importlib.import_module("cogitate.recipe.local_backend")
