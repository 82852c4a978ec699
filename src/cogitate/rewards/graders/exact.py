"""Exact answers: equal texts once case, articles, punctuation and white space are folded.

Punctuation between digits is kept (3.14 is not 314), and so is a sign in front of a number; a comma that groups thousands goes.
Text answers in LaTeX (`\\text{...}`) count by their text.
"""

from __future__ import annotations

import re
import unicodedata

from cogitate.rewards.answer import Answer, Contract, find_answer, strip_markdown
from cogitate.rewards.verdicts import clip, judged, no_verdict, wrong
from cogitate.types import Verdict

_LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)\s*\{([^{}]*)\}")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_ARTICLES = re.compile(r"\b(?:a|an|the)\s+(?=\w{2})")
_COPULA = re.compile(r"\b(?:is|are|was|be)\b|是|为")
_PUNCTUATION = re.compile(r"(?!(?<=\w)[+#]|(?<=\+)\+)[^\w\s\x00]|_")  # C++ and F# keep their signs
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])")


def grade_exact(prediction: str, gold: str, *, contract: Contract = "r1", literal: bool = False) -> Verdict:
    """Right where the answer, folded, equals the reference, folded.

    Args:
        literal: compare every mark, white space aside, for answers that are marks: brackets, say.
    """
    if literal:
        return grade_literal(prediction, gold, contract)
    wanted = foldings(gold)
    if not any(wanted):
        return no_verdict("the reference answer is empty")
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    if any(not foldings(other) & foldings(answer.text) for other in answer.alternatives):
        return wrong("several different answers are given", answer.text)
    found = next((text for text in text_candidates(answer) if foldings(text) & wanted), None)
    extracted = answer.text if found is None else found
    return judged(found is not None, f"the answer is {clip(extracted)!r}, the reference {clip(gold)!r}", extracted)


def grade_literal(prediction: str, gold: str, contract: Contract) -> Verdict:
    """Right where the answer is the reference, white space aside."""
    wanted = "".join(gold.split())
    if not wanted:
        return no_verdict("the reference answer is empty")
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    if any("".join(other.split()) != "".join(answer.text.split()) for other in answer.alternatives):
        return wrong("several different answers are given", answer.text)
    reason = f"the answer is {clip(answer.text)!r}, the reference {clip(gold)!r}"
    return judged("".join(answer.text.split()) == wanted, reason, answer.text)


def text_candidates(answer: Answer) -> list[str]:
    """The marked answer; where nothing is marked also the last line, the last sentence, and what it says something is."""
    if answer.source == "box":
        return [answer.text]
    if answer.source == "answer tag":
        return [answer.text, *_COPULA.split(answer.text.strip())[1:][-1:]]
    lines = [line for line in answer.region.splitlines() if line.strip()]
    last = strip_markdown(lines[-1]) if lines else ""
    candidates = [answer.text, answer.region.strip()]
    if answer.source == "text":
        sentence = _SENTENCE_END.split(last.strip())[-1]
        candidates += [last, sentence, _COPULA.split(sentence)[-1]]
    return candidates


def foldings(text: str) -> set[str]:
    """The folded text, with punctuation inside words once dropped and once read as a space; empty foldings are left out."""
    text = unicodedata.normalize("NFKC", text)
    text = _LATEX_TEXT.sub(r"\1", text).replace("$", "").replace("\\", "")
    text = _THOUSANDS.sub("", text.casefold())
    folded = set()
    for filler in ("", " "):
        spaced = re.sub(r"(?<!\d)(?<!\w)-(?=\.?\d)", "\x00", text)  # a sign
        spaced = re.sub(r"(?<=\d)[^\w\s\x00](?=\d)|(?<![\w.])\.(?=\d)", lambda match: f"\x01{match.group()}\x01", spaced)
        pieces = spaced.split("\x01")
        spaced = "".join(piece if index % 2 else _PUNCTUATION.sub(filler, piece) for index, piece in enumerate(pieces))
        folded.add(" ".join(_ARTICLES.sub(" ", spaced.replace("\x00", "-")).split()))
    return folded - {""}
