"""`cogitate verify-resume` on toy stages: one that resumes exactly, and one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from cogitate.apps.verify_resume import proof_text, verify_resume
from cogitate.config import Config, load_config
from cogitate.errors import ConfigError
from cogitate.recipe import recipe
from cogitate.recipe.proof.resume import Proof, prove_resume
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.recipe import Stage
from tests.recipe.toy_recipe import no_backend, toy_config

recipe.GRAPHS["forgetful"] = (Stage("toy", "tests.recipe.forgetful_stage", is_model=False),)


class forgetful_backend(no_backend):  # noqa: N801 - unpickled in the process of a stage, it brings this file's graphs along
    pass


@pytest.fixture
def prove(tmp_path):
    def run(config: Config, **options: Any) -> list[Proof]:
        return prove_resume(config, tmp_path / "proof", make_backend=forgetful_backend, kills=2, seed=3, **options)

    return run


def test_stages_that_resume_exactly_are_proven_with_their_kills(prove, tmp_path):
    proofs = prove(toy_config(tmp_path, "base.steps=500"))
    assert [proof.stage for proof in proofs] == ["toy", "evaluate.toy", "toy_second", "evaluate.toy_second"]
    assert [proof.differences for proof in proofs] == [()] * 4
    assert all(proof.kills >= 1 and proof.files >= 1 for proof in proofs)
    assert (tmp_path / "proof" / "whole" / "toy" / "metrics.jsonl").read_text().count("\n") == 6  # not 500
    assert "all 4 stages the same after " in proof_text(proofs)


def test_a_stage_that_forgets_its_random_state_is_found_out(tmp_path):
    config = toy_config(tmp_path, "graph=forgetful")
    said: list[str] = []
    text, same = verify_resume(
        config, make_backend=forgetful_backend, kills=2, seed=0, only=None, keep=tmp_path / "kept", say=said.append
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


def test_one_stage_alone_is_proven_from_what_is_made_once(prove, tmp_path):
    said: list[str] = []
    (proof,) = prove(toy_config(tmp_path), only="toy_second", say=said.append)
    assert proof.stage == "toy_second"
    assert "toy: made once, not killed" in said


def test_a_refusal_names_the_stage_and_what_to_do(prove, tmp_path):
    with pytest.raises(ConfigError, match=r"toy cannot be made on the shrunken budget: learning_rate = 0\.07.*inputs\.ST"):
        prove(toy_config(tmp_path, "graph=forgetful", "base.learning_rate=0.07"))


def test_shrinking_lowers_budgets_alone_and_never_raises_one():
    config = load_config("tiny", ["r1_zero.steps=2", "evaluate.problems=4"])
    small = shrink(config, keep=["base", "tokenizer"])
    assert (small.r1_zero.steps, small.evaluate.problems, small.evaluate.samples) == (2, 4, 2)
    assert small.r1.general_from_step < small.r1.steps
    assert small.r1.general_prompts_per_step <= small.r1.prompts_per_step
    assert (small.base, small.tokenizer, small.model) == (config.base, config.tokenizer, config.model)
    assert small.r1_zero.learning_rate == config.r1_zero.learning_rate
    assert shrink(config).base.steps < config.base.steps
