"""Settings: sections of typed, validated keys. `recipe/settings.py` reads a recipe's from a TOML file and overrides."""

from cogitate.config.config import Config, StageRow, config_with
from cogitate.config.long2short import LengthPairsConfig, MergeConfig
from cogitate.config.parts import RewardPartConfig
from cogitate.config.probe import PROPOSED, ProbeConfig
from cogitate.config.prompts import PromptConfig, WorkedExample
from cogitate.config.section import Section, flatten
from cogitate.config.shared import (
    EndpointConfig,
    EvaluateConfig,
    JudgeConfig,
    RewardsConfig,
    RuntimeConfig,
    TasksConfig,
    TeacherConfig,
    TokenizerConfig,
)
from cogitate.config.stages import (
    AllScenarioConfig,
    ColdStartConfig,
    DemonstrationsConfig,
    DPOConfig,
    FineTuneConfig,
    PPOConfig,
    PreferenceDataConfig,
    PreferenceTrainingConfig,
    PretrainConfig,
    ProcessRewardModelConfig,
    ReasoningRLConfig,
    RejectionConfig,
    RewardModelsConfig,
    RLConfig,
    StudentBaseConfig,
    SupervisedConfig,
    WriteTestsConfig,
    ZeroRLConfig,
)

__all__ = [
    "PROPOSED",
    "AllScenarioConfig",
    "ColdStartConfig",
    "Config",
    "DPOConfig",
    "DemonstrationsConfig",
    "EndpointConfig",
    "EvaluateConfig",
    "FineTuneConfig",
    "JudgeConfig",
    "LengthPairsConfig",
    "MergeConfig",
    "PPOConfig",
    "PreferenceDataConfig",
    "PreferenceTrainingConfig",
    "PretrainConfig",
    "ProbeConfig",
    "ProcessRewardModelConfig",
    "PromptConfig",
    "RLConfig",
    "ReasoningRLConfig",
    "RejectionConfig",
    "RewardModelsConfig",
    "RewardPartConfig",
    "RewardsConfig",
    "RuntimeConfig",
    "Section",
    "StageRow",
    "StudentBaseConfig",
    "SupervisedConfig",
    "TasksConfig",
    "TeacherConfig",
    "TokenizerConfig",
    "WorkedExample",
    "WriteTestsConfig",
    "ZeroRLConfig",
    "config_with",
    "flatten",
]  # fmt: skip
