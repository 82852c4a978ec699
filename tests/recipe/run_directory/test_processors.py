"""Who had the processors while a stage was made."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cogitate.recipe.run_directory.attempt import Clock
from cogitate.recipe.run_directory.processors import ProcessorSeconds, processor_seconds, read_processor_seconds
from cogitate.recipe.run_directory.store import Identity

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says who had the processors")
BUSY = "import time\nwhile time.process_time() < 0.3: pass"


@LINUX
def test_what_a_process_and_those_below_it_work_is_their_own() -> None:
    before = processor_seconds()
    assert before is not None
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    after = processor_seconds()
    assert after is not None
    worked = after.since(before)
    assert 0.45 < worked.own < 5.0
    assert worked.others >= 0.0


@LINUX
def test_the_processors_of_all_attempts_are_added_up(tmp_path: Path) -> None:
    clock = Clock(tmp_path, Identity("toy", 1, {}, {}, ()), {"seconds": 3.0, "processor_seconds": {"own": 5.0, "others": 2}})
    found = read_processor_seconds(clock.facts())
    assert found is not None
    assert 5.0 <= found.own < 6.0
    assert found.others >= 2.0


def test_clocks_that_are_coarse_take_nothing_away() -> None:
    assert ProcessorSeconds(1.0, 7.0).since(ProcessorSeconds(1.2, 6.5)) == ProcessorSeconds(0.0, 0.5)


@pytest.mark.parametrize("record", [{}, {"processor_seconds": None}, {"processor_seconds": {"own": 1.0, "others": "2"}}])
def test_a_record_that_says_nothing_of_it_is_none(record: dict[str, object]) -> None:
    assert read_processor_seconds(record) is None
