"""A model that thinks in tags of its own is graded by them, whatever R1's tags it writes."""

from __future__ import annotations

from typing import cast

import pytest

from cogitate.backend import Generator, Grader
from cogitate.evals.evaluate import Asking, Measured, measure_model
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.tags import Tags
from cogitate.types import Problem, SamplingParams
from tests.recipe.scripted_backend import InlineGrader, ScriptedGenerator

OWN = Tags(("<reasoning>", "</reasoning>"), ("<final>", "</final>"))


def measured(tokenizer: Tokenizer, said: str, prompt: str = "1+1?") -> Measured:
    asking = Asking("own", lambda problem: prompt, "r1", "think_answer", tags=OWN)
    generator = cast(Generator, ScriptedGenerator(lambda prompt, seed: said, tokenizer))
    ((one,),) = measure_model(
        [Problem("1", "sums", "math", "1+1?", gold="2")], asking, samples=1, params=SamplingParams(), seed=0,
        tokenizer=tokenizer, generator=generator, grader=cast(Grader, InlineGrader()),
    )  # fmt: skip
    return one


@pytest.mark.parametrize(
    ("said", "right", "well_formed"),
    [
        ("<reasoning> 1+1 </reasoning> <final> 2 </final>", True, True),
        ("<reasoning> 2 </reasoning> <final> 3 </final>", False, True),
        ("<think> 1+1 </think> <answer> 2 </answer>", False, False),
    ],
)
def test_answer_and_form_are_those_of_the_models_tags(
    micro_tokenizer: Tokenizer, said: str, right: bool, well_formed: bool
) -> None:
    one = measured(micro_tokenizer, said)
    assert (one.right, one.well_formed) == (right, well_formed)


def test_thinking_that_the_prompt_opened_in_the_models_tag_is_read_with_it(micro_tokenizer: Tokenizer) -> None:
    one = measured(micro_tokenizer, " 1+1 </reasoning> <final> 2 </final>", "1+1? <reasoning>")
    assert (one.text, one.well_formed) == ("<think> 1+1 </think> <answer> 2 </answer>", True)
