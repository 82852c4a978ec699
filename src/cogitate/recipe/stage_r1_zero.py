"""r1_zero: GRPO on the base model from rule rewards alone, accuracy and format (R1, section 2.2). No example, no SFT.

What it may see of a problem is its question; the gold answer goes to the grader alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.evals.text_metrics import is_mixed, is_reflective
from cogitate.recipe.asking import ASKED
from cogitate.recipe.context import StageContext
from cogitate.recipe.problems import data_files, tasks_left_out, training_problems
from cogitate.rewards.reward import total_reward
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rl import RLRun, check_enough, train_rl
from cogitate.train.rl_metrics import mean
from cogitate.types import Artifact, Problem, Rollout, Verdict

VERSION = 1
SECTIONS = (
    "seed", "tasks", "rewards", "{stage}", "runtime.dtype", "runtime.max_batch", "runtime.lora_rank", "runtime.lora_alpha",
)  # fmt: skip

PROBES = 12  # problems asked again at chosen steps, so that a reader can compare


def files(config: Config) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: str) -> None:
    """Refuse bad data before any time is spent."""
    check_enough(training_problems(config), getattr(config, stage), stage)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    base = next(iter(inputs.values())).path
    backend, settings = context.backend, getattr(config, context.stage)
    tokenizer = backend.tokenizer(base)
    problems = training_problems(config)
    left_out = tasks_left_out(config)
    if left_out:
        context.say(f"without {', '.join(left_out)}: model-written code cannot be isolated here, see `cogitate doctor`")
    weights = {"accuracy": config.rewards.accuracy, "format": config.rewards.format, "language": config.rewards.language}

    def reward(verdict: Verdict, text: str, problem: Problem) -> tuple[float | None, dict[str, float]]:
        return total_reward(verdict, text, problem, weights=weights, format="r1_zero")  # type: ignore[arg-type]

    learner = backend.learner(base, settings)
    summary = train_rl(
        RLRun(
            name=context.stage,
            seed=config.seed,
            config=settings,
            problems=problems,
            probes=one_of_each_task(problems, PROBES),
            prompt_of=ASKED[settings.prompt](base, tokenizer),
            contract="r1",
            reward=reward,
            measure=lambda rollouts: thinking_metrics(rollouts, tokenizer),
            describe=lambda step, rollout: transcript(step, rollout, tokenizer),
            tokenizer=tokenizer,
            learner=learner,
            generator=backend.generator(base),
            grader=backend.grader(),
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            weights=context.checkpoint / "policy",
            transcripts=out / "transcripts.jsonl",
            begin=context.begin,
            say=context.say,
        )
    )
    learner.save_weights(out)
    tokenizer.save(out)
    return {**summary, **({"tasks_left_out": left_out} if left_out else {})}


def one_of_each_task(problems: Sequence[Problem], count: int) -> list[Problem]:
    """The first problems of the pool, the tasks in turn."""
    by_task: dict[str, list[Problem]] = {}
    for problem in problems:
        by_task.setdefault(problem.task, []).append(problem)
    turns = [group[turn] for turn in range(count) for group in by_task.values() if turn < len(group)]
    return turns[:count]


def thinking_metrics(rollouts: Sequence[Rollout], tokenizer: Tokenizer) -> dict[str, float]:
    """What a step's thinking looks like; lengths are of finished completions whose thinking is closed."""
    parts = [split_thinking(rollout.text) for rollout in rollouts]
    finished = [rollout.finish_reason == "stop" for rollout in rollouts]
    closed = [part.thinking or "" for part, done in zip(parts, finished, strict=True) if part.closed and done]
    texts = [(part.thinking or rollout.text, rollout.problem) for part, rollout in zip(parts, rollouts, strict=True)]
    return {
        "thinking_tokens_finished": mean(len(ids) for ids in tokenizer.encode_batch([text.strip() for text in closed])),
        "reflection_rate": mean(is_reflective(text) for text, _ in texts),
        "language_mix_rate": mean(is_mixed(text, problem.language) for text, problem in texts),
    }


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
        "verdict": rollout.verdict.verdict,
        "reason": rollout.verdict.reason,
        "extracted": rollout.verdict.extracted,
        "finish_reason": rollout.finish_reason,
        "tokens": len(rollout.completion_ids),
        "thinking_tokens": len(tokenizer.encode(thinking.strip())),
        "reflection": is_reflective(thinking),
        "language_mix": is_mixed(thinking, rollout.problem.language),
    }
