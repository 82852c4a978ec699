"""docs/findings.md and docs/results/findings.json: of each finding and model a verdict, figures, and what would settle it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.evidence.findings.models import MODELS, Parts
from benchmarks.evidence.findings.paper import FINDINGS
from benchmarks.evidence.findings.verdicts import RULES, SETTLED, Figure, Missing, Part, counts_of, verdict_of
from benchmarks.evidence.page import percent, table
from benchmarks.places import PAGES
from cogitate.runtime import atomic_write, write_json

TITLES = {"tiny": "`tiny`", "smollm2": "SmolLM2", "puzzles": "`puzzles`"}
WHERE = {"tiny": "results_tiny.md", "smollm2": "smollm2.md", "puzzles": "puzzles.md"}


def write_findings(results: Path, pages: Path) -> Path:
    """Both files.

    Args:
        results: the directory of result files; findings.json is written there.
        pages: where findings.md is written; `experiments` beside it has what is kept of experiments.

    Returns:
        The page.

    Raises:
        ArtifactError: a result file cannot be read or is of another form.
    """
    found = found_in(results, pages / "experiments")
    write_json(results / "findings.json", as_json(found))
    with atomic_write(pages / "findings.md") as temporary:
        temporary.write_text(as_markdown(found, results, pages), encoding="utf-8")
    return pages / "findings.md"


def found_in(results: Path, experiments: Path) -> dict[str, Parts]:
    """Model -> finding -> its parts."""
    return {model: parts_of(results, experiments) for model, parts_of in MODELS.items()}


def as_json(found: Mapping[str, Parts]) -> dict[str, object]:
    """{"rules", "findings": {finding: {"title", "paper", "models": {model: {"verdict", "parts"}}}}}."""
    return {
        "rules": RULES,
        "findings": {
            name: {
                "title": finding.title,
                "paper": finding.paper,
                "models": {
                    model: {"verdict": verdict_of(parts[name]), "parts": [part.as_json() for part in parts[name]]}
                    for model, parts in found.items()
                },
            }
            for name, finding in FINDINGS.items()
        },
    }


def as_markdown(found: Mapping[str, Parts], results: Path, pages: Path) -> str:
    """The page: one table of verdicts, the rules, and of each finding its parts. Links lead from `pages`."""
    blocks = [introduction(results, pages), verdicts(found), "## How a verdict is reached", rules(pages)]
    for number, (name, finding) in enumerate(FINDINGS.items(), 1):
        of_models = {model: parts[name] for model, parts in found.items()}
        blocks += [f"## {number}. {finding.title}", finding.paper, statements(of_models)]
    return "\n\n".join(blocks) + "\n"


def introduction(results: Path, pages: Path) -> str:
    runs = ", ".join(link(TITLES[model], PAGES / page, pages) for model, page in WHERE.items())
    return (
        "# The seven findings of the paper, and what these runs say of them\n\n"
        "Written by `make evidence`, or alone by `python -m benchmarks.evidence.findings`, from the result files of the "
        "repository: a program gives every verdict. All figures: "
        f"{link('findings.json', results / 'findings.json', pages)}. Where the runs are described: {runs}. "
        "Behind a verdict: how many of the finding's statements have which one."
    )


def link(text: str, place: Path, pages: Path) -> str:
    return f"[{text}]({os.path.relpath(place, pages)})"


def verdicts(found: Mapping[str, Parts]) -> str:
    """Findings by models."""
    rows = []
    for number, (name, finding) in enumerate(FINDINGS.items(), 1):
        cells = [f"**{verdict_of(parts[name])}**{counted(parts[name])}" for parts in found.values()]
        rows.append([str(number), finding.title, *cells])
    return table(["", "finding", *(TITLES[model] for model in found)], rows)


def counted(parts: Sequence[Part]) -> str:
    """` (2 settled, 1 undecided)`; nothing where all have the same."""
    counts = counts_of(parts)
    return f" ({', '.join(f'{count} {verdict}' for verdict, count in counts.items())})" if len(counts) > 1 else ""


def rules(pages: Path) -> str:
    lines = "\n".join(f"- **{verdict}**: {rule}" for verdict, rule in RULES.items())
    return (
        f"{lines}\n\nA finding says all its statements together: it is *not seen* where one of them is not seen, has the "
        "verdict of its statements where that is the same for all, and is *undecided* otherwise. Brackets are 95 % intervals. "
        f"With several seeds they are over problems and seeds ({link('how', PAGES / 'metrics.md', pages)}); that of a rank "
        "correlation is over seeds, by Student's t. A difference is paired by problem where its file has it so; otherwise it "
        "is computed from both intervals (Newcombe 1998), which is wider for models measured on the same problems. Rates and "
        "their differences are in percent."
    )


def statements(by_model: Mapping[str, Sequence[Part]]) -> str:
    """One table of all models; what lacks the same file stands in one row."""
    rows = []
    for model, parts in by_model.items():
        for told, group in groupby(parts, key=lambda part: (shown(part), part.verdict, part.to_settle)):
            text, verdict, wanted = told
            rows.append([TITLES[model], "; ".join(part.statement for part in group), text, f"**{verdict}**", wanted or "-"])
    return table(["model", "statement", "figures", "verdict", "what would settle it"], rows)


def shown(part: Part) -> str:
    """`Base 52.0 [49, 55]; R1-Zero 98.3 [97, 99]; difference +46.3 [+43, +50] (3 seeds)`, or why there is nothing."""
    known = part.known
    if isinstance(known, Missing):
        return known.why
    seeds = "one seed" if known.seeds == 1 else f"{known.seeds} seeds"
    text = f"{'; '.join(map(figure, known.figures))} ({seeds})"
    return f"{text}; {known.unfair}" if known.unfair and part.verdict != SETTLED else text


def figure(given: Figure) -> str:
    """In percent or points; a number as it is."""
    if given.unit in ("percent", "points"):
        return f"{given.name} {percent(given.estimate.as_json(), sign='+' if given.unit == 'points' else '')}"
    sign = "+" if given.unit == "change" else ""
    estimate, form = given.estimate, f"{sign}.2f" if abs(given.estimate.value) < 1 else f"{sign}.1f"
    value = f"{given.name} {estimate.value:{form}}"
    return value if estimate.low is None else f"{value} [{estimate.low:{form}}, {estimate.high:{form}}]"
