"""The command on models whose completions are written by hand; the graders are real."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from benchmarks.evidence.drawing import Model
from benchmarks.evidence.selection.__main__ import main, measure
from benchmarks.evidence.selection.figures import BASE, SEARCHER, ZERO
from benchmarks.evidence.selection.page import as_markdown
from cogitate.apps.evaluate import settings_for
from cogitate.backend import Generator
from cogitate.recipe.problems import evaluation_problems
from cogitate.tokenizer.bpe import Tokenizer
from tests.recipe.scripted_backend import InlineGrader, ScriptedGenerator

TASKS = "countdown,find_x,knights,long_sums"  # programs need a sandbox


def test_each_side_is_asked_in_its_own_way_and_measured(tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    micro_tokenizer.save(tmp_path)
    config = settings_for(TASKS, samples=2, problems=8, settings=["evaluate.max_new_tokens=40"])
    problems = evaluation_problems(config)
    gold = {problem.question: str(problem.gold) for problem in problems}

    def base(prompt: str, seed: int) -> str:
        """It is right after a searcher's example alone, and only with some seeds."""
        examples, _, rest = prompt.rpartition("Question: ")
        question = rest.removesuffix("\nAnswer:")
        shown = examples.count("Question: ") == 1
        return f" The answer is {gold[question]}." if shown and seed % 2 else " The answer is 0."

    def r1_zero(prompt: str, seed: int) -> str:
        question = prompt.rpartition("User: ")[2].removesuffix("\nAssistant:")
        return f" <think> Let me try. </think> <answer> {gold[question]} </answer>"

    generators = [ScriptedGenerator(script, micro_tokenizer) for script in (base, r1_zero, r1_zero)]
    models = [
        Model(name, tmp_path, config, 0, micro_tokenizer, cast(Generator, generator), InlineGrader())
        for name, generator in zip(("base", "zero", "another"), generators, strict=True)
    ]
    found = measure(models[0], models[1:], problems)
    assert [generator.asked for generator in generators] == [(3 + 2) * 2 * 8, 2 * 8, 2 * 8]
    every = found["pass@k"]["all"]
    assert every["problems"] == 8
    assert every[BASE]["pass@2"]["value"] == 0
    assert 0 < every[SEARCHER]["pass@1"]["value"] <= every[SEARCHER]["pass@2"]["value"] <= every[ZERO]["pass@1"]["value"]
    assert every[ZERO]["pass@1"]["value"] >= 0.75  # knights' gold is no text, so their answers are wrong
    assert found["one and not the other"]["all"]["R1-Zero in 2, base not in 2"]["problems"] >= 6
    assert found["votes"]["problems"] == 4
    assert {example["family"] for example in found["examples"]} == set(TASKS.split(","))
    assert "| R1-Zero less base | +" in as_markdown(found)


def test_what_cannot_be_measured_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--out", str(tmp_path / "out"), "--kept", str(tmp_path / "kept")]
    assert main([str(tmp_path / "nowhere"), "base", "--problems", "5", "--samples", "2", *places]) == 2
    assert "nowhere: no such directory" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["base", "base", "--samples", "1", *places])
    assert "--samples: at least 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
