"""The student made of base's layers, through the graph that has it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogitate.config import Config
from cogitate.errors import ConfigError
from cogitate.model.files.hf import load_model
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import R1_PRUNED_STUDENT, get_graph
from cogitate.recipe.runner import plan
from cogitate.recipe.settings import make_config
from cogitate.recipe.stage import StageContext, find
from cogitate.recipe.stages import prune
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Artifact

NAME = "student_base_llama"


def config_of(**student: Any) -> Config:
    return make_config({"graph": "r1_pruned_student", NAME: student})


def check(config: Config) -> None:
    graph = get_graph(config.graph)
    find(graph, NAME).check(config, graph)


def test_its_graph_has_one_student_that_comes_from_base() -> None:
    graph = {stage.name: stage for stage in get_graph("r1_pruned_student")}
    assert [name for name in graph if "qwen" in name] == []
    assert graph[NAME].needs == ("base",)
    assert graph["r1_distill_llama"].needs == (NAME, "sft_data")
    assert graph["student_rl_llama"].needs == (NAME,)
    assert {"r1_zero", "r1_dev1", "r1_dev2", "r1_dev3", "r1"} <= graph.keys()


def test_it_is_a_model_directory_with_bases_tokenizer(digit_model: Path, tmp_path: Path) -> None:
    config = config_of(every_nth_layer=2)
    (tmp_path / "out").mkdir()
    out = tmp_path / "out"
    log = MetricsLog(out / "metrics.jsonl")
    context = StageContext(NAME, R1_PRUNED_STUDENT, LocalBackend(config), log, tmp_path, NullProgress())
    summary = prune.run(config, {"base": Artifact("base", "", digit_model)}, out, context)
    base, student = load_model(digit_model), load_model(tmp_path / "out")
    assert (summary["layers"], summary["of"]) == (1, base.config.num_hidden_layers) == (1, 2)
    assert summary["parameters"] == sum(parameter.numel() for parameter in student.parameters())
    assert student.embed_tokens.weight.equal(base.embed_tokens.weight)
    ids = [Tokenizer.load(directory).encode("Digit: 7") for directory in (tmp_path / "out", digit_model)]
    assert ids[0] == ids[1]


def test_the_shipped_student_of_that_name_does_not_take_its_place(digit_model: Path, tmp_path: Path) -> None:
    config = make_config({**config_of(every_nth_layer=2).model_dump(), "inputs": {"base": str(digit_model)}})
    (planned,) = [item for item in plan(config, tmp_path, only=NAME) if item.stage.name == NAME]
    assert (planned.state, planned.shipped) == ("to do", None)


def test_a_student_that_is_no_smaller_and_settings_without_effect_are_refused() -> None:
    for n in (0, 1):
        with pytest.raises(ConfigError, match=rf"student_base_llama\.every_nth_layer = {n}: 2 or more"):
            check(config_of(every_nth_layer=n))
    with pytest.raises(ConfigError, match=r"student_base_llama\.model: has no effect in a stage of kind prune"):
        check(config_of(every_nth_layer=2, model={"model_type": "llama"}))
    with pytest.raises(ConfigError, match=r"every_nth_layer: has no effect in a stage of kind pretrain_student"):
        check(make_config({"graph": "r1", NAME: {"every_nth_layer": 2}}))
