"""Settings of the kinds of stages. A stage's section has its name: `[r1_zero]` holds the ZeroRLConfig of the stage r1_zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cogitate.config.method_settings import MethodConfig, has_a_use
from cogitate.config.methods import METHODS, default_kl_estimator, default_of
from cogitate.config.probe import PROPOSED
from cogitate.config.section import Section, in_identity_unless_default, not_in_identity
from cogitate.config.shared import EndpointConfig


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
    puzzles: float = in_identity_unless_default(0.0, ge=0, le=1)  # share of documents about the puzzles of tasks/puzzles
    guessers: float = in_identity_unless_default(0.7, ge=0, le=0.7)  # share of the puzzles' authors who guess
    going_back: bool = in_identity_unless_default(True)  # whether any of them rejects a try and goes on, or mends a slip

    @model_validator(mode="after")
    def _who_solves_puzzles_that_are_there(self) -> PretrainConfig:
        for name in ("guessers", "going_back"):
            if not self.puzzles and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is about who has solved puzzles, and puzzles = 0: nobody has; set puzzles as well")
        return self


class StudentBaseConfig(PretrainConfig):
    """A dense student's base model, pretrained on the corpus the base model read."""

    model: dict[str, Any] = Field(default_factory=dict)  # a Hugging Face config.json
    # Of base, instead of pretraining; only of kind prune.
    every_nth_layer: int = in_identity_unless_default(0, ge=0)


class FineTuneConfig(SupervisedConfig):
    """SFT on conversations (R1, supplement B.4.3): whole epochs over packed rows."""

    epochs: int = Field(2, ge=1)


