"""The student made of base's layers, through the graph that has it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from cogitate.config import Config, PretrainConfig, PruneConfig
from cogitate.errors import ConfigError, DataError
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import R1_PRUNED_STUDENT, get_graph
from cogitate.recipe.runner import plan
from cogitate.recipe.settings import make_config
from cogitate.recipe.stage import StageContext, find
from cogitate.recipe.stages import prune
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.rows.packing import pack_documents
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


def cut(config: Config, base: Path, folder: Path) -> dict[str, Any]:
    """Run the stage in folder/out; returns its summary."""
    out, kept = folder / "out", folder / "checkpoint"
    out.mkdir(parents=True, exist_ok=True)
    kept.mkdir(exist_ok=True)
    log = MetricsLog(out / "metrics.jsonl")
    context = StageContext(NAME, R1_PRUNED_STUDENT, LocalBackend(config), log, kept, NullProgress())
    return prune.run(config, {"base": Artifact("base", "", base)}, out, context)


def test_it_is_a_model_directory_with_bases_tokenizer(digit_model: Path, tmp_path: Path) -> None:
    summary = cut(config_of(every_nth_layer=2), digit_model, tmp_path)
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


@pytest.fixture(scope="module")
def dense_model(micro_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers that has learnt two sentences."""
    directory = tmp_path_factory.mktemp("dense_model")
    torch.manual_seed(0)
    model = Transformer(
        ModelConfig.from_dict(
            {
                "model_type": "llama", "vocab_size": micro_tokenizer.vocab_size, "hidden_size": 32, "intermediate_size": 48,
                "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
            }
        )
    )  # fmt: skip
    sentences = ["Say a number. Digit: 7", "Say a number. Digit: 3 3 3"]
    documents = [[*micro_tokenizer.encode(text), micro_tokenizer.end_id] for text in sentences]
    rows = pack_documents(documents, None, 64, pad_id=micro_tokenizer.pad_id)
    learner = SupervisedLearner(model, PretrainConfig(micro_rows=2, mtp_weight=0.0))
    for _ in range(60):
        learner.update(rows, 1e-2)
    save_model(model, directory)
    micro_tokenizer.save(directory)
    return directory


PRETRAINED: dict[str, Any] = {
    "texts": 12, "text_tokens": 12, "steps": 20, "rows": 2, "micro_rows": 2, "row_tokens": 32, "learning_rate": 1e-2,
    "openings": ("Say", "Say a number"),
}  # fmt: skip


def test_pretraining_on_texts_of_base_lowers_the_held_out_loss_of_the_cut_model(dense_model: Path, tmp_path: Path) -> None:
    settings = {"every_nth_layer": 2, "kept_neurons": 0.5, **PRETRAINED}
    summary = cut(config_of(**settings), dense_model, tmp_path)
    base, student = load_model(dense_model), load_model(tmp_path / "out")
    assert (summary["neurons"], summary["of_neurons"]) == (
        student.config.intermediate_size, base.config.intermediate_size,
    ) == (base.config.intermediate_size // 2, base.config.intermediate_size)  # fmt: skip
    assert summary["held_out_loss"] < summary["held_out_loss_before"]
    rows = [json.loads(line) for line in (tmp_path / "out" / prune.TEXTS).read_text().splitlines()]
    assert len(rows) == summary["texts"] == 12
    assert [row["text"].startswith("Say") for row in rows] == [True] * 12
    assert summary["text_tokens"] == sum(len(row["tokens"]) for row in rows)


def test_killed_after_its_texts_it_reads_them_again_and_ends_the_same(dense_model: Path, tmp_path: Path) -> None:
    settings = {"kept_neurons": 0.5, **PRETRAINED, "steps": 4, "checkpoint_every": 2}
    calm = cut(config_of(**settings), dense_model, tmp_path / "calm")
    texts = (tmp_path / "calm" / "out" / prune.TEXTS).read_text()
    again = tmp_path / "again" / "out"
    again.mkdir(parents=True)
    (again / prune.TEXTS).write_text(texts)
    assert cut(config_of(**settings), dense_model, tmp_path / "again") == calm
    assert (again / "model.safetensors").read_bytes() == (tmp_path / "calm" / "out" / "model.safetensors").read_bytes()


def test_without_texts_only_the_layers_are_in_the_identity() -> None:
    def identity(**settings: Any) -> dict[str, Any]:
        return config_of(**settings).section(NAME, PruneConfig).identity()

    assert identity(every_nth_layer=2, steps=7) == {"every_nth_layer": 2}
    assert {"every_nth_layer", "texts", "steps", "openings"} <= identity(every_nth_layer=2, texts=5).keys()


def test_what_pretraining_cannot_be_is_refused(dense_model: Path, digit_model: Path, tmp_path: Path) -> None:
    for settings, line in (
        ({"kept_neurons": 0.5}, "set texts, 200 for example"),
        ({"every_nth_layer": 2, "texts": 1}, "give at least 2"),
        ({"every_nth_layer": 2, "texts": 4, "openings": []}, "give at least one text"),
    ):
        with pytest.raises(ValidationError, match=line):
            config_of(**settings)
    with pytest.raises(DataError, match="do not fit a row of 32 tokens"):
        cut(config_of(every_nth_layer=2, **{**PRETRAINED, "text_tokens": 32}), dense_model, tmp_path)
    with pytest.raises(ConfigError, match=r"kept_neurons = 0\.001: none of"):
        cut(config_of(kept_neurons=0.001, **PRETRAINED), dense_model, tmp_path / "none")
    with pytest.raises(ConfigError, match=r"student_base_llama\.kept_neurons: the model has an MTP block"):
        cut(config_of(kept_neurons=0.5, **PRETRAINED), digit_model, tmp_path / "experts")


def test_a_student_that_is_no_smaller_and_settings_without_effect_are_refused() -> None:
    for n in (0, 1):
        with pytest.raises(ConfigError, match=rf"student_base_llama\.every_nth_layer = {n}: 2 or more"):
            check(config_of(every_nth_layer=n))
    with pytest.raises(ConfigError, match=r"student_base_llama\.model: has no effect in a stage of kind prune"):
        check(config_of(every_nth_layer=2, model={"model_type": "llama"}))
    with pytest.raises(ConfigError, match=r"every_nth_layer: has no effect in a stage of kind pretrain_student"):
        check(make_config({"graph": "r1", NAME: {"every_nth_layer": 2}}))
