"""`cogitate verify-resume` on toy stages: one that resumes exactly, and one that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.verify_resume import proof_text, verify_resume
from cogitate.backend import Backend
from cogitate.config import AllScenarioConfig, Config, PretrainConfig, RLConfig
from cogitate.errors import ConfigError
from cogitate.recipe import recipe
from cogitate.recipe.proof.resume import Proof, prove_resume
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import Stage
from tests.recipe.forgetful_stage import FORGETFUL
from tests.recipe.toy_recipe import no_backend, toy_config

recipe.GRAPHS["forgetful"] = (Stage("toy", FORGETFUL),)


Prove = Callable[..., list[Proof]]


def forgetful_backend(config: Config) -> Backend:
    """Unpickled in the process of a stage, it brings this file's graphs along."""
    return no_backend(config)


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    def run(config: Config, **options: Any) -> list[Proof]:
        return prove_resume(config, tmp_path / "proof", make_backend=forgetful_backend, kills=2, seed=3, **options)

    return run


def test_stages_that_resume_exactly_are_proven_with_their_kills(prove: Prove, tmp_path: Path) -> None:
    proofs = prove(toy_config(tmp_path, "base.steps=500"))
    assert [proof.stage for proof in proofs] == ["toy", "evaluate.toy", "toy_second", "evaluate.toy_second"]
    assert [proof.differences for proof in proofs] == [()] * 4
    assert all(proof.kills >= 1 and proof.files >= 1 for proof in proofs)
    assert (tmp_path / "proof" / "whole" / "toy" / "metrics.jsonl").read_text().count("\n") == 6  # not 500
    assert "all 4 stages the same after " in proof_text(proofs)


def test_a_stage_that_forgets_its_random_state_is_found_out(tmp_path: Path) -> None:
    config = toy_config(tmp_path, "graph=forgetful")
    said: list[str] = []
    text, same = verify_resume(
        config, make_backend=forgetful_backend, kills=2, seed=1, only=None, keep=tmp_path / "kept", say=said.append
    )
    assert not same
    assert "DIFFERENT: manifest.json, metrics.jsonl, model.safetensors" in text
    assert "1 of 1 stages differ" in text
    (line,) = said
    assert line.startswith("toy: killed ")
    assert line.endswith(", different")
    assert (tmp_path / "kept" / "killed" / "toy" / "toy" / "model.safetensors").is_file()
    with pytest.raises(ConfigError, match="exists already; name a new directory"):
        verify_resume(config, make_backend=no_backend, kills=1, seed=1, only=None, keep=tmp_path / "kept", say=said.append)


def test_one_stage_alone_is_proven_from_what_is_made_once(prove: Prove, tmp_path: Path) -> None:
    said: list[str] = []
    (proof,) = prove(toy_config(tmp_path), only="toy_second", say=said.append)
    assert proof.stage == "toy_second"
    assert "toy: made once, not killed" in said


def test_a_refusal_names_the_stage_and_what_to_do(prove: Prove, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"toy cannot be made on the shrunken budget: learning_rate = 0\.07.*inputs\.ST"):
        prove(toy_config(tmp_path, "graph=forgetful", "base.learning_rate=0.07"))


def test_shrinking_lowers_budgets_alone_and_never_raises_one() -> None:
    config = load_recipe("tiny", ["r1_zero.steps=2", "evaluate.problems=4"])
    small = shrink(config, keep=["base", "tokenizer"])
    zero, r1 = small.section("r1_zero", RLConfig), small.section("r1", AllScenarioConfig)
    base = config.section("base", PretrainConfig)
    assert (zero.steps, small.evaluate.problems, small.evaluate.samples) == (2, 4, 2)
    assert r1.general_from_step < r1.steps
    assert r1.general_prompts_per_step <= r1.prompts_per_step
    assert (small.section("base", PretrainConfig), small.tokenizer, small.model) == (base, config.tokenizer, config.model)
    assert zero.learning_rate == config.section("r1_zero", RLConfig).learning_rate
    assert shrink(config).section("base", PretrainConfig).steps < base.steps
