"""evaluate.<model>: k completions of each evaluation problem, graded; the table of metrics and every completion are kept.

A base model knows no format, so it is scored at the best of three prompts under the contract `free`, which needs no tags:
learning the tags alone gains nothing over it. Later models are asked and scored in the format they were trained in: R1-Zero's
template with think and answer tags, or R1's plain turn with thinking and a summary. General prompts are put to every model in
R1's plain turn, and what is said is scored by their true scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, FineTuneConfig, PretrainConfig, RLConfig, ZeroRLConfig
from cogitate.errors import ConfigError
from cogitate.evals.evaluate import Asking, Measured, consensus_table, measure_model, table
from cogitate.evals.general import Scored, add_general, with_true_scores
from cogitate.recipe.asking import ASKED_R1, ask_r1_zero, chat_prompts
from cogitate.recipe.context import StageContext
from cogitate.recipe.problems import data_files, evaluation_problems, further_problems, tasks_left_out
from cogitate.recipe.recipe import get_graph
from cogitate.recipe.rl.reward_monitor import has_true_score
from cogitate.recipe.runner import EVALUATION
from cogitate.rewards.kinds import kind_of
from cogitate.runtime import atomic_write, derive_seed, raise_interrupted, write_json
from cogitate.tasks.examples import examples_for
from cogitate.tasks.mixture import gather_problems
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.prompts import bare_prompt, few_shot_prompt, r1_prompt, r1_zero_prompt
from cogitate.types import Artifact, Problem, SamplingParams

VERSION = 3
RL_OF_BASE = {"base": "r1_zero", "student_base_llama": "student_rl_llama", "student_base_qwen": "student_rl_qwen"}
ASKED_BY = (
    *(f"{stage}.prompt" for stage in (*RL_OF_BASE.values(), "r1_dev2", "r1", "ppo")),
    *(f"{stage}.{key}" for stage in RL_OF_BASE.values() for key in ("worked_examples", "open_thinking")),
)
SECTIONS = ("seed", "tasks", "rewards", "evaluate", "runtime.dtype", "runtime.max_batch", *ASKED_BY)

R1_ZERO = Asking("r1_zero", lambda problem: r1_zero_prompt(problem.question), "r1", "think_answer")
NEXT_QUESTION = "\n\nQuestion:"
BASE_PROMPTS = (
    Asking("r1_zero_template", lambda problem: r1_zero_prompt(problem.question), "free", "think_answer"),
    Asking(
        "few_shot",
        lambda problem: few_shot_prompt(problem.question, examples_for(problem)),
        "free",
        "think_answer",
        stop=NEXT_QUESTION,
    ),
    Asking("bare_question", lambda problem: bare_prompt(problem.question), "free", "think_answer", stop=NEXT_QUESTION),
)
NEXT_TURN = "\nUser:"


def files(config: Config) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: str) -> None:
    """Refuse bad data before any time is spent."""
    evaluation_problems(config)
    general_problems(config)
    further_problems(config)
    names = [stage.name for stage in get_graph(config.graph) if stage.is_model]
    for name in further_models(config):
        if name not in names:
            raise ConfigError(f"evaluate.further_models: no model here is called {name}; models are {', '.join(names)}")


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    ((model_name, model),) = inputs.items()
    settings, backend = config.evaluate, context.backend
    problems = evaluation_problems(config)
    shared: dict[str, Any] = {
        "params": SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens),
        "tokenizer": backend.tokenizer(model.path),
        "generator": backend.generator(model.path),
        "grader": backend.grader(),
        "meanwhile": lambda: leave_if_interrupted(context),
    }
    seed = derive_seed(config.seed, model_name)
    prompts = askings(config, model_name, model.path, shared["tokenizer"])
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
        plain = general_asking(config, model_name, model.path, shared["tokenizer"])
        answers = measure_model(prompts_without_rules, plain, samples=settings.samples, seed=seed, **shared)
        scored[plain.name] = with_true_scores(answers)
        add_general(result, scored[plain.name])
        summary["general_prompt"] = plain.name
    write_completions(out / "completions.jsonl", groups_of, scored)
    write_json(out / EVALUATION, result)
    left_out = tasks_left_out(config)
    if len(prompts) > 1:
        summary["pass@1 by prompt"] = {
            name: {task: row["pass@1"]["value"] for task, row in rows.items() if "pass@1" in row}
            for name, rows in tables.items()
        }
    return {**summary, **({"tasks_left_out": left_out} if left_out else {})}


def askings(config: Config, model_name: str, directory: Path, tokenizer: Tokenizer) -> tuple[Asking, ...]:
    """The prompts a model is measured at: as it was trained. One trained by RL through its chat template is asked through it;
    then its base is, too."""
    section = getattr(config, model_name, None)
    if isinstance(section, PretrainConfig):
        return (*BASE_PROMPTS, *prompts_of_its_rl(getattr(config, RL_OF_BASE.get(model_name, "r1_zero")), directory, tokenizer))
    if is_fine_tuned(config, model_name):
        prompt = section.prompt if isinstance(section, RLConfig) else "turn"
        return (Asking("chat" if prompt == "chat" else "r1", ASKED_R1[prompt](directory, tokenizer), "r1", "think_text"),)
    if isinstance(section, ZeroRLConfig) and (section.prompt == "chat" or shows_the_form(section)):
        asked = ask_r1_zero(section, directory, tokenizer)
        return (Asking(name_of(section), asked, R1_ZERO.contract, R1_ZERO.format),)
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


def is_fine_tuned(config: Config, model_name: str) -> bool:
    """Whether SFT is in a model's line: from there on the format is R1's."""
    start_of = {stage.name: stage.needs[0] for stage in get_graph(config.graph) if stage.needs}
    line = [model_name]
    while line[-1] in start_of:
        line.append(start_of[line[-1]])
    return any(isinstance(getattr(config, name, None), FineTuneConfig) for name in line)


def general_asking(config: Config, model_name: str, directory: Path, tokenizer: Tokenizer) -> Asking:
    """How general prompts are put to a model: as a plain turn, which every model's corpus had; fine-tuned ones as above.

    A model that has learnt no turns is taken to be done where it writes the user's next one.
    """
    (asking, *others) = askings(config, model_name, directory, tokenizer)
    if not others and asking.format == "think_text":
        return asking
    return Asking("conversation", lambda problem: r1_prompt(problem.question), "free", "think_text", stop=NEXT_TURN)


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


def leave_if_interrupted(context: StageContext) -> None:
    """An evaluation has no checkpoint: it starts anew, so it need not go on for minutes after a signal."""
    if context.interrupted():
        raise_interrupted(context.stage)


def write_completions(
    path: Path,
    groups_of: Mapping[str, Sequence[Sequence[Measured]]],
    general: Mapping[str, Sequence[Sequence[Scored]]] | None = None,
) -> None:
    """Every completion, one a line, so that each number can be traced to texts: graded ones, then those of general prompts."""
    rows = [(prompt, each.row()) for prompt, groups in groups_of.items() for group in groups for each in group]
    rows += [(prompt, each.row()) for prompt, groups in (general or {}).items() for group in groups for each in group]
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        handle.writelines(json.dumps({"prompt": prompt, **row}, ensure_ascii=False) + "\n" for prompt, row in rows)
