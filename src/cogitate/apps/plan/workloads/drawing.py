"""Stages that draw completions, or score them, and learn nothing from them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from cogitate.apps.plan.work import StageWork, Work
from cogitate.apps.plan.workloads.given import rows_given
from cogitate.apps.plan.workloads.reader import CHARACTERS, Drawn, Reader
from cogitate.config import (
    ColdStartConfig,
    DemonstrationsConfig,
    DrawsConfig,
    LengthPairsConfig,
    PassRatesConfig,
    PreferenceDataConfig,
    PretrainConfig,
    ProbeConfig,
    RejectionConfig,
    RLConfig,
    SearchCurvesConfig,
    TeacherConfig,
    WriteTestsConfig,
    ZeroRLConfig,
)
from cogitate.costs.generation import Sampling
from cogitate.costs.lengths import UNKNOWN_LENGTH, Lengths, usual_mean
from cogitate.costs.shape import Shape
from cogitate.evals.levels import PUZZLES
from cogitate.recipe.kinds import TEACHER
from cogitate.recipe.stage import GIVEN, Stage, find, trained_from
from cogitate.tasks.examples import LONG_EXAMPLES
from cogitate.tasks.mixture import names_in

COLLECTORS = 3.0  # of the cold start, that ask every problem; a teacher writes for all but the last
BASE_PROMPTS = 3  # that a base model is measured with, see recipe/stages/evaluate.py
CHUNK = 1024.0  # completions that are collected at a time, see recipe/data/candidates.py
PREFERENCE_ROUND = 256.0  # prompts asked at a time, see recipe/data/preferences.py
MICRO_TOKENS = 4096.0  # of a forward pass that scores
UNKNOWN_SEARCH = 0.7  # deviation of the logarithm of what a search draws
AUTHOR_PROMPT = 300.0  # tokens of a problem, examples and the request for further cases


def drawn(
    stage: Stage, shape: Shape, completions: Drawn, at_a_time: float = CHUNK, *notes: str, further: float = 0.0,
    graded: float = 1.0,
) -> StageWork:  # fmt: skip
    """The work of a stage that draws these completions and nothing else; rules judge a share of them."""
    work = completions.work(shape, at_a_time, graded)
    return StageWork(stage, shape, (work,), (*completions.notes, *notes), completions.further + further)


def evaluation(reader: Reader, stage: Stage) -> StageWork:
    """Every problem at every prompt of the model; prompts of other lengths apart, and general ones, which come last."""
    settings, shape, model = reader.config.evaluate, reader.need(stage), find(reader.graph, stage.needs[0])
    further_ones = settings.further_problems * len(list(filter(None, settings.further.split(","))))
    if further_ones and not is_put_further(reader, model.name):
        further_ones = 0
    asked = [name if is_asked_longer(reader, name) else "" for name in prompts_of(reader, model)]
    counts = {each: float(settings.problems * asked.count(each)) for each in asked}
    counts[asked[-1]] += further_ones + settings.consensus_problems * settings.consensus_samples / settings.samples
    general, share = float(settings.general_problems), 1.0
    if known := reader.measured.count(stage.name, "completions"):
        of_general = reader.measured.count(stage.name, "general_completions") or 0.0
        general, share = of_general / settings.samples, (known - of_general) / (settings.samples * sum(counts.values()))
    works, (_, notes, further) = list[Work](), reader.mean_length(stage.name, settings.max_new_tokens)

    of_puzzles = share_of_puzzles(reader.config.tasks.eval)

    def add(name: str, prompts: float, tokens: str, graded: float) -> None:
        by = reader.config.section(name, RLConfig) if name else None
        found = reader.sampling(stage.name, prompts, settings.samples, settings.max_new_tokens, asked=by, like=name)
        exact = replace(found.sampling, sequences=settings.samples * prompts, prompts=prompts)
        if mean := reader.measured.of(stage.name, tokens):
            exact = replace(exact, lengths=replace(exact.lengths, mean=min(mean, exact.lengths.limit)))
        at_a_time = float(settings.problems * settings.samples)
        works.append(Work(shape, 1, sampling=exact, at_a_time=at_a_time, graded=graded, measured=graded * of_puzzles))

    for name, prompts in counts.items():
        if prompts:
            add(name, share * prompts, "judged_tokens", 1.0)
    if general:
        add("", general, "general_tokens", 0.0)
    return StageWork(stage, shape, tuple(works), notes, further)


def share_of_puzzles(spec: str) -> float:
    """Share of the tasks that are puzzles, whose steps are counted."""
    names = names_in(spec, empty=True)
    return sum(name in PUZZLES for name in names) / len(names) if names else 0.0


def is_asked_longer(reader: Reader, stage: str) -> bool:
    """Whether the prompts of a stage of RL are not as long as usual ones."""
    return bool(stage) and reader.prompt_tokens(stage, reader.config.section(stage, RLConfig)) != reader.usual_prompt()


def is_put_further(reader: Reader, model: str) -> bool:
    """Whether a model is put to the problems of evaluate.further."""
    from cogitate.recipe.stages.evaluate import further_models  # here, since few recipes have any and it needs torch

    return model in further_models(reader.config, reader.graph)


def prompts_of(reader: Reader, model: Stage) -> list[str]:
    """The prompts that a model is measured at, each as the stage of RL that asks so; "" for one of no such stage. A base model
    is measured at three, at its own template, and at those of its RL that show more than R1-Zero's template."""
    if not (model.has(PretrainConfig) or model.kind.name == GIVEN):
        return [model.name if model.has(RLConfig) else ""]
    found = [""] * BASE_PROMPTS
    for stage in trained_from(reader.graph, model.name, ZeroRLConfig):
        settings = reader.config.section(stage.name, ZeroRLConfig)
        shows = shows_more(settings) or bool({"worked_examples", "open_thinking"} & set(settings.from_probe))
        in_template = settings.prompt == "chat" or (shows and has_chat_template(reader, model.name))
        found += [""] * in_template + [stage.name] * shows
    return found


