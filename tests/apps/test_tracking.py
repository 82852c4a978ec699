"""The clients of tracking services themselves, offline."""

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.tracking import Tracker
from cogitate.errors import ConfigError
from cogitate.recipe.settings import load_recipe

ROOT = Path(__file__).parents[2]
CONFIG = load_recipe("tiny", ["r1_zero.steps=3"])


def track(library: str, out: Path) -> None:
    """Two steps, a kill, and the last two again."""
    out.mkdir()
    for first in (0, 1):
        tracker = Tracker(library, CONFIG, out)
        tracker.stage_begins("r1_zero", first, 3)
        for step in (first, first + 1):
            tracker.row("r1_zero", {"step": step, "reward": 0.25 * step, "note": "text"})
        tracker.stage_ends("r1_zero")
        time.sleep(1.1)  # wandb names its files by the second


def test_a_library_that_is_not_installed_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'tracking = "wandb": wandb is not installed: pip install "cogitate\[wandb\]"'):
        Tracker("wandb", CONFIG, tmp_path)


def test_where_metrics_are_tracked_changes_no_result() -> None:
    assert load_recipe("tiny", ["tracking=wandb"]).identity() == load_recipe("tiny").identity()


@pytest.mark.clients
def test_wandb_keeps_the_metrics_of_a_stage_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    track("wandb", tmp_path / "mine")
    steps: dict[int, float] = {}
    settings: dict[str, Any] = {}
    for path in sorted((tmp_path / "mine").rglob("*.wandb")):
        for data in log_records(path.read_bytes()):
            record = Record.FromString(data)
            row = {"".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            assert "note" not in row
            if row:
                steps[row["_step"]] = row["reward"]
            settings |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    assert steps == {0: 0.0, 1: 0.25, 2: 0.5}
    assert settings["r1_zero.steps"] == 3


def log_records(data: bytes) -> Iterator[bytes]:
    """The records of wandb's file: LevelDB's log format in blocks of 32 KiB, after 7 bytes of wandb's own."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""
        left = -place % 32768
        place += left if left < 7 else 0


@pytest.mark.clients
def test_trackio_keeps_the_metrics_of_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when the library is imported: in a process of its own
    code = f"""
import sys, json
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.apps.test_tracking import track
from trackio.sqlite_storage import SQLiteStorage
track("trackio", Path({str(tmp_path / "mine")!r}))
print(json.dumps(SQLiteStorage.get_logs("cogitate", "mine/r1_zero")))
print(json.dumps(SQLiteStorage.get_run_config("cogitate", "mine/r1_zero")))
"""
    command = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert command.returncode == 0, command.stderr
    logs, settings = map(json.loads, command.stdout.splitlines())
    assert {row["step"]: row["reward"] for row in logs} == {0: 0.0, 1: 0.25, 2: 0.5}
    assert all("note" not in row for row in logs)
    assert settings["r1_zero.steps"] == 3
