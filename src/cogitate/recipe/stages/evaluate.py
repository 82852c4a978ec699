"""evaluate.<model>: k completions of each evaluation problem, graded; the table of metrics and every completion are kept.

A base model knows no format, so it is scored at the best of three prompts under the contract `free`, which needs no tags:
learning the tags alone gains nothing over it. Later models are asked and scored in the format they were trained in: R1-Zero's
template with think and answer tags, or R1's plain turn with thinking and a summary. General prompts are put to every model in
R1's plain turn, and what is said is scored by their true scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, FineTuneConfig, PretrainConfig, RLConfig, ZeroRLConfig
from cogitate.errors import ConfigError
from cogitate.evals.completions import write_completions
from cogitate.evals.evaluate import Asking, Measured, consensus_table, measure_model, missing_verdicts, table
from cogitate.evals.general import Scored, add_general, with_true_scores
from cogitate.evals.prompts import BASE_PROMPTS, CONVERSATION, R1_ZERO
from cogitate.recipe.asking import ASKED_R1, ask_r1_zero, chat_prompts
from cogitate.recipe.kinds import EVALUATION
from cogitate.recipe.problems import data_files, evaluation_problems, further_problems, tasks_left_out
from cogitate.recipe.rl.reward_monitor import has_true_score
from cogitate.recipe.stage import Inputs, Stage, StageContext, find, line_of, trained_from
from cogitate.rewards.kinds import kind_of
from cogitate.runtime import derive_seed, write_json
from cogitate.tasks.mixture import gather_problems
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.types import Problem, SamplingParams


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    evaluation_problems(config)
    general_problems(config)
    further_problems(config)
    names = [stage.name for stage in graph if stage.makes_model]
    for name in further_models(config):
        if name not in names:
            raise ConfigError(f"evaluate.further_models: no model here is called {name}; models are {', '.join(names)}")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    ((model_name, model),) = inputs.items()
    settings, backend = config.evaluate, context.backend
    problems = evaluation_problems(config)
    shared: dict[str, Any] = {
        "params": SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        "tokenizer": Tokenizer.load(model.path),
        "generator": backend.generator(model.path),
        "grader": backend.grader(),
        "meanwhile": context.stop_if_interrupted,
    }
    seed = derive_seed(config.seed, model_name)
    prompts = askings(config, context.graph, model_name, model.path, shared["tokenizer"])
    context.begin(len(prompts))
    groups_of: dict[str, list[list[Measured]]] = {}
    for index, asking in enumerate(prompts):
        groups = measure_model(problems, asking, samples=settings.samples, seed=seed, **shared)
        groups_of[asking.name] = groups
        context.metrics.write({"step": index, "prompt": asking.name, "accuracy": table(groups)["all"]["pass@1"]["value"]})
    tables = {name: table(groups) for name, groups in groups_of.items()}
    best = max(prompts, key=lambda asking: tables[asking.name]["all"]["pass@1"]["value"])
    result = dict(tables[best.name])
    chosen = [problem for problem in problems if kind_of(problem.kind).can_vote][: settings.consensus_problems]
    if chosen:
        votes = measure_model(chosen, best, samples=settings.consensus_samples, seed=derive_seed(seed, "consensus"), **shared)
        for task, values in consensus_table(votes).items():
            result[task] |= values
        write_completions(out / "votes.jsonl", {best.name: votes})
    summary: dict[str, Any] = {"prompt": best.name, "contract": best.contract, "format": best.format}
    if model_name in further_models(config) and (more := further_problems(config)):
        groups = measure_model(more, best, samples=settings.samples, seed=seed, **shared)
        groups_of[best.name] = [*groups_of[best.name], *groups]
        result |= {task: row for task, row in table(groups).items() if task != "all"}
    scored: dict[str, list[list[Scored]]] = {}
    if prompts_without_rules := general_problems(config):
        plain = general_asking(config, context.graph, model_name, model.path, shared["tokenizer"])
        answers = measure_model(prompts_without_rules, plain, samples=settings.samples, seed=seed, **shared)
        scored[plain.name] = with_true_scores(answers)
        add_general(result, scored[plain.name])
        summary["general_prompt"] = plain.name
    summary |= missing_verdicts(groups_of[best.name])
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
    if stage.has(PretrainConfig):
        its_rl = trained_from(graph, model_name, ZeroRLConfig)
        further = prompts_of_its_rl(config.section(its_rl.name, ZeroRLConfig), directory, tokenizer) if its_rl else []
        return (*BASE_PROMPTS, *further)
    if is_fine_tuned(graph, model_name):
        prompt = config.section(model_name, RLConfig).prompt if stage.has(RLConfig) else "turn"
        return (Asking("chat" if prompt == "chat" else "r1", ASKED_R1[prompt](directory, tokenizer), "r1", "think_text"),)
    if stage.has(ZeroRLConfig):
        settings = config.section(model_name, ZeroRLConfig)
        if settings.prompt == "chat" or shows_the_form(settings):
            asked = ask_r1_zero(settings, directory, tokenizer)
            return (Asking(name_of(settings), asked, R1_ZERO.contract, R1_ZERO.format),)
    return (R1_ZERO,)


def prompts_of_its_rl(settings: ZeroRLConfig, directory: Path, tokenizer: Tokenizer) -> list[Asking]:
    """The further prompts a base is scored at: its chat template, and what its RL shows of the form, where it does. RL gains
    nothing over base by an easier prompt."""
    prompts = []
    if settings.prompt == "chat" or (shows_the_form(settings) and ChatTemplate.load(directory) is not None):
        prompts.append(Asking("chat", chat_prompts(directory, tokenizer), "free", "think_answer"))
    if shows_the_form(settings):
        prompts.append(Asking(name_of(settings), ask_r1_zero(settings, directory, tokenizer), "free", "think_answer"))
    return prompts


def shows_the_form(settings: ZeroRLConfig) -> bool:
    return bool(settings.worked_examples) or settings.open_thinking


def name_of(settings: ZeroRLConfig) -> str:
    """The name of R1-Zero's prompt."""
    name = "chat" if settings.prompt == "chat" else "r1_zero"
    examples = f"_{len(settings.worked_examples)}_examples" if settings.worked_examples else ""
    return f"{name}{examples}{'_opened' if settings.open_thinking else ''}"


def is_fine_tuned(graph: Sequence[Stage], model_name: str) -> bool:
    """Whether SFT is in a model's line: from there on the format is R1's."""
    return any(stage.has(FineTuneConfig) for stage in line_of(graph, model_name))


def general_asking(config: Config, graph: Sequence[Stage], model_name: str, directory: Path, tokenizer: Tokenizer) -> Asking:
    """How general prompts are put to a model: as a plain turn; fine-tuned ones as above."""
    (asking, *others) = askings(config, graph, model_name, directory, tokenizer)
    return asking if not others and asking.format == "think_text" else CONVERSATION


def further_models(config: Config) -> list[str]:
    """The models that evaluate.further is put to."""
    return [name.strip() for name in config.evaluate.further_models.split(",")] if config.evaluate.further else []


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