def shows_more(settings: ZeroRLConfig) -> bool:
    """As recipe/asking.py's has_own_prompt."""
    own_text = settings.template or settings.system_prompt or settings.thinking_tags or settings.answer_tags
    return bool(settings.open_thinking or settings.worked_examples or own_text)


def has_chat_template(reader: Reader, model: str) -> bool:
    """Whether a given model is asked through a template of its own, as nearly all published ones are."""
    return model in reader.config.inputs


def cold_start(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, ColdStartConfig), reader.need(stage)
    if settings.items:
        return StageWork(stage, shape, (), ("candidates are given",))
    teacher = reader.config.section(TEACHER, TeacherConfig).base_url
    collectors, notes = (1.0, ("what the teacher writes is not planned",)) if teacher else (COLLECTORS, ())
    found = reader.sampling(stage.name, collectors * settings.problems, settings.samples, settings.max_new_tokens)
    if not teacher:
        found = replace(found, sampling=replace(found.sampling, prompt_tokens=collectors_prompt(reader, stage)))
    return drawn(stage, shape, found, min(CHUNK, float(settings.problems * settings.samples)), *notes)


def collectors_prompt(reader: Reader, stage: Stage) -> float:
    """Tokens of the collectors' prompts, on average: one shows a long example, one asks directly, one as R1-Zero's RL does."""
    zero = next((need for need in stage.needs if find(reader.graph, need).has(ZeroRLConfig)), "")
    as_zero = reader.prompt_tokens(zero, reader.config.section(zero, ZeroRLConfig)) if zero else reader.usual_prompt()
    example = fmean(len(question) + len(worked) for question, worked in LONG_EXAMPLES.values()) / CHARACTERS
    return fmean((reader.usual_prompt() + example, reader.usual_prompt(), as_zero))


def rejection(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, RejectionConfig), reader.need(stage)
    prompts = settings.problems / (1 - settings.general_share)
    found = reader.sampling(stage.name, prompts, settings.samples, settings.max_new_tokens)
    notes = ["running programs again to count their work is not planned"] if settings.prefer == "least_work" else []
    graded = min(1.0, settings.problems * settings.samples / found.sampling.sequences)
    return drawn(stage, shape, found, CHUNK, *notes, graded=graded)


def demonstrations(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, DemonstrationsConfig), reader.need(stage)
    found = reader.sampling(stage.name, settings.problems, settings.samples, settings.max_new_tokens)
    return drawn(stage, shape, found, math.inf, graded=0.0)


def length_pairs(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, LengthPairsConfig), reader.need(stage)
    return drawn(stage, shape, reader.sampling(stage.name, settings.problems, settings.samples, settings.max_new_tokens))


def pass_rates(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, PassRatesConfig), reader.need(stage)
    problems = reader.config.tasks.train_problems
    return drawn(stage, shape, reader.sampling(stage.name, problems, settings.samples, settings.max_new_tokens))


def draws(reader: Reader, stage: Stage) -> StageWork:
    """Prompt by prompt."""
    settings, shape = reader.config.section(stage.name, DrawsConfig), reader.need(stage)
    found = reader.sampling(stage.name, settings.prompts, settings.samples, settings.max_new_tokens)
    return drawn(stage, shape, found, float(settings.samples))


def preferences(reader: Reader, stage: Stage) -> StageWork:
    shape, data = reader.need(stage), preference_data(reader)
    found = candidates(reader, stage.name, data)
    if found is None:
        return StageWork(stage, shape, (), ("pairs and labels are given",))
    return drawn(stage, shape, found, PREFERENCE_ROUND * data.samples, graded=0.0)


