"""The report's section on the recipe itself: its graph as a picture, and for each stage its data, method, settings and cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cogitate
from cogitate.apps.report.cards.facts import FACTS, PAGES, KindFacts, method_of
from cogitate.apps.report.data import Run, curves_of, pooled_of
from cogitate.apps.report.figures.graph import Node, State, graph_pictures
from cogitate.apps.report.words import stage_title, task_words, write_number, write_seconds
from cogitate.recipe.probe.proposal import taken_from_proposal
from cogitate.recipe.recipe import is_evaluation
from cogitate.recipe.stage import Stage

DOCS = Path(cogitate.__file__).resolve().parents[2] / "docs"  # of a checkout; an installed package has none
# problems of tasks.train
READ_TASKS = {
    "probe", "rl_zero", "reasoning_rl", "all_scenario_rl", "cold_start_data", "rejection_sampling", "length_pairs",
    "process_rl", "pass_rates",
}  # fmt: skip
READ_GENERAL = {"ppo", "demonstrations", "preferences", "reward_models"}  # prompts of tasks.general


def stages_section(runs: Sequence[Run], out: Path) -> str:
    """The graph and a card for each stage; "" where the settings, and so the graph, are not known. `out`: the report's file."""
    graph = [stage for stage in runs[0].graph if not is_evaluation(stage)]
    if not graph:
        return ""
    nodes = [
        Node(
            stage.name, stage_title(stage.name, runs), stage.needs, not stage.makes_model, state_of(runs[0], stage.name),
            accuracy_of(runs, stage.name),
        )
        for stage in graph
    ]  # fmt: skip
    cards = "".join(card(runs, stage, node.state, out) for stage, node in zip(graph, nodes, strict=True))
    of_seed = f" Counts are those of seed {runs[0].seed}, times are means of the seeds." if len(runs) > 1 else ""
    intro = (
        "Each box is a stage, each arrow what it is made from; boxes with dashed edges make data, proposals or reward models, "
        f"the others models, with their pass@1.{of_seed}"
    )
    return (
        '<section id="stages" aria-labelledby="stages-title"><h2 id="stages-title">The recipe</h2>'
        f'<p class="soft">{intro}</p>{graph_pictures(nodes)}<div class="cards">{cards}</div></section>'
    )


def state_of(run: Run, name: str) -> State:
    """Where a stage's artifact comes from, or how far it is."""
    origin = str(run.results.get("origins", {}).get(name, ""))
    if name in (run.settings.get("inputs") or {}) or origin.startswith("given"):
        return "given"
    if origin == "shipped":
        return "shipped"
    record = run.stages.get(name)
    if (record is not None and record.finished) or origin:
        return "made"
    if run.failure is not None and run.failure.stage == name:
        return "failed"
    return "unfinished" if record is not None else "to do"


def accuracy_of(runs: Sequence[Run], name: str) -> str:
    """pass@1 of a measured model."""
    estimate = pooled_of(runs, name, "all", "pass@1")
    return "" if estimate is None else write_number(estimate.value, "share")


def card(runs: Sequence[Run], stage: Stage, state: State, out: Path) -> str:
    """What a reader asks of a stage, in rows."""
    section = taken_from_proposal(section_of(runs[0].settings, stage.name), stage.name, runs[0].path)
    facts = FACTS.get(stage.kind.name, KindFacts("", ""))
    rows = [
        ("From", ", ".join(stage_title(need, runs) for need in stage.needs)),
        ("Data", data_of(runs[0], stage, section)),
        ("Method", method_of(stage.kind.name, section) or f"kind {stage.kind.name}"),
        ("Settings", settings_of(section, facts)),
        ("Cost", cost_of(runs, stage.name, state)),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows if text)
    page = page_link(PAGES.get(stage.name, facts.page), out)
    mark = "" if state == "made" else f' <span class="state">{state}</span>'
    return (
        f'<article class="card" id="stage-{escape(stage.name)}"><h3>{escape(stage_title(stage.name, runs))}{mark}</h3>'
        f'<p class="soft small">{escape(facts.does)} {page}</p><dl>{listed}</dl></article>'
    )


