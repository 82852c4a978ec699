"""The seam between a laptop and a cluster: protocols. Only token ids, numbers, texts and paths cross it.

A `Backend` makes what a stage works with: generators, graders, learners and scorers. The laptop's is `recipe/local_backend.py`:
our own engine, worker processes and learners in this process. Another one may keep each of them in other processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from cogitate.config import DPOConfig, EndpointConfig, PPOConfig, PreferenceTrainingConfig, RLConfig, SupervisedConfig
from cogitate.endpoint import Asker
from cogitate.types import (
    Completion,
    Ending,
    LabelledSteps,
    LabelledText,
    PackedRows,
    Problem,
    Rollout,
    SamplingParams,
    TextPair,
    ThinkingBudget,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt and how many completions to draw from it: one for each seed. The prompt is prefilled once.

    Finished completions come back one by one, each with this `id` and its own `seed`.

    Attributes:
        given_ids: the beginning of each completion, which goes on from there: what an aborted one had sampled, or a thinking
            that somebody else began. Completions hold what comes after it; a token's draw depends on its place in the whole,
            so that a completion that was stopped and goes on is the one that was never stopped.
        given_forced: which of `given_ids` were set and not sampled, ascending: the `forced` of a stopped completion.
        thinking: how long each completion thinks; None: as long as it likes.
        pause_ids: tokens after which a completion is handed back, finish_reason "pause": it goes on as `given_ids` of another.
            Not together with `thinking`, which may take tokens back.
    """

    id: str
    prompt_ids: tuple[int, ...]
    params: SamplingParams
    seeds: tuple[int, ...]
    given_ids: tuple[int, ...] = ()
    given_forced: tuple[int, ...] = ()
    thinking: ThinkingBudget | None = None
    pause_ids: frozenset[int] = frozenset()

    @property
    def context_ids(self) -> tuple[int, ...]:
        """What the first token is sampled after."""
        return (*self.prompt_ids, *self.given_ids) if self.given_ids else self.prompt_ids


class Generator(Protocol):
    """Draws completions from a policy."""

    @property
    def max_context(self) -> int:
        """The most tokens that a prompt and its completion may have together."""

    @property
    def version(self) -> int:
        """Of the weights that sample now: what the last `load_weights` was given, 0 before."""

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request. Raises DataError where prompt + max_new_tokens do not fit the context."""

    def poll(self) -> list[Completion]:
        """Advance by one decoding step and return what has finished, in a deterministic order; [] while busy."""

    def pending(self) -> int:
        """Completions not yet returned."""

    def tokens_per_step(self) -> float | None:
        """By how many tokens a decoding step advanced a completion, on average since this was last asked; None where nothing is
        drafted, or it is not known."""

    def partial(self, request_id: str, *, start: int = 0) -> dict[int, list[int]]:
        """The tokens, from index `start` on, of each running completion of a request, by its seed: for showing them early. What
        a thinking budget may still take back is not among them."""

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        """Stop these requests; returns what they had sampled, finish_reason "abort". One goes on as `given_ids` of another,
        with its `forced` as `given_forced`."""

    def free_weights(self) -> None:
        """Let go of the weights, whose memory learning needs, until the next `load_weights`. Nothing may be pending."""

    def load_weights(self, path: Path, version: int) -> None:
        """Replace the weights by a model directory's; later tokens carry this version."""


@runtime_checkable
class WorksBeside(Protocol):
    """A generator in other processes."""

    def beside(self) -> AbstractContextManager[list[float]]:
        """Within it, what is pending goes on while the caller does something else, and asks nothing of the generator. Gives
        when each completion was there, by time.perf_counter()."""


