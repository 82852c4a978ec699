"""The seam between a laptop and a cluster: four protocols. Only token ids, numbers, texts and paths cross it.

The laptop implements them with our own engine, worker processes and one in-process learner (`recipe/local_backend.py`);
a cluster implements the same four over Ray, vLLM and FSDP2 (`cluster/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cogitate.types import Completion, Problem, Rollout, SamplingParams, Verdict


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt and how many completions to draw from it: one for each seed. The prompt is prefilled once.

    Finished completions come back one by one, each with this `id` and its own `seed`.
    """

    id: str
    prompt_ids: tuple[int, ...]
    params: SamplingParams
    seeds: tuple[int, ...]


class Generator(Protocol):
    """Draws completions from a policy."""

    @property
    def max_context(self) -> int:
        """The most tokens that a prompt and its completion may have together."""

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request. Raises ValueError where prompt + max_new_tokens do not fit the context."""

    def poll(self) -> list[Completion]:
        """Advance by one decoding step and return what has finished, in a deterministic order; [] while busy."""

    def pending(self) -> int:
        """Completions not yet returned."""

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        """Stop these requests; returns what they had sampled, finish_reason "abort"."""

    def free_weights(self) -> None:
        """Let go of the weights, whose memory learning needs, until the next `load_weights`. Nothing may be pending."""

    def load_weights(self, path: Path, version: int) -> None:
        """Replace the weights by a model directory's; later tokens carry this version."""


class Scorer(Protocol):
    """A fixed model that judges given tokens: a reference policy, a critic or a reward model."""

    def logprobs(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each completion token."""

    def values(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """A critic's value at each completion token."""

    def rewards(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[float]:
        """A reward model's scalar for each completion."""


class Grader(Protocol):
    """Judges completions in worker processes, each with a hard time limit; asynchronous, so it overlaps generation."""

    def submit(self, request_id: str, problem: Problem, completion: str, contract: str) -> None:
        """Queue one completion. `contract` says where the answer stands: r1, bare or free."""

    def poll(self, timeout: float = 0.0) -> list[tuple[str, Verdict]]:
        """Verdicts that are ready, waiting up to `timeout` seconds for the first; never raises for a completion's fault."""

    def pending(self) -> int:
        """Submitted completions whose verdict has not been returned."""

    def close(self) -> None:
        """End the workers."""


class Learner(Protocol):
    """Holds a policy and its optimiser."""

    def update(self, rollouts: Sequence[Rollout], advantages: Sequence[float]) -> dict[str, float]:
        """One optimiser step over all rollouts; returns the step's metrics."""

    def save(self, path: Path) -> None:
        """Everything needed to go on: weights, optimiser, schedule, random states."""

    def load(self, path: Path) -> dict[str, Any]:
        """The inverse of save, bit for bit; returns what else a loop saved with it."""

    def save_weights(self, path: Path) -> None:
        """The policy alone, as a Hugging Face directory that a Generator can load."""