def page_link(page: str, out: Path) -> str:
    """A link to a page of the documentation, from where the report lies; its name where there is no such file here."""
    if not page:
        return ""
    name = f"docs/{page}"
    if not (DOCS / page).is_file():
        return f"<code>{escape(name)}</code>"
    return f'<a href="{escape(os.path.relpath(DOCS / page, out.resolve().parent))}">{escape(name)}</a>'


def section_of(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = settings.get(name)
    return section if isinstance(section, Mapping) else {}


def settings_of(section: Mapping[str, Any], facts: KindFacts) -> str:
    """`steps 48, learning rate 0.00015`."""
    return ", ".join(f"{key.replace('_', ' ')} {value_text(section[key])}" for key in facts.settings if key in section)


def value_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def data_of(run: Run, stage: Stage, section: Mapping[str, Any]) -> str:
    """What it learns or samples from, with counts where the stage has said them."""
    tasks, kind = section_of(run.settings, "tasks"), stage.kind.name
    summary = (
        run.stages[stage.name].summary if stage.name in run.stages else run.results.get("summaries", {}).get(stage.name, {})
    )
    parts = []
    if kind in ("pretrain", "pretrain_student"):
        tokens = tokens_of(run, stage.name)
        parts.append("the generated corpus" + (f", {tokens:,.0f} tokens" if tokens else ""))
    if kind in READ_TASKS and tasks.get("train"):
        parts.append(f"problems of {names_of(str(tasks['train']))}")
    if tasks.get("general") and (kind in READ_GENERAL or section.get("general_prompts_per_step")):
        parts.append(f"general prompts of {names_of(str(tasks['general']))}")
    for key, words in (("conversations", "conversations"), ("learnt_tokens", "tokens learnt an epoch"), ("rows", "rows kept")):
        if isinstance(summary.get(key), int) and not (key == "rows" and "conversations" in summary):
            parts.append(f"{summary[key]:,} {words}")
    for judge in ("helpfulness", "safety"):
        report = summary.get(judge)
        if isinstance(report, Mapping):
            counts = ((report[key], key) for key in ("pairs", "completions") if isinstance(report.get(key), int))
            parts += [f"{count:,} {words} for {judge}" for count, words in counts]
    return "; ".join(parts)


def tokens_of(run: Run, name: str) -> float:
    """What a stage has learnt from, as its log says or, where the log has not every step, its manifest; 0 of one without."""
    if name in run.stages and (tokens := run.stages[name].tokens) is not None:
        return tokens
    return sum(y for curve in curves_of([run], name, "tokens") for _, y in curve)


def names_of(tasks: str) -> str:
    """Tasks as a reader knows them; a user's file by its name."""
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    return ", ".join(Path(name).name if "/" in name or "." in name else task_words(name) for name in names)


def cost_of(runs: Sequence[Run], name: str, state: State) -> str:
    """Wall time over all starts, the mean of the runs that made it; steps and tokens."""
    if state in ("shipped", "given", "to do"):
        return {"shipped": "none: it ships with the package", "given": "none: it was given", "to do": ""}[state]
    seconds = [spent for run in runs if (spent := run.results.get("seconds", {}).get(name))]
    parts = [write_seconds(sum(seconds) / len(seconds))] if seconds else []
    if any("loss" in row for run in runs if name in run.stages for row in run.stages[name].rows):
        parts.append(f"{max(len(run.stages[name].rows) for run in runs if name in run.stages):,} steps logged")
    for metric, words in (
        ("tokens_generated", "tokens sampled"),
        ("tokens_trained", "tokens trained"),
        ("tokens", "tokens trained"),
    ):
        curves = curves_of(runs, name, metric)
        if curves:
            parts.append(f"{sum(y for curve in curves for _, y in curve) / len(curves):,.0f} {words}")
    return ", ".join(parts)
