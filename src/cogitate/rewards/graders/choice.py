"""Multiple choice: which option letter does the answer commit to?

A letter commits alone or at the start ("D", "(d)", "D. because ..."), and where a phrase announces it ("the answer is for sure
B", "option B", "so C", "A is correct"); the last announcement counts. A capital in a formula, a quantity or another phrase
("x^2 + C", "3 A", "Vitamin C") is no option, nor is a letter that is denied ("not A", "all but A", "A?", "不是 A"). Listing
several options ("A or B", "A, B, C, D") is a hedge and wrong. A box around a formula is no choice: what the text then announces
counts. Where the reference carries the option's text ("(D) Alina"), that text counts as well.
"""

from __future__ import annotations

import re
import unicodedata

from cogitate.rewards.answer import Contract, find_answer, find_statement
from cogitate.rewards.graders.exact import foldings
from cogitate.rewards.verdicts import clip, judged, no_verdict, wrong
from cogitate.types import Verdict

_GOLD = re.compile(r"^\s*\(?\s*([A-Za-z])\s*(?:\)|[.:：。、]|\s|$)\s*([^\n]*)")
_WRAPPING = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mathit|mbox|boxed)\b|[${}*`\"\\]|\u200b")
_QUOTED = re.compile(r"'([^']{0,80})'")
_FORMULA = re.compile(r"\\(?!(?:text|textbf|textrm|mathrm|mathbf|mathit|mbox|boxed)\b)[A-Za-z]+|[=+^_<>]|\d")
_LEADING = re.compile(
    r"\s*(?P<bracket>[(\[（])?\s*(?P<letter>[A-Za-z])\s*(?:[)\]）]|(?(bracket)(?!)))?"
    r"(?(bracket)|(?:\s*(?:$|[.,:;!。，、：；！)）])|\s+\(|\s+[-–—]\s+[A-Za-z\d]{2}"
    r"|\s+(?:because|since|as|given|due\s+to)\b))"
)
_LISTED = re.compile(
    r"\b[A-Z]\b\s*[)\]）.]?\s*(?:,|/|&|、|，|;|or\b|and\b|ou\b|oder\b|或|和|及)\s*(?:or\b|and\b)?\s*"
    r"[(\[（]?\s*[A-Z]\b(?!['’]|\s+[a-z])"
)
_FURTHER = r"(?:\s*[)）]?\s*(?:,\s*(?:or|nor|and)\b|,|or\b|nor\b|and\b|/)\s*[(（]?\s*[A-Z]\b(?!['’]|\s+(?:is|was)\b))*"
_DENIED = re.compile(
    r"(?:\bnot|\bnon|\bisn['’]?t|\bcan(?:no|['’]?)t be|\bneither|\bnor|\brather than|\binstead of|\bexclud(?:e[sd]?|ing)"
    r"|\beliminat(?:e[sd]?|ing)|\brul(?:e[sd]?|ing) out|\bbut|\bother than|\bexcept(?: for)?|\bapart from|\bopposite of"
    r"|\bunlike|\bwithout|\bever)"
    rf"\s+(?:be\s+|option\s+|choice\s+|answer\s+)?[(（]?\s*[A-Z]\b{_FURTHER}"
    r"|(?:不是|不[選选]|并非|排除|除了)\s*[(（]?\s*[A-Z]"
    r"|(?<![A-Za-z0-9])[A-Z]\s*[)）]?\s*(?:(?:is|was)\s+(?:wrong|incorrect|false|impossible|out\b|not\b)"
    r"|(?:is|was)n['’]?t\b|是错|错误|不对|不正确)",
    re.IGNORECASE,
)
_ADVERB = (
    r"(?:for\s+sure|of\s+course|definitely|clearly|certainly|surely|obviously|simply|just|indeed|actually|therefore|thus|then|hence"
    r"|still|now|most\s+likely|likely|probably|in\s+fact)"
)
_SURELY = rf"(?:\s*,?\s*(?:{_ADVERB}|option|choice|letter|answer)\b,?)*"
_END_OF_LETTER = (
    r"(?![A-Za-z0-9'’^_]|-\w|\s*[?？=+*/<>]|\s+[-−]\s*\w"
    r"|\s+(?!(?:is|was|because|since|as|for|and|but|not|rather|which|due|given|so|here|by|in|that|if|it|with|seems?)\b)[a-z])"
)
_ANNOUNCED_LETTER = re.compile(
    r"(?:\b(?i:option|choice|answer|select|choose|pick|letter|it['’]?s|is|be|est|es|ist|so|thus|therefore|hence|no|instead|with)\b"
    rf"|^\s*(?i:{_ADVERB})\b|答案|选项?|選|所以){_SURELY}[\s,，]*[:：是为]?\s*[(\[（]?\s*(?P<letter>[A-Z])\s?[)\]）]?{_END_OF_LETTER}"
)
_AFFIRMED_LETTER = re.compile(
    r"(?:^|[.,;:!?…—。，；：！？]|\b(?i:so|thus|hence|therefore|and|that|think|believe|say|option|choice|answer)\b)\s*[(（]?\s*"
    r"(?P<letter>[A-Z])\s*[)）]?\s*(?:(?:is|was|must\s+be|seems|looks)(?:\s*(?:$|[.,;:!])"
    rf"|{_SURELY}\s+(?:the\s+)?(?:only\s+|most\s+)?(?:correct|right|true|best|valid|one|answer|option|choice|solution)\b)"
    r"|(?:才?是)?(?:正确|对)的?)"
)


def grade_choice(prediction: str, gold: str, *, contract: Contract = "r1") -> Verdict:
    """`gold` is a letter, alone or followed by the option's text."""
    reference = _GOLD.match(unicodedata.normalize("NFKC", _WRAPPING.sub("", gold)))
    if reference is None:
        return no_verdict(f"the reference {clip(gold)!r} does not begin with an option letter")
    letter, option = reference.group(1).upper(), reference.group(2)
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    found = {chosen_letter(text) for text in (answer.text, *answer.alternatives) if not _is_formula(text)}
    if len(found) > 1:
        return wrong("several different answers are given", answer.text)
    chosen = found.pop() if found else chosen_letter(answer.text) or chosen_letter(find_statement(answer.region) or "")
    if chosen is None and option and foldings(option) & foldings(answer.text):
        chosen = letter
    if chosen is None:
        return wrong("the answer commits to no single option", clip(answer.text))
    return judged(chosen == letter, f"chooses {chosen}, the reference is {letter}", chosen)


def chosen_letter(text: str) -> str | None:
    """The one option letter a text commits to, in upper case; None where there is none or several."""
    text = unicodedata.normalize("NFKC", _QUOTED.sub(r"\1", _WRAPPING.sub("", text))).strip()
    leading = _LEADING.match(text)
    if leading and not _LISTED.match(text.lstrip("([（ ")):
        return leading["letter"].upper()
    denied = _DENIED.sub(" ", text)
    announced = [*_ANNOUNCED_LETTER.finditer(denied), *_AFFIRMED_LETTER.finditer(denied)]
    if not announced:
        return None
    last = max(announced, key=lambda match: match.start("letter"))
    return None if _LISTED.match(denied, last.start("letter")) else last["letter"]


def _is_formula(text: str) -> bool:
    """Whether a mark holds a formula or a quantity that does not begin as an option does."""
    plain = unicodedata.normalize("NFKC", _WRAPPING.sub("", text))
    return _FORMULA.search(text) is not None and _LEADING.match(plain) is None
