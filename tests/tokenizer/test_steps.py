"""Where steps end, in texts written by hand."""

from __future__ import annotations

import pytest

from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.tokenizer.steps import StepForm, StepReader

TEXT = " <think> First 5 + 4 = 9. Then 9 - 2 = 7! 再算7 + 1 = 8。 </think> <answer> 8. </answer>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([TEXT] * 20, 400)


def steps(tokenizer: Tokenizer, text: str, form: StepForm = "sentences", *, ended: bool = True) -> list[str]:
    reader = StepReader(tokenizer, form)
    ids = [*tokenizer.encode(text), *([tokenizer.end_id] if ended else [])]
    return reader.pieces(ids, reader.ends(ids))


def test_sentences_end_steps_and_the_answer_is_one_with_what_closes_the_thinking(tokenizer: Tokenizer) -> None:
    found = steps(tokenizer, TEXT)
    assert found == [
        " <think> First 5 + 4 = 9.", " Then 9 - 2 = 7!", " 再算7 + 1 = 8。", " </think> <answer> 8. </answer>"
    ]  # fmt: skip
    assert "".join(found) == TEXT


def test_a_rest_without_text_belongs_to_the_step_before_it(tokenizer: Tokenizer) -> None:
    assert steps(tokenizer, "One. Two.") == ["One.", " Two."]
    assert steps(tokenizer, "One. Two", ended=False) == ["One.", " Two"]


def test_numbers_of_a_list_end_no_step(tokenizer: Tokenizer) -> None:
    assert steps(tokenizer, "Plan: 1. add\n2. halve. Done") == ["Plan: 1. add\n", "2. halve.", " Done"]


def test_results_are_no_numbers_of_a_list(tokenizer: Tokenizer) -> None:
    assert steps(tokenizer, "Total: 42. Then 7, 14. Done") == ["Total: 42.", " Then 7, 14.", " Done"]


def test_lines_and_paragraphs(tokenizer: Tokenizer) -> None:
    text = "One. Two\nThree\n\n\nFour"
    assert steps(tokenizer, text, "lines") == ["One. Two\n", "Three\n", "\n\nFour"] or steps(tokenizer, text, "lines") == [
        "One. Two\n", "Three\n\n\n", "Four",
    ]  # fmt: skip
    assert "".join(steps(tokenizer, text, "paragraphs")) == text
    assert len(steps(tokenizer, text, "paragraphs")) == 2


def test_only_tokens_that_may_end_a_step_are_paused_at(tokenizer: Tokenizer) -> None:
    reader = StepReader(tokenizer)
    ids = tokenizer.encode(TEXT)
    for place in range(1, len(ids) + 1):
        if reader.ends_step(ids[:place]):
            assert ids[place - 1] in reader.pause_ids
