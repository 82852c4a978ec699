"""The kinds of stages that a recipe may be made of. Facts alone: the work is in `stages/`, a file for each."""

from __future__ import annotations

from dataclasses import replace

from cogitate.config import (
    PROPOSED,
    AllScenarioConfig,
    BranchesConfig,
    ColdStartConfig,
    DemonstrationsConfig,
    DPOConfig,
    DrawsConfig,
    FineTuneConfig,
    LengthPairsConfig,
    MergeConfig,
    PassRatesConfig,
    PPOConfig,
    PreferenceDataConfig,
    PretrainConfig,
    ProbeConfig,
    ProcessRewardModelConfig,
    ProcessRLConfig,
    PromptConfig,
    PruneConfig,
    ReasoningRLConfig,
    RejectionConfig,
    RewardModelsConfig,
    SearchCurvesConfig,
    StudentBaseConfig,
    TeacherConfig,
    WriteTestsConfig,
    ZeroRLConfig,
)
from cogitate.recipe.stage import GIVEN, Kind, Need

STAGES = "cogitate.recipe.stages"
TEACHER, PREFERENCE_DATA = "teacher", "preferences"  # sections that no stage is named after, or not in every graph
EVALUATION = "evaluation.json"  # of kind evaluate: {"<task>": {"pass@1": {"value", "ci95"}, ...}, "all": {...}}

TRAINING = ("runtime.dtype", "runtime.lora_rank", "runtime.lora_alpha")
GENERATION = ("runtime.max_batch", "runtime.weight_bits", "runtime.activation_bits", "runtime.cache_bits")
SAMPLING = ("runtime.dtype", *GENERATION)
# What decides a verdict; the other settings of `rewards` weigh the parts of RL's reward.
GRADING = ("rewards.custom", "rewards.allowed_packages", "rewards.unsafe_local", "rewards.seconds_limit")
GENERAL_PROMPTS = ("tasks.general", "tasks.train_problems", "tasks.too_long")
OPEN_STEPS = "{stage}.steps"  # of RL: its learning rate is constant after the warm-up
READ_BY_RL = ("seed", "tasks", "rewards", "judge", "{stage}", *TRAINING, *GENERATION)
USED_BY_RL = ("tasks.train", "rewards.parts")
READ_BY_PREFERENCES = ("seed", *GENERAL_PROMPTS, PREFERENCE_DATA, *SAMPLING)

