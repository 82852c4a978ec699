"""Language consistency: the share of words of the target language (arXiv:2501.12948, section 2.3.2).

A word is a run of Latin letters, or one Chinese, Japanese or Korean character. Left out: code, formulas, numbers, links, tags,
single letters other than "a" and "I" (they name quantities), and in sentences of another script capitalised words (names,
brands, abbreviations).

Scripts decide where they can: Chinese characters are Chinese unless kana stand in the sentence. Latin sentences are English
unless their small words (articles, pronouns, prepositions) are those of another language. For targets other than English and
Chinese the extra package lingua decides each sentence between the target and English.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cogitate.errors import ConfigError
from cogitate.rewards.loading import heavy_import
from cogitate.rewards.verdicts import wrong
from cogitate.tokenizer.thinking import blank_code, split_thinking
from cogitate.types import Verdict

_TWO_WORDS = re.compile(r"(?<!\\)\b[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_DOLLARS = re.compile(r"(?<!\\)\$([^$\n]{1,200}?)(?<!\\)\$")
_LEFT_OUT = re.compile(
    r"\$\$.{0,2000}?\$\$|\\\[.{0,2000}?\\\]|\\\(.{0,2000}?\\\)"
    r"|\\[A-Za-z]+(?:\s*\{[^{}]*\})*|https?://\S+|[\w.+-]{1,64}@[\w-]+\.\S+|</?[A-Za-z_]+/?>",
    re.DOTALL,
)
_HAN, _KANA, _HANGUL = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", "\u3041-\u30fa\u30fc-\u30ff\uff66-\uff9f", "\uac00-\ud7af"
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_OTHER_LETTERS = "\u0370-\u052f\u0590-\u0e7f"  # Greek, Cyrillic, Hebrew, Arabic, the scripts of India, Thai
_WORD = re.compile(
    rf"(?P<latin>[{_LATIN}]+(?:['’][{_LATIN}]+)*)|(?P<han>[{_HAN}])|(?P<kana>[{_KANA}])|(?P<hangul>[{_HANGUL}])"
    rf"|(?P<other>[{_OTHER_LETTERS}]+)"
)
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|(?<=[。！？；])|\n+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The commonest small words; those that two languages share are given to neither.
_SMALL_WORDS = {
    "en": _words(
        """the of and to is was were are be been that this it he she they we you his her their its has have had with for
        from by on at as if how many much what which who when where each every does did do will would can could not
        but or an in more than all some there then after before into out over per only other another so therefore
        answer i my your let us first number two even a die"""
    ),
    "fr": _words(
        """le la les des du et est une un il elle ils elles que qui dans pour sur avec sont par ce cette ces au aux ne
        pas se sa ses son leur leurs combien chaque plus de nous vous je tu mais ou donc y ont fait été reste quel
        quelle"""
    ),
    "de": _words(
        """der die das und ist ein eine einen einem einer den dem des er sie es wir ihr nicht mit für von zu auf im an
        als wie viele wenn hat haben werden sind auch jede jeden jeder pro dann nach aus bei ich sich noch mehr wird
        alle"""
    ),
    "es": _words(
        """el la los las de y es un una que en con por para se su sus del al no lo como más cuántos cuántas cuánto cada
        si pero hay tiene tienen son le les está fue entonces después ella él todos"""
    ),
    "it": _words(
        """il lo la gli le di e è un una che in con per si sono del della dei delle quanti quante ogni ha hanno non al
        alla come più"""
    ),
    "pt": _words(
        """o os as de e é um uma que em com por para se seu sua do da dos das no na não mais quantos quantas cada tem têm
        são ao"""
    ),
    "nl": _words(
        """de het een en is van ik je hij zij wij met voor op aan niet dat die hoeveel elke heeft hebben zijn per er naar
        ook als"""
    ),
}
_SHARED = {word for word, count in Counter(word for words in _SMALL_WORDS.values() for word in words).items() if count > 1}
_ENGLISH_MARKS = _SMALL_WORDS["en"] - _SHARED - {"a", "die", "two", "even"}  # these are only no mark of another language
_FOREIGN_MARKS = (
    frozenset().union(*(words for language, words in _SMALL_WORDS.items() if language != "en")) - _SMALL_WORDS["en"]
)


# The script of languages that are not written in Latin letters, and whether no other language of lingua's uses it.
_SCRIPTS = {
    "zh": (_HAN, False), "ja": (_HAN + _KANA, False), "ko": (_HANGUL, True), "ru": ("\u0400-\u04ff", False),
    "uk": ("\u0400-\u04ff", False), "bg": ("\u0400-\u04ff", False), "ar": ("\u0600-\u06ff", False),
    "fa": ("\u0600-\u06ff", False), "ur": ("\u0600-\u06ff", False), "hi": ("\u0900-\u097f", False),
    "mr": ("\u0900-\u097f", False), "ne": ("\u0900-\u097f", True), "bn": ("\u0980-\u09ff", True),
    "pa": ("\u0a00-\u0a7f", True), "gu": ("\u0a80-\u0aff", True), "ta": ("\u0b80-\u0bff", True),
    "te": ("\u0c00-\u0c7f", True), "kn": ("\u0c80-\u0cff", True), "th": ("\u0e00-\u0e7f", True),
    "el": ("\u0370-\u03ff", True), "he": ("\u0590-\u05ff", True),
}  # fmt: skip
_NEIGHBOURS = {
    "ru": "uk bg", "uk": "ru bg", "bg": "ru uk", "ar": "fa ur", "fa": "ar ur", "ur": "ar fa", "hi": "mr", "mr": "hi",
    "pt": "es it fr", "es": "pt it fr", "it": "es pt fr", "fr": "es it pt", "de": "nl", "nl": "de", "fi": "et sv", "vi": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WordCount:
    """Words of the target language and of all languages."""

    target: int
    all: int

    @property
    def share(self) -> float:
        return self.target / self.all


def grade_language(prediction: str, language: str, *, threshold: float = 0.9) -> Verdict:
    """The share as the score, over the thinking where there is any, else over everything; right from `threshold` upwards."""
    parts = split_thinking(prediction)
    text = parts.thinking if parts.thinking and parts.thinking.strip() else prediction
    count = count_words(text, language)
    if not count.all:
        return wrong("there are no words to judge")
    reason = f"{count.target} of {count.all} words are {language}"
    return Verdict("right" if count.share >= threshold else "wrong", count.share, reason, None)


def language_share(text: str, language: str) -> float | None:
    """Share of words in the target language, 0..1; None where there are no words at all."""
    count = count_words(text, language)
    return count.share if count.all else None


def count_words(text: str, language: str) -> WordCount:
    """Count the words of a text.

    Args:
        language: an ISO 639-1 code: "en", "zh", "ja", "ko", or one that lingua knows.

    Raises:
        ConfigError: another language, and lingua is not installed or does not know it.
    """
    total: Counter[str] = Counter()
    latin: list[list[str]] = []
    for sentence in _SENTENCE.split(words_only(text)):
        words = _count_scripts(sentence, total) if sentence else []
        if words:
            latin.append(words)
    for words, tongue in zip(latin, _latin_languages(latin, language), strict=True):
        total[tongue] += len(words)
    return WordCount(total[language], sum(total.values()))


def detect_language(text: str, target: str) -> str | None:
    """The language of a whole text: the target's code, else another or "other"; None where only lingua could tell.

    A script that one language alone uses decides by itself. Where languages share a script, lingua decides between the target,
    English, and the target's neighbours in that script.
    """
    letters = [character for character in words_only(text) if character.isalpha()]
    if not letters:
        return "other"
    blocks, alone = _SCRIPTS.get(target, (_LATIN, False))
    if sum(re.match(f"[{blocks}]", letter) is not None for letter in letters) < 0.5 * len(letters):
        return "other"
    if target in ("en", "zh", "ja"):
        return target if (language_share(text, target) or 0.0) >= 0.5 else "other"
    if alone:
        return target
    try:
        return _by_lingua(text, target)
    except ConfigError:
        return None


def words_only(text: str) -> str:
    """The text without code, formulas, links and tags; full-width letters made plain."""
    text = re.sub("[\uff21-\uff5a]", lambda match: unicodedata.normalize("NFKC", match.group()), text)
    text = _LEFT_OUT.sub(" ", blank_code(text))
    return _DOLLARS.sub(lambda match: match.group() if _TWO_WORDS.search(match.group(1)) else " ", text)


def _count_scripts(sentence: str, count: Counter[str]) -> list[str]:
    """Add a sentence's words to the count by script, all but the Latin ones: those are returned."""
    found: dict[str, list[str]] = {"latin": [], "han": [], "kana": [], "hangul": [], "other": []}
    for match in _WORD.finditer(sentence):
        found[match.lastgroup or "other"].append(match.group())
    japanese = len(found["kana"]) > 0.1 * len(found["han"] + found["kana"])
    count["ja" if japanese else "zh"] += len(found["han"]) + len(found["kana"])
    count["ko"] += len(found["hangul"])
    count["other"] += len(found["other"])
    foreign_script = len(found["han"] + found["kana"] + found["hangul"]) >= max(1, len(found["latin"]))
    return [word for word in found["latin"] if _counts(word, in_foreign_script=foreign_script)]


