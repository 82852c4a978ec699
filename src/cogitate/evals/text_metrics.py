"""What is said of a completion's thinking beyond right and wrong: language mix, reflection, readability, repetition, length.

The one place of these definitions. All take the text of the thinking alone (tokenizer/thinking.py cuts it out); each
*rate* in results and logs is the share of completions for which the yes/no function here holds.
"""

from __future__ import annotations

import re
import unicodedata

from cogitate.rewards.language import language_share

MIXED_BELOW = 0.95  # share of words in the target language under which a thinking counts as mixed
WINDOW = 100  # words; repetition is looked for in windows, so that a loop at the end of a long text is not averaged away
PIECE = 4  # words; a repeated run of this many counts as repetition
REPETITIVE_ABOVE = 0.5  # a text said twice has 0.5, three times 0.67; undoing a sum to check it stays near 0.1
PARAGRAPH_WORDS = 200  # R1, section 2.3.3, drops "long paragraphs" without a figure; this one is ours
WORD_CHARACTERS = 40  # a longer "word" is no word of any language

# Discourse markers of going back over one's own work, in the spirit of the words counted in R1's supplement ("wait",
# "mistake", "verify", "check" ...). Left out on purpose: "but" and "however" join any two sentences, and "wait" counts
# only where it stops the writer ("wait," "wait: that ..."), not where a person of the problem waits for a bus.
REFLECTION = re.compile(
    r"(?:\b(?=[cdhilmnortvw])|(?=[等慢不错有搞算写漏检验核重再]))(?:"  # first letters of what follows: four times as fast
    r"(?<![\w-])wait(?=\s*[,.!?;:…—–-]|\s*$|\s+(?:no|that|this|actually|i|we|let|maybe|is|did|so)\b)"
    r"|\b(?:hmm+|oops)\b"
    r"|\b(?:let me|let's|let us|i should|i will|i'll|we should|to|now)\s+(?:re-?|double[- ])?(?:check|verify)\b"
    r"|\b(?:re-?|double[- ])check(?:ing|ed)?\b|\b(?:checking|verifying|re-?verify)\b"
    r"|\b(?:check|verify|verification)\s*:"
    r"|\bmistake|\b(?:that|this|it)(?:'s| is| was| looks| seems)\s+(?:wrong|not right|incorrect)\b|\bi (?:was|am) wrong\b"
    r"|\bon second thought\b|\blet me (?:redo|reconsider|rethink|retry|try again|start over|think again)\b|\bi forgot\b"
    r"|等等|等一下|等下|慢着|(?<!对)不对(?!劲|称|应)|错了|有误|搞错|算错|写错|漏了|检查|检验|验算|验证|核对|核实"
    r"|重新(?:算|想|考虑|检|看|来)|再(?:检查|验|核|想想|想一想|看一遍|算一遍|看看))",
    re.IGNORECASE,
)

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = rf"[^\W\d_{_HAN}]"
_WORD = re.compile(rf"[{_HAN}]|{_LETTER}+(?:['’-]{_LETTER}+)*|\d+(?:[.,]\d+)*|[^\w\s]")


def is_mixed(thinking: str, language: str) -> bool:
    """Under 95 % of the words are of the target language. Code and formulas are left out; no words at all is not a mix."""
    share = language_share(thinking, language)
    return share is not None and share < MIXED_BELOW


def is_reflective(thinking: str) -> bool:
    """At least one mark of reflection."""
    return REFLECTION.search(thinking) is not None


def repetition(text: str) -> float:
    """How much of the text is said again: the share of four-word pieces that stood before, in the worst window of 100 words.

    0 for a text without repeats (and for fewer than five words), towards 1 for a loop. Signs and numbers count as words.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    worst = 0.0
    for start in range(0, max(1, len(words) - WINDOW // 2), WINDOW // 2):
        window = words[start : start + WINDOW]
        pieces = list(zip(*(window[offset:] for offset in range(PIECE)), strict=False))
        if len(pieces) > 1:
            worst = max(worst, 1 - len(set(pieces)) / len(pieces))
    return worst


def is_repetitive(text: str) -> bool:
    """More than half of some window has been said before."""
    return repetition(text) > REPETITIVE_ABOVE


def readability_faults(thinking: str, language: str) -> tuple[str, ...]:
    """Why a person would not want to read this thinking; empty where it is readable (R1, section 2.3.3, names the first four).

    Returns:
        Of "mixed language", "overlong paragraph", "code block", "repetition", "unreadable characters", those that hold.
    """
    faults = {
        "mixed language": is_mixed(thinking, language),
        "overlong paragraph": any(length_in_words(part) > PARAGRAPH_WORDS for part in re.split(r"\n\s*\n", thinking)),
        "code block": "```" in thinking or "~~~" in thinking,
        "repetition": is_repetitive(thinking),
        "unreadable characters": _has_unreadable(thinking),
    }
    return tuple(name for name, holds in faults.items() if holds)


def is_readable(thinking: str, language: str) -> bool:
    """No fault of readability."""
    return not readability_faults(thinking, language)


def length_in_words(text: str) -> int:
    """Length for a reader: words, numbers and Chinese characters, one each; signs are not counted.

    Lengths in results and logs are tokens, counted where completions are sampled; this one does not depend on a tokenizer.
    """
    return sum(1 for word in _WORD.findall(text) if word[0].isalnum())


def _has_unreadable(text: str) -> bool:
    """Undecodable bytes, control or private-use characters, or a "word" no language has."""
    categories = {unicodedata.category(character) for character in set(text) - set("\n\t\r")}
    if "\ufffd" in text or categories & {"Cc", "Co", "Cn"}:
        return True
    return any(len(word) > WORD_CHARACTERS for word in _WORD.findall(text) if word[0].isalpha())