MODEL, PREFERENCE_PAIRS, JUDGES = Need("model"), Need("preferences"), Need("reward models")
PROPOSAL = Need("proposal", optional=True)


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
    "prune", f"{STAGES}.prune", PruneConfig, reads=("{stage}", "runtime.dtype"), needs=(MODEL,),
    may_be_shipped=False,
)  # fmt: skip
PROBE = Kind(
    "probe",
    f"{STAGES}.probe",
    ProbeConfig,
    reads=(
        "seed", "tasks", *GRADING, "judge", "{stage}", *SAMPLING, *prompt_of("{all}"), *(f"{{all}}.{key}" for key in PROPOSED),
        "{all}.top_p", "{all}.from_probe",
    ),
    needs=(MODEL,),
    makes="proposal",
    may_be_shipped=False,
    uses=("tasks.train",),
)  # fmt: skip
RL_ZERO = Kind(
    "rl_zero",
    f"{STAGES}.rl_zero",
    ZeroRLConfig,
    reads=READ_BY_RL,
    version=2,
    needs=(MODEL, PROPOSAL),
    uses=USED_BY_RL,
    open_steps=OPEN_STEPS,
)
REASONING_RL = Kind(
    "reasoning_rl",
    f"{STAGES}.reasoning_rl",
    ReasoningRLConfig,
    reads=READ_BY_RL,
    version=2,
    needs=(MODEL, Need("pass rates", optional=True)),
    uses=USED_BY_RL,
    open_steps=OPEN_STEPS,
)
ALL_SCENARIO_RL = Kind(
    "all_scenario_rl",
    f"{STAGES}.all_scenario_rl",
    AllScenarioConfig,
    reads=READ_BY_RL,
    version=2,
    needs=(MODEL, JUDGES),
    uses=USED_BY_RL,
    open_steps=OPEN_STEPS,
)
FINE_TUNE = Kind(
    "fine_tune",
    f"{STAGES}.fine_tune",
    FineTuneConfig,
    reads=("seed", "{stage}", *TRAINING),
    version=2,
    needs=(MODEL, Need("conversations")),
)
# Of models that think in R1's form: what they write can be learnt from as it is.
IN_R1_FORM = (FINE_TUNE.name, REASONING_RL.name, ALL_SCENARIO_RL.name, "ppo", "dpo", "merge", "process_rl", GIVEN)
COLD_START_DATA = Kind(
    "cold_start_data",
    f"{STAGES}.cold_start_data",
    ColdStartConfig,
    reads=(
        "seed", "tasks", *GRADING, "judge", TEACHER, "{stage}", *prompt_of("{inputs}"), "{inputs}.open_thinking",
        "{inputs}.from_probe", *SAMPLING,
    ),
    version=2,
    sections={TEACHER: TeacherConfig},
    needs=(MODEL, Need("model", kinds=(RL_ZERO.name,))),
    makes="conversations",
    uses=("tasks.train",),
)  # fmt: skip
REJECTION_SAMPLING = Kind(
    "rejection_sampling",
    f"{STAGES}.rejection_sampling",
    RejectionConfig,
    reads=("seed", "tasks", *GRADING, "judge", "{stage}", "evaluate.problems", *prompt_of("{inputs}"), *SAMPLING),
    version=2,
    needs=(Need("model", kinds=IN_R1_FORM), replace(MODEL, optional=True)),
    makes="conversations",
    uses=("tasks.train", "judge"),
)
WRITE_TESTS = Kind(
    "write_tests",
    f"{STAGES}.unit_tests.write_tests",
    WriteTestsConfig,
    reads=("seed", "tasks", *GRADING, "judge", "{stage}", *prompt_of("{inputs}"), *SAMPLING),
    needs=(Need("model", kinds=IN_R1_FORM),),
    makes="problems",
    may_be_shipped=False,
    uses=("tasks.train",),
)
REWARD_MODELS = Kind(
    "reward_models",
    f"{STAGES}.reward_models",
    RewardModelsConfig,
    reads=(*READ_BY_PREFERENCES, "judge", "{stage}"),
    version=2,
    sections={PREFERENCE_DATA: PreferenceDataConfig},
    needs=(MODEL, replace(PREFERENCE_PAIRS, optional=True)),
    makes="reward models",
    uses=("judge",),
)
EVALUATE = Kind(
    "evaluate",
    f"{STAGES}.evaluate",
    settings=None,
    reads=(
        "seed", "tasks", *GRADING, "judge", "evaluate", *SAMPLING, *prompt_of("{all}"), "{all}.open_thinking",
        "{all}.from_probe",
    ),
    version=4,
    needs=(MODEL,),
    makes="metrics",
)  # fmt: skip

# Of steps (Math-Shepherd, arXiv:2312.08935; OmegaPRM, arXiv:2406.06592).
PROCESS_REWARD_MODEL = Kind(
    "process_reward_model",
    f"{STAGES}.process_rewards.stage",
    ProcessRewardModelConfig,
    reads=(
        "seed", "tasks", *GRADING, "{stage}", *SAMPLING, *prompt_of("{all}"), "{all}.open_thinking", "{all}.from_probe",
    ),
    needs=(MODEL,),
    makes="process reward model",
    may_be_shipped=False,
    uses=("tasks.train",),
)  # fmt: skip

PROCESS_RL = Kind(
    "process_rl",
    f"{STAGES}.process_rewards.rl",
    ProcessRLConfig,
    reads=READ_BY_RL,
    needs=(MODEL, Need("process reward model")),
    may_be_shipped=False,
    uses=USED_BY_RL,
    open_steps=OPEN_STEPS,
)

