import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.errors import ConfigError, RunInUseError
from cogitate.recipe.run_directory.lock import hold_run, holder

HOLD = """
import sys, time, multiprocessing
from pathlib import Path
from cogitate.recipe.run_directory.lock import hold_run
with hold_run(Path(sys.argv[1])):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    print(child.pid, flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_the_pid_of_the_first_and_children_do_not_keep_the_lock(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        assert holder(out) == str(process.pid)
        with pytest.raises(RunInUseError, match=f"{out}: in use by process {process.pid}"), hold_run(out):
            pass
        process.kill()
        process.wait()
        os.kill(child, 0)  # it outlives its parent here
        assert holder(out) is None
        with hold_run(out):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


TRY = """
import sys
from pathlib import Path
from cogitate.errors import RunInUseError
from cogitate.recipe.run_directory.lock import hold_run
try:
    with hold_run(Path(sys.argv[1])):
        print("held")
except RunInUseError as error:
    print(error)
"""


def test_who_asks_in_the_same_process_does_not_let_go_of_the_lock(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with hold_run(out):
        assert holder(out) == str(os.getpid())
        with pytest.raises(RunInUseError, match=f"{out}: in use by process {os.getpid()}"), hold_run(out):
            pass
        tried = subprocess.run([sys.executable, "-c", TRY, str(out)], capture_output=True, text=True, check=True)
        assert tried.stdout == f"{out}: in use by process {os.getpid()}; wait for it or stop it\n"
    assert holder(out) is None


def test_the_lock_is_given_back_and_may_be_had_again(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_run(tmp_path / "run"):
            assert (tmp_path / "run" / "lock").read_text() == f"{os.getpid()}\n"


def test_a_directory_with_other_files_in_it_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty, and no run directory"), hold_run(tmp_path):
        pass
    with pytest.raises(ConfigError, match="cannot be used as a directory"), hold_run(tmp_path / "thesis.tex"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_copy_of_a_run_without_its_lock_is_a_run_directory_and_a_model_is_none(tmp_path: Path) -> None:
    for name, settings in (("copy", '{"graph": "r1"}'), ("model", '{"model_type": "llama"}'), ("list", "[1]"), ("number", "1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(settings)
    with hold_run(tmp_path / "copy"):
        assert (tmp_path / "copy" / "lock").is_file()
    for name in ("model", "list", "number"):
        with pytest.raises(ConfigError, match="not empty, and no run directory"), hold_run(tmp_path / name):
            pass


def test_no_lock_is_held_where_there_is_no_run(tmp_path: Path) -> None:
    assert holder(tmp_path / "nowhere") is None
