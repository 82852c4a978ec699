"""What stands in place of a thinking: its beginning, filler of equal length, the thinking of another problem of the task."""

from __future__ import annotations

import pytest

from benchmarks.evidence.thinking import CUTS, Thought, after, others
from cogitate.evals.prompts import R1_ZERO
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem

TEXTS = ("12 + 5 = 17. 17 - 2 = 15.", "Try 4 * 2 = 8, 9? no. 4 + 5 = 9, 9? yes.", "30 - 6 = 24.")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(SHIPPED / "base")


@pytest.fixture
def thoughts(tokenizer: Tokenizer) -> list[Thought]:
    tasks = ("arithmetic", "countdown", "arithmetic")
    problems = [Problem(str(number), task, "math", "?") for number, task in enumerate(tasks)]
    return [Thought(each, tuple(tokenizer.encode(text)), 1.0) for each, text in zip(problems, TEXTS, strict=True)]


def test_a_thinking_is_cut_at_a_share_of_its_tokens(tokenizer: Tokenizer, thoughts: list[Thought]) -> None:
    cuts = {share: text for name, share, text in others(thoughts, tokenizer) if name == "cut"}
    assert tuple(cuts) == CUTS
    assert cuts[0.0](thoughts[0]) == ""
    assert cuts[1.0](thoughts[0]) == TEXTS[0]
    half = cuts[0.5](thoughts[0])
    assert TEXTS[0].startswith(half)
    assert len(tokenizer.encode(half)) == round(0.5 * len(thoughts[0].ids))


def test_filler_is_as_long_and_another_thinking_is_of_the_same_task(tokenizer: Tokenizer, thoughts: list[Thought]) -> None:
    given = {name: text for name, _, text in others(thoughts, tokenizer)}
    assert len(tokenizer.encode(given["filler"](thoughts[0]))) == len(thoughts[0].ids)
    assert given["another's"](thoughts[0]) == TEXTS[2]
    assert given["another's"](thoughts[2]) == TEXTS[0]


def test_the_prompt_ends_in_closed_thinking(thoughts: list[Thought]) -> None:
    assert after(R1_ZERO, thoughts[0].problem, " 1 + 1 = 2. ").endswith("Assistant: <think> 1 + 1 = 2. </think>")
