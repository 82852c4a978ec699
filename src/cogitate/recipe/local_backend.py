"""The laptop's side of the seam: our engine, grader workers and one in-process learner on one device."""

from __future__ import annotations

from pathlib import Path

import torch

from cogitate.config import Config, PPOConfig, RLConfig
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model
from cogitate.model.files.value_model import load_value_model
from cogitate.model.lora import add_lora
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.rewards.sandbox.isolation import read_packages
from cogitate.rewards.workers.pool import GraderPool
from cogitate.runtime import derive_seed, pick_device
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.learners.policy import PolicyLearner
from cogitate.train.learners.ppo import PPOLearner
from cogitate.train.scorer import ModelScorer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class LocalBackend:
    """Makes generators, graders and learners from model directories. The grader pool is started once and shared."""

    def __init__(self, config: Config):
        self.config = config
        self.device = pick_device(config.runtime.device)
        self.dtype = DTYPES[config.runtime.dtype]
        if config.runtime.threads:
            torch.set_num_threads(config.runtime.threads)
        self._grader: GraderPool | None = None

    def tokenizer(self, model_directory: Path) -> Tokenizer:
        return Tokenizer.load(model_directory)

    def generator(self, model_directory: Path) -> Engine:
        """An engine with weights of its own."""
        model = load_model(model_directory, dtype=self.dtype, device=self.device)
        end_ids = self.tokenizer(model_directory).end_ids
        runtime = self.config.runtime
        return Engine(model, end_id=end_ids, max_batch=runtime.max_batch, speculative=runtime.speculative)

    def learner(self, model_directory: Path, config: RLConfig) -> PolicyLearner:
        """A policy with its optimiser."""
        return PolicyLearner(self.policy(model_directory), config)

    def ppo_learner(self, model_directory: Path, reward_model: Path, config: PPOConfig) -> PPOLearner:
        """A policy, and a critic that starts as a reward model, with their optimisers."""
        return PPOLearner(self.policy(model_directory), self.value_model(reward_model), config)

    def policy(self, model_directory: Path) -> Transformer:
        """A model to be trained further, with adapters where runtime.lora_rank asks for them."""
        model = self.trainable(load_model(model_directory, dtype=self.dtype, device=self.device))
        runtime = self.config.runtime
        if runtime.lora_rank:
            torch.manual_seed(derive_seed("adapters", runtime.lora_rank))
            add_lora(model, rank=runtime.lora_rank, alpha=runtime.lora_alpha)
        return model

    def trainable(self, model: Transformer) -> Transformer:
        """A model as runtime.* asks for it to be trained, in place: its type, its device, gradient checkpointing."""
        model.gradient_checkpointing = self.config.runtime.gradient_checkpointing
        return model.to(device=self.device, dtype=self.dtype)

    def reward_model(self, model_directory: Path) -> ModelScorer:
        """A reward model that is only read."""
        return ModelScorer(self.value_model(model_directory))

    def value_model(self, model_directory: Path) -> ValueModel:
        """A reward model to go on from: a critic."""
        return load_value_model(model_directory, dtype=self.dtype, device=self.device)

    def grader(self) -> GraderPool:
        if self._grader is None:
            rewards = self.config.rewards
            self._grader = GraderPool(
                rewards.workers,
                rewards.seconds_limit,
                custom=rewards.custom or None,
                unsafe_local=rewards.unsafe_local,
                packages=read_packages(rewards.allowed_packages),
                remote_sandbox=rewards.remote_sandbox,
            )
        return self._grader

    def close(self) -> None:
        """End the workers."""
        if self._grader is not None:
            self._grader.close()
            self._grader = None