class RLConfig(MethodConfig):
    """GRPO (DeepSeekMath, section 4.1; R1, section 2.2) and the other methods of `config/methods.py`.

    Settings that are not given take the method's defaults; those that a method has no use for are refused. The defaults below
    are GRPO's.
    """

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
    kl_beta: float = Field(0.001, ge=0)  # 0: no reference
    # loss: a term of the loss. reward: each token's reward is lowered by kl_beta times its KL.
    kl_place: Literal["loss", "reward"] = in_identity_unless_default("loss")
    kl_estimator: Literal["k1", "k2", "k3"] = in_identity_unless_default("k3")  # k3 in the loss, k1 in the reward
    reference_refresh_steps: int = Field(400, ge=1)  # optimiser steps between replacements of the reference by the policy
    loss_average: Literal["sequence", "token", "dr_grpo"] = "sequence"
    scale_by_std: bool = True  # False is Dr. GRPO
    dynamic_sampling: bool = False  # DAPO: draw further prompts in place of dead groups
    dynamic_sampling_batches: int = Field(3, ge=1)
    importance_cap: float = Field(2.0, gt=0)  # truncated importance sampling between sampler and learner
    # Most new tokens of a completion in a step; what is not done goes on in the next one (Kimi K1.5); 0: all in one step.
    partial_rollouts: int = in_identity_unless_default(0, ge=0)
    learn_older_segments: bool = in_identity_unless_default(True)  # whether the loss counts tokens that older weights sampled
    dead_steps_limit: int = Field(20, ge=1)  # steps without any learning signal in a row before the stage stops
    checkpoint_every: int = not_in_identity(10, ge=1)
    transcripts_every: int = not_in_identity(5, ge=1)
    # Prompts of the first so many steps come from the easiest third of the pool, then from more and more of it; 0: from all.
    easy_first_steps: int = in_identity_unless_default(0, ge=0)
    # Generated tokens, those of replaced groups and greedy completions included: the stage ends in the step that reaches them,
    # or after `steps`; 0: after `steps` alone.
    token_budget: int = in_identity_unless_default(0, ge=0)
    warmup_tokens: int = in_identity_unless_default(0, ge=0)  # in place of warmup_steps where there is a token budget

    @field_validator("partial_rollouts")
    @classmethod
    def _parts_are_parts(cls, value: int, info: ValidationInfo) -> int:
        if value and value >= info.data.get("max_new_tokens", value + 1):
            raise ValueError(f"has no effect from max_new_tokens = {info.data['max_new_tokens']} on: lower it, or set 0")
        if value and info.data.get("dynamic_sampling"):
            raise ValueError("new prompts take the place of whole groups alone: set dynamic_sampling to false")
        if value and info.data.get("method") == "remax":
            raise ValueError("remax compares with a greedy completion of the same weights: take another method, or set 0")
        return value

    @field_validator("learn_older_segments")
    @classmethod
    def _segments_are_there(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and not info.data.get("partial_rollouts", 1):
            raise ValueError("has no effect without partial_rollouts; set that")
        return value

    @field_validator("token_budget")
    @classmethod
    def _schedule_is_over_tokens(cls, value: int, info: ValidationInfo) -> int:
        if value and info.data.get("warmup_steps"):
            raise ValueError("a token budget goes with warmup_tokens; set warmup_steps to 0")
        return value

    @field_validator("warmup_tokens")
    @classmethod
    def _warmup_has_a_budget(cls, value: int, info: ValidationInfo) -> int:
        if value and not info.data.get("token_budget"):
            raise ValueError("has no effect without token_budget; set warmup_steps")
        return value

    @field_validator("clip_eps_low", "clip_eps_high", "scale_by_std", "dynamic_sampling", "kl_place")
    @classmethod
    def _method_has_a_use_for_it(cls, value: Any, info: ValidationInfo) -> Any:
        return has_a_use(cls, value, info)

    @field_validator("kl_estimator")
    @classmethod
    def _kl_estimator_has_an_effect(cls, value: str, info: ValidationInfo) -> str:
        method, place, beta = (info.data.get(name) for name in ("method", "kl_place", "kl_beta"))
        if value == "k1" and place == "loss":
            raise ValueError("in the loss the gradient of k1 is zero on average; take k2 or k3, or set kl_place to reward")
        if beta == 0 and method in METHODS and place is not None:
            usual_place = default_of(method, "kl_place", cls.model_fields["kl_place"].default)
            if (place, value) != (usual_place, default_kl_estimator(method, usual_place)):
                raise ValueError(f"kl_place {place} and kl_estimator {value} have no effect while kl_beta is 0; set kl_beta")
        return value


class ZeroRLConfig(RLConfig):
    """RL on a base model, which knows no format: R1-Zero's template shows none, worked examples and opened thinking do."""

    open_thinking: bool = in_identity_unless_default(False)  # the prompt ends in <think>
    # Settings whose values a stage of kind probe proposes: by default all that it can and that nothing else sets.
    from_probe: tuple[str, ...] = in_identity_unless_default(())

    @field_validator("from_probe")
    @classmethod
    def _a_probe_proposes_it(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if key not in PROPOSED:
                raise ValueError(f"no probe proposes {key}; it can propose {', '.join(PROPOSED)}")
        return keys

    @model_validator(mode="after")
    def _base_knows_no_turn_of_sft(self) -> ZeroRLConfig:
        if self.prompt == "turn":
            raise ValueError("prompt turn is of fine-tuned models: here it is plain or chat")
        return self


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


class PPOConfig(RLConfig):
    """PPO with a critic (InstructGPT, arXiv:2203.02155, section 3.5).

    `kl_beta` is the price of a nat of distance from the SFT model in the per-token reward, and `scale_by_std` whitens the
    advantages.
    """

    method: Literal["ppo"] = in_identity_unless_default("ppo")
    group_size: int = Field(4, ge=2)
    kl_beta: float = Field(0.02, ge=0)
    kl_place: Literal["reward"] = in_identity_unless_default("reward")
    kl_estimator: Literal["k1"] = in_identity_unless_default("k1")
    loss_average: Literal["sequence", "token", "dr_grpo"] = "token"
    reference_refresh_steps: int = Field(1_000_000, ge=1)  # the reference stays the SFT model
    critic_learning_rate: float = Field(3e-4, gt=0)
    gae_lambda: float = Field(0.95, ge=0, le=1)
    gamma: float = Field(1.0, gt=0, le=1)
    value_clip_eps: float = Field(0.2, gt=0)
    safety_weight: float = Field(0.0, ge=0)  # of the safety reward model beside helpfulness

    @field_validator("whiten_tokens", "reset_optimiser", "mask_truncated")
    @classmethod
    def _of_methods_without_a_critic(cls, value: bool) -> bool:
        if value:
            raise ValueError("has no effect in PPO; leave it out")
        return value

    @field_validator("template", "worked_examples")
    @classmethod
    def _general_prompts_are_asked_as_they_are(cls, value: Any) -> Any:
        if value:
            raise ValueError("has no effect in PPO: its prompts are general ones, which are asked as they are; leave it out")
        return value


class ColdStartConfig(Section):
    """The four collectors of cold-start data (R1, section 2.3.1 and supplement)."""

    problems: int = Field(200, ge=1)  # training problems each collector asks
    samples: int = Field(4, ge=1)  # completions of each
    per_problem: int = Field(1, ge=1)  # rows kept of each problem and collector
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    review: str = ""  # of people: {"id": ..., "decision": "accept" | "edit" | "reject", "text": ...} a line; or a studio
    use_contested: bool = in_identity_unless_default(False)  # learn also what people accept against the verdict
    items: str = ""  # the items.jsonl of an earlier run, as reviewed: its candidates are taken in place of asking again

    @field_validator("review")
    @classmethod
    def _log_of_a_studio(cls, value: str) -> str:
        """A studio's directory is named by the log in it, of which the decisions are read."""
        return str(Path(value) / "events.jsonl") if value and Path(value).is_dir() else value

    @model_validator(mode="after")
    def _contested_by_a_review(self) -> ColdStartConfig:
        if self.use_contested and not self.review:
            raise ValueError("use_contested has no effect without review; leave it out")
        return self


class RejectionConfig(Section):
    """Rejection sampling for SFT data (R1, section 2.3.3)."""

    problems: int = Field(1200, ge=1)  # reasoning prompts
    samples: int = Field(4, ge=1)
    per_problem: int = Field(1, ge=1)  # correct and readable completions kept of each, as `prefer` says
    prefer: Literal["different", "shortest"] = in_identity_unless_default("different")  # shortest: Kimi k1.5's long2short
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    general_share: float = Field(0.25, ge=0, lt=1)  # of all rows [about 200 k of 800 k]
    overlap_ngram: int = Field(13, ge=2)  # words; decontamination of real text
    overlap_limit: float = Field(0.5, gt=0, le=1)  # share of n-grams a row may share with an evaluation problem
    compare_templates: bool = True  # of real text: a problem of the evaluation with other numbers is dropped
    smallest_kept_share: float = Field(0.5, ge=0, le=1)  # decontamination that drops more than the rest is refused


class WriteTestsConfig(EndpointConfig):
    """Tests of programming problems that a model proposes as values: the one behind base_url, or the stage's own."""

    problems: int = Field(100, ge=1)  # of kind code
    programs: int = Field(10, ge=1)  # that the stage's model writes for each; good are those that pass its tests
    proposals: int = Field(2, ge=0)  # replies of the author for each problem
    cases: int = Field(8, ge=1)  # asked for in each
    changed_values: int = Field(16, ge=0)  # cases beside the author's: public ones with a small change
    mutants: int = Field(30, ge=1)  # of a problem's good programs
    most: int = Field(8, ge=1)  # cases kept of each problem
    slow_seconds: float = Field(1.0, gt=0)  # of processor time: a case for which a good program needs more is slow
    efficiency: float = Field(0.0, ge=0, le=1)  # of the written problems: what part of a right program's score its work is
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)  # of a program
    author_max_new_tokens: int = Field(512, ge=1)

    @model_validator(mode="after")
    def _cases_come_from_somewhere(self) -> WriteTestsConfig:
        if not self.proposals and not self.changed_values:
            raise ValueError("proposals and changed_values are both 0: no case would be proposed")
        return self


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
    held_out_file: str = in_identity_unless_default("")  # further pairs that helpfulness is measured on, never learnt from
    # Tokens of a text, prompt included; longer ones are left out. 0: the context.
    longest: int = in_identity_unless_default(0, ge=0)


OF_SAMPLING = ("problems", "samples", "temperature", "top_p", "max_new_tokens")  # of ProcessRewardModelConfig


class ProcessRewardModelConfig(PreferenceTrainingConfig):
    """Steps of the policy's completions, what each is worth, and the loop that learns it; `batch` counts completions."""

    epochs: int = Field(3, ge=1)
    batch: int = Field(16, ge=1)
    # monte_carlo: continuations from each step (Math-Shepherd). bisection: the first wrong step (OmegaPRM). checker: what the
    # text states, by a program. outcome: the verdict alone, at the end. file: a file of the user's.
    labels: Literal["monte_carlo", "bisection", "checker", "outcome", "file"] = "monte_carlo"
    steps_file: str = ""  # TRL's stepwise format: prompt, completions, labels
    step_separator: str = "\n"  # between the steps of such a file
    soft: bool = False  # monte_carlo: the share of right continuations in place of "any is right"
    rollouts: int = Field(8, ge=1)  # continuations from a step
    problems: int = Field(300, ge=2)  # training problems
    samples: int = Field(4, ge=1)  # completions of each
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    step_form: Literal["sentences", "lines", "paragraphs"] = "sentences"  # what ends a step
    score: Literal["last", "minimum", "product", "mean"] = "minimum"  # of a solution, from those of its steps
    held_out_share: float = Field(0.2, gt=0, lt=1)  # of the prompts
    chunk: int = not_in_identity(256, ge=1)  # completions whose labels are found between two points a kill goes back to

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> ProcessRewardModelConfig:
        if (self.labels == "file") != bool(self.steps_file):
            raise ValueError("labels = file and steps_file go together: set both or none")
        of_rollouts = () if self.labels in ("monte_carlo", "bisection") else ("rollouts",)
        of_one = () if self.labels == "monte_carlo" else ("soft",)
        of_file = OF_SAMPLING if self.labels == "file" else ("step_separator",)
        of_steps = ("score",) if self.labels == "outcome" else ()
        for key in (*of_rollouts, *of_one, *of_file, *of_steps):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} changes nothing with labels = {self.labels}; leave it out")
        return self


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
