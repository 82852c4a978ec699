"""A step's groups of rollouts: whose turn it is, what they are asked, and what their completions are worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cogitate.backend import Generator, Grader, PolicyLearner
from cogitate.config import RLConfig
from cogitate.rewards.kinds import has_rules
from cogitate.rewards.parts.shaping import length_rewards
from cogitate.runtime import MetricsLog, derive_seed
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.groups import FirstGroups, LearnFrom, group_relative, is_alive, needs_greedy
from cogitate.train.partial_rollouts import Part, Waiting, advance, of_last_segment, within_limit
from cogitate.train.pools import Drawn, Pool, draw, draw_by_need, easiest, key_of
from cogitate.train.rollouts import (
    Judging,
    Phases,
    Prompt,
    Sampled,
    Score,
    encode_prompts,
    sample_and_grade,
    shaped,
    to_rollout,
)
from cogitate.types import Problem, Rollout, RolloutGroup, SamplingParams

EASY_SHARE = 1 / 3  # of the pool, that a curriculum begins with
LENGTH = "length"  # the part of the reward that length_weight adds


@dataclass(frozen=True, slots=True)
class RLRun:
    """What one run of the loop is given.

    Attributes:
        name: of the stage; part of every seed.
        problems: the pool prompts are drawn from, each once an epoch.
        general: a second pool, drawn from in the same way with a cursor of its own.
        probes: problems asked again at chosen steps, for the transcripts.
        prompt_of: what a problem is asked with.
        contract: where the grader looks for the answer.
        score: graded completions -> the reward of each and its parts; all completions of a batch at once, since a reward model
            scores many as fast as one. `by_rules` makes one from a reward of single completions.
        measure: rates of a batch of rollouts (reflection, language mix ...), for the log.
        describe: a rollout of a step as a row of the transcripts.
        weights: directory the policy is handed to the generator through.
        transcripts: file that the probes' completions are appended to.
        rates: how often the model that training starts from solves each problem, by pools.key_of: what is easy; None: no model
            was asked.
        learn_from: which rollouts of a step the learner gets, each with the number its `update` takes: `group_relative` (GRPO's
            advantages) or `rollouts_with_reward` (the rewards themselves, for PPO, whose critic finds the advantages).
    """

    name: str
    seed: int
    config: RLConfig
    problems: Sequence[Problem]
    probes: Sequence[Problem]
    prompt_of: Callable[[Problem], Prompt]
    contract: str
    score: Score
    measure: Callable[[Sequence[Rollout]], dict[str, float]]
    describe: Callable[[int, Rollout], dict[str, Any]]
    tokenizer: Tokenizer
    learner: PolicyLearner
    generator: Generator
    grader: Grader
    metrics: MetricsLog
    checkpoint: Path
    weights: Path
    transcripts: Path
    begin: Callable[[int, int], None]
    say: Callable[[str], None]
    learn_from: LearnFrom = group_relative
    general: Pool | None = None
    rates: Mapping[str, float] | None = None

    @property
    def every_problem(self) -> list[Problem]:
        """Of both pools."""
        return [*self.problems, *(self.general.problems if self.general else ())]

    def general_share(self, step: int) -> int:
        return self.general.share(step) if self.general else 0


@dataclass(slots=True)
class LoopState:
    """What the loop remembers between steps; it is in every checkpoint."""

    step: int = 0
    cursor: int = 0  # problems drawn so far
    general_cursor: int = 0  # the same of the second pool
    owed: int = 0  # what rounding has kept from the second pool so far, in parts of a prompt: prompts_per_step are one
    tokens: int = 0  # generated so far
    dead_steps: int = 0  # steps in a row without any learning signal
    stopped_early: str | None = None
    updates: int = 0  # of the policy: the version of the weights that sample
    first: FirstGroups = field(default_factory=FirstGroups)
    waiting: list[Waiting] = field(default_factory=list)  # with partial rollouts or overlap, groups that are under way
    # With prioritised sampling (right completions, all) of each problem that was asked, by pools.key_of.
    success: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, step: int, saved: dict[str, Any]) -> LoopState:
        """As a checkpoint has it; what an older one lacks is as at the start."""
        first, waiting = FirstGroups(**saved.get("first", {})), [Waiting.from_json(one) for one in saved.get("waiting", [])]
        return cls(step, **{**saved, "first": first, "waiting": waiting})


def spent(config: RLConfig, tokens: int) -> bool:
    """Whether so many generated tokens are the stage's budget."""
    return bool(config.token_budget) and tokens >= config.token_budget


