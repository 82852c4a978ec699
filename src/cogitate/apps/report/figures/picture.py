"""The picture for a README: accuracy of each stage with its interval; accuracy and thinking length over the RL steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cogitate.apps.report.data import (
    Run,
    curves_of,
    logged_names,
    main_line_models,
    pooled_of,
    stage_names,
    task_names,
)
from cogitate.apps.report.figures.charts import main_line
from cogitate.apps.report.same_recipe import load_seeds
from cogitate.apps.report.words import stage_title, task_words
from cogitate.errors import ArtifactError
from cogitate.runtime import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2563c9", "#d1690e", "#12805c", "#a63d8f", "#8a6a00", "#b3372f", "#4c6a85", "#6c52c4")
INK, SOFT, LINE = "#1c2024", "#5c6570", "#e3e1dc"


def write_curve_png(run_directories: Sequence[Path], out: Path, models: Sequence[str] = ()) -> Path:
    """Draw the picture of one or several runs (seeds): of these models; by default of all from base to the last.

    Raises:
        ArtifactError: a directory is no run directory, the runs are not seeds of one recipe, or none of them has both measured
            models and an RL stage.
    """
    runs = load_seeds(run_directories)
    models = [model for model in main_line_models(runs) if model in models or not models]
    stage = next((name for name in stage_names(runs) if "reward" in logged_names(runs, name)), None)
    if stage is None or not models:
        raise ArtifactError(f"{', '.join(str(run.path) for run in runs)}: no measured model and RL stage to draw yet")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, because it takes most of a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.9), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    draw_stages(panels[0], runs, models)
    draw_steps(
        panels[1], runs, stage, "accuracy", f"{stage_title(stage, runs)}: right on training problems", scale=100, unit="%"
    )
    draw_steps(
        panels[2], runs, stage, "thinking_tokens_finished", "Thinking tokens of finished completions", scale=1, unit="tokens"
    )
    for panel in panels:
        dress(panel)
    with atomic_write(out) as temporary:
        figure.savefig(temporary, format="png")
    return out


def draw_stages(panel: Axes, runs: Sequence[Run], models: Sequence[str]) -> None:
    """pass@1 by stage: a line for each task, a thick one for all problems, with 95 % intervals."""
    tasks = [task for task in task_names(runs) if any(pooled_of(runs, model, task, "pass@1") for model in models)]
    for index, task in enumerate(tasks):
        whole = task == "all"
        shift = 0.0 if len(tasks) == 1 else 0.12 * (index / (len(tasks) - 1) - 0.5)
        found = [
            (at + shift, estimate) for at, model in enumerate(models) if (estimate := pooled_of(runs, model, task, "pass@1"))
        ]
        x, y = [at for at, _ in found], [100 * estimate.value for _, estimate in found]
        sides = [
            [100 * (e.value - e.low) if e.low is not None else 0.0 for _, e in found],
            [100 * (e.high - e.value) if e.high is not None else 0.0 for _, e in found],
        ]
        colour = INK if whole else COLOURS[index % len(COLOURS)]
        panel.errorbar(
            x, y, yerr=sides, color=colour, linewidth=2.6 if whole else 1.2, marker="o", markersize=6 if whole else 4,
            elinewidth=1.2, capsize=3, zorder=3 if whole else 2, label=task_words(task),
        )  # fmt: skip
    panel.set_xticks(range(len(models)), [stage_title(model, runs) for model in models], rotation=20 if len(models) > 4 else 0)
    panel.margins(x=0.15)
    panel.set_ylim(0, 100)
    panel.set_title("Right at the first try on unseen problems, %")
    panel.legend(loc="best", frameon=False, fontsize=8.5, labelcolor=SOFT)


def draw_steps(panel: Axes, runs: Sequence[Run], stage: str, metric: str, title: str, *, scale: float, unit: str) -> None:
    """A metric over steps: runs thin, their mean (of one run: its running mean) thick."""
    curves = [[(x, scale * y) for x, y in curve] for curve in curves_of(runs, stage, metric)]
    for curve in curves:
        panel.plot([x for x, _ in curve], [y for _, y in curve], color=COLOURS[0], linewidth=0.8, alpha=0.45)
    if curves:
        mean = main_line(curves)
        panel.plot([x for x, _ in mean], [y for _, y in mean], color=COLOURS[0], linewidth=2.4)
    panel.set_ylim(bottom=0)
    panel.set_title(f"{title}{', %' if unit == '%' else ''}")
    panel.set_xlabel("step")


def dress(panel: Axes) -> None:
    """Quiet axes: no box, light grid."""
    panel.set_title(panel.get_title(), fontsize=10.5, color=INK, loc="left")
    panel.set_title("", loc="center")
    panel.grid(axis="y", color=LINE, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(colors=SOFT, labelsize=9, length=0)
    panel.xaxis.label.set_color(SOFT)
    for name, spine in panel.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(LINE)
