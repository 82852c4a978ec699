"""pretrain_branches: one pretraining at a constant rate, and from it a model for each of several lengths of training.

A length's branch leaves the trunk before its end and cools down: its rate falls while it reads the documents that the trunk
reads at these steps (Hägele et al., arXiv:2405.18392). So the lengths share most of their work, and each ends as a run of its
own would. The model of the stage is that of the longest branch; branches.json says of each its parameters, tokens and held-out
loss, and how likely the gold answers are to it: the continuous twin of accuracy (arXiv:2304.15004).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from math import exp
from pathlib import Path
from typing import Any

import torch

from cogitate.backend import SupervisedLearner
from cogitate.config import BranchesConfig, Config
from cogitate.evals.metrics import mean_number
from cogitate.evals.prompts import BARE_QUESTION
from cogitate.model.files.hf import load_model, save_model
from cogitate.recipe.problems import data_files
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.recipe.stages.pretrain import Corpus, check_architecture, corpus_of, untrained
from cogitate.runtime import derive_seed, seed_everything, write_json
from cogitate.tasks.mixture import gather_problems
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.checkpoint import latest_checkpoint, restore
from cogitate.train.learners.scorer import ModelScorer
from cogitate.train.optimisers.schedule import warmup_stable_decay
from cogitate.train.rollouts import encode_all
from cogitate.train.supervised import SupervisedRun, train_supervised
from cogitate.types import Problem

FILE = "branches.json"


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse a missing or wrong architecture before any time is spent."""
    check_architecture(config.section(stage.name, BranchesConfig).model, config.tokenizer, f"{stage.name}.model")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.section(context.stage, BranchesConfig)
    seed_everything(derive_seed(settings.seed, context.stage))
    corpus = corpus_of(config.tokenizer, settings)
    problems = gather_problems(config.tasks.eval, settings.twin_problems, split="eval", seed=config.tasks.eval_seed)
    growing = Growing(settings, corpus, context, partial(untrained, corpus.architecture(settings.model), settings, context))
    growing.trunk()
    points = [growing.branch(number, problems) for number in range(len(settings.lengths))]
    model = load_model(growing.trained)
    save_model(model, out, dtype=torch.bfloat16)
    corpus.tokenizer.save(out)
    parameters = sum(weights.numel() for weights in model.parameters())
    points = [{"parameters": parameters, **point} for point in points]
    write_json(out / FILE, {"schema": 1, "points": points})
    return {"parameters": parameters, **points[-1], "points": points}


class Growing:
    """The trunk and its branches, in the order in which they are trained; what a kill leaves of them goes on.

    The log has the steps of the trunk, then those of each branch.
    """

    def __init__(self, settings: BranchesConfig, corpus: Corpus, context: StageContext, fresh: partial[SupervisedLearner]):
        """
        Args:
            fresh: makes a learner of the model's first weights, or of any where a checkpoint follows.
        """
        self.settings, self.corpus, self.context, self.fresh = settings, corpus, context, fresh
        self.forks = settings.forks
        self.trained = context.checkpoint / "trained"  # the weights of the longest branch

    def trunk(self) -> None:
        """Train at a constant rate up to the last fork; the state at each fork is kept."""
        missing = [fork for fork in self.forks if latest_checkpoint(self._kept(fork)) is None]
        if not missing:
            return
        learner, place = self.fresh(), self.context.checkpoint / "trunk"
        for fork in missing:
            self._train(learner, fork, stable=fork, place=place, first_row=0)
            for directory in (place, self._kept(fork)):
                learner.save(directory, fork, {})

    def branch(self, number: int, problems: Sequence[Problem]) -> dict[str, Any]:
        """Cool one branch down and measure it."""
        done, place = (self.context.checkpoint / f"branch-{number}{suffix}" for suffix in (".json", ""))
        if not done.is_file():
            length, fork = self.settings.lengths[number], self.forks[number]
            learner = self.fresh()
            if latest_checkpoint(place) is None:
                restore(learner, self._kept(fork))
                learner.save(place, fork, {})
            cooled = sum(end - start for end, start in zip(self.settings.lengths[:number], self.forks, strict=False))
            self._train(learner, length, stable=fork, place=place, first_row=self.forks[-1] - fork + cooled)
            tokens = length * self.settings.rows * self.settings.row_tokens
            weights = self.trained if number == len(self.forks) - 1 else self.context.handover / "branch"
            learner.save_weights(weights)
            point = {"steps": length, "tokens": tokens, "held_out_loss": learner.loss(self.corpus.held_out)}
            write_json(done, {**point, **self._twin(weights, problems)})
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found

    def _kept(self, fork: int) -> Path:
        return self.context.checkpoint / "forks" / str(fork)

    def _train(self, learner: SupervisedLearner, steps: int, *, stable: int, place: Path, first_row: int) -> None:
        settings = self.settings
        rate = partial(
            warmup_stable_decay, steps=steps, stable=stable, peak=settings.learning_rate, final=settings.final_learning_rate,
            warmup_steps=settings.warmup_steps,
        )  # fmt: skip
        train_supervised(
            learner,
            SupervisedRun(
                name=self.context.stage,
                steps=steps,
                config=settings,
                batch_of=self.corpus.batch_of,
                metrics=self.context.metrics,
                checkpoint=place,
                begin=self.context.begin,
                rate_of=rate,
                first_row=first_row,
            ),
        )

    def _twin(self, weights: Path, problems: Sequence[Problem]) -> dict[str, Any]:
        """How likely the gold answers are after the bare questions: the mean log-probability of their tokens, in nats, and the
        mean probability of a whole answer."""
        tokenizer: Tokenizer = self.corpus.tokenizer
        asked = [problem for problem in problems if isinstance(problem.gold, str | int | float) and str(problem.gold)]
        if not asked:
            return {}
        prompts = encode_all([BARE_QUESTION.prompt_of(problem) for problem in asked], tokenizer)
        golds = [tuple(tokenizer.encode(f" {problem.gold}")) for problem in asked]
        said = ModelScorer(load_model(weights)).logprobs(prompts, golds)  # a backend's scorers have value heads
        return {
            "gold_logprob": mean_number([[sum(row) / len(row)] for row in said]).as_json(),
            "gold_probability": mean_number([[exp(sum(row))] for row in said]).as_json(),
        }
