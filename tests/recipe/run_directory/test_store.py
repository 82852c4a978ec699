import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import ArtifactError, DataError
from cogitate.recipe.recipe import GRAPHS, graph_of
from cogitate.recipe.run_directory import store
from cogitate.recipe.run_directory.store import (
    Identity,
    copy_artifact,
    find_shipped,
    identify,
    is_shipped_copy,
    load_finished,
    load_given,
    seal,
    verify,
)
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import Stage
from tests.recipe import toy_stage
from tests.recipe.toy_recipe import toy_config

IDENTITY = Identity("toy", 1, {"seed": 0, "base.steps": 6}, {"base": "0123456789ab"}, ())
TOY = Stage("toy", toy_stage.TOY)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "toy"
    (path / "deep").mkdir(parents=True)
    (path / "weights").write_bytes(b"12345")
    (path / "deep" / "more").write_bytes(b"678")
    seal(path, IDENTITY, seconds=1.5, summary={"stopped_early": "why"})
    return path


def test_a_sealed_artifact_lists_every_file_and_verifies(sealed: Path) -> None:
    manifest = verify(sealed, every_hash=True)
    assert manifest["files"].keys() == {"weights", "deep/more"}
    assert manifest["files"]["weights"]["sha256"] == "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
    assert (manifest["id"], manifest["seconds"], manifest["summary"]) == (IDENTITY.id, 1.5, {"stopped_early": "why"})
    assert load_finished(sealed, IDENTITY).id == IDENTITY.id


def damage_missing(path: Path) -> str:
    (path / "weights").unlink()
    return "weights: missing"


def damage_shorter(path: Path) -> str:
    (path / "weights").write_bytes(b"1234")
    return "weights: 4 bytes instead of 5"


def damage_content(path: Path) -> str:
    (path / "deep" / "more").write_bytes(b"679")
    return "deep/more: content differs"


def damage_no_manifest(path: Path) -> str:
    (path / "manifest.json").unlink()
    return "no manifest.json: half-written"


