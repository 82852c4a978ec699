"""The work of every stage of a recipe, by its kind. A kind that is not this package's has none, and is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from cogitate.apps.plan.measured import Measured, usual_measured
from cogitate.apps.plan.work import StageWork, Work
from cogitate.apps.plan.workloads import drawing, learning
from cogitate.apps.plan.workloads.given import with_known_proposals
from cogitate.apps.plan.workloads.reader import Reader
from cogitate.config import Config, PruneConfig
from cogitate.recipe.recipe import is_evaluation
from cogitate.recipe.stage import GIVEN, Stage, find

UNKNOWN_FILES = 0.7  # deviation of the logarithm of the time that files take


def works_of(
    graph: Sequence[Stage],
    config: Config,
    *,
    model: str = "",
    measured: Measured | None = None,
    there: Mapping[str, str] | None = None,
    run: Path | None = None,
) -> list[StageWork]:
    """The work of every stage, in order.

    Args:
        model: a published model's name, in place of the recipe's base.
        measured: lengths of a run that has been made; None: those of a shipped recipe's run, where tasks and base are its own.
        there: stages that need not be made -> why.
        run: whose probes have proposed settings, as far as they are finished.
    """
    config = with_known_proposals(config, graph, run)
    known = measured or (Measured() if model else usual_measured(config))
    reader = Reader(graph, config, model, known, there or {})
    works = [work_of(reader, stage) for stage in graph]
    made = accumulate((bool(work.works) for work in works), initial=0)
    return [replace(work, earlier=earlier) for work, earlier in zip(works, made, strict=False)]


def work_of(reader: Reader, stage: Stage) -> StageWork:
    there = reader.nothing_to_do(stage)
    if there is not None:
        return there
    read = drawing.evaluation if is_evaluation(stage) else READERS.get(stage.kind.name)
    if read is None:
        return unknown(stage, f"kind {stage.kind.name} is not one of this package's")
    need = reader.model_of(stage)
    if stage.needs and (need is None or reader.shape_of(need) is None):
        return unknown(stage, f"it works with what {need or stage.needs[0]} makes, whose size is not known")
    found = read(reader, stage)
    return replace(found, notes=(*found.notes, *left_out(reader, stage)))


def left_out(reader: Reader, stage: Stage) -> Iterator[str]:
    """What a plan of a stage does not know."""
    judge, need = reader.config.judge.model, reader.model_of(stage)
    if judge and "judge" in stage.kind.uses:
        yield f"what the judge {judge} writes is not planned"
    if need is not None and (kind := find(reader.graph, need).kind.name) not in (*READERS, GIVEN):
        yield f"{need}, of kind {kind}, is taken as large as what it starts from"


def unknown(stage: Stage, why: str) -> StageWork:
    return StageWork(stage, None, (), (f"not planned: {why}",), not_planned=why)


def moving(reader: Reader, stage: Stage) -> StageWork:
    """Weights are read, averaged or picked, and written."""
    shape, averaged = reader.need(stage), stage.kind.name == "merge"  # an average is made in place
    moved, held = len(stage.needs) + 1, len(stage.needs) + (not averaged)
    work = Work(shape, 1, models_moved=float(moved), models_held=float(held), averaged=averaged)
    return StageWork(stage, shape, (work,), ("files at half a GB a second are a guess",), UNKNOWN_FILES)


def pruning(reader: Reader, stage: Stage) -> StageWork:
    """Weights are cut; with texts base writes them, and the student learns from them."""
    settings, cut, student = reader.config.section(stage.name, PruneConfig), moving(reader, stage), reader.shape_of(stage.name)
    if not settings.texts:
        return cut
    assert student is not None
    found = reader.sampling(stage.name, settings.texts, 1, settings.text_tokens)
    learnt = learning.supervised(student, settings, settings.steps)
    return replace(cut, works=(*cut.works, found.work(reader.need(stage)), learnt), notes=(*cut.notes, *found.notes))


READERS: dict[str, Callable[[Reader, Stage], StageWork]] = {
    "pretrain": learning.pretraining,
    "pretrain_student": learning.pretraining,
    "pretrain_branches": learning.pretraining,
    "prune": pruning,
    "merge": moving,
    "probe": drawing.probe,
    "rl_zero": learning.reinforcement,
    "reasoning_rl": learning.reinforcement,
    "all_scenario_rl": learning.reinforcement,
    "process_rl": learning.reinforcement,
    "ppo": learning.reinforcement,
    "fine_tune": learning.fine_tuning,
    "cold_start_data": drawing.cold_start,
    "rejection_sampling": drawing.rejection,
    "demonstrations": drawing.demonstrations,
    "write_tests": drawing.write_tests,
    "preferences": drawing.preferences,
    "length_pairs": drawing.length_pairs,
    "reward_models": learning.judging,
    "process_reward_model": learning.process_rewards,
    "dpo": learning.direct_preferences,
    "pass_rates": drawing.pass_rates,
    "draws": drawing.draws,
    "best_of_n": drawing.best_of_n,
    "search_curves": drawing.search_curves,
}
