"""Loop 3 of 3, reinforcement learning: `rollout`, then `update_policy`. GRPO as in R1-Zero and R1's RL stages."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cogitate.backend import WorksBeside
from cogitate.config import RLConfig
from cogitate.errors import DataError, TrainingDivergedError
from cogitate.runtime import MetricsLog, derive_seed, give_back_memory, interruption_requested, raise_interrupted
from cogitate.train.checkpoint import restore
from cogitate.train.collecting import LoopState, RLRun, ask, collect_groups, fill_up, spent, temperature_at, with_rewards
from cogitate.train.divergence import diverged
from cogitate.train.groups import (
    FIRST_STEPS,
    is_alive,
    is_relative,
    live_first,
    needs_greedy,
)
from cogitate.train.partial_rollouts import Round, partial_metrics
from cogitate.train.rl_metrics import mean, rollout_metrics, timings, waiting_times
from cogitate.train.rollouts import Phases
from cogitate.types import Problem, Rollout, RolloutGroup

PROBE_COMPLETIONS = 2  # of each probe, at each chosen step


def train_rl(run: RLRun) -> dict[str, Any]:
    """Run all steps, from the last checkpoint if there is one. The learner holds the trained policy afterwards.

    Returns:
        {"stopped_early": reason} where the loop stopped by itself; {"mostly_dead": line} where nearly all of its first groups
        were dead; else {}.

    Raises:
        DataError: fewer problems than a step needs, or a step asks a prompt that is too long for the context. Whoever hands
            problems over has looked at all of them: to encode thousands twice would take half a second.
        TrainingDivergedError, Interrupted: as in train/supervised.py.
    """
    config = run.config
    check_enough(run.problems, config, run.name)
    state = resume(run)
    sync_weights(run, state.updates)
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
    temperature = temperature_at(run.config, state.step)
    drawn, generated = collect_groups(run, state, phases)
    groups = live_first(drawn)[: run.config.prompts_per_step] if run.config.dynamic_sampling else drawn
    write_transcripts(run, state.step)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    learnable = [(one, advantage) for one, advantage in run.learn_from(groups, run.config) if any(one.loss_mask)]
    row: dict[str, Any] = {"step": state.step, **rollout_metrics(rollouts)}
    state.tokens += generated
    if run.config.temperature_steps:
        row["temperature"] = temperature
    row["dead_groups"] = mean(not is_alive(group) for group in drawn)
    if needs_greedy(run.config):
        row["greedy_reward"] = mean(g.greedy.reward for g in groups if g.greedy and g.greedy.reward is not None)
    if run.config.partial_rollouts or run.config.overlap:
        row |= {"waiting_groups": len(state.waiting), **partial_metrics(rollouts, run.config, run.generator.version)}
    if (tokens := run.generator.tokens_per_step()) is not None:
        row["tokens_per_step"] = tokens
    row |= run.measure(rollouts)
    if learnable:
        state.dead_steps = 0
        metrics, ahead = update_policy(run, state, learnable, temperature, phases)
        row |= metrics
        state.tokens += ahead
        generated += ahead
    else:
        count_dead_step(run, state, groups)
    if run.config.token_budget:
        row["budget_spent"] = state.tokens / run.config.token_budget
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


def update_policy(
    run: RLRun, state: LoopState, learnable: Sequence[tuple[Rollout, float]], temperature: float, phases: Phases
) -> tuple[dict[str, float], int]:
    """Learn from rollouts and their advantages, and hand the new policy to the generator. With `overlap` the next step's
    completions are sampled meanwhile, or before where the generator is in this process; returns how many tokens they have."""
    started = time.perf_counter()
    following, sampled = begin_next(run, state), 0
    elsewhere = run.generator if following is not None and isinstance(run.generator, WorksBeside) else None
    if elsewhere is None:
        sampled = following.finish() if following is not None else 0
        run.generator.free_weights()
    phase = time.perf_counter()
    try:
        with elsewhere.beside() if elsewhere is not None else nullcontext(list[float]()) as times:
            rollouts, advantages = [r for r, _ in learnable], [a for _, a in learnable]
            metrics = run.learner.update(rollouts, advantages, state.tokens, temperature)
            learned = time.perf_counter()
    except TrainingDivergedError as error:
        raise diverged(f"step {state.step} of {run.name}: {error}", run.checkpoint) from error
    phases.add("train", phase)
    if following is not None:
        sampled += following.finish()
        phases.add("generate", started)
        metrics |= waiting_times([*times, *following.times[len(times) :]], learned)
    phase = time.perf_counter()
    give_back_memory()
    state.updates += 1
    sync_weights(run, state.updates)
    phases.add("sync", phase)
    return metrics, sampled


def begin_next(run: RLRun, state: LoopState) -> Round | None:
    """With `overlap`, begin to sample what the next step learns from, where there is one."""
    if not run.config.overlap or state.step + 1 >= run.config.steps or spent(run.config, state.tokens):
        return None
    return Round(state.waiting, fill_up(run, state, state.step + 1), run.config, run.generator)


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
    asked = [(problem, run.prompt_of(problem), seeds) for problem in run.probes]
    groups = ask(run, asked, Phases(), temperature=run.config.temperature)  # one for all steps, so that they compare
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
    return LoopState.from_json(int(state["step"]), state["loop"])
