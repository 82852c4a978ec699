"""The staged table as a picture: accuracy, language and form, helpfulness and safety along the recipe, and the students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogitate.apps.report.figures.picture import COLOURS, INK, SOFT, dress
from cogitate.apps.report.stages import is_student
from cogitate.apps.report.words import stage_title
from cogitate.runtime import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORM = {"format_rate": "format kept", "language_mix_rate": "languages mixed", "reflection_rate": "reflects"}
STUDENTS = {"base": "student_base_{}", "RL alone": "student_rl_{}", "distilled": "r1_distill_{}"}


def write_picture(pooled: Mapping[str, Any], out: Path) -> Path:
    """Draw pooled.json."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, because it takes most of a second
    from matplotlib.figure import Figure

    models = pooled["models"]
    line = [model for model in models if not is_student(model)]
    titles = [stage_title(model) for model in line]
    figure = Figure(figsize=(12, 7.6), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    tasks = {task: task.replace("_", " ") for task in models[line[0]]["pass@1"]}
    lines = {name: [models[model]["pass@1"][task] for model in line] for task, name in tasks.items()}
    draw(panels[0][0], "Right at the first try on unseen problems, %", titles, lines, thick=tasks["all"])
    lines = {name: [models[model][metric]["all"] for model in line] for metric, name in FORM.items()}
    draw(panels[0][1], "Form and language of the completions, %", titles, lines)
    lines = {score: [models[model][score]["all"] for model in line] for score in ("helpfulness", "safety")}
    draw(panels[1][0], "True scores of general prompts, %", titles, lines)
    lines = {
        family.capitalize(): [models[name.format(family)]["pass@1"]["all"] for name in STUDENTS.values()]
        for family in ("llama", "qwen")
    }
    draw(panels[1][1], "Students: right at the first try, %", list(STUDENTS), lines, joined=False)
    with atomic_write(out) as temporary:
        figure.savefig(temporary, format="png")
    return out


def draw(
    panel: Axes, title: str, stages: Sequence[str], lines: Mapping[str, Sequence[Mapping[str, Any]]], *,
    thick: str = "", joined: bool = True,
) -> None:  # fmt: skip
    """A line for each name over the stages, with 95 % intervals; only points where the stages do not follow one another."""
    for index, (name, estimates) in enumerate(lines.items()):
        shift = 0.12 * (index / max(1, len(lines) - 1) - 0.5)
        values = [100 * each["value"] for each in estimates]
        ends = [[100 * limit for limit in each["ci95"]] for each in estimates]
        sides = [
            [value - low for value, (low, _) in zip(values, ends, strict=True)],
            [high - value for value, (_, high) in zip(values, ends, strict=True)],
        ]
        whole = name == thick
        panel.errorbar(
            [at + shift for at in range(len(values))], values, yerr=sides,
            color=INK if whole else COLOURS[index % len(COLOURS)], linewidth=2.6 if whole else 1.3,
            linestyle="-" if joined else "none", marker="o", markersize=6 if whole else 4, elinewidth=1.2, capsize=3,
            zorder=3 if whole else 2, label=name,
        )  # fmt: skip
    panel.set_xticks(range(len(stages)), stages)
    panel.margins(x=0.1)
    panel.set_ylim(0, 104)
    panel.set_title(title)
    panel.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=len(lines),  # nothing is hidden there
        frameon=False, fontsize=8.5, labelcolor=SOFT,
    )  # fmt: skip
    dress(panel)
