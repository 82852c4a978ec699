"""How processes have ended, as the kernel tells; from Linux 6.15 on it tells those who are not their parents."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.cluster.deaths import Watched, ending_of, last_lines

TOLD = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 15)


@pytest.mark.parametrize(
    ("end", "ending"),
    [("os.kill(os.getpid(), 9)", "killed by SIGKILL"), ("os.abort()", "killed by SIGABRT"), ("os._exit(3)", "exit status 3")],
)
def test_a_death_has_its_signal_or_status_its_memory_and_its_last_words(end: str, ending: str, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", f"import os; input(); {end}"], stdin=subprocess.PIPE)
    watched = Watched(process.pid)
    watched.look()
    (tmp_path / f"worker-abc-{process.pid}.err").write_text(":actor_name:X\n\n" + "".join(f"line {n}\n" for n in range(9)))
    process.communicate(b"\n")
    death = watched.death(tmp_path)
    assert death.ending == (ending if TOLD else "")
    assert death.resident is not None
    assert death.resident > 0
    assert death.last_lines == ("line 4", "line 5", "line 6", "line 7", "line 8")


def test_statuses_are_told_in_words() -> None:
    assert ending_of(signal.SIGSEGV) == "killed by SIGSEGV"
    assert ending_of(34) == "killed by SIGRTMIN"
    assert ending_of(40) == "killed by signal 40"
    assert ending_of(2 << 8) == "exit status 2"


def test_no_log_has_no_last_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path, 1) == ()