class Scorer(Protocol):
    """A fixed model that judges given tokens: a reference policy, a critic or a reward model."""

    def logprobs(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each completion token."""

    def values(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """A critic's value at each completion token."""

    def rewards(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[float]:
        """A reward model's scalar for each completion."""

    def step_scores(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], ends: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """A process reward model's probability, 0..1, that each step is right; `ends` as in LabelledSteps."""


class Grader(Protocol):
    """Judges completions in worker processes, each with a hard time limit; asynchronous, so it overlaps generation."""

    def submit(self, request_id: str, problem: Problem, completion: str, contract: str, ending: Ending | None = None) -> None:
        """Queue one completion. `contract` says where the answer stands: r1, bare or free.

        With `ending`, the completion is to be rewarded: its verdict then also has the values of the user's own parts of the
        reward. Where one of these fails there is no verdict, and its reason says so.
        """

    def poll(self, timeout: float = 0.0) -> list[tuple[str, Verdict]]:
        """Verdicts that are ready, waiting up to `timeout` seconds for the first; never raises for a completion's fault."""

    def pending(self) -> int:
        """Submitted completions whose verdict has not been returned."""

    def close(self) -> None:
        """End the workers."""


class Learner(Protocol):
    """A model in training and its optimiser. What it learns from is said by its kind, below."""

    def save(self, path: Path, step: int, state: Mapping[str, Any]) -> None:
        """A checkpoint below the directory `path` with everything needed to go on: weights, optimiser, random states, and the
        loop's own small `state`. `step` is the next one to do."""

    def load(self, path: Path) -> dict[str, Any]:
        """The inverse of save, bit for bit, from a checkpoint; returns the loop's state, with its `step`."""

    def save_weights(self, path: Path) -> None:
        """The model alone, as a directory that a Generator, a Scorer or another Learner can load."""


class PolicyLearner(Learner, Protocol):
    """Learns from graded rollouts: GRPO and its variants, PPO."""

    def update(
        self, rollouts: Sequence[Rollout], advantages: Sequence[float], tokens: int = 0, temperature: float | None = None
    ) -> dict[str, float]:
        """All optimiser steps of one batch; returns the batch's metrics.

        Args:
            tokens: generated so far in the stage, this batch included: what the learning rate follows under a token budget.
            temperature: at which these rollouts were sampled; None: the settings'.

        Raises:
            TrainingDivergedError: a loss is NaN or infinite; the weights are those before that step.
        """


class SupervisedLearner(Learner, Protocol):
    """Learns the next tokens of packed rows: pretraining, SFT, distillation."""

    @property
    def max_context(self) -> int:
        """The most tokens that the model reads at once."""

    def update(self, rows: PackedRows, learning_rate: float) -> dict[str, float]:
        """One optimiser step over all rows; returns its metrics. A loss that is NaN or infinite is among them, not raised."""

    def loss(self, rows: PackedRows) -> float:
        """Mean next-token loss in nats over all rows; nothing is learnt."""


class PairLearner(Learner, Protocol):
    """Learns from pairs of a chosen and a rejected text: helpfulness models, DPO."""

    def update(self, items: Sequence[TextPair], learning_rate: float) -> dict[str, float]:
        """One optimiser step over all items; returns its metrics. A loss that is NaN or infinite is among them, not raised."""


class LabelLearner(Learner, Protocol):
    """Learns from texts labelled safe or unsafe: safety models."""

    def update(self, items: Sequence[LabelledText], learning_rate: float) -> dict[str, float]:
        """As PairLearner's."""


class StepLearner(Learner, Protocol):
    """Learns from labelled steps: process reward models."""

    def update(self, items: Sequence[LabelledSteps], learning_rate: float) -> dict[str, float]:
        """As PairLearner's."""


class Backend(Protocol):
    """Makes the parts that a stage works with, each from a model directory. A run has one, which it closes in the end."""

    @property
    def device_name(self) -> str:
        """What models are computed on, e.g. cpu, or cuda:0 (NVIDIA H100): artifacts say it."""

    def generator(self, model: Path) -> Generator:
        """Draws completions from the model; it has weights of its own."""

    def grader(self) -> Grader:
        """The one grader of the run, started when it is first asked for."""

    def asker(self, settings: EndpointConfig, name: str) -> Asker:
        """A model that is asked in words: a judge or an author of tests, behind settings.base_url or of the directory
        settings.model. `name` is the section of the settings; a section has one asker, which `close` ends."""

    def scorer(self, model: Path) -> Scorer:
        """A reward model that is only read."""

    def policy_learner(self, model: Path, settings: RLConfig) -> PolicyLearner:
        """A policy that learns by GRPO and its variants."""

    def ppo_learner(self, model: Path, reward_model: Path, settings: PPOConfig) -> PolicyLearner:
        """A policy that learns by PPO, with a critic that starts as the reward model."""

    def supervised_learner(self, model: Path, settings: SupervisedConfig, *, adapters: bool) -> SupervisedLearner:
        """A model that learns the next tokens; with `adapters`, by runtime.lora_rank where that is set."""

    def helpfulness_learner(
        self, model: Path, settings: PreferenceTrainingConfig, *, head_seed: int | None = None
    ) -> PairLearner:
        """A reward model of pairs (Bradley-Terry), whose head starts as zeros, or is drawn with `head_seed`."""

    def safety_learner(self, model: Path, settings: PreferenceTrainingConfig, *, head_seed: int | None = None) -> LabelLearner:
        """A reward model of labelled texts, whose score is the logit of "safe"; its head as a helpfulness model's."""

    def process_learner(self, model: Path, settings: PreferenceTrainingConfig) -> StepLearner:
        """A process reward model, whose score at the end of a step is the logit of "right"; its head starts as zeros."""

    def dpo_learner(self, model: Path, settings: DPOConfig) -> PairLearner:
        """A policy that learns from pairs directly, against the reference it starts from."""

    def close(self) -> None:
        """End every process that was started."""
