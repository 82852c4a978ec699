"""Language consistency: the share of words of the target language (arXiv:2501.12948, section 2.3.2).

A word is a run of letters of one script, or one Chinese, Japanese or Korean character; in scripts that are written without
spaces between words four letters stand for a word. Every letter counts, whatever its script and its look (circled, bold and
other mathematical letters are read as plain ones). Left out: code, formulas, numbers, links, tags, single letters other than
"a" and "I" (they name quantities), and in sentences of another script capitalised words (names, brands, abbreviations). Prose
within a formula or a command (two words side by side, or letters that are neither Latin nor Greek) is no formula and counts.

Scripts decide where they can: Chinese characters are Chinese unless kana stand in the sentence; a script that the table does
not know is foreign. Latin sentences are English unless their small words (articles, pronouns, prepositions) are those of
another language, or hardly a word of them is a common English one. For targets other than English and Chinese the extra package
lingua decides each sentence between the target and English.
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

_PROSE = re.compile(r"\b[A-Za-z][a-z]+\s+[A-Za-z][a-z]+|\b[A-Z]{2,}(?:\s+[A-Z]{2,}){3}")  # AB CD are two lengths
_TWO_WORDS = re.compile(r"(?<!\\)\b[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_DOLLARS = re.compile(r"(?<!\\)\$([^$\n]{1,200}?)(?<!\\)\$")
_LEFT_OUT = re.compile(
    r"(?P<formula>\$\$|\\\[|\\\()|(?P<command>\\[A-Za-z]+(?:\s*\{[^{}]*\})*)"
    r"|https?://\S+|[\w.+-]{1,64}@[\w-]+\.\S+|</?[A-Za-z_]+/?>"
)
_CLOSING = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
_LONGEST_FORMULA = 2000  # characters; what opens and is not closed within them is no formula
_COMMAND_NAME = re.compile(r"\\[A-Za-z]+|[{}]")
_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA, _HANGUL = "\u3041-\u30fa\u30fc-\u30ff\uff66-\uff9f", "\u1100-\u11ff\u3131-\u318e\uac00-\ud7af"
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_OTHER_SCRIPT = rf"[^\x00-\u00bf\u00d7\u00f7\s{_LATIN}{_HAN}{_KANA}{_HANGUL}]"
_WORD = re.compile(
    rf"(?P<latin>[{_LATIN}]+(?:['’][{_LATIN}]+)*)|(?P<han>[{_HAN}])|(?P<kana>[{_KANA}])|(?P<hangul>[{_HANGUL}])"
    rf"|(?P<other>{_OTHER_SCRIPT}+)"
)
_FOREIGN_LETTER = re.compile(rf"[{_HAN}{_KANA}{_HANGUL}]|[^\W\d_\x00-\u03ff\u1e00-\u1eff\U0001d400-\U0001d7ff]")
_WITHOUT_SPACES = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1980-\u19df"  # Thai, Lao, Tibetan, Burmese, Khmer
_LETTERS_OF_A_WORD = 4  # of those scripts
_QUANTITY = re.compile("[\U0001d400-\U0001d7ff]")  # a mathematical letter, alone
_STYLED = re.compile(
    "[\u00aa\u00ba\u1d2c-\u1d6a\u1d78\u1d9b-\u1dbf\u2070-\u209c\u2100-\u214f\u2460-\u24ff\u2e80-\u2fd5\ufb00-\ufb06\uff21-\uff5a"
    "\U0001d400-\U0001d7ff\U0001f110-\U0001f189]"
)
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|(?<=[。！？；])|\n+")


_FEWEST_TO_JUDGE = 8  # different words
_ENGLISH_ENOUGH = 4  # different small words of English, however many words are unknown


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
_ENGLISH_AS_WELL = _words("come den hat met no plus pour pro son van")  # no small words of English, but everyday ones
_FOREIGN_MARKS = (
    frozenset().union(*(words for language, words in _SMALL_WORDS.items() if language != "en"))
    - _SMALL_WORDS["en"]
    - _ENGLISH_AS_WELL
)


_COMMON_ENGLISH = _words(
    """above add added adding also altogether am amount angle any area around average back base because become before below
    best better between big black blue bought box boxes buy buys calculate car carry check children class close code
    combined common compute consider cost costs could data day days difference digit digits distance divide divided
    divisible dollars done double down earn eat end equal equals equation exactly example expression factor fewer figure
    file final find finish first follows foot four fraction friends from function gave get gets give given gives go good got
    graph great greater green half have having height help here high hmm hour hours house hundred hundreds if important
    including information integer integers into its just know largest last leaves left length less let's letter like line
    list long low make makes many mean means meeting minus minutes model money month months more multiple multiply must name
    need needed needs new next no note now off ok okay old once one ones only open order original our ourselves out paid
    pair pay people percent person place please point points positive possible price probability problem product question
    read real red remaining result right root round same school second see sell sells set shape show shown shows side sides
    simplify since six small so solution solve some spend spent square start step steps still store students subtract such
    sum system take takes team ten tens test than them themselves these think those thousand three through thus time times
    together total true try twice type under unit units until up use used user using value values very wait want water way
    ways week weeks well while white whole why word words work works write year years yes zero"""
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
        words = _count_scripts(sentence, total, target=language) if sentence else []
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
    """The text without code, formulas, links and tags; styled letters made plain."""
    text = _STYLED.sub(lambda match: _plain_letter(match.group()), blank_code(text))
    kept, position = [], 0
    while match := _LEFT_OUT.search(text, position):
        kept.append(text[position : match.start()])
        position = match.end()
        if match["formula"]:
            closing = _CLOSING[match["formula"]]
            end = text.find(closing, position, position + _LONGEST_FORMULA + len(closing))
            if end < 0:
                continue
            kept.append(_prose(text[position:end]))
            position = end + len(closing)
        elif match["command"]:
            kept.append(_prose(match["command"]))
    text = " ".join([*kept, text[position:]])
    return _DOLLARS.sub(lambda match: match.group() if _is_text(match.group(1)) else " ", text)


def _prose(formula: str) -> str:
    """The words of a formula or command where it holds prose, else nothing."""
    words = _COMMAND_NAME.sub(" ", formula)
    return words if _PROSE.search(words) or _FOREIGN_LETTER.search(words) else " "


def _is_text(between_dollars: str) -> bool:
    """Whether two dollar signs are those of two sums of money, with words between them."""
    return _TWO_WORDS.search(between_dollars) is not None or _FOREIGN_LETTER.search(between_dollars) is not None


@lru_cache(maxsize=4096)
def _plain_letter(character: str) -> str:
    plain = unicodedata.normalize("NFKC", character).strip("()")
    return plain if plain.isalpha() and (plain.isascii() or not "\u0370" <= plain <= "\u03ff") else character


def _count_scripts(sentence: str, count: Counter[str], *, target: str) -> list[str]:
    """Add a sentence's words to the count by script, all but the Latin ones: those are returned."""
    found: dict[str, list[str]] = {"latin": [], "han": [], "kana": [], "hangul": [], "other": []}
    for match in _WORD.finditer(sentence):
        found[match.lastgroup or "other"].append(match.group())
    japanese = len(found["kana"]) > 0.1 * len(found["han"] + found["kana"])
    count["ja" if japanese else "zh"] += len(found["han"]) + len(found["kana"])
    count["ko"] += len(found["hangul"])
    blocks, _ = _SCRIPTS.get(target, ("", False))
    for run in found["other"]:
        words = _words_of_run(run)
        count[target if words and blocks and re.match(f"[{blocks}]", run) else "other"] += words
    foreign_script = len(found["han"] + found["kana"] + found["hangul"]) >= max(1, len(found["latin"]))
    return [word for word in found["latin"] if _counts(word, in_foreign_script=foreign_script)]


