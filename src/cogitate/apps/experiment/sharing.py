"""What the runs of an experiment have in common is made once: a finished artifact of equal id is linked from run to run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cogitate.recipe.run_directory.standing import Planned
from cogitate.recipe.run_directory.store import MANIFEST, content, publish

SHARED = "shared"  # beside unfinished stages, which a run clears away


def finished_artifacts(runs: Iterable[Path]) -> dict[str, Path]:
    """Id -> directory of every finished artifact in these run directories."""
    found: dict[str, Path] = {}
    for run in runs:
        for manifest in sorted(run.glob(f"*/{MANIFEST}")):
            found.setdefault(str(json.loads(manifest.read_text(encoding="utf-8"))["id"]), manifest.parent)
    return found


def share(planned: Sequence[Planned], run: Path, finished: Mapping[str, Path]) -> list[str]:
    """Link into a run directory what other runs have finished and it would make.

    Returns:
        the names of the stages.
    """
    names = []
    for item in planned:
        source = finished.get(item.id) if item.state in ("to do", "shipped") else None
        if source is not None and not (run / item.stage.name).exists():
            link_artifact(source, run / item.stage.name, run / "unfinished" / f"{item.stage.name}.{SHARED}")
            names.append(item.stage.name)
    return names


def link_artifact(source: Path, target: Path, temporary: Path) -> None:
    """The same files in a second place, which takes no further room; a copy where the disk has no hard links. `target` appears
    complete or not at all."""
    shutil.rmtree(temporary, ignore_errors=True)
    for file in [*content(source), source / MANIFEST]:
        place = temporary / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, place)
        except OSError:  # other file systems, and those that allow few links
            shutil.copyfile(file, place)
    publish(temporary, target)


def bytes_used(directory: Path) -> int:
    """What the files below a directory take, those with several names once."""
    sizes = {}
    for file in directory.rglob("*"):
        if file.is_file() and not file.is_symlink():
            status = file.stat()
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())
