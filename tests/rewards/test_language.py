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


@pytest.mark.parametrize(
    "sentence", ["No.", "Try 14, wanted 18, no.", "His son met Ann.", "Come here!", "3 plus 4", "Ben sold a hat and a van."]
)
def test_everyday_english_words_that_other_languages_have_too_are_english(sentence: str) -> None:
    assert language_share(sentence, "en") == 1.0


@pytest.mark.parametrize(
    "sentence",
    [
        "No hay más que tres.",
        "Er hat zwei Hunde.",
        "Il a trois pommes de plus.",
        "Come si chiama?",
        "Hij heeft een van de drie.",
    ],
)
def test_other_languages_stay_foreign_where_they_share_words_with_english(sentence: str) -> None:
    assert language_share(sentence, "en") == 0.0


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


ENGLISH = "we first compute the sum of all the numbers and then divide it by two"
FOREIGN_SCRIPTS = {
    "Georgian": "ჩვენ ჯერ ვითვლით ყველა რიცხვის ჯამს", "Ethiopic": "በመጀመሪያ የሁሉንም ቁጥሮች ድምር", "Khmer": "យើងគណនាផលបូកនៃលេខទាំងអស់",
    "Burmese": "ကျွန်ုပ်တို့သည်ဂဏန်းအားလုံး", "Cherokee": "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ᏣᎳᎩ", "Bopomofo": "ㄨㄛˇ ㄇㄣ˙ ㄐㄧ ㄙㄨㄢˋ",
    "Armenian": "մենք նախ հաշվում ենք",
    "rare Chinese": "\U00020000\U00020001\U00020002\U00020003", "radicals": "⼀⼆⼈⼉⼊", "Mongolian": "ᠮᠣᠩᠭᠣᠯ ᠬᠡᠯᠡ ᠪᠣᠯ",
    "Tibetan": "བོད་སྐད་ཡིག་གི་སྐད", "Sinhala": "අපි මුලින්ම ගණනය කරමු", "Tifinagh": "ⵜⴰⵎⴰⵣⵉⵖⵜ ⴷ ⵜⵓⵜⵍⴰⵢⵜ ⵏ", "jamo": "ㅎㅏㄴㄱㅡㄹ",
    "half-width kana": "ｱﾅﾀﾊﾀﾞﾚﾃﾞｽｶ", "runes": "ᚠᚢᚦᚨᚱᚲ ᚷᚹᚺᚾ ᛁᛃᛇᛈ", "small capitals": "ᴡᴇ ꜰɪʀꜱᴛ ᴄᴏᴍᴘᴜᴛᴇ",
}  # fmt: skip
UNKNOWN_LATIN = {
    "Indonesian": "kita menghitung jumlah semua bilangan lalu membaginya dengan dua",
    "Swahili": "tunahesabu jumla ya namba zote kisha tunagawanya kwa mbili",
    "Tagalog": "kinakalkula natin ang kabuuan ng lahat ng numero saka hinahati",
    "Latin": "primum summam omnium numerorum computamus deinde duobus dividimus",
    "Turkish without its letters": "ilk olarak butun sayilarin toplamini hesapliyoruz sonra ikiye boluyoruz",
    "shouted": "KITA MENGHITUNG JUMLAH SEMUA BILANGAN LALU MEMBAGINYA DENGAN DUA",
}


def styled(text: str, first: int) -> str:
    """The text in another alphabet of 26 small letters."""
    return "".join(chr(first + ord(letter) - ord("a")) if "a" <= letter <= "z" else letter for letter in text)


@pytest.mark.parametrize("script", FOREIGN_SCRIPTS)
def test_a_script_that_the_table_does_not_know_is_foreign(script: str) -> None:
    count = count_words(f"the sum of it is {FOREIGN_SCRIPTS[script]}", "en")
    assert count.target == 5
    assert count.all >= 8


@pytest.mark.parametrize("language", UNKNOWN_LATIN)
def test_a_language_in_latin_letters_that_we_do_not_know_is_not_english(language: str) -> None:
    assert language_share(UNKNOWN_LATIN[language], "en") == 0.0
    assert grade_language(f"<think>{ENGLISH}. {UNKNOWN_LATIN[language]}.</think>", "en").value == "wrong"


@pytest.mark.parametrize("first", [0x1D41A, 0x1D482, 0x1D4EA, 0x1D51E, 0x1D552, 0x1D5BA, 0x1D68A, 0x24D0, 0xFF41])
def test_styled_letters_are_read_as_plain_ones(first: int) -> None:
    assert count_words(styled(ENGLISH, first), "en") == count_words(ENGLISH, "en")
    assert (language_share(f"我们 {styled(ENGLISH, first)}", "zh") or 0.0) < 0.2


@pytest.mark.parametrize(
    "hidden",
    [r"\text{%s}", r"$\text{%s}$", r"\[\text{%s}\]", r"\mbox{%s}", r"$$%s$$", r"\(%s\)", r"\boxed{%s}", r"\mathrm{%s}", "$%s$"],
)
def test_prose_does_not_hide_in_a_formula(hidden: str) -> None:
    assert (language_share("我们先算 " + hidden % ENGLISH, "zh") or 0.0) < 0.3
    assert (language_share("we compute " + hidden % "我们先把所有的数加起来", "en") or 0.0) < 0.3


@pytest.mark.parametrize(
    "formula",
    [r"$5\text{ cm}$", r"\[\frac{AB}{CD} = 3\]", r"$\sin x$", r"\(x \le 5\)", "$$a+b$$", "𝑥 + 𝑦", r"\operatorname{lcm}(m, n)"],
)
def test_formulas_are_no_words(formula: str) -> None:
    assert count_words(formula, "en").all == 0
    assert language_share(f"所以答案是 {formula}。", "zh") == 1.0


def test_a_script_of_its_own_counts_for_its_language() -> None:
    assert language_share("Сегодня хорошо и тепло", "ru") == 1.0
    assert language_share("Сегодня хорошо и тепло", "en") == 0.0
