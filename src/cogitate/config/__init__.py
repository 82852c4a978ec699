"""Settings: sections of typed, validated keys. `recipe/settings.py` reads a recipe's from a TOML file and overrides."""

from cogitate.config.cluster import ClusterConfig
from cogitate.config.config import Config, StageRow, config_with
from cogitate.config.parts import RewardPartConfig
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
from cogitate.config.stages.data import (
    ColdStartConfig,
    DemonstrationsConfig,
    PreferenceDataConfig,
    RejectionConfig,
    WriteTestsConfig,
)
from cogitate.config.stages.long2short import LengthPairsConfig, MergeConfig
from cogitate.config.stages.measuring import DrawsConfig, PassRatesConfig, SearchCurvesConfig
from cogitate.config.stages.preferences import DPOConfig, PreferenceTrainingConfig, ProcessRewardModelConfig, RewardModelsConfig
from cogitate.config.stages.probe import PROPOSED, ProbeConfig
from cogitate.config.stages.rl import AllScenarioConfig, PPOConfig, ProcessRLConfig, ReasoningRLConfig, RLConfig, ZeroRLConfig
from cogitate.config.stages.supervised import (
    BranchesConfig,
    FineTuneConfig,
    PretrainConfig,
    PruneConfig,
    StudentBaseConfig,
    SupervisedConfig,
)

__all__ = [
    "PROPOSED",
    "AllScenarioConfig",
    "BranchesConfig",
    "ClusterConfig",
    "ColdStartConfig",
    "Config",
    "DPOConfig",
    "DemonstrationsConfig",
    "DrawsConfig",
    "EndpointConfig",
    "EvaluateConfig",
    "FineTuneConfig",
    "JudgeConfig",
    "LengthPairsConfig",
    "MergeConfig",
    "PPOConfig",
    "PassRatesConfig",
    "PreferenceDataConfig",
    "PreferenceTrainingConfig",
    "PretrainConfig",
    "ProbeConfig",
    "ProcessRLConfig",
    "ProcessRewardModelConfig",
    "PromptConfig",
    "PruneConfig",
    "RLConfig",
    "ReasoningRLConfig",
    "RejectionConfig",
    "RewardModelsConfig",
    "RewardPartConfig",
    "RewardsConfig",
    "RuntimeConfig",
    "SearchCurvesConfig",
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
