"""`cogitate search`: one method, what stands beside it, and the tree of every problem."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cogitate.apps.score_table import WIDE
from cogitate.apps.search.prepare import Prepared, Searching, prepare
from cogitate.errors import DataError, Interrupted
from cogitate.evals.completions import write_rows
from cogitate.evals.metrics import Estimate
from cogitate.runtime import write_json
from cogitate.search.evaluate import VOTING, Evaluator, MethodResult, beside_of, tree_rows

NAMES = {
    "greedy": "greedy", "pass@1": "pass@1 of one", "oracle": "oracle best-of-n", "last_step": "best by the last step",
    "answer_only": "best by the answer alone", "majority": "majority vote", "best_of_n": "best-of-n",
    "weighted_vote": "weighted vote", "step_beam": "step beam", "mcts": "tree search", "self_verification": "self-verification",
}  # fmt: skip


def search(options: Searching, method: str, n: int, *, out: Path | None, trees: Path | None, page: Path | None) -> None:
    """Search, print the table, and write what is asked for.

    Args:
        out: JSON with the figures of the method and of all that stands beside it.
        trees: JSON Lines, one problem a line, with every step that was tried.
        page: HTML with the figures and trees.

    Raises:
        CogitateError: as `prepare`, or no directory for a file.
        Interrupted: Ctrl-C.
    """
    for file in (out, trees, page):
        check_place(file)
    prepared = prepare(options, samples=n, votes=method in VOTING)
    try:
        evaluator = prepared.evaluator(n)
        chosen = evaluator.measure(method, n)
        results = [*(evaluator.measure(name, n) for name in beside_of(prepared.workers)), chosen]
    except KeyboardInterrupt:
        raise Interrupted("stopped", 128 + signal.SIGINT) from None
    finally:
        prepared.backend.close()
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    title = f"{options.model}: {len(prepared.problems)} problems, n = {n}; shares in percent, tokens are means of a problem"
    console.print(figures(results, title))
    write(prepared, evaluator, results, out=out, trees=trees, page=page)


def write(
    prepared: Prepared,
    evaluator: Evaluator,
    results: list[MethodResult],
    *,
    out: Path | None,
    trees: Path | None,
    page: Path | None,
) -> None:
    """The files that are asked for. Those of `trees` are the same bytes at the same seed."""
    content = as_json(prepared, results)
    if out is not None:
        write_json(out, content)
    rows = tree_rows(results[-1], evaluator.asked) if trees is not None or page is not None else []
    if trees is not None:
        write_rows(trees, rows)
    if page is not None:
        from cogitate.apps.search.page import write_page

        write_page(page, content, rows)


def as_json(prepared: Prepared, results: list[MethodResult]) -> dict[str, Any]:
    return {
        "schema": 1,
        "model": str(prepared.directory),
        "scorer": prepared.options.scorer,
        "settings": prepared.used(),
        "problems": len(prepared.problems),
        **prepared.facts,
        "methods": [{**each.as_json(), "seconds": round(each.seconds, 3)} for each in results],
    }


def figures(results: list[MethodResult], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("", "n", "right", "95 %", "tokens", "sampled", "read", "seconds"):
        table.add_column(name, justify="left" if not name else "right")
    for each in results:
        row, accuracy = each.as_json(), each.accuracy
        cells = [f"{row['tokens']['value']:,.0f}", f"{row['policy_tokens']:,.0f}", f"{row['scorer_tokens']:,.0f}"]
        table.add_row(NAMES[each.method], str(each.n), *share_cells(accuracy), *cells, f"{each.seconds:.1f}")
    return table


def share_cells(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "-", ""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}", ""
    return f"{100 * estimate.value:.1f}", f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"


def check_place(file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        raise DataError(f"{file}: there is no directory {file.parent}")
