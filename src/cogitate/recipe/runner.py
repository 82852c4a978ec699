"""Walk the graph: skip what is finished, go on with what is not, write results.json. A run directory holds

config.json         the settings of the run, and with which versions it was written
lock                held while a process works here; contains its pid
STAGE/              a finished artifact: whatever the stage wrote, metrics.jsonl, and manifest.json
unfinished/STAGE/   work.json (identity, cost so far), checkpoint/ and out/, which is renamed to STAGE/ when sealed
results.json        every metric of every model measured here
plan.json           what a plan said of each stage, see planned.py
reward_answers.jsonl   what rewards that the user trusts have answered, see trusted.py
failure.json        the stage that failed, and how, until the next attempt
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.backend import Backend
from cogitate.config import Config
from cogitate.errors import ArtifactError, ConfigError
from cogitate.recipe.kinds import EVALUATION
from cogitate.recipe.models import resolve_input
from cogitate.recipe.probe.proposal import with_proposals
from cogitate.recipe.progress import NullProgress, Progress
from cogitate.recipe.recipe import graph_of, is_evaluation, nearest, select
from cogitate.recipe.run_directory.attempt import (
    DEVICE,
    PEAK_MEMORY,
    Clock,
    load_attempt,
    prepare,
    remove_leftovers,
    unfinished,
)
from cogitate.recipe.run_directory.changes import changed_settings
from cogitate.recipe.run_directory.failed_start import CONFIG, undone_where_nothing_was_made
from cogitate.recipe.run_directory.failure import failure_recorded, forget_failure
from cogitate.recipe.run_directory.lock import hold_run
from cogitate.recipe.run_directory.made_with import MADE_WITH, made_with
from cogitate.recipe.run_directory.standing import Planned, Standing, has_work, refuse_outdated
from cogitate.recipe.run_directory.store import (
    MANIFEST,
    copy_artifact,
    hashes_of_files,
    is_shipped_copy,
    load_finished,
    load_given,
    load_manifest,
    publish,
    seal,
)
from cogitate.recipe.run_directory.trusted import check_trust, facts_of_trust
from cogitate.recipe.stage import Stage, StageContext, with_all_needs
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


def run_recipe(
    config: Config,
    out: Path,
    *,
    make_backend: Callable[[Config], Backend],
    progress: Progress | None = None,
    only: str | None = None,
    until: str | None = None,
    retrain: Sequence[str] = (),
    trust_rewards: bool = False,
) -> Path:
    """Make every selected stage that is not finished yet, then results.json.

    Args:
        make_backend: called once if any stage has to be made; what it returns is closed in the end.
        only, until: see recipe.select.
        retrain: stages to train although an artifact of theirs is shipped.
        trust_rewards: the backend lets the user's own rewards use the network and files, and keeps their answers in
            `out` / trusted.ANSWERS.

    Returns:
        the path of results.json.

    Raises:
        RunInUseError: another process works in `out`.
        ConfigError: `out` is of another graph, a name is unknown, or trust is given to nothing.
        ArtifactError: something needed is missing, damaged or made from something else, or a changed setting would have work
            made again that is there.
        Interrupted: a signal came; the same call goes on from the last checkpoint.
    """
    progress = progress or NullProgress()
    check_retrain(config, retrain)
    select(graph_of(config), only=only, until=until, given=config.inputs)  # refuses unknown names before `out` is made
    with undone_where_nothing_was_made(out), hold_run(out):
        changed = changed_settings(out, config)
        planned = plan(config, out, only=only, until=until, retrain=retrain)
        refuse_outdated(planned, out)
        check_trust(config, out, planned, trusted=trust_rewards)
        for line in changed.values():
            progress.say(f"changed since the last start: {line}")
        for line in data_sets_of(planned, config):
            progress.say(line)
        backend = make_backend(config) if any(item.runs for item in planned) else None
        try:
            write_json(out / CONFIG, {**config.model_dump(mode="json"), MADE_WITH: made_with()})
            forget_failure(out)
            progress.run_begins([item.stage.name for item in planned])
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
            where = made_elsewhere(load_manifest(item.artifact.path).get(DEVICE), backend) if item.state == "finished" else ""
            progress.say(f"{name}: {'given' if item.state == 'given' else 'finished already'}, {item.artifact.path}{where}")
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
            with failure_recorded(out, name):
                make(item, config, artifacts, out, backend, progress)
            progress.say(f"{name}: finished, {out / name}")
        artifacts[name] = load_finished(out / name, item.identity)


def plan(
    config: Config, out: Path, *, only: str | None = None, until: str | None = None, retrain: Sequence[str] = ()
) -> list[Planned]:
    """What a run would do, in order, without doing it. What a run refuses before it starts is refused here too, but for work
    that it would have to make again: that is outdated, also where the stage is not asked for."""
    changed = changed_settings(out, config)
    check_retrain(config, retrain)
    graph = graph_of(config)
    wanted = select(graph, only=only, until=until, given=config.inputs)
    # What a stage's inputs are made from is part of their ids, even where only that stage is asked for.
    origins = select(graph, until=only, given=config.inputs) if only else ()
    needed = {stage.name for stage in (*wanted, *(origin for origin in origins if not is_evaluation(origin)))}
    if changed:  # then nothing that is there may be left behind with other settings than config.json will have
        needed |= with_all_needs(graph, [stage.name for stage in graph if has_work(out, stage)], given=config.inputs)
    given = {name: load_given(name, resolve_input(path)) for name, path in config.inputs.items() if name in needed}
    standing = Standing(graph, config, out, given, changed, settings_beyond_ids(changed, config, graph), retrain)
    planned: dict[str, Planned] = {}
    for stage in graph:
        if stage.name in needed:
            planned[stage.name] = standing.of(stage, planned)
    chosen = [item for item in planned.values() if item.stage in wanted or item.state == "outdated"]
    check_inputs_of_only(chosen, only, out)
    check_stages(chosen, changed, config)
    return chosen


def check_inputs_of_only(planned: Sequence[Planned], only: str | None, out: Path) -> None:
    """Refuse a single stage whose inputs are not there."""
    for item in planned:
        name = item.stage.name
        if only not in (None, name) and item.state in ("unfinished", "to do"):
            raise ArtifactError(f"--only {only} reads {name}, which is not in {out}: make it first, or give inputs.{name}=PATH")


def make(
    item: Planned, config: Config, artifacts: dict[str, Artifact], out: Path, backend: Backend, progress: Progress
) -> None:
    """Run one stage to its end, from its last checkpoint where there is one, and seal what it wrote."""
    stage, identity, work = item.stage, item.identity, unfinished(out, item.stage.name)
    assert identity is not None
    if item.state == "to do":
        remove_leftovers(out, stage.name)  # an attempt with other settings that came to no checkpoint
    if not (work / "out" / MANIFEST).is_file():  # else a kill came between sealing and renaming
        if tuple(hashes_of_files(stage, config).values()) != tuple(identity.read):
            raise ArtifactError(f"{stage.name}: a file that it reads has changed since the run was planned; start it again")
        attempt = load_attempt(out, stage.name)
        clock = Clock(work, identity, attempt, device=backend.device_name)
        prepare(work)
        if attempt is not None and (where := made_elsewhere(attempt[DEVICE], backend)):
            progress.say(f"{stage.name}: goes on from what is there{where}; the result differs from one made on one device")

        def on_row(row: dict[str, Any]) -> None:
            clock.tick()
            progress.row(stage.name, row)

        metrics = MetricsLog(work / "out" / "metrics.jsonl", on_row)
        context = StageContext(stage.name, graph_of(config), backend, metrics, work / "checkpoint", progress)
        # What ran before in this process must not matter; a stage's own randomness comes from the seeds in its settings.
        seed_everything(derive_seed(stage.name))
        try:
            with loaded_objects_exempt():
                clock.watch_memory()
                inputs = {need: artifacts[need] for need in stage.needs}
                config = with_proposals(config, context.graph, inputs)
                summary = stage.kind.work().run(config, inputs, work / "out", context)
        finally:
            clock.save()
            progress.stage_ends(stage.name)
        facts = {**clock.facts(), **facts_of_trust(stage, context.graph, out)}
        seal(work / "out", identity, seconds=clock.seconds(), summary=summary or {}, facts=facts)
    publish(work / "out", out / stage.name)
    remove_leftovers(out, stage.name)


def made_elsewhere(device: str | None, backend: Backend | None) -> str:
    """What to say of work on another device than the run's: equal bytes are promised on one device alone; "" of others."""
    here = "" if backend is None else backend.device_name
    return f", made on {device}, where this run computes on {here}" if device and here and device != here else ""


