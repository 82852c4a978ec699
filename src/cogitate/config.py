"""Settings: a TOML file plus dotted overrides becomes one frozen, validated Config.

Every setting is `section.key`; an unknown key is an error that names the nearest one. Keys that cannot change a result
(how often to checkpoint, say) are marked with `not_in_identity`, so that changing them repeats no finished stage.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cogitate.errors import ConfigError

PRESETS = Path(__file__).parent / "recipe" / "presets"
DATA_VARIABLE = "$COGITATE_DATA"


def not_in_identity(default: Any, **constraints: Any) -> Any:
    """A setting that cannot change a result: it stays out of artifact ids."""
    return Field(default, json_schema_extra={"identity": False}, **constraints)


def in_identity_where_set(default: Any, **constraints: Any) -> Any:
    """A setting that came later: it is part of artifact ids only where it differs from its default, so that older ids stay."""
    return Field(default, json_schema_extra={"identity": "where set"}, **constraints)


class Section(BaseModel):
    """Base of all sections: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """The keys that can change a result, JSON-ready; sections within are nested."""
        kept: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            rule = info.json_schema_extra.get("identity") if isinstance(info.json_schema_extra, dict) else True
            if rule is False or (rule == "where set" and value == info.default):
                continue
            kept[name] = identity_of(value)
        return kept


def identity_of(value: Any) -> Any:
    """A setting as artifact ids hold it."""
    if isinstance(value, tuple):
        return [identity_of(item) for item in value]
    return value.identity() if isinstance(value, Section) else value


class TasksConfig(Section):
    """Where problems come from: names of built-in tasks, gym:NAME of reasoning-gym, or paths of JSON Lines files."""

    train: str = "arithmetic,word_problems,code,logic,choice"
    eval: str = "arithmetic,word_problems,code,logic,choice"
    train_problems: int = Field(4000, ge=1)  # size of the pool drawn from built-in generators
    eval_seed: int = 0  # of the built-in evaluation problems: the same ones for every seed of a run
    general: str = "general,safety"  # prompts judged by reward models and, in evaluation, by their true scores
    gym: dict[str, dict[str, Any]] = Field(default_factory=dict)  # settings of reasoning-gym's tasks: gym.chain_sum.min_terms
    skip_code_without_sandbox: bool = False  # go on without the code task where model-written code cannot be isolated
    # Of a file named in both train and eval, this share is for evaluation alone: split by number-masked template, near copies
    # left out of training.
    held_out_share: float = in_identity_where_set(0.0, ge=0, lt=1)


class TokenizerConfig(Section):
    vocab_size: int = Field(1536, ge=300)
    corpus_documents: int = Field(20_000, ge=1)


