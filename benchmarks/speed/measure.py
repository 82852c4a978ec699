"""What `make bench` measures: decoding, the learner, supervised training, and whole GRPO steps, on one model.

A piece does its work once and returns numbers, its share of the machine's own rate among them: the time that the model's
matrix products take alone (products.py), measured right after the work, over the time the work took.
"""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.products import Product, body, head, mtp, seconds_alone, total_flops
from cogitate.backend import GenerationRequest
from cogitate.config import Config, PretrainConfig, RLConfig
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_config as load_model_config
from cogitate.model.files.hf import load_model
from cogitate.recipe.local_backend import DTYPES, LocalBackend
from cogitate.recipe.problems import training_problems
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stages.pretrain import draw_rows
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import r1_zero_prompt
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.policy import MICRO_BATCH_TOKENS
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.rollouts import Sampled, to_rollout
from cogitate.types import Rollout, SamplingParams, Verdict

GROUP = 8  # completions that share a prompt when decoding
NEVER = -1  # an end token that is not sampled: every completion is as long as asked for


class Subject:
    """The model under test and the settings of its recipe.

    Args:
        directory: of the model.
        settings: section.key=value over the recipe `tiny`.
    """

    def __init__(self, directory: Path, settings: Sequence[str] = ()):
        self.directory = directory
        self.settings = list(settings)
        self.config: Config = load_recipe("tiny", self.settings)
        self.model_config = load_model_config(directory)
        self.dtype = DTYPES[self.config.runtime.dtype]
        self.tokenizer = Tokenizer.load(directory)
        count = max(self.config.section("r1_zero", RLConfig).prompts_per_step, 128 // GROUP)
        problems = training_problems(self.config)[:count]
        self.prompts = [tuple(self.tokenizer.encode(r1_zero_prompt(problem.question))) for problem in problems]
        self.problems = problems

    def facts(self) -> dict[str, Any]:
        """Size of the model and the cost of a token."""
        config = self.model_config
        model = load_model(self.directory, dtype=self.dtype)
        return {
            "family": config.model_type,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "dtype": str(self.dtype).removeprefix("torch."),
            "flops_per_token": {
                "body": total_flops(body(config, 1)),
                "head": total_flops(head(config, 1)),
                "mtp": total_flops(mtp(config, 1)) if config.num_nextn_predict_layers else 0,
            },
        }


class Decoding:
    """The engine at a fixed batch: `new_tokens` for each completion, prompts shared by groups of 8, prefilling not counted.

    With drafts by the MTP block (`speculative`) the share is still that of decoding's own products, one token at a time.
    """

    def __init__(self, subject: Subject, batch: int, new_tokens: int, *, speculative: bool = False):
        self.subject, self.batch, self.new_tokens = subject, batch, new_tokens
        model = load_model(subject.directory, dtype=subject.dtype)
        self.engine = Engine(model, end_id=NEVER, max_batch=batch, speculative=speculative)

    def __call__(self) -> dict[str, float]:
        params = SamplingParams(max_new_tokens=self.new_tokens)
        seeds = iter(range(self.batch))
        prompts = itertools.cycle(self.subject.prompts)
        while group := tuple(itertools.islice(seeds, GROUP)):
            self.engine.submit(GenerationRequest(str(group[0]), next(prompts), params, group))
        self.engine.poll()  # prefills; the steps after it have all rows running
        before, started = self.engine.tokens_sampled, time.perf_counter()
        while self.engine.pending():
            self.engine.poll()
        seconds = time.perf_counter() - started
        tokens = self.engine.tokens_sampled - before
        config = self.subject.model_config
        step = [*body(config, self.batch), *head(config, self.batch)]
        figures = rates(tokens, seconds, step, tokens / self.batch * seconds_alone(step, self.subject.dtype))
        if self.engine.speculation is not None:
            figures["acceptance_rate"] = self.engine.speculation.acceptance_rate
        return figures


def zero_settings(subject: Subject) -> RLConfig:
    return subject.config.section("r1_zero", RLConfig)


class Learning:
    """`GRPOLearner.update` on a batch of the recipe's size: the model's own completions, advantages +1 and -1 in turn.

    A prompt that stands before several completions is work once, so tokens are those of distinct prompts and of completions.
    """

    def __init__(self, subject: Subject):
        self.subject = subject
        settings = zero_settings(subject)
        self.rollouts = sample_rollouts(subject, settings)
        self.advantages = [1.0 - 2.0 * (index % 2) for index in range(len(self.rollouts))]
        self.learner = GRPOLearner(load_model(subject.directory, dtype=subject.dtype), settings)

    def __call__(self) -> dict[str, float]:
        started = time.perf_counter()
        self.learner.update(self.rollouts, self.advantages)
        seconds = time.perf_counter() - started
        return learning_rates(self.subject, self.rollouts, self.learner.config, seconds)


class Pretraining:
    """`SupervisedLearner.update` on a step's packed rows of the corpus, with the recipe's optimiser and the MTP loss."""

    def __init__(self, subject: Subject):
        self.subject = subject
        self.settings = subject.config.section("base", PretrainConfig)
        self.batch = draw_rows(random.Random(0), subject.tokenizer, self.settings.rows, self.settings.row_tokens)
        self.learner = SupervisedLearner(load_model(subject.directory, dtype=subject.dtype), self.settings)

    def __call__(self) -> dict[str, float]:
        settings, config = self.settings, self.subject.model_config
        started = time.perf_counter()
        self.learner.update(self.batch, settings.final_learning_rate)
        seconds = time.perf_counter() - started
        tokens = int((self.batch.documents_BT >= 0).sum())
        rows = settings.micro_rows * settings.row_tokens
        products = [*body(config, rows), *head(config, rows)]
        if settings.mtp_weight > 0:
            products += mtp(config, rows)
        alone = seconds_alone(products, self.subject.dtype) + seconds_alone(products, self.subject.dtype, backward=True)
        return rates(tokens, seconds, products, tokens / rows * alone, passes=3)


def grpo_steps(subject: Subject, steps: int) -> list[dict[str, float]]:
    """The stage r1_zero of the recipe as a user runs it: tokens, seconds of each phase, and shares, of each step.

    A step in which no group had anything to teach has no training phase. The products alone are measured after the last step.
    """
    learners: list[CountingLearner] = []

    class Backend(LocalBackend):
        def policy_learner(self, model: Path, settings: RLConfig) -> GRPOLearner:
            learners.append(CountingLearner(load_model(model, dtype=self.dtype, device=self.device), settings))
            return learners[-1]

    settings = [*subject.settings, f"r1_zero.steps={steps}", f"inputs.base={subject.directory}"]
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "run"
        run_recipe(load_recipe("tiny", settings), out, make_backend=Backend, only="r1_zero")
        rows = [json.loads(line) for line in (out / "r1_zero" / "metrics.jsonl").read_text().splitlines()]
    batches = iter(learners[0].batches)
    return [grpo_step(subject, row, next(batches) if "seconds.train" in row else None) for row in rows]


class CountingLearner(GRPOLearner):
    """Remembers what it was given."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.batches: list[list[Rollout]] = []

    def update(
        self, rollouts: Sequence[Rollout], advantages: Sequence[float], tokens: int = 0, temperature: float | None = None
    ) -> dict[str, float]:
        self.batches.append(list(rollouts))
        return super().update(rollouts, advantages, tokens, temperature)


def grpo_step(subject: Subject, row: dict[str, Any], trained: list[Rollout] | None) -> dict[str, float]:
    config, settings = subject.model_config, zero_settings(subject)
    at_once = min(subject.config.runtime.max_batch, settings.prompts_per_step * settings.group_size)
    products = [*body(config, at_once), *head(config, at_once)]
    generated, seconds = row["tokens_generated"], row["seconds.generate"]
    generate = rates(generated, seconds, products, generated / at_once * seconds_alone(products, subject.dtype))
    result = {
        "tokens_generated": generated,
        "tokens_trained": row["tokens_trained"],
        "seconds": row["seconds"],
        **{f"seconds.{phase}": row.get(f"seconds.{phase}", 0.0) for phase in ("generate", "grade", "train", "sync")},
        **{f"generate.{name}": value for name, value in generate.items()},
    }
    if trained is not None:
        train = learning_rates(subject, trained, settings, row["seconds.train"])
        result |= {f"train.{name}": value for name, value in train.items()}
    return result


def learning_rates(subject: Subject, rollouts: Sequence[Rollout], settings: RLConfig, seconds: float) -> dict[str, float]:
    """Forward and backward pass of the policy, and the reference's forward pass where KL asks for one."""
    config = subject.model_config
    completions = sum(len(rollout.completion_ids) for rollout in rollouts)
    tokens = completions + sum(len(prompt) for prompt in {rollout.prompt_ids for rollout in rollouts})
    rows = min(tokens, MICRO_BATCH_TOKENS)
    products = [*body(config, rows), *head(config, max(1, round(rows * completions / tokens)))]
    forward, backward = (seconds_alone(products, subject.dtype, backward=which) for which in (False, True))
    forward_passes = 2 if settings.kl_beta > 0 else 1
    passes = settings.inner_epochs
    alone = tokens / rows * passes * (forward * forward_passes + backward)
    return rates(tokens * passes, seconds, products, alone, passes=forward_passes + 2)


def rates(tokens: int, seconds: float, products: Sequence[Product], alone: float, *, passes: int = 1) -> dict[str, float]:
    """The numbers of one measurement.

    Args:
        products: of one forward pass over as many tokens as its first product has rows.
        alone: seconds that all matrix products of the work take alone.
        passes: how many times the operations of a forward pass a token costs.
    """
    operations = passes * total_flops(products) / products[0].rows * tokens
    return {
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "gflops_per_second": operations / seconds / 1e9,
        "gemm_tokens_per_second": tokens / alone,
        "gemm_gflops_per_second": operations / alone / 1e9,
        "share_of_gemm": alone / seconds,
    }


def sample_rollouts(subject: Subject, settings: RLConfig) -> list[Rollout]:
    """Completions of natural length for a step's prompts."""
    engine = Engine(
        load_model(subject.directory, dtype=subject.dtype),
        end_id=subject.tokenizer.end_id,
        max_batch=subject.config.runtime.max_batch,
    )
    params = SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens)
    asked = list(zip(subject.problems, subject.prompts, strict=True))[: settings.prompts_per_step]
    for index, (_, prompt) in enumerate(asked):
        engine.submit(GenerationRequest(str(index), prompt, params, tuple(range(settings.group_size))))
    completions = []
    while engine.pending():
        completions += engine.poll()
    completions.sort(key=lambda completion: (int(completion.request_id), completion.seed))
    verdict = Verdict("right", 1.0, "not graded")
    return [
        to_rollout(Sampled(*asked[int(completion.request_id)], completion, "", False, verdict), 1.0, {})
        for completion in completions
    ]
