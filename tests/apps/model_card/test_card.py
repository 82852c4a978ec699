"""The card of a model that a run made, of one that nobody knows, and of one with results of benchmarks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, ModelCardData

from cogitate import cli
from cogitate.apps.benchmark.result import Result
from cogitate.apps.export import card_beside
from cogitate.apps.model_card.card import text_of
from cogitate.apps.model_card.facts import gather_facts
from cogitate.errors import ConfigError
from cogitate.evals.metrics import rate
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.run_directory.store import Identity, load_given, seal
from cogitate.tokenizer.bpe import Tokenizer


def figures_of(card: str) -> dict[str, float]:
    """data set -> value, as the hub's own client reads the metadata."""
    return {one.dataset_name: one.metric_value for one in data_of(card).eval_results or ()}


def data_of(card: str) -> ModelCardData:
    data = ModelCard(card).data
    assert isinstance(data, ModelCardData)
    return data


@pytest.fixture
def run(tmp_path: Path, make_micro_model: Callable[..., Transformer], micro_tokenizer: Tokenizer) -> Path:
    """A run of two stages, the second one measured."""
    directory = tmp_path / "run"
    ids: dict[str, str] = {}
    for stage, settings in (
        ("base", {"base.held_out_documents": 5}),
        ("r1_zero", {"seed": 3, "tasks.train": "logic,file 0123456789ab"}),
    ):
        save_model(make_micro_model(len(stage)), directory / stage)
        micro_tokenizer.save(directory / stage)
        identity = Identity(stage, 1, settings, dict(ids), ())
        seal(directory / stage, identity, seconds=1.0, summary={})
        ids[stage] = identity.id
    evaluation = directory / "evaluate.r1_zero"
    evaluation.mkdir()
    row = {"pass@1": {"value": 0.25, "ci95": [0.1, 0.5]}, "problems": 20, "samples": 4}
    (evaluation / "evaluation.json").write_text(json.dumps({"logic": row, "all": row}))
    summary = {"prompt": "r1_zero", "contract": "r1"}
    seal(evaluation, Identity("evaluate.r1_zero", 1, {}, {"r1_zero": ids["r1_zero"]}, ()), seconds=1.0, summary=summary)
    return directory


def change_id(artifact: Path) -> None:
    """As if the stage had been made again with other settings."""
    path = artifact / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "id": "f" * 12}))


def result(model: Path, *, limit: int | None, benchmark: str = "gsm8k", **data_of: object) -> Result:
    right = {("gsm8k", str(n), "q"): [float(n % 2)] for n in range(4)}
    every = {"pass@1": rate(list(right.values())).as_json(), "problems": 4, "samples": 1}
    data = {"files": [], "rows": 1319, "published_rows": 1319, **data_of}
    settings = {"prompt": "chat", "limit": limit}
    return Result(benchmark, "m", load_given("M", model).id, settings, data, {"all": every}, {}, {}, right, {})


def test_the_card_of_a_stage_names_recipe_data_figures_and_what_is_missing(run: Path, tmp_path: Path) -> None:
    card = text_of(gather_facts(run / "r1_zero", None))
    assert figures_of(card) == {"Logic": 25.0}
    assert "| Base (`base`) | text alone | - |" in card
    assert "| R1-Zero (`r1_zero`) | `base` | 3 |" in card
    assert "- `base`: text = the generated corpus\n" in card
    assert "- `r1_zero`: tasks.train = logic,file 0123456789ab" in card
    assert "| Logic | 20 | Right answers | 25.0 | 10.0-50.0 |" in card or "| 25.0 | 10.0-50.0 |" in card
    assert "(prompt r1_zero, contract r1)" in card
    assert "Benchmarks: AIME 2024; AIME 2025" in card
    assert str(tmp_path) not in card


def test_figures_and_stages_of_other_weights_are_not_on_the_card(run: Path) -> None:
    change_id(run / "base")
    card = text_of(gather_facts(run / "r1_zero", None))
    assert "| Base (`base`) | not known: the stage was made again since | - |" in card
    assert figures_of(card) == {"Logic": 25.0}
    change_id(run / "r1_zero")
    assert figures_of(text_of(gather_facts(run / "r1_zero", None))) == {}