def _words_of_run(run: str) -> int:
    """Words in a run of characters of other scripts, in which signs may stand among the letters."""
    letters = "".join(c if c.isalpha() or unicodedata.category(c)[0] == "M" else " " for c in run)
    words = [word for word in letters.split() if any(map(str.isalpha, word))]
    words = [word for word in words if not _QUANTITY.fullmatch(word)]
    return sum(-(-len(word) // _LETTERS_OF_A_WORD) if re.match(f"[{_WITHOUT_SPACES}]", word) else 1 for word in words)


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
    whole, unknown = sum(signs), _is_unknown_tongue([word for words in sentences for word in words])
    return [
        "other" if (sign or whole) < 0 or unknown or (sign <= 0 and _is_unknown_tongue(words)) else "en"
        for sign, words in zip(signs, sentences, strict=True)
    ]


def _is_unknown_tongue(words: list[str]) -> bool:
    """Whether hardly any of several words is a common English one, as in languages whose small words we do not know.

    A word that is repeated counts once. Capitalised words may be names: they count where there is little else.
    """
    lower = [word for word in words if word == word.lower()]
    distinct = {word.casefold() for word in (lower if 2 * len(lower) >= len(words) else words)}
    if len(distinct) < _FEWEST_TO_JUDGE or len(distinct & _ENGLISH_MARKS) >= _ENGLISH_ENOUGH:
        return False
    return sum(word in _SMALL_WORDS["en"] or word in _COMMON_ENGLISH for word in distinct) < 0.1 * len(distinct)


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
