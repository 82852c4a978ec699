"""What a text is graded for beside its answer."""

import pytest

from cogitate.apps.studio.grading import Regrading, language_of


@pytest.mark.parametrize(
    ("item", "language"),
    [
        ({"question": "How are you today, my friend?"}, "en"),
        ({"question": "你今天怎么样？"}, "zh"),
        ({"question": "1 + 1 = ?"}, None),
        ({"question": "Wie geht es dir heute, mein Freund? Ich bin nicht so gut gelaunt."}, None),
        ({"question": "How are you?", "language": "zh"}, "zh"),
    ],
)
def test_a_row_without_a_language_has_that_of_its_question(item: dict[str, str], language: str | None) -> None:
    assert language_of(item) == language


def test_the_form_of_candidates_is_asked_for_whatever_stands_beside_them() -> None:
    grading = Regrading()
    assert grading.check({"id": "x", "question": "Hi", "rule": None}, "Hello.").form == "there is no <think>"
    assert grading.check({"id": "x", "question": "Hi"}, "Hello.").form == ""
    grading.close()


def test_a_text_in_the_language_of_its_question_has_no_fault() -> None:
    grading = Regrading()
    question = "你今天怎么样？"
    found = grading.check({"id": "x", "question": question}, "我很好，谢谢你。")
    assert (found.language, found.faults, found.verdict) == (1.0, (), None)
    assert grading.check({"id": "x", "question": question}, "I am well, thank you.").faults == ("mixed language",)
    grading.close()