def check_retrain(config: Config, retrain: Sequence[str]) -> None:
    """Refuse to train what is not a stage or is given."""
    names = [stage.name for stage in graph_of(config)]
    for name in retrain:
        if name not in names:
            raise ConfigError(f"--retrain {name}: no such stage in this graph; did you mean {nearest(name, names)}?")
        if name in config.inputs:
            raise ConfigError(f"--retrain {name} contradicts inputs.{name}: give one of them")


def check_stages(planned: Sequence[Planned], changed: Mapping[str, str], config: Config) -> None:
    """Let each stage that has to run refuse its settings and data before any of them has spent time. Where problems have
    changed, so do the finished ones: none may have been trained on what is evaluation now."""
    problems_changed = any(key.startswith(("tasks.", "evaluate.")) for key in changed)
    to_run = [item.stage for item in planned if item.runs]
    kept = [item.stage for item in planned if item.state == "finished" and problems_changed]
    for stage in [*to_run, *kept]:
        stage.check(config, graph_of(config))
    if to_run:
        from cogitate.recipe.problems import check_used  # here, so that `cogitate status` need not wait for it

        check_used(config, graph_of(config))


def settings_beyond_ids(changed: Mapping[str, str], config: Config, graph: Sequence[Stage]) -> dict[str, list[str]]:
    """Stage -> settings that can change it though its id does not hold them; {} where nothing has changed."""
    if not changed:
        return {}
    from cogitate.recipe.problems import settings_of_held_out_problems  # as above

    return {stage.name: settings_of_held_out_problems(stage, config) for stage in graph}


