"""What all RL stages do: pools, rewards, probes, transcripts, metrics, saving. A stage adds its Method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cogitate.backend import PolicyLearner
from cogitate.config import Config, RLConfig, ZeroRLConfig
from cogitate.endpoint import Usage
from cogitate.errors import ConfigError
from cogitate.evals.text_metrics import is_mixed, is_reflective
from cogitate.json_lines import read_log
from cogitate.recipe.asking import PromptOf, check_tags, fitting, with_tags_of
from cogitate.recipe.problems import tasks_left_out, training_problems
from cogitate.recipe.rl.puzzles import puzzle_metrics, puzzle_row
from cogitate.recipe.stage import Stage, StageContext
from cogitate.rewards.judge.settings import JUDGE
from cogitate.rewards.kinds import has_rules, kind_of
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.reward import total_reward
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import ThinkingFormat, split_thinking
from cogitate.train.collecting import RLRun
from cogitate.train.groups import LearnFrom, group_relative
from cogitate.train.pools import Pool, in_turn
from cogitate.train.rl import check_enough, train_rl
from cogitate.train.rl_metrics import mean
from cogitate.train.rollouts import OVERLONG, Reward, Score
from cogitate.types import Problem, Rollout

SOFT_OVERLONG = "soft_overlong_punishment"  # the part of the reward, for stages whose method brings none
PROBES = 12  # problems asked again at chosen steps, so that a reader can compare


@dataclass(frozen=True, slots=True)
class Method:
    """What tells one stage from another.

    Attributes:
        prompt_of: how a problem is asked.
        score: graded completions -> their rewards.
        general: the pool of general prompts, of the stage that has one.
        measure: further numbers of a step's rollouts, beside those of their thinking.
        problems: the pool prompts are drawn from, where it is not that of tasks.train.
        contract: where the grader looks for the answer.
        rates: how often the model that training starts from solves each problem, where that was measured.
        learner, learn_from: who learns, and what of a step's groups it gets, where that is not GRPO.
    """

    prompt_of: PromptOf
    score: Score
    general: Pool | None = None
    measure: Callable[[Sequence[Rollout]], dict[str, float]] | None = None
    problems: Sequence[Problem] | None = None
    contract: str = "r1"
    learner: Callable[[], PolicyLearner] | None = None
    learn_from: LearnFrom = group_relative
    rates: Mapping[str, float] | None = None


def check_training_problems(config: Config, stage: Stage) -> None:
    """Refuse bad data, a pool smaller than a step, tags that cannot be told apart, long completions punished twice."""
    settings = config.section(stage.name, RLConfig)
    check_tags(settings, stage.name)
    for part in (SOFT_OVERLONG, OVERLONG) if settings.overlong_share else ():
        if part in config.rewards.parts:
            raise ConfigError(
                f"rewards.parts.{part}: {stage.name}.overlong_share = {settings.overlong_share} punishes long completions "
                f"already; leave the part out, or set {stage.name}.overlong_share=0"
            )
    problems = training_problems(config)
    if not (isinstance(settings, ZeroRLConfig) and "prompts_per_step" in settings.from_probe):  # which knows the pool
        check_enough(problems, settings, stage.name)


def run_rl(
    config: Config,
    settings: RLConfig,
    start: Path,
    out: Path,
    context: StageContext,
    make: Callable[[Tokenizer], Method],
) -> dict[str, Any]:
    """Train the model of `start` and leave it in `out`, with transcripts and metrics beside it.

    Returns:
        the stage's summary: why it stopped early, which share of completions had no verdict and why, which tasks were left out,
        and what a judge of its problems has cost since the stage was last started.
    """
    backend, tokenizer = context.backend, with_tags_of(settings, Tokenizer.load(start))
    grader = backend.grader()  # first, so that its workers start beside what follows
    method = make(tokenizer)
    problems, left_out = method.problems, list[str]()
    if problems is None:
        problems, left_out = training_problems(config), tasks_left_out(config)
    if left_out:
        context.say(f"without {', '.join(left_out)}: model-written code cannot be isolated here, see `cogitate doctor`")
    asked = context.backend.asker(config.judge, JUDGE).usage if any(map(needs_judge, problems)) else None
    before = replace(asked) if asked is not None else Usage()
    learner = method.learner() if method.learner else backend.policy_learner(start, settings)
    generator, general = backend.generator(start), method.general
    fits = partial(
        fitting, asked=[(method.prompt_of, tokenizer)], max_context=generator.max_context,
        max_new_tokens=settings.max_new_tokens, too_long=config.tasks.too_long,
    )  # fmt: skip
    found = [fits(problems), *([fits(general.problems)] if general else [])]
    for each in found:
        if each.left_out:
            context.say(each.line())
    problems = found[0].problems
    if general:
        general = replace(general, problems=found[1].problems)
    general_problems = general.problems if general else ()

    def measure(rollouts: Sequence[Rollout]) -> dict[str, float]:
        lengths = finished_lengths(rollouts, tokenizer)
        row = thinking_metrics(rollouts, lengths) | puzzle_metrics(rollouts, lengths)
        if method.general:  # its prompts join at some step: only means of the others compare all steps
            row |= reasoning_metrics(rollouts, tokenizer)
        return row | (method.measure(rollouts) if method.measure else {})

    summary = train_rl(
        RLRun(
            name=context.stage,
            seed=config.seed,
            config=settings,
            problems=problems,
            probes=in_turn([*problems, *general_problems], PROBES, key=lambda problem: problem.task),
            prompt_of=method.prompt_of,
            contract=method.contract,
            score=method.score,
            measure=measure,
            describe=lambda step, rollout: transcript(step, rollout, tokenizer),
            tokenizer=tokenizer,
            learner=learner,
            generator=generator,
            grader=grader,
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            weights=context.handover / "policy",
            transcripts=out / "transcripts.jsonl",
            begin=context.begin,
            say=context.say,
            learn_from=method.learn_from,
            general=general,
            rates=method.rates,
        )
    )
    learner.save_weights(out)
    tokenizer.save(out)
    summary |= missing_verdicts(context.metrics.path)
    if asked is not None:
        summary[JUDGE] = asked.since(before).spent(config.judge)
    for name, each in zip(("too_long", "too_long_general"), found, strict=False):
        summary |= each.summary(name)
    return {**summary, **({"tasks_left_out": left_out} if left_out else {})}


def needs_judge(problem: Problem) -> bool:
    return kind_of(problem.kind).needs_judge


def missing_verdicts(log: Path) -> dict[str, Any]:
    """{"no_verdict": {"share": mean over steps, "first": step, problem, reason}} of a stage's log; {} where none is missing."""
    rows = read_log(log)
    first = next((row for row in rows if row.get("no_verdict_reason")), None)
    if first is None:
        return {}
    share = mean(row["no_verdict_share"] for row in rows)
    return {"no_verdict": {"share": share, "first": f"step {first['step']}: {first['no_verdict_reason']}"}}