def temperature_at(config: RLConfig, step: int) -> float:
    """What a step samples at."""
    if not config.temperature_steps:
        return config.temperature
    return config.temperature + (config.final_temperature - config.temperature) * min(1.0, step / config.temperature_steps)


def collect_groups(run: RLRun, state: LoopState, phases: Phases) -> tuple[list[RolloutGroup], int]:
    """One batch of groups, and how many tokens were generated. With dynamic sampling (DAPO, section 3.2) further prompts are
    drawn in place of dead groups, in at most `dynamic_sampling_batches` batches; what is still missing then is filled up with
    dead ones."""
    if run.config.partial_rollouts or run.config.overlap:
        return whole_groups(run, state, phases)
    groups = rollout(run, state, phases)
    if run.config.dynamic_sampling:
        for _ in range(run.config.dynamic_sampling_batches - 1):
            drawn = state.tokens + sum(group.tokens for group in groups)
            if sum(map(is_alive, groups)) >= run.config.prompts_per_step or spent(run.config, drawn):
                break
            groups += rollout(run, state, phases)
    return groups, sum(group.tokens for group in groups)


def whole_groups(run: RLRun, state: LoopState, phases: Phases) -> tuple[list[RolloutGroup], int]:
    """With partial rollouts, or overlap: the groups whose last completion has ended, at least one, and how many tokens were
    sampled for that now."""
    config, every = run.config, run.every_problem
    prompts = fill_up(run, state, state.step)
    started, generated = time.perf_counter(), 0
    while not any(group.whole for group in state.waiting):
        generated += advance(state.waiting, prompts, config, run.generator)
    phases.add("generate", started)
    started = time.perf_counter()
    judging, whole = Judging(run.contract, run.tokenizer, run.grader, rewarded=True), list[list[tuple[int, int]]]()
    for number, (group, prompt_ids) in enumerate(zip(state.waiting, prompts, strict=True)):
        if group.whole:
            for part in group.parts:
                judging.submit((number, part.seed), every[group.problem], prompt_ids, part.completion())
            whole.append([(number, part.seed) for part in group.parts])
    judged = judging.finish(lambda: None)
    phases.add("grade", started)
    state.waiting = [group for group in state.waiting if not group.whole]
    started = time.perf_counter()
    scored = iter(with_rewards(run, [judged[key] for keys in whole for key in keys]))
    phases.add("score", started)
    rollouts = [tuple(next(scored) for _ in keys) for keys in whole]
    if not config.learn_older_segments:
        rollouts = [tuple(map(of_last_segment, row)) for row in rollouts]
    if config.staleness_limit:
        rollouts = [tuple(within_limit(each, state.updates, config.staleness_limit) for each in row) for row in rollouts]
    return counted(run, state, [RolloutGroup(row[0].problem, row) for row in rollouts]), generated


def fill_up(run: RLRun, state: LoopState, step: int) -> list[tuple[int, ...]]:
    """Draw new prompts, as that step does, in place of the groups that are done; the token ids of all that wait."""
    config, every = run.config, run.every_problem
    places = {id(problem): place for place, problem in enumerate(every)}  # as objects: equal problems of two pools are two
    for problem, drawn in next_problems(run, state, config.prompts_per_step - len(state.waiting), step):
        parts = [Part(derive_seed(*drawn, i)) for i in range(config.group_size)]
        state.waiting.append(Waiting(places[id(problem)], parts))
    asked = [(every[group.problem], run.prompt_of(every[group.problem])) for group in state.waiting]
    return encode_prompts(asked, config.max_new_tokens, run.tokenizer, run.generator)


def rollout(run: RLRun, state: LoopState, phases: Phases) -> list[RolloutGroup]:
    """Draw the next prompts and sample and grade a group from each."""
    config = run.config
    asked = [
        (problem, run.prompt_of(problem), tuple(derive_seed(*draw, i) for i in range(config.group_size)))
        for problem, draw in next_problems(run, state, config.prompts_per_step, state.step)
    ]
    groups, greedy = ask(run, asked, phases, temperature=temperature_at(config, state.step)), list[list[Sampled]]()
    if needs_greedy(config):
        greedy = ask(run, [(problem, prompt, seeds[:1]) for problem, prompt, seeds in asked], phases, temperature=0.0)
    started = time.perf_counter()
    scored = iter(with_rewards(run, [sampled for group in (*groups, *greedy) for sampled in group]))
    phases.add("score", started)
    rollouts = [tuple(next(scored) for _ in group) for group in groups]
    baselines = [next(scored) for _ in greedy] if greedy else [None] * len(groups)
    pairs = zip(rollouts, baselines, strict=True)
    return counted(run, state, [RolloutGroup(row[0].problem, row, baseline) for row, baseline in pairs])


