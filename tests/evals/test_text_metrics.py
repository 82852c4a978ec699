"""Definitions tried on sentences a person would judge without hesitation."""

import pytest

from cogitate.evals import text_metrics

SUM_CHECKED = "First 12 + 7 = 19. Then 19 - 4 = 15. Let me check: 15 + 4 = 19. Right."


@pytest.mark.parametrize(
    "thinking",
    [
        "First 12 + 7 = 18. Wait, that is wrong. 12 + 7 = 19.",
        "Wait. 7 x 8 is 56.",
        "So 15. wait no, 16.",
        SUM_CHECKED,
        "I will double-check the last step.",
        "Hmm, 3 or 4?",
        "There is a mistake in the second line.",
        "先算12 + 7 = 18。等等，不对。12 + 7 = 19。",
        "检查一下：15 + 4 = 19。没错。",
        "重新算：3 + 4 = 7。",
    ],
)
def test_turning_back_on_ones_own_work_is_reflection(thinking: str) -> None:
    assert text_metrics.is_reflective(thinking)


@pytest.mark.parametrize(
    "thinking",
    [
        "First 12 + 7 = 19. Then 19 - 4 = 15.",
        "5 people wait for the bus and 3 more come, but 2 leave. However, 5 + 3 - 2 = 6.",
        "先算12 + 7 = 19。再算19 - 4 = 15。",
        "The waiter brings 4 cups. He had awaited 3.",
        "Is A taller than B? Anna > Ben, so Anna.",
        "比较一下对不对称的两边。",
        "",
    ],
)
def test_plain_steps_and_people_who_wait_are_not_reflection(thinking: str) -> None:
    assert not text_metrics.is_reflective(thinking)


def test_a_text_said_twice_is_half_repetition() -> None:
    once = "the cat sat on a mat and looked at seven birds near that old house by our lake"
    assert text_metrics.repetition(once) == 0.0
    assert text_metrics.repetition(f"{once} {once}") == pytest.approx(15 / 33)  # 18 words: 33 pieces, 15 of them repeats


def test_a_loop_is_repetitive_and_a_checked_sum_is_not() -> None:
    assert text_metrics.is_repetitive("so 3 + 4 = 7. " * 10)
    assert text_metrics.is_repetitive("所以答案是七。" * 10)
    assert not text_metrics.is_repetitive(SUM_CHECKED)
    assert text_metrics.repetition("too short") == 0.0


def test_a_loop_at_the_end_of_a_long_text_is_found() -> None:
    sensible = " ".join(f"word{index}" for index in range(2000)).replace("word", "w a")
    assert not text_metrics.is_repetitive(" ".join(f"{index} plus" for index in range(1000)))
    assert text_metrics.is_repetitive(sensible + " and so on and on" * 40)


@pytest.mark.parametrize(
    ("thinking", "language", "fault"),
    [
        ("First we add 3 and 4, 然后乘以二。", "en", "mixed language"),
        ("word " * 90 + "thing " * 120, "en", "overlong paragraph"),
        ("I write it down: ```python\nprint(1)\n``` and it works.", "en", "code block"),
        ("again and again and " * 20, "en", "repetition"),
        ("The answer is \ufffd\ufffd four.", "en", "unreadable characters"),
        ("The answer is \x07 four.", "en", "unreadable characters"),
        ("x" * 60, "en", "unreadable characters"),
    ],
)
def test_each_fault_of_readability_is_named(thinking: str, language: str, fault: str) -> None:
    assert fault in text_metrics.readability_faults(thinking, language)


def test_a_clean_thinking_is_readable_in_either_language() -> None:
    assert text_metrics.is_readable(SUM_CHECKED, "en")
    assert text_metrics.is_readable("先算12 + 7 = 19。再算19 - 4 = 15。", "zh")
    assert text_metrics.is_readable("", "en")


def test_long_thinking_in_paragraphs_is_readable() -> None:
    paragraphs = [" ".join(f"item {10 * i + j} gives {i * j + 7}" for j in range(20)) for i in range(8)]
    assert text_metrics.is_readable("\n\n".join(paragraphs), "en")


def test_a_mix_is_under_95_percent_of_the_target_languages_words() -> None:
    assert not text_metrics.is_mixed("one two three four five six seven eight nine ten " * 2, "en")
    assert text_metrics.is_mixed("先算 twelve plus seven 等于十九", "en")
    assert text_metrics.is_mixed("First we add twelve and seven", "zh")


def test_formulas_and_code_alone_are_no_mix() -> None:
    assert not text_metrics.is_mixed("12 + 7 = 19", "zh")
    assert not text_metrics.is_mixed("先排序，`xs = sorted(xs)`，再返回。", "zh")


def test_words_numbers_and_chinese_characters_count_one_each() -> None:
    assert text_metrics.length_in_words("don't add 3.5 and 1,000!") == 5
    assert text_metrics.length_in_words("先算 3 + 4。") == 4
