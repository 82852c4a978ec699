"""Multiple choice: which option letter does the answer commit to?

Rules: a letter alone or at the start ("D", "(d)", "D. because ...") counts; in a sentence the last letter that is announced
("the answer is B", "option B"), else the only letter that is affirmed. Letters that are denied ("not A", "不是 A") do not
count. Listing several options ("A or B", "A, B, C, D") is a hedge and wrong. Where the reference carries the option's text
("(D) Alina"), that text counts as well.
"""

from __future__ import annotations

import re
import unicodedata

from cogitate.rewards.answer import Contract, find_answer
from cogitate.rewards.graders.exact import foldings
from cogitate.rewards.verdicts import clip, judged, no_verdict, wrong
from cogitate.types import Verdict

_GOLD = re.compile(r"^\s*\(?\s*([A-Za-z])\s*(?:\)|[.:：。、]|\s|$)\s*([^\n]*)")
_WRAPPING = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mathit|mbox|boxed)\b|[${}*`\"'\\]|\u200b")
_LEADING = re.compile(r"^\s*[(\[（]?\s*([A-Za-z])\s*[)\]）]?\s*(?:$|[.,:;!?。，、：；！？)）-]|\()")
_LISTED = re.compile(
    r"\b[A-Z]\b\s*[)\]）.]?\s*(?:,|/|&|、|，|;|or\b|and\b|ou\b|oder\b|或|和|及)\s*(?:or\b|and\b)?\s*"
    r"[(\[（]?\s*[A-Z]\b(?!['’]|\s+[a-z])"
)
_DENIED = re.compile(
    r"(?:\bnot|\bnon|\bisn['’]?t|\bcan(?:no|['’]?)t be|\bneither|\bnor|\brather than|\binstead of|\bexclude[sd]?"
    r"|\beliminate[sd]?|\brule[sd]? out|\banything but|\bother than|\bexcept)\s+(?:be\s+|option\s+|choice\s+)?[(（]?\s*[A-Z]\b"
    r"|(?:不是|不[選选]|并非|排除)\s*[(（]?\s*[A-Z]"
    r"|(?<![A-Za-z0-9])[A-Z]\s*[)）]?\s*(?:(?:is|was)\s+(?:wrong|incorrect|false|impossible|not\b)"
    r"|(?:is|was)n['’]?t\b|是错|错误|不对|不正确)",
    re.IGNORECASE,
)
_ANNOUNCED_LETTER = re.compile(
    r"(?:\b(?:option|choice|answer|select|choose|pick|letter|it['’]?s|is|be|est|es|ist|[Ss]o|[Tt]hus|[Tt]herefore|[Hh]ence)\b"
    r"|答案|选项?|選|所以)[\s,，]*[:：是为]?\s*[(\[（]?\s*([A-Z])(?![A-Za-z0-9'’]|\s*[?？])",
)
_LETTER = re.compile(r"(?<![A-Za-z0-9'’])([A-Z])(?![A-Za-z0-9'’])")


def grade_choice(prediction: str, gold: str, *, contract: Contract = "r1") -> Verdict:
    """`gold` is a letter, alone or followed by the option's text."""
    reference = _GOLD.match(unicodedata.normalize("NFKC", _WRAPPING.sub("", gold)))
    if reference is None:
        return no_verdict(f"the reference {clip(gold)!r} does not begin with an option letter")
    letter, option = reference.group(1).upper(), reference.group(2)
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    found = {chosen_letter(text) for text in (answer.text, *answer.alternatives)}
    if len(found) > 1:
        return wrong("several different answers are given", answer.text)
    chosen = found.pop()
    if chosen is None and option and foldings(option) & foldings(answer.text):
        chosen = letter
    if chosen is None:
        return wrong("the answer commits to no single option", clip(answer.text))
    return judged(chosen == letter, f"chooses {chosen}, the reference is {letter}", chosen)


def chosen_letter(text: str) -> str | None:
    """The one option letter a text commits to, in upper case; None where there is none or several."""
    text = unicodedata.normalize("NFKC", _WRAPPING.sub("", text)).strip()
    denied = _DENIED.sub(" ", text)
    leading = _LEADING.match(text)
    if leading and not _LISTED.match(text.lstrip("([（ ")):
        return leading.group(1).upper()
    if _LISTED.search(denied.split(".")[0]) and not _ANNOUNCED_LETTER.search(denied):
        return None
    announced = _ANNOUNCED_LETTER.findall(denied)
    if announced:
        last = denied.rfind(announced[-1])
        return None if _LISTED.match(denied[last:]) else announced[-1]
    affirmed = {letter for letter in _LETTER.findall(denied) if letter != "I" and not _is_article(letter, denied)}
    return affirmed.pop() if len(affirmed) == 1 else None


def _is_article(letter: str, text: str) -> bool:
    return letter == "A" and re.search(r"(?<![A-Za-z])A\s+[a-z]", text) is not None
