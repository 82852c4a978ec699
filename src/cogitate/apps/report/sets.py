"""The report's section on what was made between the models: data sets with what was dropped and why, and reward models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from cogitate.apps.report.data import Run, StageRecord, read_lines, summary_of, to_estimate
from cogitate.apps.report.tables import number, table
from cogitate.apps.report.words import plain, stage_title

DATA, LEDGER = "data.parquet", "ledger.jsonl"
JUDGES = ("helpfulness", "safety")
JUDGED: tuple[tuple[str, str], ...] = (  # keys of a reward model's report, and what they are called
    ("accuracy", "Right on held-out pairs or completions"),
    ("accuracy_where_chosen_is_shorter", "… where the better answer is the shorter one"),
    ("accuracy_where_chosen_is_longer", "… where it is the longer one"),
    ("accuracy_on_safe", "… of what is safe"),
    ("accuracy_on_unsafe", "… of what is unsafe"),
    ("agreement", "All members agree"),
)
CORRELATIONS = ("reward_length_correlation", "score_length_correlation")


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a data stage kept and dropped: source -> rows, and (source, rule) -> rows."""

    kept: Counter[str]
    dropped: Counter[tuple[str, str]]

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys([*self.kept, *(source for source, _ in self.dropped)]))

    @property
    def rules(self) -> list[str]:
        """The most frequent first."""
        by_rule: Counter[str] = Counter()
        for (_, rule), count in self.dropped.items():
            by_rule[rule] += count
        return [rule for rule, _ in by_rule.most_common()]


def data_section(runs: Sequence[Run]) -> str:
    """Both tables of every run, in a section of their own; "" where there is neither."""
    parts = []
    for run in runs:
        where = f", seed {run.seed}" if len(runs) > 1 else ""
        for stage in run.stages.values():
            found = read_data_set(stage)
            if found is not None:
                parts.append(f"<h3>{escape(stage_title(stage.name, runs) + where)}</h3>{data_table(found)}")
        parts += [judges_table(name + where, summary_of(run, stage)) for stage, name in judging_stages(run)]
    if not any(parts):
        return ""
    intro = (
        "Every candidate that did not become a row of data stands in the stage's ledger.jsonl with the rule that dropped it."
    )
    return (
        '<section id="sets" aria-labelledby="sets-title"><h2 id="sets-title">What was learnt from</h2>'
        f'<p class="soft">{intro}</p>{"".join(parts)}</section>'
    )


def read_data_set(stage: StageRecord) -> DataSet | None:
    """Counts of a finished data stage; None of any other."""
    if not stage.finished or not (stage.path / DATA).is_file() or not (stage.path / LEDGER).is_file():
        return None
    import pyarrow.parquet as pq  # here, because it takes a while

    schema = pq.read_schema(stage.path / DATA)
    columns = pq.read_table(stage.path / DATA, columns=["source"]).column("source") if "source" in schema.names else []
    kept = Counter(str(source) for source in columns)
    rows = read_lines(stage.path / LEDGER)
    dropped = Counter((str(row.get("source", "all")), str(row.get("rule", "no rule named"))) for row in rows)
    return DataSet(kept, dropped)


def data_table(data: DataSet) -> str:
    """A row for each source: kept, dropped, and how many each rule dropped; a row of sums."""
    rules = data.rules
    sources = [(source, [source]) for source in data.sources]
    sums = [("All", data.sources)] if len(sources) > 1 else []
    rows = []
    for title, of in [*sources, *sums]:
        kept = sum(data.kept[source] for source in of)
        by_rule = [sum(data.dropped[source, rule] for source in of) for rule in rules]
        counts = "".join(f"<td>{count:,}</td>" if count else '<td class="soft">–</td>' for count in by_rule)
        share = f'<span class="ci">{100 * kept / (kept + sum(by_rule)):.1f} %</span>' if kept + sum(by_rule) else ""
        rows.append(
            f'<tr><th scope="row">{escape(plain(title))}</th><td><span class="value">{kept:,}</span>{share}</td>'
            f"<td>{sum(by_rule):,}</td>{counts}</tr>"
        )
    heads = "".join(f'<th scope="col">{escape(plain(rule))}</th>' for rule in rules)
    return table(f'<th scope="col">Source</th><th scope="col">Kept</th><th scope="col">Dropped</th>{heads}', "".join(rows))


def judging_stages(run: Run) -> list[tuple[str, str]]:
    """Stages that made reward models, with their titles."""
    names = dict.fromkeys([*run.stages, *run.results.get("summaries", {})])
    return [
        (name, stage_title(name, [run]))
        for name in names
        if any(isinstance(summary_of(run, name).get(judge), Mapping) for judge in JUDGES)
    ]


def judges_table(title: str, summary: Mapping[str, Any]) -> str:
    """A row for each reward model and each member of an ensemble: held-out accuracy, and whether it merely likes length."""
    judges = [
        row
        for judge in JUDGES
        if isinstance(summary.get(judge), Mapping)
        for row in rows_of_judge(plain(judge), summary[judge])
    ]
    measured = [(key, title) for key, title in JUDGED if any(to_estimate(report.get(key)) for _, report in judges)]
    rows = []
    for name, report in judges:
        cells = "".join(f"<td>{number(to_estimate(report.get(key)), 'share')}</td>" for key, _ in measured)
        correlation = next((estimate for key in CORRELATIONS if (estimate := to_estimate(report.get(key)))), None)
        size = report.get("held_out_pairs") or report.get("held_out_completions")
        note = f'<span class="soft">{size:,} held out</span>' if isinstance(size, int) else ""
        head = f'<th scope="row" class="model">{escape(name)}{note}</th>'
        rows.append(f"<tr>{head}{cells}<td>{number(correlation, 'number')}</td></tr>")
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for _, name in measured)
    last = '<th scope="col">Correlation of score and length</th>'
    return f"<h3>{escape(title)}</h3>" + table(f'<th scope="col">Reward model</th>{heads}{last}', "".join(rows))


def rows_of_judge(name: str, report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """A reward model and its report; of an ensemble also each member, with its own."""
    members = [one for one in report.get("members") or [] if isinstance(one, Mapping)]
    if not members:
        return [(name, report)]
    together = f"{name}, {len(members)} members by {report.get('score', 'mean')}"
    return [(together, report), *((f"{name}, member {number}", one) for number, one in enumerate(members, 1))]
