from __future__ import annotations

import pytest

from cogitate.errors import ConfigError
from cogitate.rewards.language import WordCount, count_words, detect_language, grade_language, language_share


@pytest.mark.parametrize(
    ("text", "language", "target", "all_words"),
    [
        ("So we add the two numbers.", "en", 6, 6),
        ("所以答案是 5。", "zh", 5, 5),
        ("So the answer is 五。", "en", 4, 5),
        ("设 x 为答案，则 $x = 23$，即 \\boxed{23}。", "zh", 6, 6),
        ("It costs $320.00 and the belt $32.00 more.", "en", 6, 6),
        ("Janet 的鸭子每天下蛋，她在 eBay 上卖。", "zh", 11, 11),  # names are left out
        ("We use ```python\nprint('hello world')\n``` here.", "en", 3, 3),
        ("See https://example.org/a/b for the code `x y z`.", "en", 4, 4),
        ("Ｓｏ ｔｈｅ ａｎｓｗｅｒ", "en", 3, 3),
        ("蝋燭は1時間燃えるごとに溶けます。", "zh", 0, 15),  # Japanese, in spite of its Chinese characters
        ("Il a dormi pendant huit heures cette nuit.", "en", 0, 8),
        ("Das ist der Hund, und er ist nicht klein.", "en", 0, 9),
        ("오늘은 좋다", "en", 0, 5),
        ("Сегодня хорошо", "en", 0, 2),
        ("$2x+3=7 \\Rightarrow x=2$", "en", 0, 0),
        ("", "en", 0, 0),
    ],
)
def test_words_are_counted_by_language(text: str, language: str, target: int, all_words: int) -> None:
    assert count_words(text, language) == WordCount(target, all_words)


def test_without_words_there_is_no_share() -> None:
    assert language_share("12 + 5 = 17", "en") is None
    assert language_share("one 二", "zh") == 0.5


def test_the_thinking_is_judged_where_there_is_any() -> None:
    assert grade_language("<think>all of it in English</think>答案是四", "en").score == 1.0
    assert grade_language("all of it 四", "en").score == 0.75
    assert grade_language("all of it 四", "en").value == "wrong"
    assert grade_language("<think>12</think>", "en").value == "wrong"


def test_languages_of_one_script_are_told_apart_by_lingua() -> None:
    pytest.importorskip("lingua")
    assert language_share("Die Katze schläft auf dem Tisch. The cat sleeps on the table.", "de") == 0.5
    assert detect_language("Die Katze schläft auf dem Tisch.", "de") == "de"
    with pytest.raises(ConfigError, match="no ISO"):
        language_share("What is this?", "xx")
