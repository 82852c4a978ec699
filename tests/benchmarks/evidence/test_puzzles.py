"""Base against R1-Zero by family and by level, from what evaluations kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.evidence.pool import Evaluation, Key, Row, Seed
from benchmarks.evidence.puzzles import LEVELS, as_markdown, compare, compared, level_of

KEYS: list[Key] = [(task, f"{task}:{level}:question {number}") for task in ("countdown", "knights") for level in range(1, 6)
                   for number in range(2)]  # fmt: skip


def seed_of(number: int, base: list[float], r1_zero: list[float]) -> Seed:
    def measured(right: list[float]) -> Evaluation:
        judged: dict[Key, list[Row]] = {
            key: [{"right": value}, {"right": value}] for key, value in zip(KEYS, right, strict=True)
        }
        return Evaluation({}, {}, judged, {}, {})

    return Seed(Path(str(number)), number, {}, {"base": measured(base), "r1_zero": measured(r1_zero)})


def test_a_level_is_of_all_families_and_a_family_of_all_levels() -> None:
    easy = [1.0 if level_of(key) in ("1", "2", "3") else 0.0 for key in KEYS]
    seeds = [seed_of(number, [0.0] * len(KEYS), easy) for number in range(2)]
    trained = compare(seeds, lambda key: level_of(key) in LEVELS["levels 1 to 3, as trained"])
    assert trained["problems"] == 12
    assert (trained["base"]["value"], trained["r1_zero"]["value"]) == (0.0, 1.0)
    assert trained["gain"]["value"] == 1.0
    family = compare(seeds, lambda key: key[0] == "knights")
    assert family["problems"] == 10
    assert family["r1_zero"]["value"] == pytest.approx(0.6)
    assert "| knights | 10 | 0.0 [" in compared("family", {"knights": family})


def test_the_page_says_what_was_run() -> None:
    seeds = [seed_of(0, [0.0] * len(KEYS), [1.0] * len(KEYS))]
    row = compare(seeds, lambda _: True)
    estimate = {"value": 0.5, "ci95": [0.25, 0.75]}
    settings = {"problems": 20, "samples": 2, "temperature": 0.6, "max_new_tokens": 640}
    less = {"value": -0.5, "ci95": [-0.75, -0.25]}
    page = as_markdown({
        "seeds": [0], "steps": 40, "seconds": [120.0], "by family": {"all": row}, "by level": {"level 1": row},
        "settings": {f"evaluate.{name}": value for name, value in settings.items()},
        "growth": {"0": {"tries": {"first": {"value": 1.0}, "last": {"value": 5.0}, "correlation": estimate}}},
        "thinking": [{"thinking": "cut", "share": 0.25, "right": estimate, "less_own": less}],
    })  # fmt: skip
    assert page.startswith(
        "# Where thinking pays: 40 steps of R1-Zero\n\n`cogitate run puzzles` at seeds 0; 20 unseen problems x 2"
    )
    assert "| 0 | tries | 1.000 | 5.000 | +0.50 [+0.25, +0.75] |" in page
    assert "| cut | 25% | 50.0 [25.0, 75.0] | -50.0 [-75.0, -25.0] |" in page
