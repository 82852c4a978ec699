"""A recipe on the smallest budget that still goes through every branch: a few steps, prompts and rows of each stage."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cogitate.config import (
    AllScenarioConfig,
    BranchesConfig,
    ColdStartConfig,
    Config,
    DemonstrationsConfig,
    DrawsConfig,
    EvaluateConfig,
    FineTuneConfig,
    LengthPairsConfig,
    PassRatesConfig,
    PreferenceDataConfig,
    PreferenceTrainingConfig,
    PretrainConfig,
    ProbeConfig,
    ProcessRewardModelConfig,
    PruneConfig,
    RejectionConfig,
    RLConfig,
    SearchCurvesConfig,
    Section,
    ZeroRLConfig,
)

# The most of each setting; sections of a derived class take the limits of all their classes.
LIMITS: dict[type[Section], dict[str, int]] = {
    PretrainConfig: {
        "steps": 6, "rows": 4, "warmup_steps": 2, "held_out_documents": 6, "held_out_every": 3, "checkpoint_every": 2,
    },
    PruneConfig: {"texts": 8, "text_tokens": 16},
    FineTuneConfig: {"epochs": 1, "rows": 2, "warmup_steps": 2, "checkpoint_every": 2},
    PreferenceDataConfig: {"pairs": 24, "safety_prompts": 24, "max_new_tokens": 48},
    PreferenceTrainingConfig: {"epochs": 1, "batch": 4, "warmup_steps": 2, "checkpoint_every": 2},
    DemonstrationsConfig: {"problems": 16, "samples": 2, "max_new_tokens": 64},
    RLConfig: {
        "steps": 5, "prompts_per_step": 4, "group_size": 4, "max_new_tokens": 48, "warmup_steps": 2, "checkpoint_every": 2,
        "transcripts_every": 2, "partial_rollouts": 16, "easy_first_steps": 3, "length_weight_from_step": 2,
        "temperature_steps": 3,
    },
    AllScenarioConfig: {"general_from_step": 2, "general_prompts_per_step": 2},
    ProbeConfig: {"problems": 6, "sources": 4, "samples": 4, "max_new_tokens": 64},
    ColdStartConfig: {"problems": 12, "samples": 2, "max_new_tokens": 128},
    RejectionConfig: {"problems": 24, "samples": 2, "max_new_tokens": 128},
    LengthPairsConfig: {"problems": 24, "samples": 4, "max_new_tokens": 128},
    PassRatesConfig: {"samples": 2, "max_new_tokens": 48},
    DrawsConfig: {"prompts": 3, "samples": 8, "max_new_tokens": 48},
    SearchCurvesConfig: {"n": 2, "problems": 4, "max_new_tokens": 48},
    EvaluateConfig: {
        "problems": 10, "samples": 2, "general_problems": 4, "consensus_problems": 2, "consensus_samples": 3,
        "max_new_tokens": 48,
    },
}  # fmt: skip
CORPUS_DOCUMENTS, TRAIN_PROBLEMS = 400, 100
LENGTHS = (3, 6)  # of branches, which have no steps
STEPS_OF_POLICY = {"problems": 16, "samples": 2, "max_new_tokens": 48, "chunk": 8}  # a file of steps is read as it is


def shrink(config: Config, *, keep: Collection[str] = ()) -> Config:
    """The same recipe with every budget cut down; settings that are smaller already stay.

    Args:
        keep: sections to leave alone, e.g. those of stages whose artifact is shipped.
    """
    changed: dict[str, Any] = {}
    for name in type(config).model_fields:
        section = getattr(config, name)
        if isinstance(section, Section) and name not in keep:
            limits = {
                key: most for kind, of_kind in LIMITS.items() if isinstance(section, kind) for key, most in of_kind.items()
            }
            smaller: dict[str, Any] = {key: min(getattr(section, key), most) for key, most in limits.items()}
            if isinstance(section, ZeroRLConfig):  # a probe would propose larger budgets
                smaller["from_probe"] = tuple(key for key in section.from_probe if key not in limits)
            if isinstance(section, BranchesConfig):
                smaller |= {"steps": section.steps, "lengths": LENGTHS}
            if isinstance(section, ProbeConfig):  # steps are not left to it
                smaller |= {key: ProbeConfig.model_fields[key].default for key in ("minutes", "tokens_per_second")}
            if isinstance(section, ProcessRewardModelConfig) and section.labels != "file":
                smaller |= {key: min(getattr(section, key), most) for key, most in STEPS_OF_POLICY.items()}
            changed[name] = section.model_copy(update=smaller)
    changed["tasks"] = config.tasks.model_copy(update={"train_problems": min(config.tasks.train_problems, TRAIN_PROBLEMS)})
    if "tokenizer" not in keep:
        documents = min(config.tokenizer.corpus_documents, CORPUS_DOCUMENTS)
        changed["tokenizer"] = config.tokenizer.model_copy(update={"corpus_documents": documents})
    return type(config).model_validate(config.model_copy(update=changed).model_dump())
