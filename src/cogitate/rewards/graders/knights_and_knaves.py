"""Knights and knaves: the answer must give every inhabitant one role, and the right one.

Lines ("(1) Ann is a knight"), prose, lists ("Knights: Ann, Bob") and any order and case are read; "not a knave" is a knight.
Sentences that only ask, doubt or suppose ("if Ann is a knight ...", "Bob may be a knave") state nothing. Wrong: somebody left
out, two roles for one person, a choice left open ("a knight or a knave"), a role for somebody who is not in the puzzle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cogitate.rewards.answer import Contract, find_answer
from cogitate.rewards.verdicts import judged, no_verdict, wrong
from cogitate.types import Verdict

_HAN = "\u4e00-\u9fff"
_KNIGHT, _KNAVE = r"knights?|truth[- ]?tellers?|骑士", r"knaves?|liars?|无赖|骗子"


def grade_knights_and_knaves(prediction: str, gold: Mapping[str, bool], *, contract: Contract = "r1") -> Verdict:
    """`gold` maps each name to true for a knight, false for a knave."""
    if not gold or not all(isinstance(role, bool) for role in gold.values()):
        return no_verdict("the reference does not map names to true or false")
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    text = answer.text
    if answer.source == "text" or (answer.source == "statement" and not _is_complete(text, list(gold))):
        text = answer.region
    if any(other != answer.text for other in answer.alternatives):
        return wrong("several different answers are given", answer.text)
    roles, fault = read_roles(text, list(gold))
    if fault:
        return wrong(fault, text)
    missing = [name for name in gold if name not in roles]
    if missing:
        return wrong(f"says nothing about {missing[0]}", text)
    differing = [name for name in gold if roles[name] != gold[name]]
    reason = f"{differing[0]} is a {'knight' if gold[differing[0]] else 'knave'}" if differing else "every role is right"
    return judged(not differing, reason, text)


def _is_complete(text: str, names: list[str]) -> bool:
    """Whether a statement alone gives everybody a role; else roles also stand in other lines."""
    roles, fault = read_roles(text, names)
    return not fault and roles.keys() == set(names)


def read_roles(text: str, names: list[str]) -> tuple[dict[str, bool], str]:
    """Roles stated in a text (true: knight) and the first fault, "" where there is none."""
    folded = {name.casefold(): name for name in names}
    alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(
        rf"(?P<name>(?<![^\W{_HAN}])(?:{alternatives})(?![^\W{_HAN}]))"
        rf"|(?P<header>\b(?:{_KNIGHT}|{_KNAVE})\s*(?:\*\*)?\s*[:：]|\bthe\s+(?:only\s+)?(?:{_KNIGHT}|{_KNAVE})\s+(?:is|are)\b)"
        rf"|(?P<role>(?<![a-z])(?:{_KNIGHT}|{_KNAVE})(?![a-z]))"
        r"|(?P<neither>\bneither\b)|(?P<negation>\b(?:not|cannot|never|no)\b|\b\w+n['’]t\b|不是|并非)"
        rf"|(?P<open>\bor\b|或|/)|(?P<end>[\n.;；。])|(?P<word>[^\W\d_{_HAN}]+)",
        re.IGNORECASE,
    )
    roles: dict[str, bool] = {}
    subjects: list[str] = []
    header: bool | None = None
    stranger, negated, neither, claimed, left_open = "", False, False, False, ""
    for match in pattern.finditer(_statements(text, folded)):
        kind, token = match.lastgroup, match.group()
        if kind == "end":
            if token == "\n" or header is None:
                subjects, stranger, header = [], "", None
            negated, neither, claimed, left_open = False, False, False, ""
        elif kind == "header":
            header, subjects = re.search(_KNIGHT, token, re.IGNORECASE) is not None, []
        elif kind == "name":
            name = folded[token.casefold()]
            if header is not None:
                if left_open:
                    return roles, "leaves a role open"
                if roles.setdefault(name, header) != header:
                    return roles, f"gives {name} two roles"
                continue
            subjects = [name] if claimed else [*subjects, name]
            stranger, negated, claimed = "", neither, False
            left_open = "" if left_open == "/" else left_open
        elif kind == "neither":
            negated = neither = True
        elif kind == "negation":
            negated, header = not negated, None
        elif kind == "open":
            left_open = token if claimed or subjects or header is not None else left_open
        elif kind == "role":
            if left_open:
                return roles, "leaves a role open"
            if stranger and not subjects:
                return roles, f"gives a role to {stranger}, who is not in the puzzle"
            role = _is_knight(token) != negated
            for name in subjects:
                if roles.setdefault(name, role) != role:
                    return roles, f"gives {name} two roles"
            claimed, negated, neither = True, False, False
        elif kind == "word" and token[0].isupper() and token.casefold() not in _PLAIN_WORDS:
            if claimed:
                subjects, claimed = [], False
            stranger = stranger or token
    return roles, ""


_SENTENCE = re.compile(r"([^\n.;；。?？!！]*)([\n.;；。?？!！]|\Z)")
_DOUBT = re.compile(
    r"\b(?:if|unless|whether|suppos\w+|assum\w+|may|might|maybe|perhaps|possibly|probably|likely|could|would|can be|unsure"
    r"|unclear|unknown|uncertain)\b|\b(?:false|untrue|not true|n['’]t true|not the case|wrong|incorrect)\s+that\b"
    r"|\bnot\s+(?:both|all)\b|如果|假设|假如|可能|也许",
    re.IGNORECASE,
)


def _statements(text: str, names: Mapping[str, str]) -> str:
    """The text without the sentences that state no role: questions, doubts, suppositions, denials as a whole."""

    def kept(match: re.Match[str]) -> str:
        sentence, end = match.groups()
        doubts = (found.casefold() for found in _DOUBT.findall(sentence))
        return end if end in ("?", "？") or any(doubt not in names for doubt in doubts) else sentence + end

    return _SENTENCE.sub(kept, text)


_PLAIN_WORDS = frozenset(
    [
        "is",
        "are",
        "a",
        "an",
        "the",
        "so",
        "therefore",
        "thus",
        "hence",
        "and",
        "all",
        "both",
        "final",
        "answer",
        "solution",
        "only",
    ]
)


def _is_knight(token: str) -> bool:
    return re.match(_KNIGHT, token, re.IGNORECASE) is not None
