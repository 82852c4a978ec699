"""Finished runs without their models: parts that are made on several days, or on several machines, become one page.

KEPT/seed-N.tar.xz     the runs of one seed: VARIANT/..., of each run what pages read of it
"""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cogitate.apps.experiment.definition import Experiment
from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.failed_start import CONFIG
from cogitate.recipe.run_directory.store import MANIFEST, hash_file, load_manifest
from cogitate.recipe.runner import plan
from cogitate.recipe.stages.measuring.best_of_n import CURVE
from cogitate.recipe.stages.measuring.search_curves import FILE
from cogitate.runtime import atomic_write

OF_RUN = (CONFIG, "results.json")
OF_STAGE = (MANIFEST, "metrics.jsonl", "evaluation.json", "completions.jsonl", FILE, CURVE)
PLACE = "kept.runs"  # in an experiment's directory; no variant can have this name

Key = tuple[str, int]


def archive_of(kept: Path, seed: int) -> Path:
    return kept / f"seed-{seed}.tar.xz"


def unpack(experiment: Experiment, kept: Path, out: Path) -> dict[Key, Path]:
    """The runs that are kept, each as a directory below `out` that pages can read.

    Raises:
        ArtifactError: an archive is damaged, or holds runs that this experiment, these data or this code would not make; the
            message names it.
    """
    found: dict[Key, Path] = {}
    for seed in experiment.config.seeds:
        archive = archive_of(kept, seed)
        if not archive.is_file():
            continue
        for variant, files in read_archive(archive).items():
            if variant not in experiment.config.variants:
                raise ArtifactError(f"{archive}: holds runs of {variant}, which is no variant of {experiment.name}")
            place = out / PLACE / variant / f"seed-{seed}"
            shutil.rmtree(place, ignore_errors=True)  # of an archive that was there before
            for name, content in files.items():
                file = place / name
                file.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(file) as temporary:
                    temporary.write_bytes(content)
            check(experiment, (variant, seed), place, archive)
            found[variant, seed] = place
    return found


def read_archive(archive: Path) -> dict[str, dict[str, bytes]]:
    """Variant -> name of a file in its run -> content. Names that no run has are refused."""
    found: dict[str, dict[str, bytes]] = {}
    try:
        with tarfile.open(archive, "r:xz") as packed:
            for member in packed:
                variant, *rest = PurePosixPath(member.name).parts or ("",)
                names = OF_RUN if len(rest) == 1 else OF_STAGE
                content = packed.extractfile(member) if member.isfile() else None
                if content is None or len(rest) not in (1, 2) or rest[-1] not in names or ".." in rest:
                    raise ArtifactError(f"{archive}: {member.name}: no file of a kept run")
                found.setdefault(variant, {})["/".join(rest)] = content.read()
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
        raise ArtifactError(f"{archive}: damaged ({error}); delete it to have its runs made again") from error
    return found


def check(experiment: Experiment, key: Key, place: Path, archive: Path) -> None:
    """Refuse a kept run whose stages are not those that the experiment would make, or whose files are not theirs."""
    variant, seed = key
    for file in OF_RUN:
        if not (place / file).is_file():
            raise ArtifactError(f"{archive}: {variant}: holds no {file}; delete the archive to have its runs made again")
    for item in plan(experiment.runs[key], Path(place, "none"), until=experiment.until(variant)):
        if item.state == "given":
            continue
        name = item.stage.name
        manifest = load_manifest(place / name, remedy=f"delete {archive} to have its runs made again")
        if manifest["id"] != item.id:
            raise ArtifactError(
                f"{archive}: {variant}, seed {seed}: {name} was made from other settings, data or code than this experiment's; "
                "keep these runs elsewhere"
            )
        for file in OF_STAGE:
            expected = manifest["files"].get(file)
            if expected and (not (place / name / file).is_file() or hash_file(place / name / file) != expected["sha256"]):
                raise ArtifactError(
                    f"{archive}: {variant}/{name}/{file} is damaged; delete the archive to have its runs made again"
                )


def keep(kept: Path, seed: int, runs: Mapping[str, Path]) -> None:
    """Write the archive of a seed anew, of equal bytes for equal runs.

    Args:
        runs: variant -> its finished run, or one that was kept.
    """
    if not runs:
        return
    kept.mkdir(parents=True, exist_ok=True)
    with atomic_write(archive_of(kept, seed)) as temporary, tarfile.open(temporary, "w:xz") as packed:
        for variant, run in sorted(runs.items()):
            for file in [run / name for name in OF_RUN] + sorted(run.glob(f"*/{MANIFEST}")):
                found = [file] if file.parent == run else [file.parent / name for name in OF_STAGE]
                for each in found:
                    if each.is_file():
                        add(packed, f"{variant}/{each.relative_to(run).as_posix()}", each.read_bytes())


def add(packed: tarfile.TarFile, name: str, content: bytes) -> None:
    """A file without owner or time."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    packed.addfile(member, io.BytesIO(content))
