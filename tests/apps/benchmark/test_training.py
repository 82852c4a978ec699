"""Which files a run was trained on, and those of them that are not there any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogitate.apps.benchmark.training import read_training_text
from cogitate.errors import DataError
from cogitate.evals.benchmarks.contamination import contamination


def write_run(run: Path, train: str) -> Path:
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"graph": "r1", "tasks": {"train": train, "eval": "gone_eval.jsonl"}}))
    return run


def test_files_of_a_mixture_are_those_that_the_recipe_reads_and_missing_ones_are_named(tmp_path: Path) -> None:
    one, two, made, gone = tmp_path / "one.jsonl", tmp_path / "two.jsonl", tmp_path / "made", tmp_path / "gone.jsonl"
    for path in (one, two):
        path.write_text('{"question": "What is it?"}\n')
    made.mkdir()
    (made / "data.parquet").write_bytes(b"")
    found = read_training_text([str(write_run(tmp_path / "run", f"logic, {one}, {two} ,{made}, {gone}"))])
    assert set(found.files) == {one, two, made / "data.parquet"}
    assert (found.generated, found.missing) == (("logic",), (gone,))


def test_a_missing_file_stands_in_the_result_as_not_compared(tmp_path: Path) -> None:
    there = tmp_path / "there.jsonl"
    there.write_text('{"question": "What is it?"}\n')
    training = read_training_text([str(write_run(tmp_path / "run", f"{there}, {tmp_path}/gone.jsonl"))])
    assert contamination([], training, {})["not_compared"] == ["gone.jsonl (missing)"]


def test_a_run_of_which_no_file_is_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"its data files are not there, e\.g\. .*gone\.jsonl"):
        read_training_text([str(write_run(tmp_path / "run", f"{tmp_path}/gone.jsonl"))])
