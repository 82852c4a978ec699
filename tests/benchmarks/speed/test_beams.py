"""Beams of the benchmark read no token twice, and are the same in every way."""

from __future__ import annotations

import pytest

from benchmarks.speed import beams
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.types import SamplingParams


def test_every_way_draws_the_same_beams_and_shared_prefixes_read_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beams, "STEPS", 3)
    monkeypatch.setattr(beams, "STEP_TOKENS", 6)
    monkeypatch.setattr(beams, "SAMPLING", SamplingParams(max_new_tokens=6))
    monkeypatch.setattr(beams, "PROMPT", 40)
    found = beams.measure(SHIPPED / "base", "float32")["ways"]
    parents, length = beams.PARENTS, beams.STEP_TOKENS
    assert found["shared"]["prefilled"] <= 40 + 2 * parents  # of each parent the last token, which was sampled and not read
    assert found["four prompts"]["prefilled"] == parents * (3 * 40 + (1 + 2) * length)
    assert found["sixteen prompts"]["prefilled"] == beams.BRANCHES * found["four prompts"]["prefilled"]
    assert {each["sampled"] for each in found.values()} == {3 * parents * beams.BRANCHES * length}
