"""Walk the graph: skip what is finished, go on with what is not, write results.json. A run directory holds

config.json         the settings the run was started with
lock                held while a process works here; contains its pid
STAGE/              a finished artifact: whatever the stage wrote, metrics.jsonl, and manifest.json
unfinished/STAGE/   work.json (identity, seconds so far), checkpoint/ and out/, which is renamed to STAGE/ when sealed
results.json        every metric of every model measured here
failure.json        the stage that failed, and how, until the next attempt
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cogitate.backend import Backend
from cogitate.config import Config, flatten
from cogitate.errors import ArtifactError, CogitateError, ConfigError, Interrupted
from cogitate.recipe.kinds import EVALUATION
from cogitate.recipe.models import resolve_input
from cogitate.recipe.probe.proposal import with_proposals
from cogitate.recipe.progress import NullProgress, Progress
from cogitate.recipe.recipe import graph_of, is_evaluation, nearest, select
from cogitate.recipe.run_directory.attempt import Clock, load_attempt, prepare, remove_leftovers, unfinished
from cogitate.recipe.run_directory.failure import failure_recorded, forget_failure
from cogitate.recipe.run_directory.lock import hold_run
from cogitate.recipe.run_directory.store import (
    MANIFEST,
    Identity,
    copy_artifact,
    find_shipped,
    identify,
    is_shipped_copy,
    load_finished,
    load_given,
    load_manifest,
    publish,
    seal,
    show,
)
from cogitate.recipe.stage import Stage, StageContext
from cogitate.runtime import (
    MetricsLog,
    derive_seed,
    interruption_requested,
    loaded_objects_exempt,
    raise_interrupted,
    seed_everything,
    write_json,
)
from cogitate.types import Artifact

State = Literal["finished", "given", "shipped", "unfinished", "to do"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A stage, and what stands of it.

    Attributes:
        identity: None where the user gives the artifact.
        artifact: of a finished or given stage.
        shipped: the directory to copy, of a shipped one.
    """

    stage: Stage
    state: State
    identity: Identity | None
    artifact: Artifact | None = None
    shipped: Path | None = None

    @property
    def id(self) -> str:
        if self.identity is not None:
            return self.identity.id
        assert self.artifact is not None
        return self.artifact.id


def run_recipe(
    config: Config,
    out: Path,
    *,
    make_backend: Callable[[Config], Backend],
    progress: Progress | None = None,
    only: str | None = None,
    until: str | None = None,
    retrain: Sequence[str] = (),
) -> Path:
    """Make every selected stage that is not finished yet, then results.json.

    Args:
        make_backend: called once if any stage has to be made; what it returns is closed in the end.
        only, until: see recipe.select.
        retrain: stages to train although an artifact of theirs is shipped.

    Returns:
        the path of results.json.

    Raises:
        RunInUseError: another process works in `out`.
        ConfigError: `out` was made with other settings, or a name is unknown.
        ArtifactError: something needed is missing, damaged or made from something else.
        Interrupted: a signal came; the same call goes on from the last checkpoint.
    """
    progress = progress or NullProgress()
    check_retrain(config, retrain)
    select(graph_of(config), only=only, until=until, given=config.inputs)  # refuses unknown names before `out` is made
    with hold_run(out):
        planned = plan(config, out, only=only, until=until, retrain=retrain)
        for line in data_sets_of(planned, config):
            progress.say(line)
        write_json(out / "config.json", config.model_dump(mode="json"))
        forget_failure(out)
        progress.run_begins([item.stage.name for item in planned])
        backend = make_backend(config) if any(item.state in ("unfinished", "to do") for item in planned) else None
        try:
            make_all(planned, config, out, backend, progress)
        finally:
            if backend is not None:
                backend.close()
        return write_results(out, config)


def make_all(planned: Sequence[Planned], config: Config, out: Path, backend: Backend | None, progress: Progress) -> None:
    """Bring every planned stage to its finished artifact, in order."""
    artifacts: dict[str, Artifact] = {}
    for item in planned:
        name = item.stage.name
        if interruption_requested():
            raise_interrupted(f"the start of {name}")
        if item.artifact is not None:
            progress.say(f"{name}: {'given' if item.state == 'given' else 'finished already'}, {item.artifact.path}")
            remove_leftovers(out, name)  # a kill may have come just after the renaming
            artifacts[name] = item.artifact
            continue
        assert item.identity is not None
        if item.shipped is not None:
            copy_artifact(item.shipped, out / name, unfinished(out, name))
            remove_leftovers(out, name)
            progress.say(f"{name}: shipped with the package, copied to {out / name}")
        else:
            assert backend is not None
            with failure_recorded(out, name), settings_forgotten_if_nothing_was_made(out):
                make(item.stage, item.identity, config, artifacts, out, backend, progress)
            progress.say(f"{name}: finished, {out / name}")
        artifacts[name] = load_finished(out / name, item.identity)


