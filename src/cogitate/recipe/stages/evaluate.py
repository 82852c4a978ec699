"""evaluate.<model>: k completions of each evaluation problem, graded; the table of metrics and every completion are kept.

A base model knows no format, and neither is one expected of a given model that no stage of the graph makes. They are scored at
the best of three prompts under the contract `free`, which needs no tags: learning the tags alone gains nothing over it. Other
models are asked and scored in the format their own stage trained them in: R1-Zero's template with think and answer tags, or
R1's plain turn with thinking and a summary. General prompts are put to every model in
R1's plain turn, and what is said is scored by their true scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cogitate.answers import Answers
from cogitate.backend import Generator
from cogitate.config import Config, EvaluateConfig, PretrainConfig, PromptConfig, RLConfig, ZeroRLConfig
from cogitate.errors import ConfigError
from cogitate.evals.benchmarks.kept import KeptGenerator, kept_file
from cogitate.evals.completions import write_completions
from cogitate.evals.evaluate import Asking, Measured, consensus_table, measure_model, missing_verdicts, table
from cogitate.evals.general import Scored, add_general, with_true_scores
from cogitate.evals.prompts import BASE_PROMPTS, CONVERSATION, R1_ZERO
from cogitate.recipe.asking import (
    ask_r1,
    ask_r1_zero,
    fitting,
    has_own_prompt,
    prompt_name,
    thinking_budgets,
    with_tags_of,
)
from cogitate.recipe.general_prompts import general_files
from cogitate.recipe.kinds import EVALUATION
from cogitate.recipe.problems import data_files, evaluation_problems, further_problems, tasks_left_out
from cogitate.recipe.rl.reward_monitor import has_true_score
from cogitate.recipe.stage import GIVEN, Inputs, Stage, StageContext, find, trained_from
from cogitate.rewards.kinds import kind_of
from cogitate.runtime import derive_seed, write_json
from cogitate.tasks.mixture import gather_problems
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.tags import OF_R1
from cogitate.types import Problem, SamplingParams


def files(config: Config, stage: Stage) -> list[Path]:
    general = general_files(config) if config.evaluate.general_problems else []
    return [*data_files(config), *general]


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    if any(tag in config.evaluate.closing_phrase for tag in OF_R1):
        raise ConfigError("evaluate.closing_phrase: must hold no tag: the closing tag is set after it")
    evaluation_problems(config)
    general_problems(config)
    further_problems(config)
    names = models_of(graph)
    for name in further_models(config, graph):
        if name not in names:
            raise ConfigError(f"evaluate.further_models: no model here is called {name}; models are {', '.join(names)}")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    """Completions that were drawn are not drawn again after a kill."""
    model = next(iter(inputs.values()))
    with Answers(kept_file(context.checkpoint, None)) as answers:
        generator = KeptGenerator(context.backend.generator(model.path), answers, scope=config.runtime.dtype, others={})
        return measure(config, inputs, out, context, generator)


def measure(config: Config, inputs: Inputs, out: Path, context: StageContext, generator: Generator) -> dict[str, Any]:
    model_name, model = next(iter(inputs.items()))
    settings, backend = config.evaluate, context.backend
    problems = evaluation_problems(config)
    shared: dict[str, Any] = {
        "params": SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        "tokenizer": Tokenizer.load(model.path),
        "generator": generator,
        "grader": backend.grader(),
        "meanwhile": context.stop_if_interrupted,
    }
    within = partial(thinking_budgets, settings, shared["tokenizer"])
    seed = derive_seed(config.seed, model_name)
    prompts = askings(config, context.graph, model_name, model.path, shared["tokenizer"])
    plain = general_asking(config, context.graph, model_name, model.path, shared["tokenizer"])
    of_further = model_name in further_models(config, context.graph)
    fits = partial(
        fitting, max_context=shared["generator"].max_context, max_new_tokens=settings.max_new_tokens,
        too_long=config.tasks.too_long,
    )  # fmt: skip
    ways = [(asking.prompt_of, shared["tokenizer"].with_tags(asking.tags)) for asking in prompts]
    found = {
        "too_long": fits(problems, ways),
        "too_long_further": fits(further_problems(config) if of_further else (), ways),
        "too_long_general": fits(general_problems(config), [(plain.prompt_of, shared["tokenizer"].with_tags(plain.tags))]),
    }
    for each in found.values():
        if each.left_out:
            context.say(each.line())
    problems, more, prompts_without_rules = (each.problems for each in found.values())
    context.begin(len(prompts))
    context.metrics.truncate(0)  # of a killed attempt
    groups_of: dict[str, list[list[Measured]]] = {}
    for index, asking in enumerate(prompts):
        groups = measure_model(problems, asking, samples=settings.samples, seed=seed, thinking=within(asking.tags), **shared)
        groups_of[asking.name] = groups
        context.metrics.write({"step": index, "prompt": asking.name, "accuracy": table(groups)["all"]["pass@1"]["value"]})
    tables = {name: table(groups) for name, groups in groups_of.items()}
    best = max(prompts, key=lambda asking: tables[asking.name]["all"]["pass@1"]["value"])
    result = dict(tables[best.name])
    chosen = [problem for problem in problems if kind_of(problem.kind).can_vote][: settings.consensus_problems]
    if chosen:
        votes = measure_model(
            chosen, best, samples=settings.consensus_samples, seed=derive_seed(seed, "consensus"),
            thinking=within(best.tags), **shared,
        )  # fmt: skip
        for task, values in consensus_table(votes).items():
            result[task] |= values
        write_completions(out / "votes.jsonl", {best.name: votes})
    summary: dict[str, Any] = {"prompt": best.name, "contract": best.contract, "format": best.format}
    if more:
        groups = measure_model(more, best, samples=settings.samples, seed=seed, thinking=within(best.tags), **shared)
        groups_of[best.name] = [*groups_of[best.name], *groups]
        result |= {task: row for task, row in table(groups).items() if task != "all"}
    scored: dict[str, list[list[Scored]]] = {}
    if prompts_without_rules:
        answers = measure_model(
            prompts_without_rules, plain, samples=settings.samples, seed=seed, thinking=within(plain.tags), **shared
        )
        scored[plain.name] = with_true_scores(answers)
        add_general(result, scored[plain.name])
        summary["general_prompt"] = plain.name
    summary |= missing_verdicts(groups_of[best.name])
    for name, each in found.items():
        summary |= each.summary(name)
    write_completions(out / "completions.jsonl", groups_of, scored)
    write_json(out / EVALUATION, result)
    left_out = tasks_left_out(config)
    if len(prompts) > 1:
        summary["pass@1 by prompt"] = {
            name: {task: row["pass@1"]["value"] for task, row in rows.items() if "pass@1" in row}
            for name, rows in tables.items()
        }
    return {**summary, **({"tasks_left_out": left_out} if left_out else {})}


def askings(
    config: Config, graph: Sequence[Stage], model_name: str, directory: Path, tokenizer: Tokenizer
) -> tuple[Asking, ...]:
    """The prompts a model is measured at: as it was trained. One trained by RL through its chat template is asked through it;
    then its base is, too."""
    stage = find(graph, model_name)
    if stage.has(PretrainConfig) or stage.kind.name == GIVEN:
        return (*BASE_PROMPTS, *prompts_of_rl(config, graph, model_name, directory, tokenizer))
    if stage.has(ZeroRLConfig):
        return (as_r1_zero(config.section(model_name, ZeroRLConfig), directory, tokenizer, R1_ZERO.contract),)
    asked = config.section(model_name, RLConfig) if stage.has(RLConfig) else PromptConfig(prompt="turn")
    tokenizer = with_tags_of(asked, tokenizer)
    return (Asking(prompt_name(asked, "r1"), ask_r1(asked, directory, tokenizer), "r1", "think_text", tags=tokenizer.tags),)


def prompts_of_rl(
    config: Config, graph: Sequence[Stage], model_name: str, directory: Path, tokenizer: Tokenizer
) -> list[Asking]:
    """The further prompts of a base, of every stage that trains it by RL; each once, and no two of one name."""
    found: list[Asking] = []
    shown: list[tuple[str, dict[str, Any]]] = []
    for stage in trained_from(graph, model_name, ZeroRLConfig):
        settings = config.section(stage.name, ZeroRLConfig)
        own = settings.model_dump(include={*PromptConfig.model_fields, "open_thinking"})
        for asking in prompts_of_its_rl(settings, directory, tokenizer):
            key = (asking.name, own if asking.name == prompt_name(settings, R1_ZERO.name) else {})
            if key in shown:
                continue
            taken = asking.name in [name for name, _ in shown]
            found.append(replace(asking, name=f"{asking.name}_{stage.name}") if taken else asking)
            shown.append(key)
    return found


def as_r1_zero(settings: ZeroRLConfig, directory: Path, tokenizer: Tokenizer, contract: str) -> Asking:
    """R1-Zero's prompt as its RL has it, answers judged under this contract."""
    tokenizer = with_tags_of(settings, tokenizer)
    asked = ask_r1_zero(settings, directory, tokenizer)
    return Asking(prompt_name(settings, R1_ZERO.name), asked, contract, R1_ZERO.format, tags=tokenizer.tags)