def _counts(word: str, *, in_foreign_script: bool) -> bool:
    """Whether a Latin word is counted: no name of a quantity, and no name or brand within another script."""
    if len(word) == 1:
        return word in ("a", "A", "I") and not in_foreign_script
    return not (in_foreign_script and word != word.lower())


def _latin_languages(sentences: list[list[str]], target: str) -> list[str]:
    """The language of each sentence's Latin words: "en", the target, or "other". Sentences without a sign follow the rest."""
    if target not in ("en", "zh", "ja", "ko"):
        return [_by_lingua(" ".join(words), target) for words in sentences]
    signs = [_english_signs(words) for words in sentences]
    whole = sum(signs)
    return ["other" if (sign or whole) < 0 else "en" for sign in signs]


def _english_signs(words: list[str]) -> int:
    """Small words of English less those of other languages and words with accents."""
    folded = [part for word in words for part in re.split("['’]", word.casefold())]
    english = sum(word in _ENGLISH_MARKS for word in folded)
    return english - sum(word in _FOREIGN_MARKS or not word.isascii() for word in folded)


def _by_lingua(text: str, target: str) -> str:
    detector, languages = _lingua_detector(target)
    return languages.get(detector.detect_language_of(text), "other")


@lru_cache(maxsize=4)
def _lingua_detector(target: str) -> tuple[Any, dict[Any, str]]:
    """A detector that knows the target, English and the target's neighbours alone."""
    try:
        from lingua import IsoCode639_1, Language, LanguageDetectorBuilder
    except ModuleNotFoundError as error:
        raise ConfigError(f"language {target!r} needs the extra package lingua: pip install 'cogitate[language]'") from error
    try:
        languages = {
            Language.from_iso_code_639_1(IsoCode639_1.from_str(code)): code
            for code in [target, "en", *_NEIGHBOURS.get(target, "").split()]
        }
    except ValueError as error:
        raise ConfigError(f"language {target!r} is no ISO 639-1 code that lingua knows") from error
    with heavy_import():
        detector = LanguageDetectorBuilder.from_languages(*languages).build()
        detector.detect_language_of("one two three")  # loads its models
    return detector, languages