def data_sets_of(planned: Sequence[Planned], config: Config) -> list[str]:
    """What the users' data sets of the stages that have to run became, in lines for a person."""
    from cogitate.recipe.data_sets import describe_data_sets  # here, so that `cogitate status` need not wait for it

    return describe_data_sets(config, [item.stage for item in planned if item.state in ("to do", "unfinished")])


def write_results(out: Path, config: Config) -> Path:
    """results.json: every metric of every model measured in this run directory, what each stage cost here and said."""
    stages: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    peaks: dict[str, int] = {}
    summaries: dict[str, Any] = {}
    origins: dict[str, str] = {stage: f"given: {path}" for stage, path in config.inputs.items()}
    for stage in graph_of(config):
        path = out / stage.name
        if not path.is_dir():
            continue
        manifest = load_manifest(path)
        origins[stage.name] = "shipped" if is_shipped_copy(path) else "made here"
        seconds[stage.name] = 0.0 if is_shipped_copy(path) else manifest["seconds"]
        if PEAK_MEMORY in manifest and not is_shipped_copy(path):
            peaks[stage.name] = manifest[PEAK_MEMORY]
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
        **({PEAK_MEMORY: peaks} if peaks else {}),
        "origins": origins,
        "summaries": summaries,
    }
    write_json(out / "results.json", results)
    return out / "results.json"
