"""What a run directory holds and needs no more: leftovers of kills. Nothing that a finished or a resumed run reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.lock import hold_run
from cogitate.recipe.run_directory.store import MANIFEST, verify


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or directory that can go.

    Attributes:
        size: in bytes.
        reason: why nothing needs it, for a person.
    """

    path: Path
    size: int
    reason: str


def clean(out: Path, *, dry_run: bool) -> list[Leftover]:
    """Delete the leftovers of a run directory, or find them only; returns them.

    Raises:
        ArtifactError: not a run directory, or a finished stage is damaged, so that its leftovers may be all there is of it.
        RunInUseError: a process works there.
    """
    if not (out / "config.json").is_file():
        raise ArtifactError(f"{out}: not a run directory: it has no config.json")
    with hold_run(out):
        leftovers = [Leftover(path, size_of(path), reason) for path, reason in find_leftovers(out)]
        if not dry_run:
            for leftover in leftovers:
                delete(leftover.path)
            if (out / "unfinished").is_dir() and not any((out / "unfinished").iterdir()):
                (out / "unfinished").rmdir()
    return leftovers


def find_leftovers(out: Path) -> Iterator[tuple[Path, str]]:
    """No path lies inside another one."""
    for path in sorted(out.glob("*.tmp")):
        yield path, "half-written when a process was killed"
    for work in sorted(path for path in out.glob("unfinished/*") if path.is_dir()):
        if (out / work.name).is_dir():
            verify(out / work.name)
            yield work, f"{work.name} is finished"
        elif (work / "out" / MANIFEST).is_file():
            for name in ("checkpoint", "handover"):
                if (work / name).exists():
                    yield work / name, f"all of {work.name} is written; the next run gives it its name"
        else:
            yield from of_stopped_stage(work)


def of_stopped_stage(work: Path) -> Iterator[tuple[Path, str]]:
    """What the next run would delete before it goes on from the checkpoint."""
    if (work / "handover").exists():
        yield work / "handover", f"{work.name} makes it anew when it goes on"
    for path in sorted(work.rglob("*.tmp")):
        parents = {parent.relative_to(work) for parent in path.parents if work in parent.parents}
        if not any(parent.suffix == ".tmp" or parent.parts[0] == "handover" for parent in parents):
            yield path, "half-written when a process was killed"


def size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
