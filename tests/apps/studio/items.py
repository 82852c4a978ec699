"""Candidates for tests, as a cold_start writes them, with what their grader needs."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cogitate.apps.studio import directory
from cogitate.apps.studio.directory import Role
from cogitate.apps.studio.grading import Regrading
from cogitate.apps.studio.sources import Work
from cogitate.apps.studio.studio import Studio
from cogitate.recipe.problems import training_problems
from cogitate.recipe.settings import load_recipe
from cogitate.types import Problem

HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script> & </div>'


def candidate(number: int, **more: Any) -> dict[str, Any]:
    """The sum of two numbers; a third of them is wrong, and a fifth is hard to read."""
    a, b = number, number + 3
    said = a + b + (number % 3 == 2)
    right = said == a + b
    thinking = f"{a} + {b} = {said}." if number % 5 else f"{a} + {b} = {said}. Das ist die ganze Rechnung und nichts fehlt."
    return {
        "id": f"direct-{number:04d}", "source": "direct" if number % 2 else "few_shot", "model": "base",
        "prompt": "direct_checked", "task": "sums", "problem_id": f"sums:{number // 2}", "language": "en",
        "question": f"What is {a} + {b}?",
        "gold": str(a + b), "kind": "math", "completion": f"{thinking} The answer is {said}.", "contract": "free",
        "finish_reason": "stop", "tokens": 12, "verdict": "right" if right else "wrong",
        "reason": f"the answer '{said}' {'equals' if right else 'is not'} the reference '{a + b}'", "extracted": str(said),
        "text": f"<think> {thinking} </think>\nThe answer is \\boxed{{{said}}}.",
        "faults": [] if number % 5 else ["mixed language"], "kept": right, "rule": None if right else "wrong answer",
        "decision": None,
        **more,
    }  # fmt: skip


def write(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def run_beside(folder: Path) -> tuple[Problem, dict[str, Any]]:
    """Write a run's settings. One of its training problems, and a candidate that answers it and names no kind."""
    config = load_recipe("tiny", ["tasks.train=arithmetic", "tasks.eval=arithmetic", "tasks.train_problems=5"])
    (folder / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
    problem = training_problems(config)[0]
    row = candidate(1, task=problem.task, problem_id=problem.id, question=problem.question)
    del row["kind"]
    return problem, row


def made(
    tmp_path: Path,
    rows: Iterable[dict[str, Any]],
    people: dict[str, Role] | None = None,
    *,
    work: Work = "review",
    overlap: float = 0,
) -> Path:
    """A new studio's directory."""
    place = tmp_path / "items-studio"
    directory.create(write(tmp_path / "items.jsonl", rows), place, work, overlap)
    directory.add_annotators(place, people or {"eva": "annotator"})
    return place


def opened(place: Path, grading: Regrading) -> Studio:
    return Studio(place, directory.read_annotators(place), grading)
