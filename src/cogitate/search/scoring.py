"""What a solution is worth to a model that judges it: by its steps, or by its outcome."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cogitate.backend import Backend
from cogitate.config import ProcessRewardModelConfig
from cogitate.errors import CheckpointError, ConfigError
from cogitate.runtime import write_json
from cogitate.tokenizer.steps import FORMS, StepForm

FILE = "process_model.json"  # beside the weights of a model that the stage process_reward_model made

AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "minimum": min,
    "product": math.prod,
    "mean": lambda scores: sum(scores) / len(scores),
}


class Reading(NamedTuple):
    """One text to be judged, as token ids; `ends` are those of its steps."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    ends: tuple[int, ...]


class SolutionScorer:
    """A process or an outcome reward model.

    Attributes:
        steps: the form of steps that it has learnt; None: it judges whole completions alone.
        aggregate: how the scores of steps become one of the solution.
        parameters: of the model, for its cost.
    """

    def __init__(self, backend: Backend, directory: Path, aggregate: str | None = None):
        """
        Args:
            directory: of the stage process_reward_model.
            aggregate: one of AGGREGATES; None: what the model was made for.

        Raises:
            CheckpointError: it is none. ConfigError: an outcome model has no steps to aggregate.
        """
        settings = read_settings(directory)
        self.steps: StepForm | None = settings["steps"] if settings["labels"] != "outcome" else None
        if self.steps is None and aggregate not in (None, "last"):
            raise ConfigError(f"{directory}: an outcome model scores whole completions: --score {aggregate} has no effect")
        self.aggregate = aggregate or settings["score"]
        self._scorer = backend.scorer(directory)
        self.parameters = count_parameters(directory)

    def step_scores(self, readings: Sequence[Reading]) -> list[list[float]]:
        """Of each reading the probability that each step is right, 0..1; of an outcome model that of the text up to its end."""
        prompts, completions = [each.prompt_ids for each in readings], [each.completion_ids for each in readings]
        return self._scorer.step_scores(prompts, completions, [each.ends for each in readings])

    def solution_score(self, step_scores: Sequence[float]) -> float:
        """0..1, of the scores of all steps."""
        return AGGREGATES[self.aggregate](step_scores)


def save_settings(directory: Path, settings: ProcessRewardModelConfig) -> None:
    """What a reader of the model must know: the form of its steps and how they become one score."""
    score = "last" if settings.labels == "outcome" else settings.score
    write_json(directory / FILE, {"schema": 1, "labels": settings.labels, "steps": settings.step_form, "score": score})


def read_settings(directory: Path) -> dict[str, Any]:
    """The inverse of save_settings.

    Raises:
        CheckpointError: the file is not there or damaged.
    """
    path = directory / FILE
    if not path.is_file():
        raise CheckpointError(f"{directory}: no {FILE}: give a model that a stage of kind process_reward_model made")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = found["steps"] in FORMS and found["score"] in AGGREGATES and isinstance(found["labels"], str)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not known:
        raise CheckpointError(f"{path}: holds a form of steps or a score that this version does not know: {found}")
    return found


def count_parameters(directory: Path) -> int:
    """Numbers in the model's weight files."""
    from safetensors import safe_open

    total = 0
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, framework="pt") as handle:
            total += sum(math.prod(handle.get_slice(name).get_shape()) for name in handle.keys())  # noqa: SIM118
    return total