def counted(run: RLRun, state: LoopState, groups: Sequence[RolloutGroup]) -> list[RolloutGroup]:
    """The groups with the length reward where there is one; their successes count for prioritised sampling."""
    if run.config.prioritised_sampling:
        for group in groups:
            judged = [rollout.verdict.value == "right" for rollout in group.rollouts if rollout.verdict.value != "none"]
            right, asked = state.success.get(key_of(group.problem), (0, 0))
            if judged:
                state.success[key_of(group.problem)] = [right + sum(judged), asked + len(judged)]
    if not run.config.length_weight or state.step < run.config.length_weight_from_step:
        return list(groups)
    return [replace(group, rollouts=with_length_rewards(group.rollouts, run.config.length_weight)) for group in groups]


def with_length_rewards(rollouts: Sequence[Rollout], weight: float) -> tuple[Rollout, ...]:
    """The rollouts of a problem that rules judge, each with its share of the length reward; others as they are."""
    judged = [one for one in rollouts if one.reward is not None and has_rules(one.problem.kind)]
    values = length_rewards([len(one.completion_ids) for one in judged], [one.verdict.value == "right" for one in judged])
    shares = {id(one): value for one, value in zip(judged, values, strict=True)}
    return tuple(
        one
        if one.reward is None or id(one) not in shares
        else replace(
            one,
            reward=one.reward + weight * shares[id(one)],
            reward_breakdown={**one.reward_breakdown, LENGTH: shares[id(one)]},
        )
        for one in rollouts
    )


def ask(
    run: RLRun, asked: Sequence[tuple[Problem, Prompt, tuple[int, ...]]], phases: Phases, *, temperature: float
) -> list[list[Sampled]]:
    """Completions of the current policy, graded. Temperature 0 takes the most likely ones."""
    params = SamplingParams(temperature, run.config.top_p, run.config.max_new_tokens)
    return list(
        sample_and_grade(
            asked,
            params=params,
            contract=run.contract,
            tokenizer=run.tokenizer,
            generator=run.generator,
            grader=run.grader,
            phases=phases,
            rewarded=True,
        )
    )


def next_problems(run: RLRun, state: LoopState, count: int, step: int) -> list[Drawn]:
    """The next `count` prompts of the pools, with what the seeds of their completions are derived from. Where fewer are wanted
    than a whole step has, the shares of the pools hold over steps."""
    whole = run.config.prompts_per_step
    wanted = run.general_share(step) * count + state.owed
    general = min(count, round(wanted / whole))
    state.owed = wanted - general * whole
    reasoning = count - general
    pool = easiest(run.problems, share_of_pool(run, step), run.rates)
    if run.config.prioritised_sampling:
        drawn = draw_by_need(pool, state.success, state.cursor, reasoning, seed=run.seed, name=run.name)
    else:
        drawn = draw(pool, state.cursor, reasoning, seed=run.seed, name=run.name)
    state.cursor += reasoning
    if run.general:
        drawn += draw(run.general.problems, state.general_cursor, general, seed=run.seed, name=f"{run.name}/general")
        state.general_cursor += general
    return drawn


def share_of_pool(run: RLRun, step: int) -> float:
    """How much of the pool, from its easy end, a step draws from: with `easy_first_steps` it grows to all of it."""
    steps = run.config.easy_first_steps
    if step >= steps:
        return 1.0
    share = EASY_SHARE + (1 - EASY_SHARE) * step / steps
    return max(share, min(1.0, run.config.prompts_per_step / len(run.problems)))


def with_rewards(run: RLRun, batch: Sequence[Sampled]) -> list[Rollout]:
    """Graded completions as rollouts."""
    scores = [shaped(reward, sampled, run.config) for reward, sampled in zip(run.score(batch), batch, strict=True)]
    return [to_rollout(sampled, *scored) for sampled, scored in zip(batch, scores, strict=True)]