def rule_reward(config: Config, format: ThinkingFormat, *, language: float) -> Callable[[SampledCompletion], Reward]:
    """Accuracy + format + language consistency + the parts of `rewards.parts`, of one completion.

    Args:
        language: the weight of the language consistency.
    """
    rewards = config.rewards
    weights = {"accuracy": rewards.accuracy, "format": rewards.format, "language": language}
    parts = dict(sorted(rewards.parts.items()))  # by name: artifact ids do not know in which order they were set
    weights |= {name: part.weight for name, part in parts.items()}
    settings = {name: part.settings for name, part in parts.items()}
    settings["language"] = {"without_words": rewards.language_without_words}

    def reward(completion: SampledCompletion) -> Reward:
        return total_reward(completion, weights=weights, format=format, settings=settings)

    return reward


def finished_lengths(rollouts: Sequence[Rollout], tokenizer: Tokenizer) -> list[int | None]:
    """Tokens of the thinking of each finished completion that closed it; None of the others."""
    parts = [split_thinking(rollout.text) for rollout in rollouts]
    closed = [part.closed and rollout.finish_reason == "stop" for part, rollout in zip(parts, rollouts, strict=True)]
    texts = [(part.thinking or "").strip() for part, counts in zip(parts, closed, strict=True) if counts]
    lengths = map(len, tokenizer.encode_batch(texts))
    return [next(lengths) if counts else None for counts in closed]


def thinking_metrics(rollouts: Sequence[Rollout], lengths: Sequence[int | None]) -> dict[str, float]:
    """What a step's thinking looks like.

    Where there are no tags the whole text counts as thinking, but not of general prompts: their answers need none.

    Args:
        lengths: as `finished_lengths` has them.
    """
    thinking = (split_thinking(rollout.text).thinking for rollout in rollouts)
    texts = [
        (text or (rollout.text if has_rules(rollout.problem.kind) else ""), rollout.problem)
        for text, rollout in zip(thinking, rollouts, strict=True)
    ]
    return {
        "thinking_tokens_finished": mean(length for length in lengths if length is not None),
        "reflection_rate": mean(is_reflective(text) for text, _ in texts),
        "language_mix_rate": mean(is_mixed(text, problem.language) for text, problem in texts),
    }


def reasoning_metrics(rollouts: Sequence[Rollout], tokenizer: Tokenizer) -> dict[str, float]:
    """Lengths and thinking of the problems that rules judge; {} where a step has none of them."""
    by_rules = [rollout for rollout in rollouts if has_rules(rollout.problem.kind)]
    if not by_rules:
        return {}
    row = {
        "completion_tokens": mean(len(rollout.completion_ids) for rollout in by_rules),
        "truncated_share": mean(rollout.finish_reason == "length" for rollout in by_rules),
        **thinking_metrics(by_rules, finished_lengths(by_rules, tokenizer)),
    }
    return {f"{name}.reasoning": value for name, value in row.items()}


def transcript(step: int, rollout: Rollout, tokenizer: Tokenizer) -> dict[str, Any]:
    """One sampled completion as the report's reader sees it."""
    thinking = split_thinking(rollout.text).thinking or ""
    return {
        "step": step,
        "task": rollout.problem.task,
        "problem_id": rollout.problem.id,
        "question": rollout.problem.question,
        "gold": rollout.problem.gold,
        "completion": rollout.text,
        "reward": rollout.reward,
        "reward_breakdown": dict(rollout.reward_breakdown),
        "verdict": rollout.verdict.value,
        "reason": rollout.verdict.reason,
        "extracted": rollout.verdict.extracted,
        "finish_reason": rollout.finish_reason,
        "tokens": len(rollout.completion_ids),
        "thinking_tokens": len(tokenizer.encode(thinking.strip())),
        "reflection": is_reflective(thinking),
        "language_mix": is_mixed(thinking, rollout.problem.language),
        **puzzle_row(rollout.text, rollout.problem),
    }