def plan(
    config: Config, out: Path, *, only: str | None = None, until: str | None = None, retrain: Sequence[str] = ()
) -> list[Planned]:
    """What a run would do, in order, without doing it. What a run refuses before it starts is refused here too."""
    check_settings(out, config)
    check_retrain(config, retrain)
    planned: dict[str, Planned] = {}
    graph = graph_of(config)
    wanted = select(graph, only=only, until=until, given=config.inputs)
    # What a stage's inputs are made from is part of their ids, even where only that stage is asked for.
    origins = select(graph, until=only, given=config.inputs) if only else ()
    for stage in graph:
        if stage not in wanted and (stage not in origins or is_evaluation(stage)):
            continue
        item = plan_stage(stage, config, out, planned, retrain)
        if only is not None and stage in wanted and stage.name != only and item.state not in ("finished", "given", "shipped"):
            raise ArtifactError(
                f"--only {only} reads {stage.name}, which is not in {out}: make it first, or give inputs.{stage.name}=PATH"
            )
        planned[stage.name] = item
    chosen = [planned[stage.name] for stage in wanted]
    check_stages(chosen, config)
    return chosen


def plan_stage(stage: Stage, config: Config, out: Path, planned: dict[str, Planned], retrain: Sequence[str]) -> Planned:
    """Where this stage's artifact stands or comes from."""
    if stage.name in config.inputs:
        return Planned(stage, "given", None, load_given(stage.name, resolve_input(config.inputs[stage.name])))
    identity = identify(stage, graph_of(config), config, {need: planned[need].id for need in stage.needs})
    path = out / stage.name
    if path.exists():
        if stage.name in retrain and is_shipped_copy(path):
            raise ConfigError(f"--retrain {stage.name}: {path} is the shipped one; use another --out to train it")
        return Planned(stage, "finished", identity, load_finished(path, identity))
    if load_attempt(out, identity) is not None:
        return Planned(stage, "unfinished", identity)
    shipped = find_shipped(identity) if stage.kind.may_be_shipped and stage.name not in retrain else None
    return Planned(stage, "shipped" if shipped else "to do", identity, shipped=shipped)


def make(
    stage: Stage,
    identity: Identity,
    config: Config,
    artifacts: dict[str, Artifact],
    out: Path,
    backend: Backend,
    progress: Progress,
) -> None:
    """Run one stage to its end, from its last checkpoint where there is one, and seal what it wrote."""
    work = unfinished(out, stage.name)
    if not (work / "out" / MANIFEST).is_file():  # else a kill came between sealing and renaming
        clock = Clock(work, identity, (load_attempt(out, identity) or {"seconds": 0.0})["seconds"])
        prepare(work)
        clock.save()

        def on_row(row: dict[str, Any]) -> None:
            clock.tick()
            progress.row(stage.name, row)

        metrics = MetricsLog(work / "out" / "metrics.jsonl", on_row)
        context = StageContext(stage.name, graph_of(config), backend, metrics, work / "checkpoint", progress)
        # What ran before in this process must not matter; a stage's own randomness comes from the seeds in its settings.
        seed_everything(derive_seed(stage.name))
        try:
            with loaded_objects_exempt():
                inputs = {need: artifacts[need] for need in stage.needs}
                config = with_proposals(config, context.graph, inputs)
                summary = stage.kind.work().run(config, inputs, work / "out", context)
        finally:
            clock.save()
            progress.stage_ends(stage.name)
        seal(work / "out", identity, seconds=clock.seconds(), summary=summary or {})
    publish(work / "out", out / stage.name)
    remove_leftovers(out, stage.name)