# What RL and experiments build on.
PASS_RATES = Kind(
    "pass_rates",
    f"{STAGES}.measuring.pass_rates",
    PassRatesConfig,
    reads=("seed", "tasks", *GRADING, "{stage}", *prompt_of("{inputs}"), *SAMPLING),
    needs=(Need("model", kinds=IN_R1_FORM),),
    makes="pass rates",
    may_be_shipped=False,
    uses=("tasks.train",),
)
DRAWS = Kind(
    "draws",
    f"{STAGES}.measuring.draws",
    DrawsConfig,
    reads=("seed", "tasks.general", "tasks.eval_seed", "tasks.too_long", "{stage}", *prompt_of("{inputs}"), *SAMPLING),
    needs=(MODEL,),
    makes="draws",
    may_be_shipped=False,
)
BEST_OF_N = Kind(
    "best_of_n",
    f"{STAGES}.measuring.best_of_n",
    settings=None,
    reads=("runtime.dtype",),
    needs=(Need("draws"), JUDGES),
    makes="metrics",
    may_be_shipped=False,
)
SEARCH_CURVES = Kind(
    "search_curves",
    f"{STAGES}.measuring.search_curves",
    SearchCurvesConfig,
    reads=(
        "seed", "tasks", *GRADING, "{stage}", *SAMPLING, *prompt_of("{all}"), "{all}.open_thinking", "{all}.from_probe",
    ),
    needs=(MODEL, Need("process reward model", optional=True)),
    makes="metrics",
    may_be_shipped=False,
)  # fmt: skip
PRETRAIN_BRANCHES = Kind(
    "pretrain_branches",
    f"{STAGES}.scaling.branches",
    BranchesConfig,
    reads=("tokenizer", "{stage}", "tasks.eval", "tasks.eval_seed", "runtime.dtype"),
    may_be_shipped=False,
)

# InstructGPT's (arXiv:2203.02155), and DPO.
DEMONSTRATIONS = Kind(
    "demonstrations",
    f"{STAGES}.instruct_gpt.demonstrations",
    DemonstrationsConfig,
    reads=(
        "seed", *GENERAL_PROMPTS, f"{PREFERENCE_DATA}.judgements", f"{PREFERENCE_DATA}.judge_noise", *SAMPLING, "{stage}",
    ),
    version=2,
    sections={PREFERENCE_DATA: PreferenceDataConfig},
    needs=(MODEL,),
    makes="conversations",
)  # fmt: skip
PREFERENCES = Kind(
    "preferences",
    f"{STAGES}.instruct_gpt.preferences",
    settings=None,  # of its own: all stages that judge share one section
    reads=(*READ_BY_PREFERENCES, "judge"),
    version=2,
    sections={PREFERENCE_DATA: PreferenceDataConfig},
    needs=(MODEL,),
    makes="preferences",
    uses=("judge",),
)
PPO = Kind(
    "ppo",
    f"{STAGES}.instruct_gpt.ppo",
    PPOConfig,
    reads=("seed", *GENERAL_PROMPTS, "{stage}", *TRAINING, *GENERATION),
    version=2,
    needs=(MODEL, JUDGES),
    open_steps=OPEN_STEPS,
)
DPO = Kind(
    "dpo",
    f"{STAGES}.instruct_gpt.dpo",
    DPOConfig,
    reads=("seed", "{stage}", *TRAINING),
    version=2,
    needs=(MODEL, PREFERENCE_PAIRS),
)

# Kimi k1.5's long2short (arXiv:2501.12599), beside rejection sampling of the shortest, DPO and RL with a length reward.
MERGE = Kind(
    "merge",
    f"{STAGES}.long2short.merge",
    MergeConfig,
    reads=("{stage}", "runtime.dtype"),
    needs=(MODEL, MODEL),
    may_be_shipped=False,
)
LENGTH_PAIRS = Kind(
    "length_pairs",
    f"{STAGES}.long2short.length_pairs",
    LengthPairsConfig,
    reads=("seed", "tasks", *GRADING, "{stage}", *prompt_of("{inputs}"), *SAMPLING),
    needs=(Need("model", kinds=IN_R1_FORM),),
    makes="preferences",
    uses=("tasks.train",),
)

# What a recipe's own graph may be made of; the measuring of its models is added to it.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        PRETRAIN, PRETRAIN_STUDENT, PRUNE, PROBE, RL_ZERO, REASONING_RL, ALL_SCENARIO_RL, FINE_TUNE, COLD_START_DATA,
        REJECTION_SAMPLING, WRITE_TESTS, REWARD_MODELS, PROCESS_REWARD_MODEL, DEMONSTRATIONS, PREFERENCES, PPO, DPO, MERGE,
        LENGTH_PAIRS, PROCESS_RL, PASS_RATES, DRAWS, BEST_OF_N, SEARCH_CURVES, PRETRAIN_BRANCHES,
    )
}  # fmt: skip
