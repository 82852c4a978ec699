"""Every variant at every seed, one after the other; killed at any byte, the same call goes on. An experiment's directory holds

lock                   held while a process works here; contains its pid
VARIANT/seed-N/        a run directory (recipe/runner.py), whose artifacts are linked where another run has made the same
experiment.json, .html what the finished runs say, written anew after each of them; experiment.md for the documentation
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from cogitate.apps.experiment.analysis import analyse
from cogitate.apps.experiment.definition import Experiment
from cogitate.apps.experiment.markdown import markdown_of
from cogitate.apps.experiment.page import write_page
from cogitate.apps.experiment.results import Outcome, results_of
from cogitate.apps.experiment.sharing import bytes_used, finished_artifacts, share
from cogitate.backend import Backend
from cogitate.config import Config
from cogitate.errors import ConfigError, Interrupted, RunInUseError
from cogitate.recipe.progress import Progress
from cogitate.recipe.run_directory.failed_start import CONFIG
from cogitate.recipe.run_directory.lock import hold_run
from cogitate.recipe.run_directory.standing import refuse_outdated
from cogitate.recipe.runner import plan, run_recipe
from cogitate.runtime import atomic_write, interruption_requested, is_disk_full, raise_interrupted

GIB = 2**30
RESULTS = "results.json"  # the last file of a run
MARKDOWN = "experiment.md"


def run_experiment(
    experiment: Experiment,
    out: Path,
    *,
    make_backend: Callable[[Config], Backend],
    make_progress: Callable[[Path, Config], Progress],
    say: Callable[[str], None],
    seeds: Collection[int] = (),
) -> Path:
    """Make what is missing, and write the page.

    A run that fails is shown on the page, and tried again by the next call.

    Args:
        seeds: whose runs are made now; of all where none is named.

    Returns:
        the path of experiment.html.

    Raises:
        ConfigError: settings that cannot be, or runs that would take more than the disk budget.
        RunInUseError, ArtifactError, Interrupted: as in `run_recipe`.
    """
    check_seeds(experiment, seeds)
    if (out / CONFIG).is_file():
        raise ConfigError(f"--out {out}: is a run directory; an experiment needs one of its own")
    with hold_run(out):
        directories = {key: run_directory(out, *key) for key in experiment.runs}
        for key, config in experiment.runs.items():  # all settings are refused before any run takes time
            refuse_outdated(plan(config, directories[key], until=experiment.until(key[0])), directories[key])
        errors: dict[tuple[str, int], str] = {}
        largest = 0
        for number, (key, config) in enumerate(experiment.runs.items(), 1):
            if seeds and key[1] not in seeds:
                continue
            run = directories[key]
            planned = plan(config, run, until=experiment.until(key[0]))
            if (run / RESULTS).is_file() and all(item.artifact is not None for item in planned):
                continue
            before = bytes_used(out)
            check_disk(experiment, before, largest, key)
            say(f"{key[0]}, seed {key[1]}: run {number} of {len(experiment.runs)}, {run}")
            with hold_run(run):
                shared = share(planned, run, finished_artifacts(d for d in directories.values() if d != run))
            if shared:
                say(f"shared with another run: {', '.join(shared)}")
            if interruption_requested():
                raise_interrupted(f"the start of {key[0]}, seed {key[1]}")
            try:
                run_recipe(
                    config, run, make_backend=make_backend, progress=make_progress(run, config), until=experiment.until(key[0])
                )
            except (Interrupted, RunInUseError):
                raise
            except Exception as error:  # whatever a run dies of, the others can still be compared
                if is_disk_full(error):
                    raise
                errors[key] = f"{type(error).__name__}: {' '.join(str(error).split())}"
                say(f"{key[0]}, seed {key[1]} failed: {errors[key]}")
            largest = max(largest, bytes_used(out) - before)
            finish(experiment, out, directories, errors)
        return finish(experiment, out, directories, errors)


def check_seeds(experiment: Experiment, seeds: Collection[int]) -> None:
    """Refuse a part that the experiment does not have."""
    for seed in seeds:
        if seed not in experiment.config.seeds:
            raise ConfigError(f"--seed {seed}: the experiment has the seeds {', '.join(map(str, experiment.config.seeds))}")


def run_directory(out: Path, variant: str, seed: int) -> Path:
    return out / variant / f"seed-{seed}"


def check_disk(experiment: Experiment, used: int, largest: int, key: tuple[str, int]) -> None:
    """Refuse to begin a run that would take more than the disk budget, if it takes what the largest one so far took."""
    limit = experiment.config.disk_gib * GIB
    if used + largest > limit:
        raise ConfigError(
            f"{key[0]}, seed {key[1]}: the runs take {used / GIB:.2f} GiB, and one more up to {largest / GIB:.2f}: more than "
            f"disk_gib = {experiment.config.disk_gib}; raise it, or delete runs that are not needed"
        )


def finish(
    experiment: Experiment, out: Path, directories: dict[tuple[str, int], Path], errors: dict[tuple[str, int], str]
) -> Path:
    """Write what the runs say by now."""
    outcomes = [Outcome.of(variant, seed, run, errors.get((variant, seed))) for (variant, seed), run in directories.items()]
    results = results_of(experiment, outcomes)
    found = analyse(results)
    with atomic_write(out / MARKDOWN) as temporary:
        temporary.write_text(markdown_of(results, found), encoding="utf-8")
    return write_page(results, out, found)