def check_settings(out: Path, config: Config) -> None:
    """Refuse settings other than those `out` was started with; keys that cannot change a result may differ."""
    path = out / "config.json"
    if not path.is_file():
        return
    try:
        recorded = flatten(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: damaged ({error}); use another --out") from error
    if recorded.get("graph") == config.graph:
        check_same_graph(out, recorded, config)
    asked = flatten(config.identity())
    free = flatten(config.model_dump(mode="json")).keys() - asked.keys()
    # Runs of version 0.1 have recorded sections of other graphs' stages, too: these change nothing.
    sections = type(config).model_fields.keys() - {"stages"}
    others = [key for key in recorded if key not in asked and key not in free and key.partition(".")[0] in sections]
    asked.pop("stages", None)
    for key in [*asked, *others]:
        if recorded.get(key) != asked.get(key) or (key in recorded) != (key in asked):
            raise ConfigError(f"{out} was started with {show(recorded, key)}, now {show(asked, key)}: use another --out")


def check_same_graph(out: Path, recorded: Mapping[str, Any], config: Config) -> None:
    """Refuse a recipe whose own graph is another one than `out` was started with; titles may differ."""
    was = {row["name"]: f"{row['kind']} of {row['needs']}" for row in recorded.get("stages", ())}
    now = {row.name: f"{row.kind} of {list(row.needs)}" for row in config.stages}
    for name in [*now, *was]:
        before, after = was.get(name, "not there"), now.get(name, "not there")
        if before != after:
            raise ConfigError(
                f"{out} was started with another graph: stage {name} was {before}, now {after}: use another --out"
            )


@contextlib.contextmanager
def settings_forgotten_if_nothing_was_made(out: Path) -> Iterator[None]:
    """A user whose very first stage refuses its settings may mend them and use the same directory again."""
    try:
        yield
    except Interrupted:
        raise
    except CogitateError:
        for work in list((out / "unfinished").iterdir()):
            if not any((work / "checkpoint").iterdir()):
                shutil.rmtree(work)
        copies = [path.parent for path in out.glob(f"*/{MANIFEST}") if is_shipped_copy(path.parent)]
        made = [*(out / "unfinished").iterdir(), *(p for p in out.glob(f"*/{MANIFEST}") if p.parent not in copies)]
        if not made:
            for copy in copies:
                shutil.rmtree(copy)
            (out / "config.json").unlink()
        raise


def check_retrain(config: Config, retrain: Sequence[str]) -> None:
    """Refuse to train what is not a stage or is given."""
    names = [stage.name for stage in graph_of(config)]
    for name in retrain:
        if name not in names:
            raise ConfigError(f"--retrain {name}: no such stage in this graph; did you mean {nearest(name, names)}?")
        if name in config.inputs:
            raise ConfigError(f"--retrain {name} contradicts inputs.{name}: give one of them")


def check_stages(planned: Sequence[Planned], config: Config) -> None:
    """Let each stage that has to run refuse its settings and data before any of them has spent time."""
    to_run = [item.stage for item in planned if item.state in ("to do", "unfinished")]
    for stage in to_run:
        stage.check(config, graph_of(config))
    if to_run:
        from cogitate.recipe.problems import check_used  # here, so that `cogitate status` need not wait for it

        check_used(config, graph_of(config))


def data_sets_of(planned: Sequence[Planned], config: Config) -> list[str]:
    """What the users' data sets of the stages that have to run became, in lines for a person."""
    from cogitate.recipe.data_sets import describe_data_sets  # here, so that `cogitate status` need not wait for it

    return describe_data_sets(config, [item.stage for item in planned if item.state in ("to do", "unfinished")])


def write_results(out: Path, config: Config) -> Path:
    """results.json: every metric of every model measured in this run directory, what each stage cost here and said."""
    stages: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    summaries: dict[str, Any] = {}
    origins: dict[str, str] = {stage: f"given: {path}" for stage, path in config.inputs.items()}
    for stage in graph_of(config):
        path = out / stage.name
        if not path.is_dir():
            continue
        manifest = load_manifest(path)
        origins[stage.name] = "shipped" if is_shipped_copy(path) else "made here"
        seconds[stage.name] = 0.0 if is_shipped_copy(path) else manifest["seconds"]
        if manifest["summary"]:
            summaries[stage.name] = manifest["summary"]
        if is_evaluation(stage):
            stages[stage.needs[0]] = json.loads((path / EVALUATION).read_text(encoding="utf-8"))
    results = {
        "schema": 1,
        "graph": config.graph,
        "seed": config.seed,
        "stages": stages,
        "seconds": seconds,
        "origins": origins,
        "summaries": summaries,
    }
    write_json(out / "results.json", results)
    return out / "results.json"
