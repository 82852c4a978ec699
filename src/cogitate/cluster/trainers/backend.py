"""A backend whose models are trained by processes of their own, where `cluster.trainers` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from cogitate.backend import LabelLearner, PairLearner, PolicyLearner, StepLearner, SupervisedLearner
from cogitate.cluster.trainers.learner import (
    ItemsTrainedTogether,
    PolicyTrainedTogether,
    RowsTrainedTogether,
    TrainedTogether,
)
from cogitate.config import Config, DPOConfig, PPOConfig, PreferenceTrainingConfig, RLConfig, SupervisedConfig
from cogitate.config.section import Section
from cogitate.recipe.local_backend import OneProcess

Kind = TypeVar("Kind", bound=TrainedTogether)


class WithTrainers(OneProcess):
    """The laptop's parts, with learners in processes of their own if there are to be trainers.

    Args:
        directory: for logs and the record of deaths.
        say: takes a line that a person should read.
    """

    def __init__(self, config: Config, directory: Path, answers: Path | None = None, say: Callable[[str], None] = print):
        super().__init__(config, answers)
        self._directory, self._say = directory, say
        self._learners = WeakSet[TrainedTogether]()

    @property
    def device_name(self) -> str:
        trainers = self.config.cluster.trainers
        return f"{super().device_name}, {trainers} trainers" if trainers > 1 else super().device_name

    def policy_learner(self, model: Path, settings: RLConfig) -> PolicyLearner:
        if not self.config.cluster.trainers:
            return super().policy_learner(model, settings)
        return self._together(PolicyTrainedTogether, "policy_learner", [model], settings)

    def ppo_learner(self, model: Path, reward_model: Path, settings: PPOConfig) -> PolicyLearner:
        if not self.config.cluster.trainers:
            return super().ppo_learner(model, reward_model, settings)
        return self._together(PolicyTrainedTogether, "ppo_learner", [model, reward_model], settings)

    def supervised_learner(self, model: Path, settings: SupervisedConfig, *, adapters: bool) -> SupervisedLearner:
        if not self.config.cluster.trainers:
            return super().supervised_learner(model, settings, adapters=adapters)
        return self._together(RowsTrainedTogether, "supervised_learner", [model], settings, adapters=adapters)

    def helpfulness_learner(
        self, model: Path, settings: PreferenceTrainingConfig, *, head_seed: int | None = None
    ) -> PairLearner:
        if not self.config.cluster.trainers:
            return super().helpfulness_learner(model, settings, head_seed=head_seed)
        return self._together(ItemsTrainedTogether, "helpfulness_learner", [model], settings, head_seed=head_seed)

    def safety_learner(self, model: Path, settings: PreferenceTrainingConfig, *, head_seed: int | None = None) -> LabelLearner:
        if not self.config.cluster.trainers:
            return super().safety_learner(model, settings, head_seed=head_seed)
        return self._together(ItemsTrainedTogether, "safety_learner", [model], settings, head_seed=head_seed)

    def process_learner(self, model: Path, settings: PreferenceTrainingConfig) -> StepLearner:
        if not self.config.cluster.trainers:
            return super().process_learner(model, settings)
        return self._together(ItemsTrainedTogether, "process_learner", [model], settings)

    def dpo_learner(self, model: Path, settings: DPOConfig) -> PairLearner:
        if not self.config.cluster.trainers:
            return super().dpo_learner(model, settings)
        return self._together(ItemsTrainedTogether, "dpo_learner", [model], settings)

    def close(self) -> None:
        try:
            for learner in list(self._learners):
                learner.close()
        finally:
            super().close()

    def _together(self, kind: type[Kind], method: str, models: Sequence[Path], settings: Section, **options: Any) -> Kind:
        models = [model.resolve() for model in models]
        learner = kind(self.config, method, models, settings, directory=self._directory, say=self._say, **options)
        self._learners.add(learner)
        return learner