class SupervisedConfig(Section):
    """Next-token training on packed rows: pretraining, SFT and distillation are the same loop."""

    rows: int = Field(32, ge=1)  # packed rows per optimiser step
    row_tokens: int = Field(256, ge=16)
    micro_rows: int = Field(16, ge=1)  # rows per forward and backward pass
    optimiser: Literal["adamw", "muon"] = "adamw"  # muon: matrices by Muon, the rest by AdamW
    learning_rate: float = Field(2e-3, gt=0)
    final_learning_rate: float = Field(2e-4, ge=0)
    warmup_steps: int = Field(50, ge=0)
    weight_decay: float = Field(0.1, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    mtp_weight: float = Field(0.3, ge=0)
    router_bias_step: float = Field(0.001, ge=0)  # gamma, the speed of the bias that balances experts
    checkpoint_every: int = not_in_identity(200, ge=1)


class PretrainConfig(SupervisedConfig):
    """The base stage: next-token and multi-token prediction over the generated corpus (DeepSeek-V3, section 4)."""

    seed: int = 0  # of its own, so that runs of several seeds start from one base model
    steps: int = Field(1500, ge=1)
    held_out_documents: int = Field(500, ge=1)
    held_out_every: int = not_in_identity(250, ge=1)


class RLConfig(Section):
    """GRPO (DeepSeekMath, section 4.1; R1, section 2.2) and its variants."""

    steps: int = Field(40, ge=1)
    prompts_per_step: int = Field(24, ge=1)
    group_size: int = Field(12, ge=2)
    max_new_tokens: int = Field(192, ge=1)
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    learning_rate: float = Field(1e-4, gt=0)
    warmup_steps: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    inner_epochs: int = Field(1, ge=1)
    minibatches: int = Field(1, ge=1)  # optimiser steps per rollout batch
    clip_eps_low: float = Field(0.2, gt=0)
    clip_eps_high: float = Field(0.2, gt=0)  # larger than clip_eps_low: DAPO's clip-higher
    kl_beta: float = Field(0.001, ge=0)
    reference_refresh_steps: int = Field(400, ge=1)  # optimiser steps between replacements of the reference by the policy
    loss_average: Literal["sequence", "token", "dr_grpo"] = "sequence"
    scale_by_std: bool = True  # False is Dr. GRPO
    dynamic_sampling: bool = False  # DAPO: draw further prompts in place of dead groups
    dynamic_sampling_batches: int = Field(3, ge=1)
    importance_cap: float = Field(2.0, gt=0)  # truncated importance sampling between sampler and learner
    dead_steps_limit: int = Field(20, ge=1)  # steps without any learning signal in a row before the stage stops
    checkpoint_every: int = not_in_identity(10, ge=1)
    transcripts_every: int = not_in_identity(5, ge=1)
    # chat: asked through the model's own chat template. turn, of fine-tuned models: the question alone, as SFT showed it.
    prompt: Literal["plain", "chat", "turn"] = in_identity_where_set("plain")
    # Prompts of the first so many steps come from the easiest third of the pool, then from more and more of it; 0: from all.
    easy_first_steps: int = in_identity_where_set(0, ge=0)


class WorkedExample(Section):
    """A solved problem as R1-Zero's format has it: <think> thinking </think> <answer> answer </answer>."""

    question: str = Field(min_length=1)
    thinking: str = Field(min_length=1)
    answer: str = Field(min_length=1)


class ZeroRLConfig(RLConfig):
    """RL on a base model, which knows no format: how much of it the prompt shows (R1-Zero's template shows none)."""

    worked_examples: tuple[WorkedExample, ...] = in_identity_where_set(())  # earlier turns before the question
    open_thinking: bool = in_identity_where_set(False)  # the prompt ends in <think>

    @model_validator(mode="after")
    def _base_knows_no_turn_of_sft(self) -> ZeroRLConfig:
        if self.prompt == "turn":
            raise ValueError("prompt turn is of fine-tuned models: here it is plain or chat")
        return self


class FineTuneConfig(SupervisedConfig):
    """SFT on conversations (R1, supplement B.4.3): whole epochs over packed rows."""

    epochs: int = Field(2, ge=1)


class StudentBaseConfig(PretrainConfig):
    """A dense student's base model, pretrained on the corpus the base model read."""

    model: dict[str, Any] = Field(default_factory=dict)  # a Hugging Face config.json
    every_nth_layer: int = in_identity_where_set(0, ge=0)  # of base, instead of pretraining; only in graph r1_pruned_student


class TeacherConfig(Section):
    """Who writes the cold start's few-shot and direct answers: our own models, or any OpenAI-compatible endpoint."""

    base_url: str = ""  # e.g. http://localhost:8000/v1; empty: base (few-shot) and R1-Zero (direct)
    model: str = ""  # the endpoint's name of its model
    api_key_variable: str = not_in_identity("OPENAI_API_KEY")  # environment variable that holds the key, if one is wanted
    seconds_limit: float = not_in_identity(60.0, gt=0)  # for one answer
    parallel: int = not_in_identity(4, ge=1)  # questions asked at the same time


class ColdStartConfig(Section):
    """The four collectors of cold-start data (R1, section 2.3.1 and supplement)."""

    problems: int = Field(200, ge=1)  # training problems each collector asks
    samples: int = Field(4, ge=1)  # completions of each
    per_problem: int = Field(1, ge=1)  # rows kept of each problem and collector
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    review: str = ""  # a review.jsonl of human decisions: {"id": ..., "decision": "accept" | "edit" | "reject", "text": ...}
    items: str = ""  # the items.jsonl of an earlier run, as reviewed: its candidates are taken in place of asking again


class RejectionConfig(Section):
    """Rejection sampling for SFT data (R1, section 2.3.3)."""

    problems: int = Field(1200, ge=1)  # reasoning prompts
    samples: int = Field(4, ge=1)
    per_problem: int = Field(1, ge=1)  # correct and readable completions kept of each, the most different ones
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    general_share: float = Field(0.25, ge=0, lt=1)  # of all rows [about 200 k of 800 k]
    overlap_ngram: int = Field(13, ge=2)  # words; decontamination of real text
    overlap_limit: float = Field(0.5, gt=0, le=1)  # share of n-grams a row may share with an evaluation problem
    compare_templates: bool = True  # of real text: a problem of the evaluation with other numbers is dropped
    smallest_kept_share: float = Field(0.5, ge=0, le=1)  # decontamination that drops more than the rest is refused


class PreferenceDataConfig(Section):
    """Candidate answers of the stage's model, compared in pairs and labelled safe or unsafe (R1, supplement)."""

    pairs: int = Field(1500, ge=1)  # wanted; at most so many prompts are asked for them [66 k]
    samples: int = Field(4, ge=2)  # candidates of each prompt
    pairs_per_prompt: int = Field(2, ge=1)
    safety_prompts: int = Field(1000, ge=1)  # [106 k]
    unsafe_share: float = Field(0.2, ge=0, lt=0.5)  # of the labelled completions: harmful prompts are asked again until then
    judgements: int = Field(4, ge=2, multiple_of=2)  # of each pair, half of them with positions swapped [4]
    judge_noise: float = Field(0.1, ge=0)  # deviation of one judgement of a completion's true score
    position_bias: float = Field(0.05, ge=0)  # what the judge adds to the completion it reads first
    margin: float = Field(0.1, ge=0)  # pairs whose mean gap is smaller are dropped
    length_ratio: float = Field(2.0, ge=1)  # the longer answer of a pair has at most so many times the tokens
    temperature: float = Field(1.0, gt=0)
    max_new_tokens: int = Field(96, ge=1)
    pairs_file: str = ""  # preferences in TRL's format instead of drawn ones (prompt, chosen, rejected)
    labels_file: str = ""  # labelled completions instead of drawn ones (prompt, completion, label: true is safe), or such pairs


class PreferenceTrainingConfig(Section):
    """The loop over preferences: reward models and DPO."""

    epochs: int = Field(1, ge=1)
    batch: int = Field(32, ge=1)  # pairs, or labelled completions, of an optimiser step
    micro_tokens: int = Field(4096, ge=1)  # padded tokens of a forward and backward pass
    learning_rate: float = Field(3e-4, gt=0)
    final_learning_rate: float = Field(3e-5, ge=0)
    warmup_steps: int = Field(5, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    checkpoint_every: int = not_in_identity(50, ge=1)


class RewardModelsConfig(PreferenceTrainingConfig):
    """Pairwise helpfulness and pointwise safety models (R1, supplement: batch 256, lr 6e-6, one epoch)."""

    held_out_share: float = Field(0.1, gt=0, lt=1)  # of the prompts
    held_out_file: str = in_identity_where_set("")  # further pairs that helpfulness is measured on, never learnt from
    longest: int = in_identity_where_set(0, ge=0)  # tokens of a text, prompt included; longer ones are left out. 0: the context


class DPOConfig(PreferenceTrainingConfig):
    """Direct preference optimisation (arXiv:2305.18290), its conservative form, or IPO (arXiv:2310.12036)."""

    loss: Literal["dpo", "conservative_dpo", "ipo"] = "dpo"
    beta: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)  # of conservative_dpo: the share of pairs taken to be the wrong way round

    @model_validator(mode="after")
    def _smoothing_belongs_to_one_loss(self) -> DPOConfig:
        if self.label_smoothing and self.loss != "conservative_dpo":
            raise ValueError(f"label_smoothing belongs to loss conservative_dpo, and loss is {self.loss}")
        return self


class DemonstrationsConfig(Section):
    """Conversations to begin with: the base model's own answers to general prompts that a judge found good."""

    problems: int = Field(600, ge=1)
    samples: int = Field(4, ge=1)
    threshold: float = Field(0.5, ge=0, le=1)  # of the judged helpfulness; the best answer above it is kept
    temperature: float = Field(0.8, gt=0)
    max_new_tokens: int = Field(96, ge=1)


class PPOConfig(RLConfig):
    """PPO with a critic (InstructGPT, arXiv:2203.02155, section 3.5).

    `kl_beta` is the price of a nat of distance from the SFT model in the per-token reward, and `scale_by_std` whitens the
    advantages.
    """

    group_size: int = Field(4, ge=2)
    kl_beta: float = Field(0.02, ge=0)
    loss_average: Literal["sequence", "token", "dr_grpo"] = "token"
    reference_refresh_steps: int = Field(1_000_000, ge=1)  # the reference stays the SFT model
    critic_learning_rate: float = Field(3e-4, gt=0)
    gae_lambda: float = Field(0.95, ge=0, le=1)
    gamma: float = Field(1.0, gt=0, le=1)
    value_clip_eps: float = Field(0.2, gt=0)
    safety_weight: float = Field(0.0, ge=0)  # of the safety reward model beside helpfulness


class ReasoningRLConfig(RLConfig):
    """RL with the language-consistency reward beside accuracy and format (R1, section 2.3.2)."""

    clip_eps_low: float = Field(10.0, gt=0)  # [10] no lower bound at all
    clip_eps_high: float = Field(10.0, gt=0)
    language_weight: float = Field(1.0, ge=0)


class AllScenarioConfig(ReasoningRLConfig):
    """RL over all scenarios (R1, section 2.3.4): general prompts and reward models only from a late step on."""

    temperature: float = Field(0.7, gt=0)  # [0.7]
    general_from_step: int = Field(0, ge=0)  # [1,300 of 1,700]
    general_prompts_per_step: int = Field(8, ge=0)  # of prompts_per_step, once they are in
    helpfulness_weight: float = Field(1.0, ge=0)
    safety_weight: float = Field(1.0, ge=0)


class RewardsConfig(Section):
    accuracy: float = 1.0  # weights of the parts
    format: float = 1.0
    language: float = 0.0
    custom: str = ""  # "file.py:function": the grader of problems of kind custom
    unsafe_local: bool = False  # run model-written code without isolation
    allowed_packages: str = in_identity_where_set("")  # installed packages that programs may import, e.g. "numpy,sympy"
    remote_sandbox: str = not_in_identity("")  # run programs there: sandbox_fusion:http://HOST:PORT or piston:http://HOST:PORT
    workers: int = not_in_identity(2, ge=1)
    seconds_limit: float = Field(5.0, gt=0)  # hard limit of one verdict


class EvaluateConfig(Section):
    problems: int = Field(250, ge=1)
    samples: int = Field(4, ge=1)
    general_problems: int = Field(0, ge=0)  # prompts of tasks.general beside them, for helpfulness and safety
    further: str = in_identity_where_set("")  # more problems (as tasks.eval names them) in columns of their own, not in "all"
    further_problems: int = in_identity_where_set(100, ge=1)  # of each of them
    further_models: str = in_identity_where_set("base,r1_zero,r1")  # the models they are put to
    consensus_problems: int = Field(0, ge=0)
    consensus_samples: int = Field(16, ge=1)
    temperature: float = Field(0.6, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)


class RuntimeConfig(Section):
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"  # bfloat16: weights of 16 bits, float32 masters in the optimiser
    gradient_checkpointing: bool = not_in_identity(False)  # each forward pass twice; RL of large models always
    lora_rank: int = in_identity_where_set(0, ge=0)  # 0: all weights are trained; else adapters of this rank in SFT, DPO and RL
    lora_alpha: float = in_identity_where_set(16.0, gt=0)
    threads: int = Field(0, ge=0)  # 0: as many as there are cores
    max_batch: int = Field(256, ge=1)  # completions decoded at the same time
    speculative: bool = not_in_identity(False)  # drafts by the MTP block: the same completions in fewer steps


class Config(Section):
    """A recipe: the graph's name, the seed, and one section for each part."""

    graph: str = "r1_zero"
    seed: int = 0
    tasks: TasksConfig = TasksConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: dict[str, Any] = Field(default_factory=dict)  # a Hugging Face config.json, checked by model/config.py
    base: PretrainConfig = PretrainConfig()
    r1_zero: ZeroRLConfig = ZeroRLConfig()
    teacher: TeacherConfig = TeacherConfig()
    cold_start: ColdStartConfig = ColdStartConfig()
    r1_dev1: FineTuneConfig = FineTuneConfig()
    r1_dev2: ReasoningRLConfig = ReasoningRLConfig()
    sft_data: RejectionConfig = RejectionConfig()
    r1_dev3: FineTuneConfig = FineTuneConfig()
    preferences: PreferenceDataConfig = PreferenceDataConfig()
    reward_models: RewardModelsConfig = RewardModelsConfig()
    r1: AllScenarioConfig = AllScenarioConfig()
    student_base_llama: StudentBaseConfig = StudentBaseConfig()
    student_base_qwen: StudentBaseConfig = StudentBaseConfig()
    r1_distill_llama: FineTuneConfig = FineTuneConfig()
    r1_distill_qwen: FineTuneConfig = FineTuneConfig()
    student_rl_llama: ZeroRLConfig = ZeroRLConfig()
    student_rl_qwen: ZeroRLConfig = ZeroRLConfig()
    demonstrations: DemonstrationsConfig = DemonstrationsConfig()
    sft: FineTuneConfig = FineTuneConfig()
    ppo: PPOConfig = PPOConfig()
    dpo: DPOConfig = DPOConfig()
    rewards: RewardsConfig = RewardsConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    inputs: dict[str, str] = Field(default_factory=dict)  # inputs.STAGE=PATH: take a stage's output from there


def load_config(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """Read a recipe and apply `section.key=value` overrides.

    Args:
        recipe: the name of a shipped recipe, or the path of a TOML file.
        overrides: values are read as TOML where they parse as such, else as plain text.

    Raises:
        ConfigError: no such recipe, bad TOML, an unknown key (the nearest is named) or a value out of range.
    """
    path = find_recipe(recipe)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    for override in overrides:
        apply_override(table, override)
    table = place_data(table)
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        key, problem = explain(error)
        from_file = not any(override.partition("=")[0].strip().startswith(key) for override in overrides)
        raise ConfigError(f"{path}: {problem}" if from_file else problem) from error


def place_data(settings: Any, key: str = "") -> Any:
    """Settings with $COGITATE_DATA in their texts replaced by that environment variable: recipes name data, users say where.

    Raises:
        ConfigError: a setting needs it and it is not set.
    """
    if isinstance(settings, dict):
        return {name: place_data(value, f"{key}.{name}" if key else name) for name, value in settings.items()}
    if not isinstance(settings, str) or DATA_VARIABLE not in settings:
        return settings
    place = os.environ.get(DATA_VARIABLE.removeprefix("$"))
    if not place:
        raise ConfigError(
            f"{key} = {json.dumps(settings)}: the environment variable {DATA_VARIABLE.removeprefix('$')} is not set; set it to "
            f"the directory the data are in, or give {key}=PATH"
        )
    return settings.replace(DATA_VARIABLE, place.rstrip("/"))


def find_recipe(recipe: str) -> Path:
    """The TOML file of a shipped recipe's name or of a path."""
    as_path, shipped = Path(recipe), PRESETS / f"{recipe}.toml"
    if as_path.suffix == ".toml" or "/" in recipe:
        if not as_path.is_file():
            raise ConfigError(f"{recipe}: no such recipe file")
        return as_path
    if shipped.is_file():
        return shipped
    names = sorted(p.stem for p in PRESETS.glob("*.toml"))
    raise ConfigError(f"{recipe}: no such recipe; shipped are {', '.join(names)}; or give the path of a .toml file")


def apply_override(table: dict[str, Any], override: str) -> None:
    """Set one `section.key=value` in a nested table, in place."""
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"{override!r}: a setting is written section.key=value")
    *sections, key = dotted.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{override!r}: {section} is not a section")
    table[key] = parse_value(text.strip())


def parse_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none (so that paths need no quotes)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def explain(error: ValidationError) -> tuple[str, str]:
    """The first problem of a validation as its dotted key and one line; names the nearest key where one is unknown."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        section: Any = Config
        for part in location[:-1]:  # a number is a place in a list of sections
            section = get_args(section)[0] if part.isdigit() else section.model_fields[part].annotation
        nearest = difflib.get_close_matches(location[-1], section.model_fields, n=1, cutoff=0.0)[0]
        return key, f"unknown key {key}; did you mean {'.'.join([*location[:-1], nearest])}?"
    if first["type"] == "model_type":
        return key, f"{key} = {json.dumps(first['input'], default=str)}: {key} is a section: write {key}.KEY=VALUE"
    return key, f"{key} = {json.dumps(first['input'], default=str)}: {first['msg']}"


def flatten(nested: Mapping[str, Any]) -> dict[str, Any]:
    """{"base": {"steps": 3}} becomes {"base.steps": 3}, at any depth; an empty section vanishes."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": inner_value for inner, inner_value in flatten(value).items()}
        else:
            flat[key] = value
    return flat
