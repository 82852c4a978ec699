"""draws: many completions of each of a few general prompts, with their true scores, for best-of-n under several reward models.

They are drawn once for a policy, and every reward model then judges the same ones (stage kind best_of_n). The prompts are
those of tasks.general's evaluation split that have a true score; no reward model and no RL has seen them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cogitate.config import Config, DrawsConfig
from cogitate.errors import ConfigError
from cogitate.recipe.asking import fitting
from cogitate.recipe.general_prompts import general_files
from cogitate.recipe.rl.reward_monitor import has_true_score
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.recipe.stages.evaluate import general_asking
from cogitate.rewards.reward_model import final_answer
from cogitate.runtime import derive_seed
from cogitate.tasks.files.datasets import write_rows
from cogitate.tasks.general import general
from cogitate.tasks.mixture import gather_problems
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rl_metrics import mean
from cogitate.train.rollouts import Phases, sample_and_grade
from cogitate.types import Message, Problem, SamplingParams

FILE = "draws.jsonl"  # a row for each completion, those of a prompt one after the other


@dataclass(frozen=True, slots=True)
class DrawnText:
    """One completion.

    Attributes:
        prompt: the number of its prompt.
        turns: the conversation that it answers, (role, content).
        true_score: 0..1, of its final answer.
    """

    prompt: int
    turns: list[list[str]]
    text: str
    tokens: int
    true_score: float

    @property
    def conversation(self) -> tuple[Message, ...]:
        return tuple(Message(role, content) for role, content in self.turns)  # type: ignore[arg-type]


def files(config: Config, stage: Stage) -> list[Path]:
    return general_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse prompts without a true score before any time is spent."""
    problems_of(config, config.section(stage.name, DrawsConfig).prompts, stage.name)


def problems_of(config: Config, count: int, stage: str) -> list[Problem]:
    """The prompts. Raises ConfigError where too few have a true score."""
    problems = gather_problems(config.tasks.general, count, split="eval", seed=config.tasks.eval_seed)
    scored = [problem for problem in problems if has_true_score(problem)]
    if len(scored) < 2:
        raise ConfigError(f"{stage}: fewer than two prompts of tasks.general = {config.tasks.general!r} have a true score")
    return scored


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    ((name, model),) = inputs.items()
    settings = config.section(context.stage, DrawsConfig)
    tokenizer, generator = Tokenizer.load(model.path), context.backend.generator(model.path)
    asking = general_asking(config, context.graph, name, model.path, tokenizer)
    tokenizer = tokenizer.with_tags(asking.tags)
    found = fitting(
        problems_of(config, settings.prompts, context.stage), [(asking.prompt_of, tokenizer)], generator.max_context,
        max_new_tokens=settings.max_new_tokens, too_long=config.tasks.too_long,
    )  # fmt: skip
    if found.left_out:
        context.say(found.line())
    context.metrics.truncate(0)
    context.begin(len(found.problems))
    rows: list[DrawnText] = []
    for number, problem in enumerate(found.problems):  # each finished prompt is kept
        context.stop_if_interrupted()
        path = context.checkpoint / f"{number}.jsonl"
        if not path.is_file():
            seeds = tuple(derive_seed(config.seed, context.stage, problem.task, problem.id, k) for k in range(settings.samples))
            (group,) = sample_and_grade(
                [(problem, asking.prompt_of(problem), seeds)],
                params=SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
                contract=asking.contract,
                tokenizer=tokenizer,
                generator=generator,
                grader=context.backend.grader(),
                phases=Phases(),
                meanwhile=context.stop_if_interrupted,
            )
            turns = [[turn.role, turn.content] for turn in problem.conversation]
            drawn = [
                DrawnText(
                    number, turns, one.text, len(one.completion.token_ids), general.helpfulness(problem, final_answer(one.text))
                )
                for one in group
            ]
            write_rows(path, [asdict(one) for one in drawn])
        drawn = read_draws(path)
        context.metrics.write(
            {
                "step": number,
                "completion_tokens": mean(one.tokens for one in drawn),
                "true_score": mean(one.true_score for one in drawn),
            }
        )
        rows += drawn
    write_rows(out / FILE, [asdict(one) for one in rows])
    return {
        "prompts": len(found.problems),
        "samples": settings.samples,
        "true_score": mean(one.true_score for one in rows),
        "tokens_generated": sum(one.tokens for one in rows),
        **found.summary(),
    }


def read_draws(path: Path) -> list[DrawnText]:
    return [DrawnText(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]
