"""The record of an earlier start, and what it may name."""

import json
import tempfile
from pathlib import Path

import pytest

from cogitate.cluster.earlier_start import end_earlier_start, make_temporary, temporary_of


def test_what_an_earlier_start_has_left_is_taken_away(tmp_path: Path) -> None:
    record, said = tmp_path / "started.json", list[str]()
    temporary = make_temporary(record)
    assert temporary_of(record) == temporary
    end_earlier_start(record, said.append)
    assert (temporary.exists(), record.exists(), said) == (False, False, [])


@pytest.mark.parametrize("name", ["", "/", "cogitate-12345678", "{tmp}", "{tmp}/cogitate-x", "{tmp}/a/../cogitate-12345678/.."])
def test_a_record_of_another_directory_ends_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    record, said = tmp_path / "started.json", list[str]()
    record.write_text(json.dumps({"temporary": name.format(tmp=tmp_path), "token": ""}))
    assert temporary_of(record) is None
    end_earlier_start(record, said.append)
    assert said == [f"{record}: names no temporary directory of an earlier start; nothing is ended"]
    assert not record.exists()
    assert tmp_path.exists()


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"temporary": [], "token": 1}'])
def test_half_a_record_ends_nothing(content: str, tmp_path: Path) -> None:
    record = tmp_path / "started.json"
    record.write_text(content)
    assert temporary_of(record) is None


def test_a_directory_with_another_token_or_for_everybody_is_not_ours(tmp_path: Path) -> None:
    record = tmp_path / "started.json"
    temporary = make_temporary(record)
    try:
        temporary.chmod(0o755)
        assert temporary_of(record) is None
        temporary.chmod(0o700)
        assert temporary_of(record) == temporary
        (temporary / "token").write_text("another")
        assert temporary_of(record) is None
    finally:
        (temporary / "token").unlink()
        temporary.rmdir()
