"""No text, however strange, makes a grader crash or take long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cogitate.rewards.answer import CONTRACTS
from cogitate.rewards.format import FORMAT_CONTRACTS
from cogitate.rewards.graders.ifeval import CHECKS
from cogitate.rewards.math import library
from cogitate.rewards.math.compare import same_answer
from cogitate.rewards.math.parser.syntax import parse
from cogitate.rewards.math.parser.tokens import NotMathError
from cogitate.types import Verdict
from tests.processor_time import cheapest
from tests.rewards.judging import grade

SECONDS = 2.0  # processor time of one verdict

PIECES = (
    "<think>", "</think>", "<answer>", "</answer>", r"\boxed{", r"\fbox{", "}", "{", "\\", "\\\\", "$",
    "$$", r"\(", r"\)", r"\[",
    r"\]", r"\{", r"\}", "(", ")", "[", "]", "|", "1", "2", "42", "0", "3.14", ".5", "1,000", "1,5", "007",
    "1e5", "9" * 30, "x", "y",
    "n", "e", "i", "f(x)", "xy", "abc", "A", "B", "C", "+", "-", "*", "/", "^", "**", "_", "=", "<", ">",
    r"\le ", r"\ne ", r"\in ", "!",
    "%", r"\%", ",", ";", ":", ".", "'", '"', "`", "```", "#", "####", "&", "~", "?", r"\frac",
    r"\frac{1}{2}", r"\sqrt", r"\sqrt[3]",
    r"\pm ", r"\cup ", r"\setminus ", r"\infty ", r"\pi ", r"\sum_", r"\int", r"\lim", r"\sin ", r"\log_",
    r"\binom", r"\text{",
    r"\text{ cm}", r"\mathrm{d}", r"\begin{pmatrix}", r"\end{pmatrix}", r"\begin{cases}", r"\end{cases}",
    r"\left", r"\right",
    r"\overline{", r"\cdot ", r"\times ", r"\circ", "^\\circ", r"\mid ", r"\mathbb{R}", " and ", " or ",
    " not ", " is ", "The answer is ",
    "答案是", "A: ", "**", "\n", " ", "\t", "knight", "knave", "Ann", "Bob", "a", "the", "是", "，", "。", "４２",
    "½", "²", "√", "≤", "\u200b",
    "\u202e", "\x00", "\ud800", "🎉", "cm", "percent", "dollars", "__import__('os')", "lambda", "def f():",
    "python", "<|im_end|>",
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join),
    st.text(max_size=80),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).flatmap(
        lambda pieces: st.integers(1, 400).map(lambda count: "".join(pieces) * count)
    ),
)
MARKED = st.one_of(
    TEXTS, TEXTS.map(lambda text: f"<think>x</think>\\boxed{{{text}}}"), TEXTS.map(lambda text: f"<answer>{text}</answer>")
)
THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True, scope="module")
def no_library() -> Any:
    """The library has its own limit, the pool's; here it is left out."""
    patch = pytest.MonkeyPatch()
    patch.setattr(library, "passes_grammar", lambda text: False)
    yield
    patch.undo()


def judged(kind: str, prediction: str, **fields: Any) -> Verdict:
    verdicts: list[Verdict] = []
    assert cheapest(lambda go: verdicts.append(grade(kind, prediction, **fields)), enough=SECONDS) < SECONDS
    verdict = verdicts[0]
    assert verdict.value in ("right", "wrong", "none")
    assert 0 <= verdict.score <= 1
    assert verdict.reason
    assert "\n" not in verdict.reason or kind == "ifeval"
    return verdict


@THOROUGH
@given(MARKED, st.one_of(st.sampled_from(["42", r"\frac{1}{2}", "x^2+1", r"\{1,2\}", "(1,2]", "x=3", "even", ""]), TEXTS))
def test_mathematics_survives_any_text_on_either_side(prediction: str, gold: str) -> None:
    for contract in CONTRACTS:
        judged("math", prediction, gold=gold, contract=contract)


@THOROUGH
@given(TEXTS)
def test_what_is_parsed_equals_itself_or_has_no_value(text: str) -> None:
    try:
        tree = parse(text)
    except NotMathError:
        return
    assert same_answer(tree, tree) in (True, False)


@THOROUGH
@given(MARKED, TEXTS, st.sampled_from(CONTRACTS))
def test_choice_and_exact_survive_any_text(prediction: str, gold: str, contract: str) -> None:
    judged("choice", prediction, gold=gold, contract=contract)
    judged("choice", prediction, gold="B", contract=contract)
    judged("exact", prediction, gold=gold, contract=contract)


@THOROUGH
@given(MARKED, st.dictionaries(st.sampled_from(["Ann", "Bob", "小明", "a.c", "("]), st.booleans(), min_size=1))
def test_logic_survives_any_text(prediction: str, gold: dict[str, bool]) -> None:
    judged("logic", prediction, gold=gold)


@THOROUGH
@given(MARKED, st.lists(st.integers(-5, 100), max_size=6), st.integers())
def test_countdown_survives_any_text(prediction: str, numbers: list[int], target: int) -> None:
    judged("countdown", prediction, numbers=numbers, target=target)


@THOROUGH
@given(TEXTS, st.sampled_from(FORMAT_CONTRACTS), st.sampled_from(["en", "zh", "ja", "ko"]))
def test_format_and_language_survive_any_text(prediction: str, contract: str, language: str) -> None:
    judged("format", prediction, format_contract=contract)
    judged("language", prediction, language=language)


ARGUMENTS = {
    "relation": "at least", "let_relation": "less than", "capital_relation": "at least", "keywords": ["a.b", "x"],
    "forbidden_words": ["(", "cm"], "keyword": "[", "frequency": 2, "letter": "n", "let_frequency": 3, "num_paragraphs": 2,
    "num_words": 5, "num_sentences": 2, "nth_paragraph": 1, "first_word": "the", "postscript_marker": "P.S.",
    "num_placeholders": 1, "num_bullets": 1, "num_highlights": 1, "section_spliter": "Part", "num_sections": 1,
    "prompt_to_repeat": "The answer is", "capital_frequency": 1, "end_phrase": "42",
}  # fmt: skip


@THOROUGH
@given(TEXTS)
def test_instruction_checks_survive_any_text(prediction: str) -> None:
    judged("ifeval", prediction, instruction_id_list=list(CHECKS), kwargs=[ARGUMENTS] * len(CHECKS))


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(MARKED, TEXTS)
def test_mathematics_survives_very_many_texts(prediction: str, gold: str) -> None:
    judged("math", prediction, gold=gold)
    judged("math", prediction, gold=prediction, contract="bare")
