"""How fast this machine learns from a probe's completions: an update as RL makes it, timed. What is learnt is thrown away."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from cogitate.backend import PolicyLearner
from cogitate.recipe.asking import PromptOf
from cogitate.recipe.probe.measure import Sample
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rollouts import encode_all
from cogitate.train.rows.shared_prompts import prompts_of, tokens_of_prompts
from cogitate.types import Problem, Rollout, Verdict

TOKENS = 4096  # of completions and their prompts, each prompt once: about as many as go through the model at a time
UPDATES = 3  # the first one also makes the optimiser's state, and is not counted


def learning_speed(learner: PolicyLearner, rollouts: Sequence[Rollout]) -> float:
    """Tokens a second, as the learner reads them: prompts once, and once what all of them begin with where that is long."""
    advantages = [(-1.0) ** number for number in range(len(rollouts))]
    seconds = []
    for _ in range(UPDATES):
        start = time.perf_counter()
        learner.update(rollouts, advantages)
        seconds.append(time.perf_counter() - start)
    prompts = prompts_of(rollouts)
    tokens = tokens_of_prompts(prompts, len(prompts)) + sum(len(one.completion_ids) for one in rollouts)
    return tokens / max(min(seconds[1:]), 1e-9)


def rollouts_of(
    samples: Sequence[Sample], problems: Mapping[int, Problem], prompt_of: PromptOf, tokenizer: Tokenizer
) -> list[Rollout]:
    """Completions as a learner is given them, of the first problems that together have TOKENS; by their texts, so that the
    tokens are about those that were sampled."""
    rollouts: list[Rollout] = []
    tokens = 0
    for number in dict.fromkeys(one.problem for one in samples):
        if tokens >= TOKENS:
            break
        (prompt_ids,) = encode_all([prompt_of(problems[number])], tokenizer)
        tokens += len(prompt_ids)
        for one in samples:
            if one.problem == number:
                ids = (*tokenizer.encode(one.text), tokenizer.end_id)
                tokens += len(ids)
                rollouts.append(rollout(problems[number], prompt_ids, ids, one.text))
    return rollouts


def rollout(problem: Problem, prompt_ids: tuple[int, ...], ids: tuple[int, ...], text: str) -> Rollout:
    return Rollout(
        problem=problem,
        prompt_ids=prompt_ids,
        completion_ids=ids,
        logprobs=(0.0,) * len(ids),
        loss_mask=(1,) * len(ids),
        weight_versions=((0, len(ids)),),
        finish_reason="stop",
        seed=0,
        text=text,
        reward=0.0,
        reward_breakdown={},
        verdict=Verdict("wrong", 0.0, ""),
    )