def prompts_of_its_rl(settings: ZeroRLConfig, directory: Path, tokenizer: Tokenizer) -> list[Asking]:
    """The further prompts a base is scored at: its chat template, and what its RL shows of the form, where it does. RL gains
    nothing over base by an easier prompt."""
    prompts = []
    if settings.prompt == "chat" or (has_own_prompt(settings) and ChatTemplate.load(directory) is not None):
        prompts.append(as_r1_zero(ZeroRLConfig(prompt="chat"), directory, tokenizer, "free"))
    if has_own_prompt(settings):
        prompts.append(as_r1_zero(settings, directory, tokenizer, "free"))
    return prompts


def general_asking(config: Config, graph: Sequence[Stage], model_name: str, directory: Path, tokenizer: Tokenizer) -> Asking:
    """How general prompts are put to a model: as a plain turn; fine-tuned ones as above."""
    (asking, *others) = askings(config, graph, model_name, directory, tokenizer)
    return asking if not others and asking.format == "think_text" else dataclasses.replace(CONVERSATION, tags=asking.tags)


def further_models(config: Config, graph: Sequence[Stage]) -> list[str]:
    """The models that evaluate.further is put to; by default every model of a graph that lacks one of the usual three."""
    names = [name.strip() for name in config.evaluate.further_models.split(",")]
    if config.evaluate.further_models == EvaluateConfig.model_fields["further_models"].default:
        names = names if set(names) <= set(models_of(graph)) else models_of(graph)
    return names if config.evaluate.further else []


def models_of(graph: Sequence[Stage]) -> list[str]:
    return [stage.name for stage in graph if stage.makes_model]


def general_problems(config: Config) -> list[Problem]:
    """The evaluation's general prompts that have a true score; the same for every seed; [] where none are asked for.

    Raises:
        ConfigError: none of tasks.general has one.
        DataError: a file cannot be used.
    """
    count = config.evaluate.general_problems
    if not count:
        return []
    problems = gather_problems(config.tasks.general, count, split="eval", seed=config.tasks.eval_seed)
    scored = [problem for problem in problems if has_true_score(problem)]
    if not scored:
        raise ConfigError(
            f"evaluate.general_problems = {count}, but no problem of tasks.general = {config.tasks.general!r} has a true score "
            "(those of general and safety have one): set evaluate.general_problems=0"
        )
    return scored
