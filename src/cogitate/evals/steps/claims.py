"""Statements about knights and knaves: roles that are tried, and whether what somebody says is true under them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cogitate.evals.steps.statements import Statement
from cogitate.tasks.puzzles.claims import Claim, Roles, read_claim, role_of

_ROLE = r"(?:knight|knave|骑士|无赖)"
_TRUE, _FALSE = ("true", "真"), ("false", "假")
_TRUTH = r"(?:true|false|真|假)"
_FIT = {"ok": True, "no": False, "行": True, "不行": False}
_QUOTED = re.compile(r"(?:^|[\s.。，])(?P<name>\w+) says:? (?P<english>[^.:]+)\.|(?P<name2>\w+)说：(?P<chinese>[^。：]+)。")


@dataclass(frozen=True, slots=True)
class Trial:
    """Roles of all people, as they are tried; start and end are those of the text that names them."""

    roles: Roles
    start: int
    end: int


def said_in(question: str, names: Sequence[str]) -> dict[str, Claim]:
    """Who says what, as far as the question is in the words of our puzzles."""
    said: dict[str, Claim] = {}
    for match in _QUOTED.finditer(question):
        name, text = (match["name"], match["english"]) if match["name"] else (match["name2"], match["chinese"])
        speaker = next((known for known in names if name.endswith(known)), None)
        claim = read_claim(text, names)
        if speaker and claim:
            said[speaker] = claim
    return said


def find_trials(thinking: str, names: Sequence[str]) -> list[Trial]:
    """The places where a role is given to everybody at once, outside of what people say."""
    name = "|".join(re.escape(known) for known in sorted(names, key=len, reverse=True))
    one = rf"(?:{name})\s*(?:is\s+an?\s+|is\s+|是|为)?{_ROLE}"
    run = re.compile(rf"{one}(?:\s*(?:,|，|、|and|和)\s*(?:and\s+)?{one})*", re.IGNORECASE)
    found = []
    for match in run.finditer(thinking):
        roles = {
            part[0]: role_of(part[1])
            for part in re.findall(rf"({name})\s*(?:is\s+an?\s+|is\s+|是|为)?({_ROLE})", match.group())
        }
        told = {person: role for person, role in roles.items() if role is not None}
        if told.keys() == set(names) and not re.search(r"(?:says?|said|if|说|如果)\s*[:：]?\s*$", thinking[: match.start()]):
            found.append(Trial(told, match.start(), match.end()))
    return found


def find_claims(
    thinking: str, names: Sequence[str], said: Mapping[str, Claim], trials: Sequence[Trial] | None = None
) -> list[Statement]:
    """Each `Ann says Ben (knave) is a knave: true, ok`: the claim's truth under the roles tried last, and whether it fits.

    Nothing is judged before roles are tried, nor a claim whose words are not those of our puzzles.

    Args:
        trials: what `find_trials` finds, where it is known.
    """
    name = "|".join(re.escape(known) for known in sorted(names, key=len, reverse=True))
    pattern = re.compile(
        rf"(?P<name>{name})\s*(?:[(（]\s*(?P<role>{_ROLE})\s*[)）])?\s*(?:says|说)\s*[:：]?\s*(?P<claim>[^:：.。]+?)\s*[:：]\s*"
        rf"(?P<truth>{_TRUTH})(?P<again>(?:[,，][^.。]*?[,，]\s*{_TRUTH})?)(?:\s*[,，]\s*(?P<fit>ok|no|行|不行)(?![a-z]))?",
        re.IGNORECASE,
    )
    noted = re.compile(rf"({name})\s*[(（]\s*({_ROLE})\s*[)）]", re.IGNORECASE)
    trials, found = find_trials(thinking, names) if trials is None else trials, []
    for match in pattern.finditer(thinking):
        number = sum(trial.end <= match.start() for trial in trials)
        claim = read_claim(match["claim"], names)
        if not number or claim is None:
            continue
        roles, speaker = trials[number - 1].roles, match["name"]
        quoted = (
            said.get(speaker, claim) == claim
            and (match["role"] is None or role_of(match["role"]) == roles[speaker])
            and all(roles[about] == role_of(role) for about, role in noted.findall(match["claim"]))
        )
        subject = f"{number}:{speaker}"
        words = [match["truth"], *re.findall(_TRUTH, match["again"])[-1:]]
        for index, word in enumerate(words):
            end = match.end("truth") if index == 0 else match.end("again")
            is_right = quoted and (word.lower() in _TRUE) == claim.is_true(roles)
            found.append(Statement("claim", match.start(), end, subject, is_right))
        if match["fit"]:
            fits = (words[-1].lower() in _TRUE) == roles[speaker]
            ok = _FIT[match["fit"].lower()]
            found.append(
                Statement("comparison", match.end("again"), match.end(), f"{subject} fits", fits == ok, rejects=not ok)
            )
    return found
