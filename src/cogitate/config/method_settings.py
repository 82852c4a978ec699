"""The method of an RL stage, and the settings that came with methods.

Some are read by few methods alone, which name them in `config/methods.py`; set for another method, they would change nothing
and are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ValidationInfo, field_validator, model_validator

from cogitate.config.methods import METHODS, OF_SOME_METHODS, default_kl_estimator, default_of
from cogitate.config.prompts import PromptConfig
from cogitate.config.section import in_identity_unless_default


def known_method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(f"no such method; there are {', '.join(METHODS)}")
    return name


class MethodConfig(PromptConfig):
    """What RLConfig has because of its method."""

    method: Annotated[str, AfterValidator(known_method)] = in_identity_unless_default("grpo")
    # Methods that read them: OF_SOME_METHODS.
    covariance_share: float = in_identity_unless_default(
        2e-4, gt=0, le=1
    )  # of a step's tokens that are restricted, at least one
    covariance_kl: float = in_identity_unless_default(1.0, gt=0)  # weight of their KL to the policy that sampled
    covariance_low: float = in_identity_unless_default(1.0)  # bounds of the covariance of tokens that may lose their gradient
    covariance_high: float = in_identity_unless_default(5.0)
    log_ratio_penalty: float = in_identity_unless_default(0.1, gt=0)  # beta or tau of the squared log-ratio
    # Methods that have advantages of tokens or completions.
    whiten_tokens: bool = in_identity_unless_default(
        False
    )  # advantages: mean 0, deviation 1 over all tokens of a rollout batch
    reset_optimiser: bool = in_identity_unless_default(False)  # AdamW forgets its moments before each rollout batch
    # DAPO, section 3.4: what becomes of completions that reach max_new_tokens.
    mask_truncated: bool = in_identity_unless_default(False)  # they count in their group and leave the loss
    # Share of max_new_tokens at its end, over which the reward falls by up to 1; 0: nowhere.
    overlong_share: float = in_identity_unless_default(0.0, ge=0, le=1)
    # Kimi k1.5: weight of the length reward within groups, from a step on; prompts drawn in proportion to 1 - success.
    length_weight: float = in_identity_unless_default(0.0, ge=0)
    length_weight_from_step: int = in_identity_unless_default(0, ge=0)
    prioritised_sampling: bool = in_identity_unless_default(False)
    # Correction for the difference between sampler and learner, beyond importance_cap: of tokens or of whole completions.
    importance_correction: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = (
        in_identity_unless_default("token_truncate")
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_method(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        method = given.get("method", cls.model_fields["method"].default)
        if not isinstance(method, str) or method not in METHODS:
            return given
        settled = {**METHODS[method].defaults, **given}
        place = settled.get("kl_place", cls.model_fields["kl_place"].default)
        if "kl_estimator" not in given and isinstance(place, str):
            settled["kl_estimator"] = default_kl_estimator(method, place)
        return settled

    @field_validator(*OF_SOME_METHODS)
    @classmethod
    def _method_reads_it(cls, value: Any, info: ValidationInfo) -> Any:
        method, name = info.data.get("method", ""), str(info.field_name)
        reads = METHODS[method].reads if method in METHODS else () if method else OF_SOME_METHODS
        if name not in reads and value != cls.model_fields[name].default:
            readers = ", ".join(key for key, row in METHODS.items() if name in row.reads)
            raise ValueError(
                f"method {method} does not read {name}, which is of {readers}; leave it out, or take another method"
            )
        return value

    @field_validator("length_weight_from_step")
    @classmethod
    def _there_is_a_length_reward(cls, value: int, info: ValidationInfo) -> int:
        if value and not info.data.get("length_weight", 1):
            raise ValueError("has no effect without length_weight; set that")
        return value

    @field_validator("covariance_high")
    @classmethod
    def _bounds_are_in_order(cls, high: float, info: ValidationInfo) -> float:
        if "covariance_low" in info.data and high <= info.data["covariance_low"]:
            raise ValueError(f"must be above covariance_low, which is {info.data['covariance_low']}")
        return high


def has_a_use(settings: type[MethodConfig], value: Any, info: ValidationInfo) -> Any:
    """A setting's value, refused where the method would ignore it."""
    method, name = info.data.get("method", ""), str(info.field_name)
    usual = default_of(method, name, settings.model_fields[name].default)
    if method in METHODS and name in METHODS[method].ignores and value != usual:
        raise ValueError(f"method {method} has no use for {name}; leave it out, or take another method")
    return value
