"""Loop 3 of 3, reinforcement learning: `rollout`, then `update_policy`. GRPO as in R1-Zero and R1's RL stages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cogitate.backend import Generator, Grader, PolicyLearner
from cogitate.config import RLConfig
from cogitate.errors import DataError, TrainingDivergedError
from cogitate.runtime import MetricsLog, derive_seed, give_back_memory, interruption_requested, raise_interrupted
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.checkpoint import restore
from cogitate.train.divergence import diverged
from cogitate.train.groups import (
    FIRST_STEPS,
    FirstGroups,
    LearnFrom,
    group_relative,
    is_alive,
    is_relative,
    live_first,
    needs_greedy,
)
from cogitate.train.pools import Drawn, Pool, draw, easiest
from cogitate.train.rl_metrics import mean, rollout_metrics, timings
from cogitate.train.rollouts import Phases, Prompt, Sampled, Score, encode_prompts, sample_and_grade, shaped, to_rollout
from cogitate.types import Problem, Rollout, RolloutGroup, SamplingParams

EASY_SHARE = 1 / 3  # of the pool, that a curriculum begins with
PROBE_COMPLETIONS = 2  # of each probe, at each chosen step


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

    def general_share(self, step: int) -> int:
        return self.general.share(step) if self.general else 0


@dataclass(slots=True)
class LoopState:
    """What the loop remembers between steps; it is in every checkpoint."""

    step: int = 0
    cursor: int = 0  # problems drawn so far
    general_cursor: int = 0  # the same of the second pool
    tokens: int = 0  # generated so far
    dead_steps: int = 0  # steps in a row without any learning signal
    stopped_early: str | None = None
    first: FirstGroups = field(default_factory=FirstGroups)


def train_rl(run: RLRun) -> dict[str, Any]:
    """Run all steps, from the last checkpoint if there is one. The learner holds the trained policy afterwards.

    Returns:
        {"stopped_early": reason} where the loop stopped by itself; {"mostly_dead": line} where nearly all of its first groups
        were dead; else {}.

    Raises:
        DataError: fewer problems than a step needs, or a prompt too long for the context.
        TrainingDivergedError, Interrupted: as in train/supervised.py.
    """
    config = run.config
    check_enough(run.problems, config, run.name)
    every = [*run.problems, *(run.general.problems if run.general else ())]
    asked = [(problem, run.prompt_of(problem)) for problem in every]
    encode_prompts(asked, config.max_new_tokens, run.tokenizer, run.generator)  # refuses what does not fit before any step
    state = resume(run)
    sync_weights(run, state.step)
    run.metrics.truncate(state.step)
    truncate_transcripts(run.transcripts, state.step)
    run.begin(config.steps, state.step)
    while state.step < config.steps and not spent(config, state.tokens) and state.stopped_early is None:
        step(run, state)
        stop = interruption_requested()
        if stop or state.step % config.checkpoint_every == 0:
            save(run, state)
        if stop:
            raise_interrupted(f"step {state.step} of {run.name}")
    said = {"stopped_early": state.stopped_early, "mostly_dead": warning_of(run, state)}
    return {key: line for key, line in said.items() if line}


def spent(config: RLConfig, tokens: int) -> bool:
    """Whether so many generated tokens are the stage's budget."""
    return bool(config.token_budget) and tokens >= config.token_budget


def check_enough(problems: Sequence[Problem], config: RLConfig, name: str) -> None:
    """Refuse a pool that is smaller than a step."""
    if len(problems) < config.prompts_per_step:
        raise DataError(
            f"{name}: {len(problems)} training problems, but a step needs {config.prompts_per_step}: "
            f"give more problems or lower {name}.prompts_per_step"
        )


def step(run: RLRun, state: LoopState) -> None:
    """Roll out, learn, log; a step without any learning signal changes nothing and is counted."""
    started, phases = time.perf_counter(), Phases()
    drawn = collect_groups(run, state, phases)
    groups = live_first(drawn)[: run.config.prompts_per_step] if run.config.dynamic_sampling else drawn
    write_transcripts(run, state.step)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    learnable = run.learn_from(groups, run.config)
    row: dict[str, Any] = {"step": state.step, **rollout_metrics(rollouts)}
    generated = sum(group.tokens for group in drawn)
    state.tokens += generated
    row["dead_groups"] = mean(not is_alive(group) for group in drawn)
    if needs_greedy(run.config):
        row["greedy_reward"] = mean(g.greedy.reward for g in groups if g.greedy and g.greedy.reward is not None)
    row |= run.measure(rollouts)
    if learnable:
        state.dead_steps = 0
        row |= update_policy(run, state, learnable, phases)
    else:
        count_dead_step(run, state, groups)
    trained = sum(len(r.prompt_ids) + len(r.completion_ids) for r, _ in learnable)
    row |= timings(phases, time.perf_counter() - started, generated=generated, trained=trained)
    run.metrics.write(row)
    state.step += 1
    if state.step <= FIRST_STEPS and is_relative(run.learn_from, run.config):
        state.first.count(drawn)
        if state.step == min(FIRST_STEPS, run.config.steps) and (warning := warning_of(run, state)):
            run.say(warning)


def warning_of(run: RLRun, state: LoopState) -> str | None:
    """What is wrong with a run whose first groups are nearly all dead."""
    return state.first.warning(run.name, run.config)


