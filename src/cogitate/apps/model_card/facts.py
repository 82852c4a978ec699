"""What is known of a model: the stages that made it, the data they read, and every figure that was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cogitate.apps.benchmark.result import RESULT, Result, read_result
from cogitate.apps.report.words import stage_title
from cogitate.errors import ConfigError
from cogitate.recipe.models import read_config
from cogitate.recipe.run_directory.store import MANIFEST, load_given, load_manifest

EVALUATION = "evaluation.json"  # of the artifact evaluate.STAGE
DATA = "data.parquet"  # of a stage that makes a data set
CORPUS_KEY, CORPUS = ".held_out_documents", "the generated corpus"  # a setting of every pretraining, and what that reads
DATA_KEYS = ("tasks.train", "tasks.general", "preferences.pairs_file", "preferences.labels_file")


@dataclass(frozen=True, slots=True)
class StageFacts:
    """One stage that led to a model.

    Attributes:
        inputs: the stages and models that it started from; None: not known, since its artifact is not there any more.
        seed: None where the manifest has none.
        data: what its settings name as data: tasks, files by the hash of their content, and the corpus of pretraining.
        rows: of the data set that it made; None where it made none.
    """

    name: str
    title: str
    inputs: tuple[str, ...] | None
    seed: int | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a card says.

    Attributes:
        stages: from the first one on, this model's own last; empty outside of a run.
        made_with: versions, commit and processor.
        config: the model's config.json.
        evaluation: the table of the run's own evaluation of these weights; {} where there is none.
        asked: prompt and contract of that evaluation.
        results: of benchmarks, by name.
    """

    name: str
    model_id: str
    stages: tuple[StageFacts, ...] = ()
    made_with: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Result] = field(default_factory=dict)


def gather_facts(source: Path, results: Path | None) -> ModelFacts:
    """The facts of a model directory.

    Args:
        results: a directory of `cogitate eval --benchmarks`; its results of this model are taken.

    Raises:
        ConfigError: there is no result of this model in it.
        ArtifactError: a result or a manifest is damaged.
    """
    model_id = load_given("MODEL", source).id
    measured = {} if results is None else results_of(results, model_id, source)
    config = read_config(source)
    if not (source / MANIFEST).is_file():
        return ModelFacts(source.name, model_id, config=config, results=measured)
    manifest = load_manifest(source)
    run = source.parent
    evaluation, asked = read_evaluation(run / f"evaluate.{manifest['stage']}", manifest)
    return ModelFacts(
        source.name,
        model_id,
        tuple(stages_to(run, manifest)),
        manifest.get("made_with", {}),
        config,
        evaluation,
        asked,
        measured,
    )


def results_of(directory: Path, model_id: str, source: Path) -> dict[str, Result]:
    """The results of one model, by benchmark. Raises as gather_facts."""
    found = [read_result(path) for path in sorted(directory.glob(f"*/*/{RESULT}"))]
    own = {one.benchmark: one for one in found if one.model_id == model_id}
    if not own:
        raise ConfigError(
            f"--results {directory}: no result of {source} (content {model_id}); measure it by `cogitate eval {source} "
            "--benchmarks ...`"
        )
    return own


def stages_to(run: Path, manifest: Mapping[str, Any]) -> list[StageFacts]:
    """The stages that led to an artifact, each once and after its inputs; inputs of no stage are named alone. A stage that was
    made again since is not the one that led here: nothing is known of that one."""
    found: dict[str, StageFacts] = {}

    def add(own: Mapping[str, Any]) -> None:
        for name, recorded in own["inputs"].items():
            path = run / name
            if name not in found and (path / MANIFEST).is_file():
                there = load_manifest(path)
                if there["id"] == recorded:
                    add(there)
                else:
                    found[name] = StageFacts(name, stage_title(name), None)
        settings = own["settings"]
        data = {key: str(settings[key]) for key in DATA_KEYS if settings.get(key)}
        if any(key.endswith(CORPUS_KEY) for key in settings):
            data = {"text": CORPUS, **data}
        makes_data = (run / str(own["stage"]) / DATA).is_file()
        rows = own.get("summary", {}).get("rows") if makes_data else None
        name = str(own["stage"])
        seed = settings.get("seed", settings.get(f"{name}.seed"))
        found[name] = StageFacts(
            name,
            stage_title(name),
            tuple(own["inputs"]),
            None if seed is None else int(seed),
            data,
            rows if isinstance(rows, int) else None,
        )

    add(manifest)
    return list(found.values())


def read_evaluation(artifact: Path, model: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(table, {"prompt", "contract"}) of a run's evaluation; empty where it was not made, or of other weights than this
    manifest."""
    if not (artifact / EVALUATION).is_file() or not (artifact / MANIFEST).is_file():
        return {}, {}
    measured = load_manifest(artifact)
    if measured["inputs"].get(model["stage"]) != model["id"]:
        return {}, {}
    summary = measured.get("summary", {})
    table = json.loads((artifact / EVALUATION).read_text(encoding="utf-8"))
    return table, {key: summary[key] for key in ("prompt", "contract") if key in summary}
