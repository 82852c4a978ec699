"""Knights and knaves in words: Try Ann knight, Ben knave. Ann (knight) says Ben (knave) is a knave: true, ok."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cogitate.tasks.corpus.puzzles.voices import COMMA, STOP, Hand, Voice
from cogitate.tasks.puzzles.claims import ROLES, Claim
from cogitate.tasks.puzzles.knights import Island, all_roles, answer

Roles = dict[str, bool]
WRITTEN_ROLE = {"en": "{name} {role}", "zh": "{name}{role}"}
NOTED_ROLE = {"en": "{name} ({role})", "zh": "{name}（{role}）"}  # what a claim is about, so that its truth can be read off
SAID = {"en": "{name} says {claim}: {truth}, {fits}. ", "zh": "{name}说{claim}：{truth}，{fits}。"}
TRUTH = {"en": {True: "true", False: "false"}, "zh": {True: "真", False: "假"}}
FITS = {"en": {True: "ok", False: "no"}, "zh": {True: "行", False: "不行"}}
ALL_FIT = {"en": "Yes. ", "zh": "对。"}


@dataclass(frozen=True, slots=True)
class KnightsSearch:
    """Roles of all people are tried."""

    item: Island

    @property
    def language(self) -> str:
        return self.item.language

    def guess(self, rng: random.Random) -> str:
        return answer({name: rng.random() < 0.5 for name in self.item.people}, self.language)

    def blind(self, rng: random.Random) -> Iterator[Roles]:
        while True:
            yield {name: rng.random() < 0.5 for name in self.item.people}

    def careful(self, rng: random.Random) -> Iterator[Roles]:
        """From all knights to all knaves, the other way round, or in any order."""
        everything = list(all_roles(self.item.people))
        kind = rng.choice(("knights", "knights", "knaves", "random"))
        if kind == "random":
            rng.shuffle(everything)
        return iter(everything[::-1] if kind == "knaves" else everything)

    def write(self, candidate: Roles, lead: str, voice: Voice, hand: Hand) -> tuple[str, bool]:
        """What everybody says, up to the first that does not fit."""
        language = voice.language
        text = f"{lead}{written_roles(candidate, language)}{STOP[language]}"
        for name, claim in zip(self.item.people, self.item.claims, strict=True):
            truth, noticed = claim.is_true(candidate), False
            drawn = hand.rng.random()
            if drawn < hand.slips["unnoticed"]:
                truth = not truth
            elif drawn < hand.slips["unnoticed"] + hand.slips["noticed"]:
                noticed = True
            fits = truth == candidate[name]
            told = TRUTH[language][truth]
            if noticed:
                told = f"{TRUTH[language][not truth]}{voice.wait}{told}"
            text += said(name, claim, candidate, told, fits, language)
            if not fits:
                return text, False
        return text + ALL_FIT[language], True

    def answer(self, candidate: Roles) -> str:
        return answer(candidate, self.language)


def written_roles(roles: Roles, language: str) -> str:
    """Ann knight, Ben knave"""
    return COMMA[language].join(
        WRITTEN_ROLE[language].format(name=name, role=ROLES[language][role]) for name, role in roles.items()
    )


def said(name: str, claim: Claim, roles: Roles, told: str, fits: bool, language: str) -> str:
    """Ann (knight) says Ben (knave) is a knave: true, ok."""
    noted = {each: NOTED_ROLE[language].format(name=each, role=ROLES[language][role]) for each, role in roles.items()}
    words = re.sub("|".join(map(re.escape, noted)), lambda match: noted[match.group()], claim.words(language))
    return SAID[language].format(name=noted[name], claim=words, truth=told, fits=FITS[language][fits])