def preference_data(reader: Reader) -> PreferenceDataConfig:
    """How preferences are drawn; the defaults where they are given."""
    found = getattr(reader.config, "preferences", None)
    return found if isinstance(found, PreferenceDataConfig) else PreferenceDataConfig()


def candidates(reader: Reader, stage: str, data: PreferenceDataConfig) -> Drawn | None:
    """Answers that are drawn to be compared and labelled; None where both pairs and labels are given."""
    pairs = 0.0 if data.pairs_file else data.pairs / data.pairs_per_prompt
    labelled = 0.0 if data.labels_file else float(data.safety_prompts)
    if not pairs + labelled:
        return None
    # A prompt of a pair has several answers, a harmful one is asked once, and again for an unsafe one.
    samples = (pairs * data.samples + labelled) / (pairs + labelled)
    return reader.sampling(stage, pairs + labelled, samples, data.max_new_tokens)


def search_curves(reader: Reader, stage: Stage) -> StageWork:
    settings, shape = reader.config.section(stage.name, SearchCurvesConfig), reader.need(stage)
    samples = 2.0 * settings.n * (1 + len(settings.methods))
    found = reader.sampling(stage.name, settings.problems, samples, settings.max_new_tokens)
    note = f"{samples:.0f} completions of each problem for all ways to search are a guess"
    return drawn(stage, shape, found, float(settings.problems * settings.n), note, further=UNKNOWN_SEARCH)


def best_of_n(reader: Reader, stage: Stage) -> StageWork:
    """A reward model reads every completion that a stage of kind draws has drawn."""
    shape, source = reader.need(stage), stage.needs[0]
    notes: tuple[str, ...]
    if source in reader.config.inputs:
        count = float(rows_given(Path(reader.config.inputs[source]) / "draws.jsonl") or 1000)
        length, notes, further = usual_mean(DrawsConfig().max_new_tokens), ("lengths of given completions are a guess",), 0.5
    else:
        settings = reader.config.section(source, DrawsConfig)
        count = reader.measured.count(source, "completions") or float(settings.prompts * settings.samples)
        length, notes, further = reader.mean_length(source, settings.max_new_tokens)
    tokens = count * (reader.prompt_tokens(source) + length)
    steps = max(1.0, tokens / MICRO_TOKENS)
    sequence = reader.prompt_tokens(source) + length
    members = reader.members(stage.needs[1])
    work = Work(
        shape, steps, tokens / steps, MICRO_TOKENS, sequence, predicted=0.0, scorings=members, only_scores=True, packed=True,
        uneven=True, other_models=members - 1,
    )  # fmt: skip
    return StageWork(stage, shape, (work,), notes, further)


def write_tests(reader: Reader, stage: Stage) -> StageWork:
    """Programs that the stage's model writes, and its replies as the author of cases where nobody else is."""
    settings, shape = reader.config.section(stage.name, WriteTestsConfig), reader.need(stage)
    programs = reader.sampling(stage.name, settings.problems, settings.programs, settings.max_new_tokens)
    works = [programs.work(shape, CHUNK)]
    notes = [*programs.notes, "running the programs is not planned"]
    if settings.base_url and settings.proposals:
        notes.append("what the author writes is not planned")
    elif settings.proposals:
        asked = float(settings.problems * settings.proposals)
        mean = usual_mean(settings.author_max_new_tokens)
        lengths = Lengths(mean, float(settings.author_max_new_tokens))
        running = float(reader.config.runtime.max_batch)
        sampling = Sampling(asked, float(settings.problems), AUTHOR_PROMPT, lengths, running)
        works.append(Work(shape, 1, sampling=sampling))
        notes.append(f"the author's replies of {mean:.0f} tokens are a guess")
    return StageWork(stage, shape, tuple(works), tuple(notes), max(programs.further, UNKNOWN_LENGTH))


def probe(reader: Reader, stage: Stage) -> StageWork:
    """Completions at every prompt that is open, and again with worked examples."""
    settings, shape = reader.config.section(stage.name, ProbeConfig), reader.need(stage)
    users = [one.name for one in reader.graph if one.has(ZeroRLConfig) and stage.name in one.needs]
    asked = reader.config.section(users[0], ZeroRLConfig) if users else ZeroRLConfig()
    tried = 2 if "open_thinking" in asked.from_probe else 1
    tried *= 2 if "prompt" in asked.from_probe and has_chat_template(reader, stage.needs[0]) else 1
    again = tried if settings.examples and "worked_examples" in asked.from_probe else 0
    prompts = float(tried * (settings.problems + settings.sources) + again * settings.problems)
    found = reader.sampling(stage.name, prompts, settings.samples, settings.max_new_tokens, asked=asked)
    return drawn(stage, shape, found, float((settings.problems + settings.sources) * settings.samples))
