"""A plan as one HTML file: a bar for each stage's time and memory, and the table. It loads nothing from anywhere."""

from __future__ import annotations

from html import escape
from importlib.metadata import version
from importlib.resources import files

from cogitate.apps.plan.recipe_plan import RecipePlan, figure_text, hint_of, layout_text, time_text
from cogitate.apps.plan.stage_cost import StageCost
from cogitate.apps.report.figures.charts import time_bar
from cogitate.costs.hardware import GIB

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
OWN_STYLE = (
    ".scroll table{min-width:52rem}"
    ".room{position:relative;height:10px;min-width:120px;border-radius:5px;background:var(--wash)}"
    ".room i{position:absolute;top:0;height:10px;border-radius:5px;background:var(--c0)}"
    ".room b{position:absolute;top:3px;height:4px;border-radius:2px;background:var(--ink);opacity:.35}"
    ".no .room i{background:var(--wrong)}"
)


def plan_page(plan: RecipePlan) -> str:
    """The page of a plan."""
    style = files("cogitate.apps.report").joinpath("report.css").read_text(encoding="utf-8") + OWN_STYLE
    gpu, count = plan.cluster.gpu, plan.cluster.count
    title = f"Plan of {plan.recipe} on {count} x {gpu.name}"
    headline = {"yes": "It fits", "perhaps": "It may not fit", "no": "It does not fit"}[plan.fits]
    dollars = f", {figure_text(plan.dollars)} USD" if gpu.price else ""
    told = f"{headline}: {time_text(plan.seconds)}, {figure_text(plan.gpu_hours)} GPU hours{dollars}."
    bar = time_bar([(stage.name, stage.seconds.value) for stage in plan.stages if stage.seconds is not None])
    hints = "".join(
        f"<p>{escape(stage.name)} may not fit: {escape(hint_of(stage))}</p>"
        for stage in plan.stages
        if stage.fits in ("no", "perhaps")
    )
    hints += "".join(
        f"<p>Not planned, so in no sum: {escape(name)}: {escape(why)}</p>" for name, why in plan.not_planned.items()
    )
    price = f" Prices of {escape(plan.dated)}: {gpu.price:.2f} USD an hour of one." if gpu.price else ""
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{style}</style></head><body>",
            f'<header class="top"><h1>{escape(title)}</h1><p class="headline">{escape(told)}</p>{hints}',
            f'<p class="soft">Figures in brackets are intervals that hold eight of ten.{price}</p></header><main>',
            f'<section><h2>Where the time goes</h2>{bar}</section><section><h2>Stage by stage</h2><div class="scroll">',
            "<table><thead><tr><th>Stage</th><th>Memory of one GPU</th><th>Time</th><th>GPU hours</th><th>USD</th>",
            f"<th>What binds</th></tr></thead><tbody>{''.join(row(stage) for stage in plan.stages)}</tbody></table></div>",
            f"</section>{notes(plan)}</main><footer><p>Made by Cogitate {escape(version('cogitate'))}; docs/planner.md says ",
            "how far its figures can be trusted. This file loads nothing from anywhere.</p></footer></body></html>",
        ]
    )


def row(stage: StageCost) -> str:
    if stage.seconds is None or stage.memory is None:
        told = escape("; ".join(stage.work.notes)) or "nothing to do"
        return f'<tr><th>{escape(stage.name)}</th><td colspan="5" class="soft">{told}</td></tr>'
    cells = [
        f"{escape(figure_text(stage.memory.times(1 / GIB)))} GiB{room(stage)}",
        escape(time_text(stage.seconds)),
        escape(figure_text(stage.gpu_hours)),
        escape(figure_text(stage.dollars if stage.cluster.gpu.price else None)),
        f"{escape(stage.binding)}<br><span class='soft small'>{escape(f'{stage.phase}: {stage.term}')}; "
        f"{escape(layout_text(stage.layout))}</span>",
    ]
    return f'<tr class="{stage.fits}"><th>{escape(stage.name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def room(stage: StageCost) -> str:
    """A bar of the memory that a process has, filled as far as the stage needs it, with its interval."""
    assert stage.memory is not None
    share = [
        min(100.0, 100 * size / stage.cluster.gpu.memory) for size in (stage.memory.value, stage.memory.low, stage.memory.high)
    ]
    inner = f'<i style="width:{share[0]:.1f}%"></i><b style="left:{share[1]:.1f}%;width:{share[2] - share[1]:.1f}%"></b>'
    return f'<div class="room" aria-hidden="true">{inner}</div>'


def notes(plan: RecipePlan) -> str:
    found: dict[str, list[str]] = {}
    for stage in plan.stages:
        for note in () if stage.work.not_planned else stage.work.notes:
            found.setdefault(note, []).append(stage.name)
    if not found:
        return ""
    items = "".join(
        f"<li>{escape(note)} <span class='soft'>({escape(', '.join(names))})</span></li>" for note, names in found.items()
    )
    return f"<section><h2>What was guessed or given</h2><ul>{items}</ul></section>"