def update_policy(run: RLRun, state: LoopState, learnable: Sequence[tuple[Rollout, float]], phases: Phases) -> dict[str, float]:
    """Learn from rollouts and their advantages, and hand the new policy to the generator."""
    phase = time.perf_counter()
    run.generator.free_weights()
    try:
        metrics = run.learner.update([r for r, _ in learnable], [a for _, a in learnable], state.tokens)
    except TrainingDivergedError as error:
        raise diverged(f"step {state.step} of {run.name}: {error}", run.checkpoint) from error
    phases.add("train", phase)
    phase = time.perf_counter()
    give_back_memory()
    sync_weights(run, state.step + 1)
    phases.add("sync", phase)
    return metrics


def count_dead_step(run: RLRun, state: LoopState, groups: Sequence[RolloutGroup]) -> None:
    """Say why nothing can be learned from this step; too many of them in a row stop the loop."""
    state.dead_steps += 1
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    why = "no group has rewards that differ"
    if all(rollout.reward is None for rollout in rollouts):
        why = f"no completion could be judged ({rollouts[0].verdict.reason})"
    elif run.config.mask_truncated and run.learn_from(groups, run.config.model_copy(update={"mask_truncated": False})):
        why = "all completions of groups whose rewards differ were cut off at max_new_tokens"
    run.say(f"step {state.step}: {why}, so there is nothing to learn from; skipped")
    if state.dead_steps >= run.config.dead_steps_limit:
        state.stopped_early = (
            f"{state.dead_steps} steps in a row without any learning signal: in the last one, step {state.step}, {why}"
        )
        run.say(state.stopped_early)


def collect_groups(run: RLRun, state: LoopState, phases: Phases) -> list[RolloutGroup]:
    """One batch of groups. With dynamic sampling (DAPO, section 3.2) further prompts are drawn in place of dead groups, in
    at most `dynamic_sampling_batches` batches; what is still missing then is filled up with dead ones."""
    groups = rollout(run, state, phases)
    if run.config.dynamic_sampling:
        for _ in range(run.config.dynamic_sampling_batches - 1):
            drawn = state.tokens + sum(group.tokens for group in groups)
            if sum(map(is_alive, groups)) >= run.config.prompts_per_step or spent(run.config, drawn):
                break
            groups += rollout(run, state, phases)
    return groups


def rollout(run: RLRun, state: LoopState, phases: Phases) -> list[RolloutGroup]:
    """Draw the next prompts and sample and grade a group from each."""
    config = run.config
    asked = [
        (problem, run.prompt_of(problem), tuple(derive_seed(*draw, i) for i in range(config.group_size)))
        for problem, draw in next_problems(run, state)
    ]
    groups, greedy = ask(run, asked, phases), list[list[Sampled]]()
    if needs_greedy(config):
        greedy = ask(run, [(problem, prompt, seeds[:1]) for problem, prompt, seeds in asked], phases, greedy=True)
    started = time.perf_counter()
    scored = iter(with_rewards(run, [sampled for group in (*groups, *greedy) for sampled in group]))
    phases.add("score", started)
    rollouts = [tuple(next(scored) for _ in group) for group in groups]
    baselines = [next(scored) for _ in greedy] if greedy else [None] * len(groups)
    return [RolloutGroup(row[0].problem, row, baseline) for row, baseline in zip(rollouts, baselines, strict=True)]


def ask(
    run: RLRun, asked: Sequence[tuple[Problem, Prompt, tuple[int, ...]]], phases: Phases, *, greedy: bool = False
) -> list[list[Sampled]]:
    """Completions of the current policy, graded: at the stage's temperature, or the most likely ones."""
    temperature = 0.0 if greedy else run.config.temperature
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


def next_problems(run: RLRun, state: LoopState) -> list[Drawn]:
    """The next prompts of each pool, with what the seeds of their completions are derived from."""
    general = run.general_share(state.step)
    reasoning = run.config.prompts_per_step - general
    drawn = draw(easiest(run.problems, share_of_pool(run, state.step)), state.cursor, reasoning, seed=run.seed, name=run.name)
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


def sync_weights(run: RLRun, version: int) -> None:
    """Hand the policy to the generator."""
    run.learner.save_weights(run.weights)
    run.generator.load_weights(run.weights, version)


def write_transcripts(run: RLRun, step: int) -> None:
    """At chosen steps, ask the policy the same few problems again, so that its answers can be read side by side.

    These completions are for readers alone: nothing is learnt from them.
    """
    last = step == run.config.steps - 1
    if step % run.config.transcripts_every and not last:
        return
    seeds = tuple(derive_seed(run.seed, run.name, "probe", i) for i in range(PROBE_COMPLETIONS))
    groups = ask(run, [(problem, run.prompt_of(problem), seeds) for problem in run.probes], Phases())
    rollouts = with_rewards(run, [sampled for group in groups for sampled in group])
    with run.transcripts.open("a", encoding="utf-8") as handle:
        handle.writelines(json.dumps(run.describe(step, rollout), ensure_ascii=False) + "\n" for rollout in rollouts)


def truncate_transcripts(path: Path, first_step: int) -> None:
    """Drop what a killed run wrote of steps that will be done again."""
    MetricsLog(path).truncate(first_step)


def save(run: RLRun, state: LoopState) -> None:
    kept = {name: value for name, value in asdict(state).items() if name != "step"}
    run.learner.save(run.checkpoint, state.step, {"loop": kept})


def resume(run: RLRun) -> LoopState:
    """The loop's state and the learner from the newest checkpoint, or a fresh start."""
    state = restore(run.learner, run.checkpoint)
    if not state:
        return LoopState()
    loop = {**state["loop"], "first": FirstGroups(**state["loop"].get("first", {}))}
    return LoopState(step=int(state["step"]), **loop)
