"""The table of methods: it agrees with the functions it names, and what RLConfig makes of it."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cogitate.algorithms.advantages import ADVANTAGES
from cogitate.algorithms.averages import AVERAGES
from cogitate.algorithms.kl import KL_ESTIMATORS
from cogitate.algorithms.policy_loss import LOSSES
from cogitate.config import AllScenarioConfig, PPOConfig, PromptConfig, ReasoningRLConfig, RLConfig, ZeroRLConfig
from cogitate.config.method_settings import MethodConfig
from cogitate.config.methods import ESTIMATOR_AT, METHODS, OF_SOME_METHODS
from cogitate.engine.sampling import GREEDY_BELOW
from cogitate.errors import ConfigError
from cogitate.recipe.settings import load_recipe

SECTIONS = [RLConfig, ZeroRLConfig, ReasoningRLConfig, AllScenarioConfig]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_names_functions_there_are_and_ignores_what_they_do_not_take(name: str) -> None:
    method = METHODS[name]
    assert method.defaults.keys() | set(method.ignores) <= RLConfig.model_fields.keys()
    loss, advantages = inspect.signature(LOSSES[method.loss]), inspect.signature(ADVANTAGES[method.advantages])
    for bound in ("clip_eps_low", "clip_eps_high"):
        assert (bound in loss.parameters) == (bound not in method.ignores)
    for setting in ("covariance_kl", "log_ratio_penalty"):
        assert (setting in loss.parameters) == (setting in method.reads)
    assert ("chosen_BT" in loss.parameters) == ("covariance_share" in method.reads)
    assert set(method.reads) <= set(OF_SOME_METHODS)
    assert ("scale_by_std" in advantages.parameters) == ("scale_by_std" not in method.ignores)
    assert RLConfig(method=name).loss_average in AVERAGES
    assert {RLConfig(method=name).kl_estimator, *ESTIMATOR_AT.values()} <= KL_ESTIMATORS.keys()


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("name", METHODS)
def test_dumped_settings_are_resolved_and_read_as_they_were(name: str, section: type[RLConfig]) -> None:
    settings = section(method=name)
    assert METHODS[name].defaults.items() <= settings.model_dump().items()
    assert section.model_validate(settings.model_dump(mode="json")) == settings


def test_grpo_keeps_the_defaults_and_the_identity_of_each_stage() -> None:
    for section in SECTIONS:
        assert section(method="grpo") == section()
        assert not {"method", "kl_place", "kl_estimator"} & section().identity().keys()
    assert (ReasoningRLConfig().clip_eps_low, AllScenarioConfig().clip_eps_high) == (10.0, 10.0)


def test_a_methods_defaults_go_before_those_of_a_stage_and_what_is_set_before_both() -> None:
    assert ReasoningRLConfig(method="gspo").clip_eps_high == 4e-4
    assert ReasoningRLConfig(method="dapo").clip_eps_low == 0.2
    assert ReasoningRLConfig(method="dr_grpo").clip_eps_high == 10.0  # Dr. GRPO says nothing of it
    assert AllScenarioConfig(method="gspo").temperature == 0.7
    assert RLConfig(method="dapo", clip_eps_high=0.3, dynamic_sampling=False).clip_eps_high == 0.3
    assert RLConfig(method="rloo").identity()["kl_place"] == "reward"


def test_the_kl_estimator_follows_the_place_of_the_kl() -> None:
    assert RLConfig(kl_place="reward").kl_estimator == "k1"
    assert RLConfig(method="rloo", kl_place="loss").kl_estimator == "k3"
    assert RLConfig(method="reinforce_pp_baseline").kl_estimator == "k2"
    assert RLConfig(method="reinforce_pp_baseline", kl_place="reward").kl_estimator == "k1"


@pytest.mark.parametrize(
    ("settings", "key", "message"),
    [
        ({"method": "grop"}, "method", "no such method; there are grpo, dr_grpo"),
        ({"method": "rloo", "clip_eps_low": 0.3}, "clip_eps_low", "method rloo has no use for clip_eps_low"),
        ({"method": "rloo", "scale_by_std": False}, "scale_by_std", "method rloo has no use for scale_by_std"),
        ({"method": "reinforce_pp", "dynamic_sampling": True}, "dynamic_sampling", "method reinforce_pp has no use"),
        ({"method": "gspo", "kl_place": "reward"}, "kl_place", "method gspo has no use for kl_place"),
        (
            {"log_ratio_penalty": 0.2},
            "log_ratio_penalty",
            "does not read log_ratio_penalty, which is of dro, mirror_d",
        ),
        ({"method": "kl_cov", "covariance_low": 0.5}, "covariance_low", "kl_cov does not read covariance_low"),
        ({"method": "clip_cov", "covariance_high": 0.5}, "covariance_high", "must be above covariance_low, which is 1.0"),
        ({"method": "remax", "dynamic_sampling": True}, "dynamic_sampling", "method remax has no use"),
        ({"kl_estimator": "k1"}, "kl_estimator", "the gradient of k1 is zero on average"),
        ({"method": "dapo", "kl_estimator": "k2"}, "kl_estimator", "no effect while kl_beta is 0"),
    ],
)
def test_settings_without_effect_are_refused_by_name(settings: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RLConfig.model_validate(settings)
    error = caught.value.errors()[0]
    assert (error["loc"], message in error["msg"]) == ((key,), True)


def test_a_temperature_that_the_sampler_takes_for_0_is_refused() -> None:
    assert RLConfig(temperature=1e-5).temperature == GREEDY_BELOW
    for section in (RLConfig, AllScenarioConfig):
        with pytest.raises(ValidationError, match=r"greater than or equal to 0.00001"):
            section(temperature=0.9e-5)


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[r1_zero]\n")
    with pytest.raises(ConfigError, match=r"^r1_zero.clip_eps_low = 0.3: .*method rloo has no use for clip_eps_low"):
        load_recipe(str(recipe), ["r1_zero.method=rloo", "r1_zero.clip_eps_low=0.3"])
    assert load_recipe(str(recipe), ["r1_zero.method=gspo"]).section("r1_zero", ZeroRLConfig).clip_eps_low == 3e-4


def test_there_are_thirteen_methods_beside_ppo_and_settings_that_came_later_leave_old_ids_alone() -> None:
    assert len(METHODS) == 13
    for section in (*SECTIONS, PPOConfig):
        assert not (MethodConfig.model_fields.keys() - PromptConfig.model_fields.keys()) & section().identity().keys()
    whole = RLConfig(method="dapo")
    assert (whole.mask_truncated, whole.overlong_share, whole.dynamic_sampling, whole.clip_eps_high) == (True, 0.2, True, 0.28)


@pytest.mark.parametrize("setting", ["whiten_tokens", "reset_optimiser", "mask_truncated"])
def test_ppo_refuses_what_it_has_no_use_for(setting: str) -> None:
    with pytest.raises(ValidationError, match="has no effect in PPO"):
        PPOConfig.model_validate({setting: True})
    with pytest.raises(ValidationError, match="method ppo does not read log_ratio_penalty"):
        PPOConfig.model_validate({"log_ratio_penalty": 0.5})


def test_ppo_is_a_method_of_its_own_and_no_other() -> None:
    assert PPOConfig().method == "ppo"
    assert not {"method", "kl_place", "kl_estimator"} & PPOConfig().identity().keys()
    with pytest.raises(ValidationError, match="ppo"):
        PPOConfig.model_validate({"method": "grpo"})