def damage_half_manifest(path: Path) -> str:
    text = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(text[: len(text) // 2])
    return "manifest.json: damaged"


def damage_manifest_without_files(path: Path) -> str:
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["files"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    return "manifest.json: damaged .files missing"


@pytest.mark.parametrize(
    "damage",
    [
        damage_missing,
        damage_shorter,
        damage_content,
        damage_no_manifest,
        damage_half_manifest,
        damage_manifest_without_files,
    ],
)
def test_a_damaged_artifact_is_refused_by_the_name_of_the_damaged_file(sealed: Path, damage: Callable[[Path], str]) -> None:
    said = damage(sealed)
    with pytest.raises(ArtifactError, match=rf"{said}.*; delete {sealed} to have it made again"):
        load_finished(sealed, IDENTITY)


def test_an_artifact_that_may_not_be_read_says_so(sealed: Path) -> None:
    (sealed / "manifest.json").chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(ArtifactError, match=r"toy/manifest.json: cannot be read: Permission denied"):
            load_finished(sealed, IDENTITY)
        with pytest.raises(ArtifactError, match=r"inputs.toy = .*toy: cannot be read: Permission denied|manifest.json: cannot"):
            load_given("toy", sealed)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": {"seed": 0, "base.steps": 7}}, "base.steps = 6, but asked for is base.steps = 7"),
        ({"settings": {"seed": 0}}, "base.steps = 6, but asked for is no base.steps"),
        ({"version": 2}, "version 1 of the stage's code, which is now at version 2"),
        ({"inputs": {"base": "ba9876543210"}}, "another base .0123456789ab, now it is ba9876543210."),
        ({"read": ("00",)}, "other contents of the data files it reads"),
    ],
)
def test_an_artifact_made_from_something_else_says_what_differs(sealed: Path, changed: dict[str, Any], said: str) -> None:
    fields = {name: getattr(IDENTITY, name) for name in ("stage", "version", "settings", "inputs", "read")}
    with pytest.raises(ArtifactError, match=said):
        load_finished(sealed, Identity(**(fields | changed)))


def test_the_id_depends_on_what_can_change_the_result_and_on_nothing_else(tmp_path: Path) -> None:
    def id_of(*overrides: str) -> str:
        return identify(TOY, (TOY,), toy_config(tmp_path, *overrides), {}).id

    assert id_of("base.steps=6") == id_of("base.checkpoint_every=5") == id_of("runtime.threads=3") == id_of()
    assert len({id_of(), id_of("base.steps=7"), id_of("seed=1"), id_of("tasks.train_problems=9")}) == 4


def test_the_id_depends_on_the_content_of_data_files_and_not_on_their_place(tmp_path: Path) -> None:
    def id_of(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return identify(TOY, (TOY,), toy_config(tmp_path, f"tasks.train={tmp_path}/{name}"), {}).id

    assert id_of("a.jsonl", "x") == id_of("b.jsonl", "x") == id_of("./b.jsonl", "x")
    assert id_of("a.jsonl", "x") != id_of("a.jsonl", "y")
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read: No such file"):
        identify(TOY, (TOY,), toy_config(tmp_path, "tasks.train=none.jsonl"), {})


@pytest.mark.parametrize("setting", ["rewards.custom", "rewards.parts.mine.file"])
def test_a_function_of_the_users_is_known_by_its_content_and_its_name(tmp_path: Path, setting: str) -> None:
    graph = GRAPHS["r1_zero"]
    stage = graph[1]

    def id_of(place: str, text: str, function: str = "judge") -> str:
        file = tmp_path / place / "my, reward.py"  # a comma separates paths elsewhere
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        identity = identify(stage, graph, load_recipe("tiny", [f"{setting}={file}:{function}"]), {})
        assert str(tmp_path) not in str(identity)
        return identity.id

    here = id_of("here", "judge = other = len")
    assert id_of("there", "judge = other = len") == here
    assert id_of("here", "judge = other = bool") != here
    assert id_of("here", "judge = other = len", "other") != here


def test_a_given_directory_is_known_by_its_content(tmp_path: Path, sealed: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    (copy / "file").write_text("x")
    first = load_given("base", copy).id
    (copy / "manifest.txt").write_text("y")
    assert load_given("base", copy).id != first
    (sealed / "weights").write_bytes(b"12346")
    with pytest.raises(ArtifactError, match=r"weights: content differs .*; give another one"):
        load_given("base", sealed)
    with pytest.raises(ArtifactError, match=r"inputs.base = .*nowhere: no such file or directory"):
        load_given("base", tmp_path / "nowhere")
    (tmp_path / "void").mkdir()
    with pytest.raises(ArtifactError, match="empty"):
        load_given("base", tmp_path / "void")


def test_a_shipped_artifact_serves_only_the_settings_it_was_made_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    config = toy_config(tmp_path)
    assert find_shipped(identify(TOY, (TOY,), config, {})) is None
    (tmp_path / "shipped" / "toy").mkdir(parents=True)
    (tmp_path / "shipped" / "toy" / "weights").write_bytes(b"12345")
    seal(tmp_path / "shipped" / "toy", identify(TOY, (TOY,), config, {}), seconds=1, summary={})
    assert find_shipped(identify(TOY, (TOY,), config, {})) == tmp_path / "shipped" / "toy"
    with pytest.raises(ArtifactError) as caught:
        find_shipped(identify(TOY, (TOY,), toy_config(tmp_path, "base.steps=7"), {}))
    assert str(caught.value) == (
        "the shipped toy was made with base.steps = 6, but asked for is base.steps = 7; "
        "set it back, give inputs.toy=PATH, or train it with --retrain toy"
    )
    (tmp_path / "shipped" / "toy" / "weights").unlink()
    with pytest.raises(ArtifactError, match=r"weights: missing, .*; install the package again"):
        find_shipped(identify(TOY, (TOY,), config, {}))


def test_recipes_may_each_have_a_shipped_artifact_of_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    configs = [toy_config(tmp_path), toy_config(tmp_path, "base.steps=7", "base.rows=5")]
    editions = [tmp_path / "shipped" / "toy", tmp_path / "shipped" / "other" / "toy"]
    for config, edition in zip(configs, editions, strict=True):
        edition.mkdir(parents=True)
        (edition / "weights").write_bytes(b"12345")
        seal(edition, identify(TOY, (TOY,), config, {}), seconds=1, summary={})
    assert [find_shipped(identify(TOY, (TOY,), config, {})) for config in configs] == editions
    copy_artifact(editions[1], tmp_path / "run" / "toy", tmp_path / "run" / "copying")
    assert is_shipped_copy(tmp_path / "run" / "toy")
    with pytest.raises(ArtifactError, match=r"made with base\.rows = 5, but asked for is base\.rows = 6"):  # the nearest one
        find_shipped(identify(TOY, (TOY,), toy_config(tmp_path, "base.steps=7", "base.rows=6"), {}))


@pytest.mark.skipif(not store.SHIPPED.is_dir(), reason="no artifact is shipped")
@pytest.mark.parametrize("recipe", ["tiny", "puzzles", "quick"])
def test_what_is_shipped_is_whole_and_what_the_recipes_ask_for(recipe: str) -> None:
    config = load_recipe(recipe)
    graph = graph_of(config)
    for stage in graph:
        path = find_shipped(identify(stage, graph, config, {})) if not stage.needs else None
        if path is not None:
            verify(path, every_hash=True)
