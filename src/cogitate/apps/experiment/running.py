"""Every variant at every seed, one after the other; killed at any byte, the same call goes on. An experiment's directory holds

lock                   held while a process works here; contains its pid
VARIANT/seed-N/        a run directory (recipe/runner.py), whose artifacts are linked where another run has made the same
kept.runs/             finished runs that another call has kept (kept.py)
experiment.json, .html what the finished runs say, written anew after each of them; experiment.md for the documentation
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from cogitate.apps.experiment.analysis import analyse
from cogitate.apps.experiment.definition import Experiment
from cogitate.apps.experiment.kept import Key, keep, unpack
from cogitate.apps.experiment.markdown import markdown_of
from cogitate.apps.experiment.page import NUMBERS, write_page
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
    kept: Path | None = None,
) -> Path:
    """Make what is missing, and write the page.

    A run that fails is shown on the page, and tried again by the next call.

    Args:
        seeds: whose runs are made now; of all where none is named.
        kept: where finished runs are kept without their models; those that are there count as made.

    Returns:
        the path of experiment.html.

    Raises:
        ConfigError: settings that cannot be, or runs that would take more than the disk budget.
        RunInUseError, ArtifactError, Interrupted: as in `run_recipe`.
    """
    check_seeds(experiment, seeds)
    if (out / CONFIG).is_file():
        raise ConfigError(f"--out {out}: is a run directory; an experiment needs one of its own")
    with hold_run(out, known=(out / NUMBERS).is_file()):  # a copy may lack the lock
        there = unpack(experiment, kept, out) if kept else {}
        directories = {key: there.get(key) or run_directory(out, *key) for key in experiment.runs}
        own = [run for key, run in directories.items() if key not in there]
        for key, config in experiment.runs.items():  # all settings are refused before any run takes time
            if key not in there:
                refuse_outdated(plan(config, directories[key], until=experiment.until(key[0])), directories[key])
        errors: dict[Key, str] = {}
        largest = 0
        for number, (key, config) in enumerate(experiment.runs.items(), 1):
            if key in there or (seeds and key[1] not in seeds):
                continue
            run = directories[key]
            planned = plan(config, run, until=experiment.until(key[0]))
            if (run / RESULTS).is_file() and all(item.artifact is not None for item in planned):
                continue
            before = bytes_used(out)
            check_disk(experiment, before, largest, key)
            say(f"{key[0]}, seed {key[1]}: run {number} of {len(experiment.runs)}, {run}")
            with hold_run(run):
                shared = share(planned, run, finished_artifacts(each for each in own if each != run))
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
            outcomes = outcomes_of(directories, errors)
            if kept:
                keep_finished(kept, outcomes, directories, [key[1]])
            finish(experiment, out, outcomes)
        outcomes = outcomes_of(directories, errors)
        if kept:  # runs that were finished without it, too
            keep_finished(kept, outcomes, directories, experiment.config.seeds)
        return finish(experiment, out, outcomes)


def check_seeds(experiment: Experiment, seeds: Collection[int]) -> None:
    """Refuse a part that the experiment does not have."""
    for seed in seeds:
        if seed not in experiment.config.seeds:
            raise ConfigError(f"--seed {seed}: the experiment has the seeds {', '.join(map(str, experiment.config.seeds))}")


def run_directory(out: Path, variant: str, seed: int) -> Path:
    return out / variant / f"seed-{seed}"


def check_disk(experiment: Experiment, used: int, largest: int, key: Key) -> None:
    """Refuse to begin a run that would take more than the disk budget, if it takes what the largest one so far took."""
    limit = experiment.config.disk_gib * GIB
    if used + largest > limit:
        raise ConfigError(
            f"{key[0]}, seed {key[1]}: the runs take {used / GIB:.2f} GiB, and one more up to {largest / GIB:.2f}: more than "
            f"disk_gib = {experiment.config.disk_gib}; raise it, or delete runs that are not needed"
        )


def outcomes_of(directories: Mapping[Key, Path], errors: Mapping[Key, str]) -> list[Outcome]:
    return [Outcome.of(variant, seed, run, errors.get((variant, seed))) for (variant, seed), run in directories.items()]


def keep_finished(kept: Path, outcomes: Sequence[Outcome], directories: Mapping[Key, Path], seeds: Collection[int]) -> None:
    """Keep the finished runs of these seeds."""
    for seed in seeds:
        finished = [each.variant for each in outcomes if each.seed == seed and each.finished]
        keep(kept, seed, {variant: directories[variant, seed] for variant in finished})


def finish(experiment: Experiment, out: Path, outcomes: Sequence[Outcome]) -> Path:
    """Write what the runs say by now."""
    results = results_of(experiment, outcomes)
    found = analyse(results)
    with atomic_write(out / MARKDOWN) as temporary:
        temporary.write_text(markdown_of(results, found), encoding="utf-8")
    return write_page(results, out, found)
