"""write_tests from end to end: a scripted model writes programs, a server proposes cases, the sandbox is real."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cogitate import runtime
from cogitate.errors import ConfigError, Interrupted
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import StageContext, find
from cogitate.recipe.stages.unit_tests import write_tests
from cogitate.tasks.files.datasets import read_rows
from cogitate.tasks.files.jsonl import load_problems
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Artifact
from tests.chat_server import Server, says
from tests.recipe.scripted_backend import ScriptedBackend, stage_context

RECIPE = """
extends = "tiny"
[[stages]]
name = "base"
kind = "pretrain"
[[stages]]
name = "sft"
kind = "fine_tune"
needs = ["base", "chats"]
[[stages]]
name = "tests"
kind = "write_tests"
needs = ["sft"]
problems = 2
programs = 8
proposals = 1
mutants = 4
changed_values = 0
most = 2
[inputs]
chats = "chats.jsonl"
"""
PROBLEMS = [
    {
        "id": "largest", "question": "Write largest(xs).", "kind": "code", "mode": "function", "entry_point": "largest",
        "tests": [{"args": [[1, 2, 3]], "expected": 3}],
    },
    {
        "id": "pairs", "question": "Write swap(p).", "kind": "code", "mode": "function", "entry_point": "swap",
        "tests": ["assert swap((1, 1)) == (1, 1)"], "reference_program": "def swap(p):\n    return (p[1], p[0])",
    },
]  # fmt: skip
SLOW_LARGEST = """def largest(xs):
    best = xs[0]
    for x in xs:
        for y in xs:
            best = max(best, x)
    return best"""
PROGRAMS = (
    SLOW_LARGEST,
    "def largest(xs):\n    return max(xs)",
    "def largest(xs):\n    return xs[-1]",
    "def swap(p):\n    return p[0]",
)
REPLY = 'Here: [[[3, 2]], [[9, 8, 1]], [[1, 2, 3]], [[]], ["no"]]'
PAIRS = "[[[1, 2]], [[3, 3]]]"


def writes(prompt: str, seed: int) -> str:
    return f" <think> So. </think>\n```python\n{PROGRAMS[seed % len(PROGRAMS)]}\n```"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.replies = [(200, lambda body: says(PAIRS if "swap" in body["messages"][0]["content"] else REPLY)[1])]
    yield server
    server.close()


def made(work: Path, tokenizer: Tokenizer, server: Server, *settings: str) -> tuple[dict[str, Any], StageContext]:
    work.mkdir(exist_ok=True)
    (work / "recipe.toml").write_text(RECIPE)
    (work / "code.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in PROBLEMS))
    asked = (f"tests.base_url={server.url}", "tests.model=big", f"tasks.train={work / 'code.jsonl'}", "tasks.eval=arithmetic")
    config = load_recipe(str(work / "recipe.toml"), [*asked, *settings])
    graph = graph_of(config)
    find(graph, "tests").check(config, graph)
    (work / "sft").mkdir(exist_ok=True)
    tokenizer.save(work / "sft")
    backend = ScriptedBackend(tokenizer, sft=writes)
    context = stage_context("tests", work, backend)
    context = StageContext("tests", graph, context.backend, context.metrics, context.checkpoint, context.progress)
    try:
        summary = write_tests.run(config, {"sft": Artifact("sft", "sft", work / "sft")}, work / "out", context)
    finally:
        backend.close()
    return summary, context


def test_problems_get_the_cases_that_tell_programs_apart(tmp_path: Path, micro_tokenizer: Tokenizer, server: Server) -> None:
    summary, _ = made(tmp_path, micro_tokenizer, server, "tests.efficiency=0.5")
    largest, pairs = load_problems(tmp_path / "out" / "problems.jsonl")
    assert largest.fields["tests"][0] == {"args": [[1, 2, 3]], "expected": 3}
    assert {"args": [[3, 2]], "expected": 3} in largest.fields["tests"]
    assert largest.fields["reference_program"] == PROGRAMS[1]  # the good program that needs the least work
    assert largest.fields["efficiency"] == 0.5
    assert pairs.fields["tests"][:2] == ["assert swap((1, 1)) == (1, 1)", "assert swap((1, 2)) == (2, 1)"]
    assert "efficiency" not in pairs.fields  # assertions: nothing is counted
    ledger = [row for _, row in read_rows(tmp_path / "out" / "ledger.jsonl")]
    fates = {(row["problem_id"], row["case"]): row["fate"] for row in ledger}
    assert fates["largest", "([1, 2, 3],)"] == "duplicate"
    assert fates["largest", "([],)"] == "good programs fail"
    assert fates["largest", ""] == "not of the form of the public tests"
    assert summary["proposed"] == summary["cases_kept"] + len(ledger) == 7
    assert summary["rules"] == {"all good programs agree": 2}
    assert summary["with_tests"] == 2


def test_a_stage_that_was_killed_goes_on_to_the_same_bytes(
    tmp_path: Path, micro_tokenizer: Tokenizer, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = made(tmp_path / "whole", micro_tokenizer, server)
    asked, keep = len(server.requests), write_tests.keep_made

    def interrupted(*arguments: Any) -> None:
        keep(*arguments)
        raise Interrupted("stopped", 130)

    monkeypatch.setattr(write_tests, "keep_made", interrupted)
    with pytest.raises(Interrupted):
        made(tmp_path / "parts", micro_tokenizer, server)
    monkeypatch.setattr(write_tests, "keep_made", keep)
    assert not runtime.interruption_requested()
    summary, _ = made(tmp_path / "parts", micro_tokenizer, server)
    assert summary == expected
    for name in ("problems.jsonl", "ledger.jsonl", "metrics.jsonl"):
        assert (tmp_path / "parts" / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()
    assert len(server.requests) == 2 * asked  # the second attempt asks nothing again


def test_settings_without_effect_and_problems_without_programs_are_refused(
    tmp_path: Path, micro_tokenizer: Tokenizer, server: Server
) -> None:
    with pytest.raises(ConfigError, match=r"tests.model: changes nothing without tests.base_url"):
        made(tmp_path, micro_tokenizer, server, "tests.base_url=")
    with pytest.raises(ConfigError, match="no problem is of kind code"):
        made(tmp_path, micro_tokenizer, server, "tasks.train=logic", "tests.problems=3")
