"""Ship a finished artifact with the package: `python -m benchmarks.ship RUN/base puzzles/base`.

The artifact is copied to src/cogitate/recipe/shipped/NAME, its weights and its id as they are. Its log has one row a step.
Every tenth is kept, the last one, and those that measure on held-out text; numbers have five digits. A curve shows no more than
that, and it is a fourteenth of the bytes. The manifest's `log` says what was kept, and the sum of all rows' tokens.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.errors import ArtifactError, CogitateError
from cogitate.json_lines import read_log
from cogitate.recipe.run_directory.store import LOG, MANIFEST, SHIPPED, THINNED, copy_artifact, hash_file, verify
from cogitate.runtime import MetricsLog, write_json

EVERY = 10  # steps
DIGITS = 5  # significant ones


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.ship", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artifact", metavar="RUN/STAGE", type=Path, help="a finished stage of a run")
    parser.add_argument("name", metavar="NAME", help="STAGE or RECIPE/STAGE: where it is shipped")
    options = parser.parse_args(arguments)
    try:
        target = ship(options.artifact, SHIPPED / options.name)
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{target}: {sum(path.stat().st_size for path in target.rglob('*')):,} bytes")
    return 0


def ship(artifact: Path, target: Path) -> Path:
    """Copy an artifact with a log of fewer rows; what was shipped in this place is replaced.

    Raises:
        ArtifactError: it is not finished, is damaged, is of another stage than the place, or its log is thinned already.
    """
    manifest = verify(artifact, every_hash=True)
    if manifest["stage"] != target.name:
        raise ArtifactError(f"{artifact}: made by the stage {manifest['stage']}; ship it under this name, not as {target.name}")
    if THINNED in manifest:
        raise ArtifactError(
            f"{artifact}: its log has every {manifest[THINNED]['every']}th row already; ship what a run has made"
        )
    with tempfile.TemporaryDirectory(dir=SHIPPED.parent) as temporary:
        copy = Path(temporary) / "copy"
        copy_artifact(artifact, copy, Path(temporary) / "copying")
        rows = read_log(copy / LOG)
        (copy / LOG).unlink()
        log = MetricsLog(copy / LOG)
        for row in thinned(rows):
            log.write(row)
        manifest["files"][LOG] = {"bytes": (copy / LOG).stat().st_size, "sha256": hash_file(copy / LOG)}
        files = manifest.pop("files")
        about = {"every": EVERY, "digits": DIGITS, "tokens": sum(row["tokens"] for row in rows)}
        write_json(copy / MANIFEST, {**manifest, THINNED: about, "files": files})
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy.rename(target)
    return target


def thinned(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every tenth row, those with held_out_loss and the last, their numbers rounded."""
    kept = [row for row in rows if row["step"] % EVERY == 0 or "held_out_loss" in row or row is rows[-1]]
    return [{key: rounded(value) for key, value in row.items()} for row in kept]


def rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
