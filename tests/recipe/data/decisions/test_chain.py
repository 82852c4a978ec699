"""The log of decisions: durable when it says so, and no line can be lost or changed unnoticed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.errors import DataError
from cogitate.recipe.data.decisions.chain import NOTHING_BEFORE, Chain, read_chain
from cogitate.runtime import python_path

WRITER = """
import sys
from pathlib import Path
from cogitate.recipe.data.decisions.chain import Chain
chain = Chain(Path(sys.argv[1]))
while True:
    event = chain.append(do="accept", item=f"item-{len(chain.events)}", by="eva")
    print(event["n"], flush=True)
"""


def filled(path: Path, count: int = 3) -> Path:
    chain = Chain(path)
    for number in range(count):
        chain.append(do="accept", item=f"item-{number}", by="eva")
    chain.close()
    return path


def test_each_event_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    events = read_chain(filled(tmp_path / "events.jsonl"))
    assert [event["n"] for event in events] == [1, 2, 3]
    assert [event["before"] for event in events] == [NOTHING_BEFORE, events[0]["hash"], events[1]["hash"]]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: [lines[0].replace("item-0", "item-9"), *lines[1:]], 1),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[1], lines[0], lines[2]], 1),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [*lines[:2], "{nonsense"], 3),
    ],
)
def test_a_changed_missing_or_inserted_line_is_named(tmp_path: Path, damage: object, line: int) -> None:
    path = filled(tmp_path / "events.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(damage(lines)) + "\n")  # type: ignore[operator]
    with pytest.raises(DataError, match=rf"events\.jsonl, line {line}: "):
        read_chain(path)


def test_half_a_line_is_left_out_by_readers_and_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    path = filled(tmp_path / "events.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + json.dumps({"n": 4, "do": "rej"})[:-3].encode())
    assert len(read_chain(path)) == 3
    chain = Chain(path)
    assert path.read_bytes() == whole
    assert chain.append(do="reject", item="x", by="eva")["n"] == 4
    chain.close()
    assert len(read_chain(path)) == 4


def test_a_failed_write_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path / "events.jsonl")
    whole = path.read_bytes()
    chain = Chain(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            chain.append(do="reject", item="x", by="eva")
    assert path.read_bytes() == whole
    assert chain.append(do="reject", item="x", by="eva")["n"] == 4
    chain.close()
    assert len(read_chain(path)) == 4


def test_a_kill_loses_nothing_that_was_said_to_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    environment = {**os.environ, "PYTHONPATH": python_path()}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(25)]
        writer.send_signal(signal.SIGKILL)
        said += [int(line) for line in writer.stdout if line.endswith("\n")]
    events = read_chain(path)
    assert said == list(range(1, len(said) + 1))
    assert len(events) >= len(said)


def test_a_log_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"events\.jsonl: cannot be read"):
        read_chain(tmp_path / "events.jsonl")
