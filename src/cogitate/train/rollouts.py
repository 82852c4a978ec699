"""Sampling and grading together: completions are graded while others are still being sampled. RL and evaluation both use it.

RL makes rollouts of them, with a reward.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from cogitate.backend import GenerationRequest, Generator, Grader
from cogitate.config import RLConfig
from cogitate.errors import DataError
from cogitate.json_lines import first_and_number
from cogitate.rewards.kinds import has_rules
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.parts.shaping import soft_overlong_punishment
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.tags import LONGEST_TAG
from cogitate.types import Completion, Ending, Problem, Rollout, SamplingParams, ThinkingBudget, Verdict

Reward = tuple[float | None, dict[str, float]]  # None where nothing could judge the completion; the parts before weighting
OVERLONG = "overlong"  # the part of the reward that overlong_share adds
Prompt = str | Sequence[int]  # a text, or the token ids that a model's own chat template made


@dataclass(frozen=True, slots=True)
class Sampled:
    """One completion of a problem, its text and its verdict; `cut` where the text ends before a stop text.

    Where the prompt has opened the thinking, the text begins with that `<think>`: it is judged as a reader sees it. Its tags
    are R1's, whatever the model's are (see tokenizer/tags.py).
    """

    problem: Problem
    prompt_ids: tuple[int, ...]
    completion: Completion
    text: str
    cut: bool
    verdict: Verdict


Score = Callable[[Sequence[Sampled]], list[Reward]]


@dataclass(slots=True)
class Phases:
    """Seconds spent in each phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, phase: str, started: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started


def sample_and_grade(
    asked: Sequence[tuple[Problem, Prompt, tuple[int, ...]]],
    *,
    params: SamplingParams,
    contract: str,
    tokenizer: Tokenizer,
    generator: Generator,
    grader: Grader,
    phases: Phases,
    stop: str | None = None,
    meanwhile: Callable[[], None] | None = None,
    rewarded: bool = False,
    thinking: Callable[[Problem], ThinkingBudget] | None = None,
) -> Iterator[list[Sampled]]:
    """For each (problem, prompt, seeds) its completions, one for each seed and in their order.

    With `stop`, the text that is graded ends where `stop` begins; the tokens stay as sampled. `meanwhile` is called again and
    again while one has to wait; it may raise to end everything.
    `thinking` gives the budget of a problem's completions.
    With `rewarded`, verdicts also have the values of the user's own parts of the reward.
    Completions of kinds that no rule judges are not graded: their verdict is "none".
    Phase "generate" is the time until the last completion, "grade" what the verdicts take beyond that.
    """
    started = time.perf_counter()
    prompts = encode_prompts([(problem, prompt) for problem, prompt, _ in asked], params.max_new_tokens, tokenizer, generator)
    meanwhile = meanwhile or (lambda: None)
    judging = Judging(contract, tokenizer, grader, stop, rewarded)
    for index, (problem, _, seeds) in enumerate(asked):
        budget = None if thinking is None else thinking(problem)
        generator.submit(GenerationRequest(str(index), prompts[index], params, seeds, thinking=budget))
    while generator.pending():
        meanwhile()
        for completion in generator.poll():
            index = int(completion.request_id)
            judging.submit((index, completion.seed), asked[index][0], prompts[index], completion)
    phases.add("generate", started)
    started = time.perf_counter()
    judged = judging.finish(meanwhile)
    phases.add("grade", started)
    for index, (_, _, seeds) in enumerate(asked):
        yield [judged[index, seed] for seed in seeds]


class Judging:
    """Finished completions on their way through the grader.

    Args:
        contract, stop, rewarded: as of `sample_and_grade`.
    """

    def __init__(self, contract: str, tokenizer: Tokenizer, grader: Grader, stop: str | None = None, rewarded: bool = False):
        self.contract, self.tokenizer, self.grader, self.stop, self.rewarded = contract, tokenizer, grader, stop, rewarded
        self._waiting: dict[str, tuple[tuple[int, int], Callable[[Verdict], Sampled]]] = {}
        self._judged: dict[tuple[int, int], Sampled] = {}

    def submit(self, key: tuple[int, int], problem: Problem, prompt_ids: tuple[int, ...], completion: Completion) -> None:
        """Have a completion graded. `key` names it."""
        opened = self.tokenizer.tags.thinking[0] if opens_thinking(prompt_ids, self.tokenizer) else ""
        whole = self.tokenizer.tags.exchange(opened + self.tokenizer.decode(completion.token_ids))
        text = whole.partition(self.stop)[0] if self.stop else whole
        sampled = partial(Sampled, problem, prompt_ids, completion, text, len(text) < len(whole))
        if not has_rules(problem.kind):
            self._judged[key] = sampled(Verdict("none", 0.0, f"no rule judges kind {problem.kind}"))
            return
        name = "/".join(map(str, key))
        self._waiting[name] = key, sampled
        ending = Ending(len(completion.token_ids), completion.finish_reason) if self.rewarded else None
        self.grader.submit(name, problem, text, self.contract, ending)

    def finish(self, meanwhile: Callable[[], None]) -> dict[tuple[int, int], Sampled]:
        """Wait for all verdicts; every completion by its key."""
        while self.grader.pending():
            meanwhile()
            for name, verdict in self.grader.poll(timeout=1.0):
                key, sampled = self._waiting.pop(name)
                self._judged[key] = sampled(verdict)
        return self._judged


