"""The kinds of stages that a recipe may be made of. Facts alone: the work is in `stages/`, a file for each."""

from __future__ import annotations

from cogitate.config import (
    AllScenarioConfig,
    ColdStartConfig,
    DemonstrationsConfig,
    DPOConfig,
    FineTuneConfig,
    PPOConfig,
    PreferenceDataConfig,
    PretrainConfig,
    PromptConfig,
    ReasoningRLConfig,
    RejectionConfig,
    RewardModelsConfig,
    StudentBaseConfig,
    TeacherConfig,
    ZeroRLConfig,
)
from cogitate.recipe.stage import Kind

STAGES = "cogitate.recipe.stages"
TEACHER, PREFERENCE_DATA = "teacher", "preferences"  # sections that no stage is named after, or not in every graph
EVALUATION = "evaluation.json"  # of kind evaluate: {"<task>": {"pass@1": {"value", "ci95"}, ...}, "all": {...}}

TRAINING = ("runtime.dtype", "runtime.lora_rank", "runtime.lora_alpha")
SAMPLING = ("runtime.dtype", "runtime.max_batch")
GENERAL_PROMPTS = ("tasks.general", "tasks.train_problems")
READ_BY_RL = ("seed", "tasks", "rewards", "{stage}", *TRAINING, "runtime.max_batch")
READ_BY_PREFERENCES = ("seed", *GENERAL_PROMPTS, PREFERENCE_DATA, *SAMPLING)


def prompt_of(stages: str) -> tuple[str, ...]:
    """Every setting of how these stages ask."""
    return tuple(f"{stages}.{key}" for key in PromptConfig.model_fields)


PRETRAIN = Kind(
    "pretrain", f"{STAGES}.pretrain", PretrainConfig, reads=("tokenizer", "model", "{stage}", "runtime.dtype"), version=2
)
PRETRAIN_STUDENT = Kind(
    "pretrain_student", f"{STAGES}.pretrain_student", StudentBaseConfig, reads=("tokenizer", "{stage}", "runtime.dtype")
)
PRUNE = Kind(
    "prune", f"{STAGES}.prune", StudentBaseConfig, reads=("{stage}.every_nth_layer", "runtime.dtype"), may_be_shipped=False
)
RL_ZERO = Kind("rl_zero", f"{STAGES}.rl_zero", ZeroRLConfig, reads=READ_BY_RL, version=2)
REASONING_RL = Kind("reasoning_rl", f"{STAGES}.reasoning_rl", ReasoningRLConfig, reads=READ_BY_RL, version=2)
ALL_SCENARIO_RL = Kind("all_scenario_rl", f"{STAGES}.all_scenario_rl", AllScenarioConfig, reads=READ_BY_RL, version=2)
FINE_TUNE = Kind("fine_tune", f"{STAGES}.fine_tune", FineTuneConfig, reads=("seed", "{stage}", *TRAINING), version=2)
COLD_START_DATA = Kind(
    "cold_start_data",
    f"{STAGES}.cold_start_data",
    ColdStartConfig,
    reads=(
        "seed", "tasks", "rewards", TEACHER, "{stage}", *prompt_of("{inputs}"), "{inputs}.open_thinking", *SAMPLING,
    ),
    version=2,
    sections={TEACHER: TeacherConfig},
    makes_model=False,
)  # fmt: skip
REJECTION_SAMPLING = Kind(
    "rejection_sampling",
    f"{STAGES}.rejection_sampling",
    RejectionConfig,
    reads=("seed", "tasks", "rewards", "{stage}", "evaluate.problems", *prompt_of("{inputs}"), *SAMPLING),
    version=2,
    makes_model=False,
)
REWARD_MODELS = Kind(
    "reward_models",
    f"{STAGES}.reward_models",
    RewardModelsConfig,
    reads=(*READ_BY_PREFERENCES, "{stage}"),
    version=2,
    sections={PREFERENCE_DATA: PreferenceDataConfig},
    makes_model=False,
)
EVALUATE = Kind(
    "evaluate",
    f"{STAGES}.evaluate",
    settings=None,
    reads=("seed", "tasks", "rewards", "evaluate", *SAMPLING, *prompt_of("{all}"), "{all}.open_thinking"),
    version=4,
    makes_model=False,
)  # fmt: skip

# InstructGPT's (arXiv:2203.02155), and DPO.
DEMONSTRATIONS = Kind(
    "demonstrations",
    f"{STAGES}.instruct_gpt.demonstrations",
    DemonstrationsConfig,
    reads=(*READ_BY_PREFERENCES, "{stage}"),
    version=2,
    sections={PREFERENCE_DATA: PreferenceDataConfig},
    makes_model=False,
)
PREFERENCES = Kind(
    "preferences",
    f"{STAGES}.instruct_gpt.preferences",
    PreferenceDataConfig,
    reads=READ_BY_PREFERENCES,
    version=2,
    sections={PREFERENCE_DATA: PreferenceDataConfig},
    makes_model=False,
)
PPO = Kind(
    "ppo",
    f"{STAGES}.instruct_gpt.ppo",
    PPOConfig,
    reads=("seed", *GENERAL_PROMPTS, "{stage}", *TRAINING, "runtime.max_batch"),
    version=2,
)
DPO = Kind("dpo", f"{STAGES}.instruct_gpt.dpo", DPOConfig, reads=("seed", "{stage}", *TRAINING), version=2)
