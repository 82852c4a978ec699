"""`run`: a recipe from Python, with problems and a reward that are lists and functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cogitate.apps.backends import check_backend, make_backend
from cogitate.config import Config
from cogitate.front_door.given import Given, Problems, Reward
from cogitate.front_door.overrides import to_overrides
from cogitate.front_door.run_handle import Run
from cogitate.recipe.progress import NullProgress, Progress
from cogitate.recipe.run_directory.failed_start import ANSWERS, undone_where_nothing_was_made
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.runtime import keep_freed_memory, stop_at_checkpoint_on_ctrl_c


def run(
    recipe: str | Path,
    *,
    out: str | Path | None = None,
    problems: Problems | None = None,
    evaluation: Problems | None = None,
    reward: Reward | None = None,
    identity: str | None = None,
    only: str | None = None,
    until: str | None = None,
    retrain: Sequence[str] = (),
    trust_rewards: bool = False,
    progress: bool | Progress = True,
    settings: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Run:
    """Run a recipe, or go on with it: the same call continues where it stopped, and repeats nothing that is finished.

        run("tiny", out="runs/mine", problems=[{"question": "2 + 2?", "answer": "4"}, ...], seed=1, r1_zero={"steps": 30})

    Args:
        recipe: a shipped recipe's name, or the path of a TOML file.
        out: the run directory; runs/RECIPE where none is given.
        problems: what to train on: rows as in a file of problems (docs/tasks.md), or a text as `tasks.train`: names of tasks,
            paths. None: the recipe's.
        evaluation: what to measure on, in the same way (`tasks.eval`). None: the recipe's. Both must not share a problem.
        reward: a function of (completion, problem) that returns a number from 0 to 1; it judges rows of kind custom, and rows
            of a list that name no kind are of that kind. It runs in worker processes, from a file that holds its source, its
            defaults, its closure and what it reads of its module: that text is its identity, so that another constant is
            another run. What has no stable content (an object of a class of yours, an open file) is refused.
        identity: "module:function" of a function that workers can import, in place of its source. Its name is then all that
            a run knows of it: give it another one when it changes.
        only, until, retrain: stages, as on the command line.
        trust_rewards: let your own rewards use the network and files, and keep their answers in `out` (docs/extending.md).
        progress: true shows a bar or lines on standard error; false shows nothing; or a `recipe.progress.Progress`.
        settings: any settings, dotted or nested: {"r1_zero.steps": 3}.
        sections: the same as keywords: seed=1, r1_zero={"steps": 3}.

    Returns:
        a handle on the run directory.

    Raises:
        CogitateError: a setting, a row or the function cannot be used; nothing is damaged.
        Interrupted: Ctrl-C; the stage has written its checkpoint first. A second Ctrl-C is a KeyboardInterrupt at once.
    """
    out = Path(out) if out is not None else Path("runs") / Path(recipe).stem
    given = Given(out, problems=problems, evaluation=evaluation, reward=reward, identity=identity)
    config = load_recipe(str(recipe), to_overrides(given.settings, settings or {}, sections))
    check_backend(config)
    keep_freed_memory()
    with undone_where_nothing_was_made(out), stop_at_checkpoint_on_ctrl_c():
        given.write(out)
        shown = watcher(progress, out, config, retrain)
        run_recipe(
            config,
            out,
            make_backend=partial(make_backend, out=out, say=shown.say, answers=out / ANSWERS if trust_rewards else None),
            progress=shown,
            only=only,
            until=until,
            retrain=retrain,
            trust_rewards=trust_rewards,
        )
    return Run(out)


def watcher(progress: bool | Progress, out: Path, config: Config, retrain: Sequence[str]) -> Progress:
    """Whoever watches the run, and the tracking service of the settings, whatever is shown."""
    from cogitate.apps.progress import make_progress, with_tracking

    if progress is True:
        return make_progress(out, config, retrain=retrain)
    return with_tracking(NullProgress() if progress is False else progress, out, config)
