"""An experiment's results as a page for docs/experiments: the verdicts, the table, the cost, and how to repeat it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

from cogitate.apps.experiment.analysis import Analysis
from cogitate.apps.experiment.page import cost, notices, opening, signed, words_of
from cogitate.apps.experiment.results import Results, side_of
from cogitate.apps.experiment.short import SUFFIX
from cogitate.apps.report.words import Unit, write_number
from cogitate.evals.metrics import Estimate

ROW, CELL = re.compile(r"<tr>(.*?)</tr>", re.DOTALL), re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)

MEANING = "Means over seeds with 95 % intervals. The end of training is the last quarter of its steps."
PAIRED = (
    "pass@1 is paired by seed and problem, the others by seed; bold where the interval of several seeds lies on one side of 0."
)


def markdown_of(results: Results, found: Analysis | None = None) -> str:
    """The page as Markdown; experiment.json beside it has every number."""
    config, name = results.experiment.config, results.experiment.name
    parts = [f"# {config.title or name}", plain_text(opening(results))]
    parts += [f"- {line}" for line in re.findall(r"<li>(.*?)</li>", notices(results))]
    parts += ["## Verdicts", *claims(results)] if results.claims else []
    if found is not None and found.lines:
        parts += [f"## {found.title}", *(f"- {line}" for line in found.lines)]
    parts += ["## Measured", MEANING, table(heads_of(results), rows_of(results))]
    if results.differences:
        parts += [f"## Less `{results.experiment.baseline}`", PAIRED, table(heads_of(results), differences_of(results))]
    if spent := cost(results):
        head, *rows = [[plain_text(cell) for cell in CELL.findall(row)] for row in ROW.findall(spent)]
        parts += ["## Cost", table(head, rows)]
    file, short = name.removesuffix(SUFFIX), " --short" if name.endswith(SUFFIX) else ""
    parts += ["## Repeat it", f"```bash\ncogitate compare experiments/{file}.toml{short} --out runs/{name}\n```"]
    return "\n\n".join(joined_lists(parts)) + "\n"


def claims(results: Results) -> list[str]:
    """A line for each claim, settled or not."""
    return [
        f"- **{claim.text}**: {claim.verdict}; difference {signed(claim.difference, words_of(claim.config.metric)[1])}."
        for claim in results.claims
    ]


def heads_of(results: Results) -> list[str]:
    return ["", "runs", *(words_of(measure)[0] for measure in results.experiment.config.measure)]


def rows_of(results: Results) -> list[list[str]]:
    """Of each variant its measures."""
    return [
        variant_row(
            results, name, [with_interval(values[each], words_of(each)[1]) for each in results.experiment.config.measure]
        )
        for name, values in results.values.items()
    ]


def differences_of(results: Results) -> list[list[str]]:
    """Of each variant but the baseline how its measures differ from that."""
    return [
        variant_row(results, name, [difference_text(results, name, each) for each in results.experiment.config.measure])
        for name in results.differences
    ]


def variant_row(results: Results, name: str, cells: Sequence[str]) -> list[str]:
    return [f"`{name}`", f"{len(results.of(name))} of {len(results.experiment.config.seeds)}", *cells]


def difference_text(results: Results, variant: str, measure: str) -> str:
    difference = results.differences[variant][measure]
    text = signed(difference, words_of(measure)[1])
    return f"**{text}**" if side_of(difference) and len(results.of(variant)) > 1 else text


def with_interval(estimate: Estimate | None, unit: Unit) -> str:
    """`78.4 % (75.0 % to 81.2 %)`."""
    if estimate is None:
        return "–"
    value = write_number(estimate.value, unit)
    if estimate.low is None or estimate.high is None:
        return f"{value} (no interval)"
    return f"{value} ({write_number(estimate.low, unit)} to {write_number(estimate.high, unit)})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def plain_text(html: str) -> str:
    """Without tags."""
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r"</?code>", "`", html))).strip()


def joined_lists(parts: Sequence[str]) -> list[str]:
    """Neighbouring items of a list without empty lines between them."""
    joined: list[str] = []
    for part in parts:
        if joined and part.startswith("- ") and joined[-1].startswith("- "):
            joined[-1] += f"\n{part}"
        else:
            joined.append(part)
    return joined
