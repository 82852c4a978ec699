"""Exercise rows of the single steps that searching needs: sums, products, remainders, results compared, claims of knights."""

from __future__ import annotations

import random

from cogitate.tasks.corpus.puzzles.knights import TRUTH, said, written_roles
from cogitate.tasks.corpus.puzzles.voices import LEAVES, STOP, Voice, draw_voices
from cogitate.tasks.puzzles import knights
from cogitate.tasks.puzzles.expressions import LARGEST, apply
from cogitate.tasks.puzzles.levels import draw_language

WRONG_ROWS = 0.005
EQUAL, NEAR_MISS = 0.5, 0.15  # shares of compared results that are what is wanted, and that nearly are
ROWS = (5, 9)


def drill(rng: random.Random) -> str:
    """One sheet, all rows of one kind or of several."""
    voice = draw_voices(rng)[draw_language(rng)]
    kinds = [rng.choice(list(KINDS))] if rng.random() < 0.6 else list(KINDS)
    return "\n".join(KINDS[rng.choice(kinds)](rng, voice) for _ in range(rng.randint(*ROWS)))


def _sum(rng: random.Random, voice: Voice) -> str:
    while True:
        left, right, sign = rng.randint(0, 150), rng.randint(1, 99), rng.choice("+-")
        if 0 <= apply(left, sign, right) <= LARGEST:
            return f"{left} {sign} {right} = {_stated(rng, apply(left, sign, right))}"


def _product(rng: random.Random, voice: Voice) -> str:
    digit, number = rng.randint(1, 9), rng.randint(1, 9) * 10 ** rng.choice((0, 0, 1, 2, 3))
    small = rng.randint(1, 12)
    pairs = (
        (small, rng.randint(1, 12)),
        (small, rng.randint(1, min(60, LARGEST // small))),
        (digit, rng.randint(2, 45)),
        (number, digit),
    )
    left, right = rng.choice(pairs)
    return f"{left} * {right} = {_stated(rng, left * right)}"


def _remainder(rng: random.Random, voice: Voice) -> str:
    left, right = rng.randint(1, 60), rng.randint(2, 12)
    return f"{left} / {right}{LEAVES[voice.language]}{_stated(rng, left % right)}"


def _comparison(rng: random.Random, voice: Voice) -> str:
    """A sum and whether it is what is wanted. Most other targets are far away: near misses alone teach nothing for long."""
    left, right = rng.randint(1, 60), rng.randint(1, 40)
    result, drawn = left + right, rng.random()
    target = result if drawn < EQUAL else rng.randint(1, 100)
    if drawn >= 1 - NEAR_MISS:
        target = max(0, result + rng.choice((-20, -10, -3, -1, 1, 2, 10)))
    return f"{left} + {right} = {result}{voice.verdict(result == target, target)}".strip()


def _part_sum(rng: random.Random, voice: Voice) -> str:
    """As a product of many digits is put together: 2800 + 490, 28000 + 350."""
    digit, place = rng.randint(3, 9), rng.randint(2, 4)
    left = rng.randint(1, 99) * digit * 10 ** (place - 1)
    right = rng.randint(1, 9) * digit * 10 ** (place - 2)
    return f"{left} + {right} = {_stated(rng, left + right)}"


def _claim(rng: random.Random, _: Voice) -> str:
    """What somebody says of people with these roles."""
    island = knights.draw(rng, "corpus")
    language = island.language
    roles = {name: rng.random() < 0.5 for name in island.people}
    name, claim = rng.choice(list(zip(island.people, island.claims, strict=True)))
    truth = claim.is_true(roles)
    told = said(name, claim, roles, TRUTH[language][truth], truth == roles[name], language)
    return f"{written_roles(roles, language)}{STOP[language]}{told}".strip()


KINDS = {
    "sum": _sum,
    "product": _product,
    "part_sum": _part_sum,
    "remainder": _remainder,
    "comparison": _comparison,
    "claim": _claim,
}


def _stated(rng: random.Random, value: int) -> int:
    return value if rng.random() >= WRONG_ROWS else value + 1
