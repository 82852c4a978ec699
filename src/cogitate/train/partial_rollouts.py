"""Partial rollouts (Kimi K1.5, arXiv:2501.12599, section 2.6.2): no step waits for its longest completions.

In one step a completion gets at most `partial_rollouts` new tokens. What is not done then waits, with its tokens, their
log-probabilities and the versions of the weights that sampled them, and goes on in the next step, after an update under new
weights. A group is learnt from in the step that its last completion ends in; new prompts take the place of whole groups, so
that `prompts_per_step` groups are under way at any time.

With `overlap` the next step's tokens are sampled while the policy learns: one step off with whole completions, asynchronously
with bounded staleness in parts. The new weights go to the generator when both have ended, so that which weights sample a token
is a matter of the settings, never of time.

Whatever waits is read again before it goes on, whether the run was killed meanwhile or not: a resumed run has the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cogitate.backend import GenerationRequest, Generator
from cogitate.config import RLConfig
from cogitate.types import Completion, FinishReason, Rollout, SamplingParams

REPEATS, LONGEST_BLOCK, LEAST_REPEATED = 4, 64, 32  # a block so often in a row, of at most so many tokens, so many in all


@dataclass(slots=True)
class Part:
    """A completion as far as it has come.

    Attributes:
        versions: [version, number of tokens] for each run of tokens sampled under the same weights.
        ending: "stop" or "length"; "" while it goes on.
    """

    seed: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    versions: list[list[int]] = field(default_factory=list)
    ending: str = ""

    def add(self, piece: Completion, max_new_tokens: int, *, in_parts: bool = True) -> None:
        """Take what was sampled now, and end where it is to end: where it goes on in parts, also where it goes round."""
        self.token_ids += piece.token_ids
        self.logprobs += piece.logprobs
        for version, count in piece.weight_versions:
            if self.versions and self.versions[-1][0] == version:
                self.versions[-1][1] += count
            else:
                self.versions.append([version, count])
        if piece.finish_reason == "stop":
            self.ending = "stop"
        elif len(self.token_ids) >= max_new_tokens or (in_parts and goes_round(self.token_ids)):
            self.ending = "length"

    def completion(self) -> Completion:
        """All of it, as if it had been sampled at once."""
        assert self.ending in ("stop", "length"), self
        versions = tuple((version, count) for version, count in self.versions)
        ending: FinishReason = "stop" if self.ending == "stop" else "length"
        return Completion("", tuple(self.token_ids), tuple(self.logprobs), ending, versions, self.seed)


@dataclass(slots=True)
class Waiting:
    """A group that is under way.

    Attributes:
        problem: its place among all problems of the run.
    """

    problem: int
    parts: list[Part]

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Waiting:
        return cls(saved["problem"], [Part(**part) for part in saved["parts"]])

    @property
    def whole(self) -> bool:
        return all(part.ending for part in self.parts)


class Round:
    """The next tokens of each completion that is not done, which are being sampled: at most `partial_rollouts` of each, or
    all where that is 0.

    Args:
        prompts: the token ids of each group's prompt.

    Attributes:
        times: when each completion was there, by time.perf_counter().
    """

    def __init__(self, waiting: Sequence[Waiting], prompts: Sequence[tuple[int, ...]], config: RLConfig, generator: Generator):
        self._config, self._generator = config, generator
        self._asked: dict[str, list[Part]] = {}
        self.times: list[float] = []
        for number, (group, prompt_ids) in enumerate(zip(waiting, prompts, strict=True)):
            fresh = [part for part in group.parts if not part.token_ids]
            going_on = [part for part in group.parts if part.token_ids and not part.ending]
            for parts in ([fresh] if fresh else []) + [[part] for part in going_on]:
                room = config.max_new_tokens - len(parts[0].token_ids)
                params = SamplingParams(config.temperature, config.top_p, min(config.partial_rollouts or room, room))
                name = f"{number}/{parts[0].seed}"
                seeds, given = tuple(part.seed for part in parts), tuple(parts[0].token_ids)
                generator.submit(GenerationRequest(name, prompt_ids, params, seeds, given_ids=given))
                self._asked[name] = parts

    def finish(self) -> int:
        """Wait for all; how many tokens they have sampled."""
        sampled = 0
        while self._generator.pending():
            for piece in self._generator.poll():
                part = next(part for part in self._asked[piece.request_id] if part.seed == piece.seed)
                part.add(piece, self._config.max_new_tokens, in_parts=self._config.partial_rollouts > 0)
                sampled += len(piece.token_ids)
                self.times.append(time.perf_counter())
        return sampled


def advance(waiting: Sequence[Waiting], prompts: Sequence[tuple[int, ...]], config: RLConfig, generator: Generator) -> int:
    """Let each completion that is not done sample its next tokens; returns how many all of them have sampled."""
    return Round(waiting, prompts, config, generator).finish()


def goes_round(tokens: Sequence[int]) -> bool:
    """Whether a text ends in one block of tokens again and again."""
    for block in range(1, LONGEST_BLOCK + 1):
        repeated = max(LEAST_REPEATED, REPEATS * block)
        if len(tokens) >= repeated and all(tokens[-i] == tokens[-i - block] for i in range(1, repeated - block + 1)):
            return True
    return False


def of_last_segment(rollout: Rollout) -> Rollout:
    """A rollout of which only those tokens count that the last weights that worked on it have sampled; these may be older than
    the policy where other completions of its group took longer."""
    last = rollout.weight_versions[-1][0]
    kept = [int(each == last) for each, count in rollout.weight_versions for _ in range(count)]
    return replace(rollout, loss_mask=tuple(a * b for a, b in zip(rollout.loss_mask, kept, strict=True)))


def within_limit(rollout: Rollout, version: int, limit: int) -> Rollout:
    """A rollout of which only those tokens count whose weights are at most `limit` updates older than the policy's version."""
    kept = [int(version - each <= limit) for each, count in rollout.weight_versions for _ in range(count)]
    return replace(rollout, loss_mask=tuple(a * b for a, b in zip(rollout.loss_mask, kept, strict=True)))


def partial_metrics(rollouts: Sequence[Rollout], config: RLConfig, version: int) -> dict[str, float]:
    """Of a step's rollouts: the share of tokens sampled under weights older than `version`, how many updates older tokens are
    on average and at most, and the share of completions that were ended because they went round in circles."""
    counts = [(each, count) for rollout in rollouts for each, count in rollout.weight_versions]
    circles = [one.finish_reason == "length" and len(one.completion_ids) < config.max_new_tokens for one in rollouts]
    return {
        "off_policy_share": sum(count for each, count in counts if each != version) / sum(count for _, count in counts),
        "staleness": sum((version - each) * count for each, count in counts) / sum(count for _, count in counts),
        "staleness_max": float(max(version - each for each, _ in counts)),
        "repeating_share": sum(circles) / len(rollouts),
    }
