"""The command: where a studio lies, what it refuses before it serves or writes anything, and what it says of its items."""

import getpass
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cogitate.apps.studio import commands, directory
from cogitate.apps.studio.commands import Wanted
from cogitate.apps.studio.grading import Regrading
from cogitate.cli import app
from cogitate.cli.reviewing import owner
from cogitate.errors import ConfigError, DataError
from tests.apps.studio.items import candidate, made, opened, run_beside, write

CHAT = {"prompt": "Hi", "completion": "Hello."}


@pytest.fixture
def decided(tmp_path: Path, grading: Regrading) -> Path:
    """A studio of two items with one decision."""
    place = made(tmp_path, [candidate(1), candidate(3)])
    studio = opened(place, grading)
    studio.act("eva", {"do": "accept", "item": "direct-0001"})
    studio.close()
    return place


@pytest.mark.parametrize("name", [".", "items.jsonl", "../cold_start"])
def test_a_name_from_inside_a_run_finds_its_settings_and_keeps_the_artifact_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    problem, row = run_beside(tmp_path)
    (tmp_path / "cold_start").mkdir()
    write(tmp_path / "cold_start" / "items.jsonl", [row])
    monkeypatch.chdir(tmp_path / "cold_start")
    place = commands.open_place(Path(name), Wanted(), print)
    (item,) = [json.loads(line) for line in (place / "items.jsonl").read_text().splitlines()]
    assert item["kind"] == problem.kind
    inside = name == "items.jsonl"  # beside the file that was named
    assert place.resolve() == tmp_path / ("cold_start/items-studio" if inside else "cold_start-studio")
    assert commands.open_place(Path(name), Wanted(), print) == place


def test_candidates_that_nobody_can_grade_are_counted(tmp_path: Path) -> None:
    said: list[str] = []
    items = [candidate(1), candidate(3, kind=None), candidate(4, kind=None), CHAT]
    commands.check_graders(tmp_path, items, "review", None, said.append)
    (line,) = said
    assert line.startswith(f"{tmp_path}: 2 candidates name no kind, and their run's config.json was not there")
    commands.check_graders(tmp_path, [candidate(1), CHAT], "review", None, said.append)
    assert said == [line]


def test_two_sources_with_one_stem_do_not_share_a_studio(tmp_path: Path) -> None:
    first, second = write(tmp_path / "chats.jsonl", [CHAT]), tmp_path / "chats.parquet"
    place = commands.open_place(first, Wanted(), print)
    shutil.copy(first, second)
    with pytest.raises(ConfigError, match=r"chats.parquet: .*chats-studio is the studio of .*chats.jsonl; rename one"):
        commands.open_place(second, Wanted(), print)
    with pytest.raises(ConfigError, match="rename one"):
        commands.write(second, "conversations", tmp_path / "out.jsonl", contested=False, say=print)
    shutil.move(tmp_path, tmp_path.with_name("moved"))
    assert commands.open_place(tmp_path.with_name("moved") / "chats.jsonl", Wanted(), print).name == place.name


def test_a_log_with_decisions_is_not_written_over_when_studio_json_is_lost(decided: Path, tmp_path: Path) -> None:
    (decided / "studio.json").unlink()
    before = {file.name: file.read_bytes() for file in decided.iterdir()}
    with pytest.raises(DataError, match=r"decisions are there and studio.json is not; put it back, or move the directory away"):
        commands.open_place(tmp_path / "items.jsonl", Wanted(), print)
    assert {file.name: file.read_bytes() for file in decided.iterdir()} == before
    lines = before["events.jsonl"].splitlines(keepends=True)
    for left in (b"".join(lines[:1]), lines[0][:40], b""):  # as a creation that was killed leaves it
        (decided / "studio.json").unlink(missing_ok=True)
        (decided / "events.jsonl").write_bytes(left)
        assert commands.open_place(tmp_path / "items.jsonl", Wanted(), print) == decided
    (tmp_path / "other-studio").mkdir()
    (tmp_path / "other-studio" / "events.jsonl").write_text('{"mine": 1}\n')
    with pytest.raises(DataError, match="line 1"):
        commands.open_place(write(tmp_path / "other.jsonl", [CHAT]), Wanted(), print)
    assert (tmp_path / "other-studio" / "events.jsonl").read_text() == '{"mine": 1}\n'


@pytest.mark.parametrize(
    ("kind", "why"),
    [("custom", r"rewards.custom = 'nofile.py:f': write it as file.py:function"), ("math", "it would judge nothing")],
)
def test_a_function_that_cannot_judge_is_refused_before_anybody_works(tmp_path: Path, kind: str, why: str) -> None:
    path = write(tmp_path / "items.jsonl", [candidate(1, kind=kind)])
    with pytest.raises(ConfigError, match=why):
        commands.serve(
            path, Wanted(), host="127.0.0.1", port=0, owner="eva", custom="nofile.py:f", unsafe_local=False, say=print
        )


@pytest.mark.parametrize(
    ("form", "out", "contested", "why"),
    [
        ("review", "o.json", False, "the name must end in .jsonl or .parquet"),
        ("review", "folder.jsonl", False, "a directory; name a file"),
        ("review", "gone/o.jsonl", False, "gone is no directory"),
        ("review", "items-studio/events.jsonl", False, "items-studio, which an export leaves as it is"),
        ("argilla", "items-studio/people", False, "items-studio, which an export leaves as it is"),
        ("conversations", "items.jsonl", False, r"items.jsonl, which an export leaves as it is"),
        ("review", "o.jsonl", True, "--contested changes nothing in the form review"),
        ("argilla", "people", True, "--contested changes nothing in the form argilla"),
    ],
)
def test_an_export_overwrites_nothing_of_the_studio_and_has_a_form(
    decided: Path, tmp_path: Path, form: str, out: str, contested: bool, why: str
) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(ConfigError, match=why):
        commands.write(decided, form, tmp_path / out, contested=contested, say=print)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    "given",
    [
        ("--work", "pairs"), ("--annotators", "li"), ("--adjudicators", "mo"), ("--overlap", "0"), ("--add", "x.jsonl"),
        ("--custom", "a.py:f"), ("--host", "0.0.0.0"), ("--port", "1"), ("--unsafe-local",), ("--server-name", "x"),
        ("--origin", "https://x"),
    ],
)  # fmt: skip
def test_settings_of_the_server_are_refused_beside_an_export(decided: Path, tmp_path: Path, given: tuple[str, ...]) -> None:
    arguments = ["studio", str(decided), "--export", "review", "--out", str(tmp_path / "o.jsonl"), *given]
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, ConfigError)
    assert str(error) == f"{given[0]} is for serving and changes nothing of an export; leave it out"


def test_an_owner_whose_name_is_an_address_can_open_a_studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "eva@corp.example")
    assert owner() == "eva-corp.example"
    place = made(tmp_path, [candidate(1)])
    assert [one.name for one in directory.add_annotators(place, {owner(): "annotator"})] == ["eva", "eva-corp.example"]
