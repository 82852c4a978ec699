"""What people of knights-and-knaves puzzles say: ten forms over one or two people, their truth, words and reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

ROLES = {"en": {True: "knight", False: "knave"}, "zh": {True: "骑士", False: "无赖"}}
Roles = Mapping[str, bool]  # name -> true for a knight


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a claim.

    Attributes:
        people: how many it is about.
        compound: whether it joins two claims.
        true: of the roles of these people.
        english, chinese: with {a}, and {b} where it is about two.
        ordered: whether it matters who of the two stands first.
    """

    people: int
    compound: bool
    true: Callable[..., bool]
    english: str
    chinese: str
    ordered: bool = False

    def text(self, language: str) -> str:
        return self.english if language == "en" else self.chinese


FORMS: dict[str, Form] = {
    "knight": Form(1, False, lambda a: a, "{a} is a knight", "{a}是骑士"),
    "knave": Form(1, False, lambda a: not a, "{a} is a knave", "{a}是无赖"),
    "same": Form(2, False, lambda a, b: a == b, "{a} and {b} are the same", "{a}和{b}是同一种人"),
    "different": Form(2, False, lambda a, b: a != b, "{a} and {b} are different", "{a}和{b}是不同的人"),
    "both_knights": Form(2, True, lambda a, b: a and b, "{a} and {b} are both knights", "{a}和{b}都是骑士"),
    "both_knaves": Form(2, True, lambda a, b: not a and not b, "{a} and {b} are both knaves", "{a}和{b}都是无赖"),
    "some_knave": Form(2, True, lambda a, b: not (a and b), "{a} or {b} is a knave", "{a}或{b}是无赖"),
    "some_knight": Form(2, True, lambda a, b: a or b, "{a} or {b} is a knight", "{a}或{b}是骑士"),
    "one_each": Form(
        2, True, lambda a, b: a and not b, "{a} is a knight and {b} is a knave", "{a}是骑士而{b}是无赖", ordered=True
    ),
    "implied": Form(
        2, True, lambda a, b: b or not a, "if {a} is a knight, {b} is a knight", "如果{a}是骑士那么{b}也是骑士", ordered=True
    ),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A form said of people."""

    form: str
    about: tuple[str, ...]

    def is_true(self, roles: Roles) -> bool:
        return FORMS[self.form].true(*(roles[name] for name in self.about))

    def words(self, language: str) -> str:
        return FORMS[self.form].text(language).format(**dict(zip("ab", self.about, strict=False)))


def read_claim(text: str, names: Sequence[str]) -> Claim | None:
    """The claim that a text is, as a whole; None where it is none about these people. Roles noted behind names are left out."""
    for form, about in _readings(_NOTED_ROLE.sub("", text).strip().rstrip(".。")):
        if all(name in names for name in about):
            return Claim(form, about)
    return None


def role_of(word: str) -> bool | None:
    """True for a knight, false for a knave, None for another word."""
    return {"knight": True, "knave": False, "骑士": True, "无赖": False}.get(word.lower())


def _readings(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, patterns in _PATTERNS.items():
        for pattern in patterns:
            match = pattern.fullmatch(text)
            if match:
                yield name, match.groups()


_PATTERNS = {
    name: tuple(
        re.compile(re.escape(text).replace(r"\{a\}", r"(\w+?)").replace(r"\{b\}", r"(\w+?)"))
        for text in (form.english, form.chinese)
    )
    for name, form in FORMS.items()
}
_NOTED_ROLE = re.compile(r"\s*[(（]\s*(?:knight|knave|骑士|无赖)\s*[)）]")
