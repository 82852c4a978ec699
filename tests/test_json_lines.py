"""JSON Lines: what is accepted, and one message for all lines that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, read_log, read_objects


def objects(path: Path, *, lone_surrogates: bool = False) -> list[tuple[str, dict[str, Any]]]:
    faults = RowFaults(path)
    rows = list(read_objects(path, faults, lone_surrogates=lone_surrogates))
    faults.check()
    return rows


def test_byte_order_mark_crlf_blank_lines_and_separators_within_texts_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": "one\xe2\x80\xa8two\xc2\x85"}\r\n\r\n \n{"a": 2}')
    assert objects(path) == [(f"{path}, line 1", {"a": "one\u2028two\x85"}), (f"{path}, line 4", {"a": 2})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not JSON: .* at character 8; write one object a line"),
        (b"[1]", r"a JSON object is needed, one a line, got \[1\]"),
        (b'{"a": NaN}', "not JSON that can be used: NaN is no JSON number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON that can be used"),
        (b"[" * 100_000, "not JSON that can be used"),
        (b'{"a": "\\ud800"}', "a text holds half of a character"),
        (b'{"a": "caf\xe9"}', "not UTF-8 .byte 11 of the line.; save the file as UTF-8"),
    ],
)
def test_a_single_wrong_line_is_named_with_its_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(DataError, match=rf"rows\.jsonl, line 2: {reason}"):
        objects(path)


def test_several_wrong_lines_are_one_message_of_the_first_five_and_their_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"[{n}]\n" if n % 2 else f'{{"n": {n}}}\n' for n in range(1, 15)))
    with pytest.raises(DataError) as caught:
        objects(path)
    places = "".join(f" line {n}: a JSON object is needed, one a line, got [{n}];" for n in (1, 3, 5, 7, 9))
    assert str(caught.value) == f"{path}: 7 rows cannot be used:{places} and 2 more"
    path.write_text("[1]\n[2]\n")
    with pytest.raises(DataError, match=r"2 rows cannot be used: line 1: .*; line 2: .*got \[2\]$"):
        objects(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(DataError, match="cannot be read: "):
            objects(path)


def test_halves_of_characters_can_be_let_through(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "\\ud800"}')
    assert objects(path, lone_surrogates=True)[0][1] == {"a": "\ud800"}


def test_a_log_may_be_missing_or_end_in_half_a_row(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_log(path) == []
    path.write_bytes(b'{"step": 0}\n{"step": 1, "text": "\xe4\xb8')
    assert read_log(path) == [{"step": 0}]
    path.write_text('{"step": 0}\n{"st\n')
    with pytest.raises(DataError, match="line 2: not JSON"):
        read_log(path)