def encode_prompts(
    asked: Sequence[tuple[Problem, Prompt]], max_new_tokens: int, tokenizer: Tokenizer, generator: Generator
) -> list[tuple[int, ...]]:
    """Token ids of (problem, prompt).

    Raises:
        DataError: prompts leave no room for their completions; names the first problems and says how many there are.
    """
    prompts = encode_all([prompt for _, prompt in asked], tokenizer)
    room = generator.max_context - max_new_tokens
    long = [(problem, len(ids)) for (problem, _), ids in zip(asked, prompts, strict=True) if len(ids) > room]
    if long:
        raise DataError(too_long_message(long, max_new_tokens, generator.max_context))
    return prompts


def encode_all(prompts: Sequence[Prompt], tokenizer: Tokenizer) -> list[tuple[int, ...]]:
    """Token ids of each prompt, however long."""
    texts = iter(tokenizer.encode_batch([prompt for prompt in prompts if isinstance(prompt, str)]))
    return [(*tokenizer.prefix_ids, *next(texts)) if isinstance(prompt, str) else tuple(prompt) for prompt in prompts]


def too_long_message(long: Sequence[tuple[Problem, int]], max_new_tokens: int, max_context: int) -> str:
    """What is wrong and what to do about problems with so many tokens in their prompts."""
    end = f"and max_new_tokens = {max_new_tokens} do not fit the model's context of {max_context}: shorten the question"
    remedy = "lower max_new_tokens, or set tasks.too_long=drop to leave such prompts out"
    if len(long) == 1:
        return f"{long[0][0].place}: a prompt of {long[0][1]} tokens {end}, {remedy}"
    places = first_and_number([f"{problem.place}: {tokens} tokens" for problem, tokens in long], len(long))
    return f"{len(long)} prompts {end}s, {remedy}: {places}"


def opens_thinking(prompt_ids: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Whether the prompt ends in `<think>`, or in the model's own tag, as the templates of reasoning models do: the completion
    starts inside it."""
    return tokenizer.decode(prompt_ids[-LONGEST_TAG:]).rstrip().endswith(tokenizer.tags.thinking[0])


def by_rules(reward: Callable[[SampledCompletion], Reward]) -> Score:
    """A score that looks at one completion after the other."""
    return lambda batch: [reward(as_sampled(sampled)) for sampled in batch]


def as_sampled(sampled: Sampled) -> SampledCompletion:
    """What parts of the reward see of a graded completion."""
    completion = sampled.completion
    return SampledCompletion(
        sampled.text, len(completion.token_ids), completion.finish_reason, sampled.verdict, sampled.problem
    )


def shaped(scored: Reward, sampled: Sampled, config: RLConfig) -> Reward:
    """A reward with DAPO's soft punishment of overlong completions, where `overlong_share` asks for it."""
    reward, parts = scored
    if reward is None or not config.overlong_share:
        return scored
    cache = max(1, round(config.overlong_share * config.max_new_tokens))
    overlong = soft_overlong_punishment(len(sampled.completion.token_ids), max_length=config.max_new_tokens, cache=cache)
    return reward + overlong, {**parts, OVERLONG: overlong}


def to_rollout(sampled: Sampled, reward: float | None, parts: Mapping[str, float]) -> Rollout:
    completion = sampled.completion
    return Rollout(
        problem=sampled.problem,
        prompt_ids=sampled.prompt_ids,
        completion_ids=completion.token_ids,
        logprobs=completion.logprobs,
        loss_mask=completion.loss_mask,
        weight_versions=completion.weight_versions,
        finish_reason=completion.finish_reason,
        seed=completion.seed,
        text=sampled.text,
        reward=reward,
        reward_breakdown=parts,
        verdict=sampled.verdict,
    )
