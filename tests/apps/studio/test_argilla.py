"""Argilla's SDK reads what we export, in an environment of its own: `make test-clients` makes it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.studio import commands, directory
from cogitate.apps.studio.commands import Wanted
from cogitate.apps.studio.directory import Role
from cogitate.apps.studio.export import user_of
from cogitate.apps.studio.grading import Regrading
from tests.apps.studio.items import candidate, made, opened, write

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[3]
PYTHON = os.environ.get("COGITATE_ARGILLA", str(ROOT / ".venv-argilla" / "bin" / "python"))


def read_by_argilla(place: Path, out: Path) -> Any:
    commands.write(place, "argilla", out, contested=False, say=print)
    program = Path(__file__).parent / "clients" / "use_argilla.py"
    done = subprocess.run([PYTHON, str(program), str(out)], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_argilla_reads_a_review_with_everybodys_answers(tmp_path: Path, grading: Regrading) -> None:
    people: dict[str, Role] = {"eva": "annotator", "li": "annotator"}
    rows = [candidate(1, turns=[{"role": "system", "content": "Be brief."}]), candidate(2), candidate(3, text=None)]
    studio = opened(made(tmp_path, rows, people, overlap=1.0), grading)
    edited = "<think> 2 + 5 = 7. </think>\nThe answer is \\boxed{7}."
    studio.act("eva", {"do": "accept", "item": "direct-0001"})
    studio.act("li", {"do": "reject", "item": "direct-0001"})
    studio.act("li", {"do": "note", "item": "direct-0001", "note": "too short"})
    studio.act("eva", {"do": "edit", "item": "direct-0002", "text": edited})
    studio.act("li", {"do": "accept", "item": "direct-0002", "contested": "8 is right"})
    studio.act("li", {"do": "reject", "item": "direct-0003"})
    studio.close()
    found = read_by_argilla(studio.place, tmp_path / "people")
    assert found == {
        "name": "people", "guidelines": directory.DEFAULT_GUIDELINES["review"], "labels": ["accept", "edit", "reject"],
        "records": [["direct-0001", 2], ["direct-0002", 2], ["direct-0003", 1]],
        "answers": ["contested", "decision", "edited_text", "note"], "values": ["accept", "edit", "reject"],
        "users": sorted([user_of("eva"), user_of("li")]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("work", "do", "choice", "label"), [("pairs", "prefer", "tie", "tie"), ("safety", "label", "safe", "safe")]
)
def test_argilla_reads_pairs_and_labels(
    tmp_path: Path, grading: Regrading, work: Any, do: str, choice: str, label: str
) -> None:
    row = (
        {"prompt": "Hi", "chosen": "Hello.", "rejected": "No."} if work == "pairs" else {"prompt": "Hi", "completion": "Hello."}
    )
    place = commands.open_place(write(tmp_path / "rows.jsonl", [row]), Wanted(work=work), print)
    commands.people(place, Wanted(), "eva")
    studio = opened(place, grading)
    studio.act("eva", {"do": do, "item": next(iter(studio.items)), "choice": choice})
    studio.close()
    found = read_by_argilla(place, tmp_path / "out")
    assert (found["values"], found["answers"], [count for _, count in found["records"]]) == ([label], ["decision"], [1])
    assert label in found["labels"]
