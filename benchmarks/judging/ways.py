"""Many right programs for a problem of the task code: each of its operations in several ways, as people write them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

from benchmarks.judging.rewrites import rewrites
from cogitate.tasks.corpus.programs import Steps, one_liner, statements
from cogitate.tasks.generators.code import OPERATIONS


def loop(body: str, start: str = "out = []") -> str:
    return f"{start}\nfor x in xs:\n    {body}\nxs = out"


# What stands beside the task's own expression for a step: statements on the list xs, with the step's constant {k}.
WAYS: dict[str, tuple[str, ...]] = {
    "sort": ("xs = list(xs)\nxs.sort()", "xs = sorted(xs, reverse=True)\nxs = xs[::-1]",
             loop("place = 0\n    while place < len(out) and out[place] <= x:\n        place += 1\n    out.insert(place, x)")),
    "reverse": ("xs = list(reversed(xs))", loop("out = [x] + out"), "xs = [xs[len(xs) - 1 - i] for i in range(len(xs))]"),
    "even": ("xs = list(filter(lambda x: x % 2 == 0, xs))", loop("if not x % 2:\n        out.append(x)"),
             "xs = [x for x in xs if x & 1 == 0]"),
    "odd": ("xs = list(filter(lambda x: x % 2 != 0, xs))", loop("if x % 2:\n        out.append(x)"),
            "xs = [x for x in xs if not x % 2 == 0]"),
    "above": ("xs = list(filter(lambda x: x > {k}, xs))", loop("if x <= {k}:\n        continue\n    out.append(x)"),
              "xs = [x for x in xs if not x <= {k}]"),
    "add": ("xs = list(map(lambda x: x + {k}, xs))", loop("out.append({k} + x)"),
            "xs = [xs[i] + {k} for i in range(len(xs))]"),
    "times": ("xs = list(map(lambda x: x * {k}, xs))", loop("out.append({k} * x)"),
              "xs = [xs[i] * {k} for i in range(len(xs))]"),
    "front": ("xs = [{k}, *xs]", "xs = list(xs)\nxs.insert(0, {k})", loop("out.append(x)", "out = [{k}]")),
    "end": ("xs = [*xs, {k}]", "xs = list(xs)\nxs.append({k})", "xs = list(xs)\nxs += [{k}]"),
    "rest": ("xs = [x for i, x in enumerate(xs) if i > 0]", "xs = list(xs)\nif xs:\n    xs.pop(0)",
             "xs = list(xs)\ndel xs[:1]"),
    "most": ("xs = list(xs)\nif xs:\n    xs.pop()", "xs = xs[:max(0, len(xs) - 1)]",
             "xs = [x for i, x in enumerate(xs) if i < len(xs) - 1]"),
    "take": ("xs = [x for i, x in enumerate(xs) if i < {k}]", "xs = xs[:min({k}, len(xs))]", "xs = list(xs)\ndel xs[{k}:]"),
    "unique": (loop("if x not in out:\n        out.append(x)"), "xs = sorted(set(xs), key=xs.index)",
               loop("if x not in seen:\n        seen.add(x)\n        out.append(x)", "out, seen = [], set()")),
}  # fmt: skip


def right_programs(steps: Steps, count: int, rng: random.Random) -> list[str]:
    """Different programs that do the steps, `count` at most: both of the task's own forms, others in random order, rewrites."""
    own = [one_liner(steps), statements(steps)]
    others = [program for program in in_all_ways(steps) if program not in own]
    rewritten = [program for form in own for program in rewrites(form, "f")]
    return list(dict.fromkeys([*own, *rng.sample(others, len(others)), *rewritten]))[:count]


def in_all_ways(steps: Steps) -> Iterator[str]:
    """One program for each choice of a way for each step."""
    choices: list[Sequence[str]] = [
        [way.replace("{k}", str(k)) for way in (f"xs = {OPERATIONS[name].expression.replace('{xs}', 'xs')}", *WAYS[name])]
        for name, k in steps
    ]
    for ways in itertools.product(*choices):
        lines = [line for way in ways for line in way.split("\n")]
        yield "\n".join(["def f(xs):", *(f"    {line}" for line in lines), "    return xs"])
