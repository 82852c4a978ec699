"""Several reward models read as one (Coste et al., arXiv:2310.02743, equations 3 to 5).

A policy that is optimised against one reward model finds the texts that this model overrates. Models of other seeds overrate
others, so that a text counts by what they say together: their mean, the least, or the mean less how far they disagree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pvariance

from cogitate.backend import Backend, Scorer
from cogitate.errors import CheckpointError
from cogitate.runtime import write_json

FILE = "ensemble.json"  # beside the first member, which is an ordinary reward model; one model alone has no such file
MEMBERS = "members"  # the directory of the others, called 2, 3 and so on
SCORES = ("mean", "worst", "uncertainty")

Tokens = Sequence[Sequence[int]]


def combined(scores: Sequence[float], score: str, variance_weight: float = 0.0) -> float:
    """What members say of one text together.

    Args:
        scores: of each member, on one scale.
        score: mean; worst: the least; uncertainty: the mean less `variance_weight` times the variance (over all members, not
            over one less).
    """
    if score == "worst":
        return min(scores)
    mean = fmean(scores)
    return mean - variance_weight * pvariance(scores, mean) if score == "uncertainty" else mean


@dataclass(frozen=True, slots=True)
class Combination:
    """How members' scores become one.

    Attributes:
        score: one of SCORES; variance_weight: of uncertainty alone.
        mean, deviation: of the combined scores over held-out completions; they become 0 and 1, as one model's do.
    """

    score: str = "mean"
    variance_weight: float = 0.0
    mean: float = 0.0
    deviation: float = 1.0

    def of(self, scores: Sequence[float]) -> float:
        """The one score of a text."""
        return (combined(scores, self.score, self.variance_weight) - self.mean) / self.deviation


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Reward models that are read together. One alone says exactly what it says by itself."""

    members: Sequence[Scorer]
    combination: Combination

    @classmethod
    def load(cls, backend: Backend, directory: Path) -> Ensemble:
        """The model or models of a directory, e.g. helpfulness/.

        Raises:
            CheckpointError: what says how they are combined is damaged, or a member is missing.
        """
        directories, combination = read_ensemble(directory)
        return cls([backend.scorer(member) for member in directories], combination)

    def rewards(self, prompts: Tokens, completions: Tokens) -> list[float]:
        """The number of each completion."""
        return [self.combination.of(said) for said in self.rewards_of_members(prompts, completions)]

    def rewards_of_members(self, prompts: Tokens, completions: Tokens) -> list[tuple[float, ...]]:
        """What each member says of each completion."""
        return list(zip(*(member.rewards(prompts, completions) for member in self.members), strict=True))


def member_directory(directory: Path, number: int) -> Path:
    """Where a member is; the first, 0, is the directory itself."""
    return directory / MEMBERS / str(number + 1) if number else directory


def save_ensemble(directory: Path, members: int, combination: Combination) -> None:
    """What a reader of several members must know; they are there already."""
    said = {
        "schema": 1, "members": members, "score": combination.score, "variance_weight": combination.variance_weight,
        "mean": combination.mean, "deviation": combination.deviation,
    }  # fmt: skip
    write_json(directory / FILE, said)


def read_ensemble(directory: Path) -> tuple[list[Path], Combination]:
    """Directories of the members, and how their scores become one. A directory without FILE is one model.

    Raises:
        CheckpointError: the file is damaged, or a member that it counts is not there.
    """
    path = directory / FILE
    if not path.is_file():
        return [directory], Combination()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        members = int(found["members"])
        numbers = [float(found[name]) for name in ("variance_weight", "mean", "deviation")]
        known = members > 1 and found["score"] in SCORES and numbers[2] > 0
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not known:
        raise CheckpointError(f"{path}: holds a number of members or a score that this version does not know: {found}")
    directories = [member_directory(directory, number) for number in range(members)]
    for member in directories:
        if not (member / "config.json").is_file():
            raise CheckpointError(f"{path}: counts {members} members, but {member} is no model; make the stage again")
    return directories, Combination(found["score"], *numbers)
