"""Whether a change of code has changed any number: `make same-bytes`, or `python -m benchmarks.same_bytes COMMIT`.

Runs the recipe `tiny` with the code of COMMIT (HEAD where none is given) and with the code of this checkout, including changes
that are not committed. Settings and seed are equal. Then it compares the SHA-256 of model.safetensors of every model that the
runs have made. Exit code 0: all are equal; 1: some are not; 2: there was nothing to compare.

This takes as long as two runs of the recipe. `--until STAGE` stops earlier, settings (KEY=VALUE) make it smaller, and `--short`
is three small steps of R1-Zero from the shipped base model, in seconds. `--before RUN --after RUN` compares finished runs and
runs nothing. Compare runs of one machine and one number of threads: another number adds up gradients in another order.

The code of COMMIT is a clone in a temporary directory; both sides use the packages of the interpreter that runs this.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.places import CHECKOUT
from cogitate.errors import ArtifactError, CogitateError
from cogitate.recipe.run_directory.store import hash_file

RECIPE = "tiny"
WEIGHTS = "model.safetensors"
SHORT = (
    "--only", "r1_zero", "r1_zero.steps=3", "r1_zero.prompts_per_step=4", "r1_zero.group_size=4", "r1_zero.max_new_tokens=24",
    "r1_zero.checkpoint_every=1", "tasks.train=arithmetic", "tasks.train_problems=40", "rewards.workers=1",
)  # fmt: skip
SHOWN = 16  # digits of a hash


@dataclass(frozen=True, slots=True)
class Compared:
    """A stage's weights on both sides.

    Attributes:
        before, after: SHA-256; None where that run has no such model.
    """

    stage: str
    before: str | None
    after: str | None

    @property
    def same(self) -> bool:
        return self.before == self.after


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = parse(arguments)
    try:
        with runs_to_compare(options) as (before, after):
            compared = compare(before, after, options.stages)
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(compared)
    return 0 if all(each.same for each in compared) else 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.same_bytes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", nargs="?", metavar="COMMIT", help="whose code is compared with this checkout's (HEAD)")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of both runs")
    parser.add_argument("--until", metavar="STAGE", help="run the recipe as far as this stage")
    parser.add_argument("--short", action="store_true", help="three small steps of R1-Zero from the shipped base model")
    parser.add_argument("--stages", default="", metavar="NAME,...", help="compare these stages only")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="put the clone and the runs there, and leave them")
    parser.add_argument("--before", type=Path, metavar="RUN", help="a run directory, in place of a run by COMMIT")
    parser.add_argument("--after", type=Path, metavar="RUN", help="a run directory, in place of a run by this checkout")
    options = parser.parse_args(arguments)
    options.stages = [name for name in options.stages.split(",") if name]
    if options.commit and "=" in options.commit:
        options.commit, options.settings = None, [options.commit, *options.settings]
    if (options.before is None) != (options.after is None):
        parser.error("--before and --after are given together")
    if options.before and (options.commit or options.settings or options.until or options.short or options.keep):
        parser.error("--before and --after compare finished runs: leave out COMMIT, settings, --until, --short and --keep")
    if options.short and options.until:
        parser.error("--short is of r1_zero alone: leave out --until")
    return options


@contextlib.contextmanager
def runs_to_compare(options: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """The two run directories, which are there as long as this is open."""
    if options.before:
        yield options.before, options.after
        return
    what = [*(SHORT if options.short else ()), *(("--until", options.until) if options.until else ()), *options.settings]
    with contextlib.ExitStack() as stack:
        place = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="same-bytes-")))
        place.mkdir(parents=True, exist_ok=True)
        place = place.resolve()
        if any(place.iterdir()):  # stages finished there by other code would be taken for this code's
            raise ArtifactError(f"{place} is not empty: give a new directory")
        run_recipe_of(clone(options.commit or "HEAD", place / "code"), place / "before", what)
        run_recipe_of(CHECKOUT, place / "after", what)
        yield place / "before", place / "after"


def clone(commit: str, target: Path) -> Path:
    """The checkout's files as they were committed then, in `target`.

    Raises:
        ArtifactError: no such commit, or no repository.
    """
    wanted = git(CHECKOUT, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    git(CHECKOUT, "clone", "--quiet", "--shared", "--no-checkout", str(CHECKOUT), str(target))
    git(target, "checkout", "--quiet", "--detach", wanted)
    return target


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ArtifactError(f"git {' '.join(arguments)} failed in {directory}: {done.stderr.strip() or 'no such commit'}")
    return done.stdout.strip()


def run_recipe_of(checkout: Path, out: Path, what: Sequence[str], **environment: str) -> None:
    """Run the recipe with the code of a checkout.

    Args:
        environment: variables of the process.

    Raises:
        ArtifactError: it failed; its own words are on standard error.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), **environment}
    python = [sys.executable, "-c", "import cogitate; print(cogitate.__file__)"]
    found = subprocess.run(python, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(found).is_relative_to(checkout), f"{found} is not the code of {checkout}"
    print(f"{out.name}: the code of {checkout}", flush=True)
    command = [sys.executable, "-m", "cogitate", "run", RECIPE, *what, "--out", str(out)]
    if subprocess.run(command, cwd=checkout, env=environment, check=False).returncode:
        raise ArtifactError(f"the recipe failed with the code of {checkout}: see above")


def compare(before: Path, after: Path, stages: Sequence[str] = ()) -> list[Compared]:
    """Every model that either run has made, in order of the name, or those of the stages named.

    Raises:
        ArtifactError: a run has no model, or none of a stage that was named.
    """
    hashes = [{file.parent.name: hash_file(file) for file in run.glob(f"*/{WEIGHTS}")} for run in (before, after)]
    for run, found in zip((before, after), hashes, strict=True):
        if not found:
            raise ArtifactError(f"{run} holds no finished model (STAGE/{WEIGHTS}): give a run directory")
        if missing := [name for name in stages if name not in found]:
            raise ArtifactError(f"{run} has no model of {missing[0]}: there are {', '.join(sorted(found))}")
    return [Compared(name, *(found.get(name) for found in hashes)) for name in stages or sorted({*hashes[0], *hashes[1]})]


def show(compared: Sequence[Compared]) -> None:
    table = Table("stage", "before", "after", "")
    for each in compared:
        shown = [(digest or "(missing)")[:SHOWN] for digest in (each.before, each.after)]
        table.add_row(each.stage, *shown, "same" if each.same else "DIFFERS")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