def test_a_seed_that_a_stage_has_of_its_own_is_shown(run: Path) -> None:
    manifest = run / "r1_zero/manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 3', '"r1_zero.seed": 5'))
    assert "| R1-Zero (`r1_zero`) | `base` | 5 |" in text_of(gather_facts(run / "r1_zero", None))


@pytest.mark.parametrize(("form", "measured", "listed"), [("q4_0", False, False), ("bfloat16", False, True), ("", True, True)])
def test_figures_beside_another_form_are_said_to_be_the_source_s(form: str, measured: bool, listed: bool, run: Path) -> None:
    card = text_of(gather_facts(run / "r1_zero", None), form)
    assert (f"Measured on the source, stored in float32, not on this file ({form})" in card) is not measured
    assert bool(figures_of(card)) is listed
    assert "| 25.0 | 10.0-50.0 |" in card


def test_the_card_beside_a_quantised_file_says_so(run: Path, tmp_path: Path) -> None:
    card_beside(run / "r1_zero", tmp_path / "m.gguf", None, "q8_0", say=print)
    assert "not on this file (q8_0)" in (tmp_path / "README.md").read_text()


def test_a_whole_benchmark_is_in_the_metadata_and_a_part_only_in_the_table(run: Path, tmp_path: Path) -> None:
    model, results = run / "r1_zero", tmp_path / "results"
    for limit, listed in ((None, True), (4, False)):
        (results / "m" / "gsm8k").mkdir(parents=True, exist_ok=True)
        result(model, limit=limit).write(results / "m" / "gsm8k")
        card = text_of(gather_facts(model, results))
        assert figures_of(card) == ({"GSM8K": 50.0, "Logic": 25.0} if listed else {"Logic": 25.0})
        assert ("a part of the benchmark" in card) is not listed
        assert "| 4 | 1 | chat | pass@1 | 50.0 |" in card
        assert "Overlap with training data: not looked for in GSM8K." in card
    with pytest.raises(ConfigError, match=r"no result of .*base"):
        gather_facts(run / "base", results)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"differs": "seven languages"}, "not the benchmark's own rows: seven languages"),
        ({"ungradable": {"rows": 2, "first": "x"}}, "2 rows cannot be graded"),
        ({"rows": 1300}, "a part of the benchmark"),
    ],
)
def test_a_figure_that_is_not_the_benchmark_s_own_says_why_and_is_not_in_the_metadata(
    data: dict[str, Any], said: str, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "results/m/gsm8k").mkdir(parents=True)
    result(run / "r1_zero", limit=None, **data).write(tmp_path / "results/m/gsm8k")
    card = text_of(gather_facts(run / "r1_zero", tmp_path / "results"))
    assert figures_of(card) == {"Logic": 25.0}
    assert f"| GSM8K, {said} | 4 |" in card


def test_a_benchmark_of_one_s_own_is_on_the_card(run: Path, tmp_path: Path) -> None:
    (tmp_path / "results/m/mine").mkdir(parents=True)
    own = result(run / "r1_zero", limit=None, benchmark="mine", title="My questions", metric="pass@1")
    own.write(tmp_path / "results/m/mine")
    card = text_of(gather_facts(run / "r1_zero", tmp_path / "results"))
    assert "| My questions | 4 | 1 | chat | pass@1 | 50.0 |" in card
    assert figures_of(card) == {"My questions": 50.0, "Logic": 25.0}


def test_export_writes_the_card_beside_each_form_and_keeps_one_that_is_there(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cogitate", "export", str(run / "r1_zero"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert (tmp_path / "out/README.md").read_text().startswith("---\nlibrary_name: transformers\n")


def test_a_model_of_nobody_says_so(run: Path, tmp_path: Path) -> None:
    for file in (run / "base").glob("manifest.json"):
        file.unlink()
    card = text_of(gather_facts(run / "base", None))
    assert "Not known: the directory was not made by a run of this package." in card
    assert "None: nothing was measured, or its results were not at hand." in card
    assert figures_of(card) == {}
    assert (data_of(card).license, data_of(card).library_name) == ("unknown", "transformers")
