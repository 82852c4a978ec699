"""The laptop's side of the seam: our engine, grader workers and learners in this process, on one device."""

from __future__ import annotations

from pathlib import Path

import torch

from cogitate import backend
from cogitate.answers import Answers
from cogitate.backend import Grader, LabelLearner, PairLearner, PolicyLearner, StepLearner
from cogitate.config import (
    Config,
    DPOConfig,
    EndpointConfig,
    PPOConfig,
    PreferenceTrainingConfig,
    RLConfig,
    SupervisedConfig,
)
from cogitate.device import prefer_deterministic
from cogitate.endpoint import Asker, Endpoint
from cogitate.engine.answering import AnsweringModel
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError
from cogitate.model.files.hf import load_model
from cogitate.model.files.value_model import load_value_model
from cogitate.model.lora import add_lora
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.rewards.judge.judge import Judge
from cogitate.rewards.judge.settings import JUDGE
from cogitate.rewards.sandbox.isolation import read_packages
from cogitate.rewards.workers.pool import GraderPool
from cogitate.runtime import derive_seed, name_of_device, pick_device
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.ppo import PPOLearner
from cogitate.train.learners.preference import DPOLearner, HelpfulnessLearner, ProcessLearner, SafetyLearner
from cogitate.train.learners.scorer import ModelScorer
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.sharded.ranks import ALONE, Ranks

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class OneProcess:
    """What every backend has in the driver's process: learners, scorers, askers, and the grader pool, started once and shared.

    Args:
        answers: the file for the answers of the user's own rewards, which may then use the network and files; None confines
            them.
        ranks: who trains models together with this process.
    """

    def __init__(self, config: Config, answers: Path | None = None, ranks: Ranks = ALONE):
        self.config, self._answer_file, self._ranks = config, answers, ranks
        self.device = pick_device(config.runtime.device)
        if config.runtime.captured_steps and self.device.type == "cpu":
            raise ConfigError("runtime.captured_steps has no effect on a CPU: steps are captured with CUDA; set it to false")
        prefer_deterministic(self.device)
        self.dtype = DTYPES[config.runtime.dtype]
        if config.runtime.threads:
            torch.set_num_threads(config.runtime.threads)
        self._grader: GraderPool | None = None
        self._answers: Answers | None = None
        self._askers: dict[str, Asker] = {}

    @property
    def device_name(self) -> str:
        return name_of_device(self.device)

    def grader(self) -> Grader:
        if self._grader is None:
            rewards = self.config.rewards
            if self._answer_file is not None:
                self._answers = Answers(self._answer_file)
            self._grader = GraderPool(
                rewards.workers,
                rewards.seconds_limit,
                custom=rewards.custom or None,
                parts={name: part.file for name, part in rewards.parts.items() if part.file},
                answers=self._answers,
                unsafe_local=rewards.unsafe_local,
                packages=read_packages(rewards.allowed_packages),
                remote_sandbox=rewards.remote_sandbox,
                judge=self._judge(),
            )
        return self._grader

    def _judge(self) -> Judge | None:
        settings = self.config.judge
        if not settings.model:
            return None
        return Judge(settings, self.asker(settings, JUDGE), derive_seed(self.config.seed, JUDGE))

    def asker(self, settings: EndpointConfig, name: str) -> Asker:
        if name not in self._askers:
            runtime = self.config.runtime
            self._askers[name] = (
                Endpoint(settings, name)
                if settings.base_url
                else AnsweringModel(
                    Path(settings.model), name, cache=settings.cache, dtype=runtime.dtype, device=str(self.device),
                    threads=runtime.threads, max_batch=runtime.max_batch,
                )
            )  # fmt: skip
        return self._askers[name]

    def scorer(self, model: Path) -> ModelScorer:
        return ModelScorer(load_value_model(model, dtype=self.dtype, device=self.device))

    def policy_learner(self, model: Path, settings: RLConfig) -> PolicyLearner:
        return GRPOLearner(self._trained(model), settings, self._ranks)

    def ppo_learner(self, model: Path, reward_model: Path, settings: PPOConfig) -> PolicyLearner:
        critic = load_value_model(reward_model, dtype=self.dtype, device=self.device)
        return PPOLearner(self._trained(model), critic, settings, self._ranks)

    def supervised_learner(self, model: Path, settings: SupervisedConfig, *, adapters: bool) -> backend.SupervisedLearner:
        return SupervisedLearner(self._trained(model, adapters=adapters), settings, self._ranks)

    def helpfulness_learner(
        self, model: Path, settings: PreferenceTrainingConfig, *, head_seed: int | None = None
    ) -> PairLearner:
        return HelpfulnessLearner(self._with_value_head(model, head_seed), settings, self._ranks)

    def safety_learner(self, model: Path, settings: PreferenceTrainingConfig, *, head_seed: int | None = None) -> LabelLearner:
        return SafetyLearner(self._with_value_head(model, head_seed), settings, self._ranks)

    def process_learner(self, model: Path, settings: PreferenceTrainingConfig) -> StepLearner:
        return ProcessLearner(self._with_value_head(model), settings, self._ranks)

    def dpo_learner(self, model: Path, settings: DPOConfig) -> PairLearner:
        return DPOLearner(self._trained(model), self._read(model), settings, self._ranks)

    def close(self) -> None:
        if self._grader is not None:
            self._grader.close()
            self._grader = None
        if self._answers is not None:
            self._answers.close()
            self._answers = None
        while self._askers:
            self._askers.popitem()[1].close()

    def _read(self, directory: Path) -> Transformer:
        return load_model(directory, dtype=self.dtype, device=self.device)

    def _trained(self, directory: Path, *, adapters: bool = True) -> Transformer:
        """A model to be trained, with adapters where these are wanted and runtime.lora_rank asks for them."""
        model, runtime = self._read(directory), self.config.runtime
        model.gradient_checkpointing = runtime.gradient_checkpointing
        if adapters and runtime.lora_rank:
            torch.manual_seed(derive_seed("adapters", runtime.lora_rank))
            add_lora(model, rank=runtime.lora_rank, alpha=runtime.lora_alpha)
        return model

    def _with_value_head(self, directory: Path, head_seed: int | None = None) -> ValueModel:
        model = ValueModel(self._read(directory))
        if head_seed is not None:
            model.draw_head(head_seed)
        model.trunk.gradient_checkpointing = self.config.runtime.gradient_checkpointing
        return model


class LocalBackend(OneProcess):
    """Implements backend.Backend: all of it is in this process.

    Raises:
        ConfigError: the settings ask for a cluster.
    """

    def __init__(self, config: Config, answers: Path | None = None):
        if config.runtime.backend != "local":
            raise ConfigError(
                f"runtime.backend={config.runtime.backend} is for `cogitate run` and for benchmarks by name: leave it out here"
            )
        super().__init__(config, answers)

    def generator(self, model: Path) -> Engine:
        runtime, tokenizer = self.config.runtime, Tokenizer.load(model)
        # Weights are rounded once, from what the files hold.
        dtype = torch.float32 if runtime.weight_bits else self.dtype
        return Engine(
            load_model(model, dtype=dtype, device=self.device),
            end_id=tokenizer.end_ids,
            max_batch=runtime.max_batch,
            dtype=self.dtype,
            weight_bits=runtime.weight_bits,
            activation_bits=runtime.activation_bits,
            cache_bits=runtime.cache_bits,
            speculative=runtime.speculative,
            ngram_drafts=runtime.ngram_drafts,
            tokenizer=tokenizer,
            prefix_bytes=runtime.prefix_cache << 20,
            captured_steps=runtime.captured_steps,
        )
