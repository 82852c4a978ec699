"""An experiment's results as a page for docs/experiments: the verdicts, the table, the cost, and how to repeat it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

from cogitate.apps.experiment.analysis import Analysis
from cogitate.apps.experiment.page import cost, notices, opening, signed, words_of
from cogitate.apps.experiment.results import Results
from cogitate.apps.experiment.short import SUFFIX
from cogitate.apps.report.words import Unit, write_number
from cogitate.evals.metrics import Estimate

ROW, CELL = re.compile(r"<tr>(.*?)</tr>", re.DOTALL), re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)


def markdown_of(results: Results, found: Analysis | None = None) -> str:
    """The page as Markdown; experiment.json beside it has every number."""
    config, name = results.experiment.config, results.experiment.name
    parts = [f"# {config.title or name}", plain_text(opening(results))]
    parts += [f"- {line}" for line in re.findall(r"<li>(.*?)</li>", notices(results))]
    parts += ["## Verdicts", *claims(results)] if results.claims else []
    if found is not None and found.lines:
        parts += [f"## {found.title}", *(f"- {line}" for line in found.lines)]
    parts += ["## Measured", table(heads_of(results), rows_of(results))]
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
    config = results.experiment.config
    return [
        [
            f"`{name}`",
            f"{len(results.of(name))} of {len(config.seeds)}",
            *(with_interval(results.values[name][measure], words_of(measure)[1]) for measure in config.measure),
        ]
        for name in config.variants
    ]


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
