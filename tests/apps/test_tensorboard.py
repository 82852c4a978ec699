import subprocess
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cogitate.apps.tensorboard import EventFiles


def read(directory: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = EventAccumulator(str(directory), purge_orphaned_data=True).Reload()
    return {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def test_tensorboard_reads_each_metric_and_a_resumed_stage_repeats_no_step(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    files.stage_begins("base", 0, 4)
    for step in range(3):
        files.row("base", {"step": step, "loss": 4.0 - step, "note": "text"})
    files.writer.close()  # a kill here, the last checkpoint being of step 2; a new process goes on
    files = EventFiles(tmp_path)
    files.stage_begins("base", 2, 4)
    for step in (2, 3):
        files.row("base", {"step": step, "loss": 4.5 - step})
    files.stage_ends("base")
    assert read(tmp_path / "base") == {"loss": [(0, 4.0), (1, 3.0), (2, 2.5), (3, 1.5)]}


def test_event_files_are_written_without_torch_or_tensorflow(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from cogitate.apps.tensorboard import EventFiles
files = EventFiles(Path({str(tmp_path)!r}))
files.stage_begins("base", 0, 1)
files.row("base", {{"step": 0, "loss": 1.0}})
print([name for name in ("torch", "tensorflow") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
