"""Settings of reinforcement learning."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cogitate.config.method_settings import MethodConfig, has_a_use
from cogitate.config.methods import METHODS, default_kl_estimator, default_of
from cogitate.config.section import in_identity_unless_default, not_in_identity
from cogitate.config.stages.probe import PROPOSED

LEAST_TEMPERATURE = 1e-5  # below it the sampler takes the most likely token, and its log-probabilities are those at 1


class RLConfig(MethodConfig):
    """GRPO (DeepSeekMath, section 4.1; R1, section 2.2) and the other methods of `config/methods.py`.

    Settings that are not given take the method's defaults; those that a method has no use for are refused. The defaults below
    are GRPO's.
    """

    steps: int = Field(40, ge=1)
    prompts_per_step: int = Field(24, ge=1)
    group_size: int = Field(12, ge=2)
    max_new_tokens: int = Field(192, ge=1)
    temperature: float = Field(1.0, ge=LEAST_TEMPERATURE)
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
    learn_older_segments: bool = in_identity_unless_default(True)  # whether the loss counts earlier segments of a completion
    # The next completions are sampled while the policy learns from the last ones, so by weights that are one update older.
    overlap: bool = in_identity_unless_default(False)
    # With partial rollouts: tokens of weights more updates older than the policy are left out of the loss; 0: none are.
    staleness_limit: int = in_identity_unless_default(0, ge=0)
    dead_steps_limit: int = Field(20, ge=1)  # steps without any learning signal in a row before the stage stops
    checkpoint_every: int = not_in_identity(10, ge=1)
    transcripts_every: int = not_in_identity(5, ge=1)
    # Prompts of the first so many steps come from the easiest third of the pool, then from more and more of it; 0: from all.
    easy_first_steps: int = in_identity_unless_default(0, ge=0)
    # Generated tokens, those of replaced groups and greedy completions included: the stage ends in the step that reaches them,
    # or after `steps`; 0: after `steps` alone.
    token_budget: int = in_identity_unless_default(0, ge=0)
    warmup_tokens: int = in_identity_unless_default(0, ge=0)  # in place of warmup_steps where there is a token budget
    # From step 0 to step `temperature_steps` the temperature goes on a line to `final_temperature` and stays there; 0: one
    # temperature. It does not depend on `steps`, so that an unfinished stage may go on with others.
    temperature_steps: int = in_identity_unless_default(0, ge=0)
    final_temperature: float = in_identity_unless_default(0.0, ge=0)

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

    @field_validator("overlap")
    @classmethod
    def _next_step_is_known(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("dynamic_sampling"):
            raise ValueError("what dynamic sampling draws depends on the rewards of the step before: leave one of the two out")
        if value and info.data.get("method") == "remax":
            raise ValueError("remax compares with a greedy completion of the same weights: take another method, or set false")
        return value

    @field_validator("staleness_limit")
    @classmethod
    def _tokens_have_several_ages(cls, value: int, info: ValidationInfo) -> int:
        if value and not info.data.get("partial_rollouts", 1):
            raise ValueError("has no effect without partial_rollouts: all tokens of a step are equally old; set that, or 0")
        if value and not info.data.get("learn_older_segments", True):
            raise ValueError("learn_older_segments=false leaves out more: leave one of the two out")
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

    @field_validator("final_temperature")
    @classmethod
    def _steps_have_one_temperature(cls, value: float, info: ValidationInfo) -> float:
        if bool(value) != bool(info.data.get("temperature_steps", value)):
            raise ValueError("final_temperature and temperature_steps make a schedule together: set both, or leave both out")
        if 0 < value < LEAST_TEMPERATURE:
            raise ValueError(f"{LEAST_TEMPERATURE} is the least temperature of training; 0 leaves the schedule out")
        if value and value == info.data.get("temperature"):
            raise ValueError("has no effect where it is the temperature; leave it out, or set 0")
        for name in ("partial_rollouts", "overlap"):
            if value and info.data.get(name):
                raise ValueError(f"with {name} completions of several steps are learnt from together: leave one of the two out")
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

    temperature: float = Field(0.7, ge=LEAST_TEMPERATURE)  # [0.7]
    general_from_step: int = Field(0, ge=0)  # [1,300 of 1,700]
    general_prompts_per_step: int = Field(8, ge=0)  # of prompts_per_step, once they are in
    helpfulness_weight: float = Field(1.0, ge=0)
    safety_weight: float = Field(1.0, ge=0)


class ProcessRLConfig(ReasoningRLConfig):
    """RL in which a process reward model judges the steps of each completion beside the rules."""

    process_weight: float = Field(1.0, gt=0)  # of the solution's score, 0..1, as the process model makes it of its steps
    use_verdict: bool = True  # whether the accuracy counts beside it


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
