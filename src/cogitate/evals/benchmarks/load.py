"""The problems of a benchmark: its rows read, counted against what is published, and the checksums of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cogitate.errors import ConfigError, DataError
from cogitate.evals.benchmarks.definition import Benchmark, Layout
from cogitate.evals.benchmarks.files import DataFile, PublishedRow, find_layout, read_file
from cogitate.evals.benchmarks.readers.table import READERS, Reader
from cogitate.json_lines import RowFaults
from cogitate.tasks.files.jsonl import problems_of_rows
from cogitate.types import Problem

CATEGORY, SUBJECT, WORKED = "category", "subject", "worked"  # keys of Problem.fields
DATES = "contest_date", "date"  # keys of published rows
# What readers raise of a row that is not as published.
OF_WRONG_TYPES = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a benchmark's files hold.

    Attributes:
        problems: in the order of the files, after `between` and the limit.
        published: rows of the layout; 0 where this is not known.
        rows: that were read.
        available: problems before the limit.
        faults: rows that cannot be graded, and why the first few cannot.
        layout: hub and files of the layout that was read. differs: as Layout.differs. commit: as Found.commit.
        examples: (subject or category, question, worked answer) of what a few-shot prompt may show.
        example_files: that these were read from.
    """

    problems: list[Problem]
    files: list[DataFile]
    published: int
    rows: int
    available: int
    faults: RowFaults
    layout: str
    differs: str = ""
    commit: str = ""
    examples: list[tuple[str, str, str]] = field(default_factory=list)
    example_files: list[DataFile] = field(default_factory=list)

    @property
    def is_partial(self) -> bool:
        """Fewer rows than are published."""
        return self.rows < self.published

    def as_json(self) -> dict[str, Any]:
        """For results: no path of this machine."""
        return {
            "files": [file.as_json() for file in self.files],
            "example_files": [file.as_json() for file in self.example_files],
            "layout": self.layout,
            "differs": self.differs,
            "commit": self.commit,
            "rows": self.rows,
            "published_rows": self.published or None,
            "problems": len(self.problems),
            "available": self.available,
            "ungradable": {"rows": self.faults.count, "first": self.faults.first[0][1] if self.faults.first else ""},
        }


def load_benchmark(
    benchmark: Benchmark, directory: Path | None, *, limit: int | None = None, partial: bool = False, shots: int = 0
) -> Loaded:
    """Read a benchmark.

    Args:
        directory: where its files lie; None: the hub.
        limit: the first so many problems, spread evenly over the categories' order in the files; None: all.
        partial: accept fewer rows than are published.
        shots: how many solved examples a prompt needs.

    Raises:
        DataError: a file is missing or damaged, has another number of rows, or holds no problem that can be graded.
        ConfigError: the table names no reader that we have, or there are too few solved examples.
    """
    for reader in filter(None, (benchmark.reader, benchmark.examples_reader)):
        if reader not in READERS:
            raise ConfigError(f"{benchmark.name}: there is no reader {reader!r}; known are {', '.join(READERS)}")
    found = find_layout(benchmark, benchmark.layouts, directory)
    layout = found.layout
    files, rows = read_all(found.places, lambda row: in_time(benchmark, row))
    check_count(benchmark, layout, files, sum(file.rows for file in files), partial=partial)
    faults = RowFaults(benchmark.name)
    problems = to_problems(benchmark, benchmark.reader, rows, faults)
    if not problems:
        reason = f"; the first: {faults.first[0][0]}: {faults.first[0][1]}" if faults.first else ""
        raise DataError(f"{benchmark.name}: {files[0].path} has no problem that can be graded{reason}")
    kept = problems if limit is None else spread(problems, limit)
    examples, example_files = load_examples(benchmark, directory, shots) if shots else ([], [])
    name = " ".join(filter(None, (layout.hub, *layout.files)))
    return Loaded(
        kept, files, layout.rows, sum(file.rows for file in files), len(problems), faults, name, layout.differs, found.commit,
        examples, example_files,
    )  # fmt: skip


def read_all(
    places: Sequence[tuple[Path, str]], wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> tuple[list[DataFile], list[PublishedRow]]:
    """Every file, and of their rows those that are wanted."""
    files, rows = [], []
    for path, name in places:
        file, of_file = read_file(path, name, wanted)
        files.append(file)
        rows += of_file
    return files, rows


def check_count(benchmark: Benchmark, layout: Layout, files: list[DataFile], rows: int, *, partial: bool) -> None:
    """Raises DataError where the files have not as many rows as are published."""
    where = files[0].path if len(files) == 1 else f"{len(files)} files at {files[0].path.parent}"
    if rows > layout.rows > 0:
        raise DataError(f"{where}: {rows} rows, but {benchmark.title} has {layout.rows}: changed, or another split")
    if rows < layout.rows and not partial:
        raise DataError(
            f"{where}: {rows} rows, but {benchmark.title} has {layout.rows}: truncated, or a part; --partial-data measures on "
            "what is there, and results say so"
        )


def to_problems(benchmark: Benchmark, reader: str, rows: list[PublishedRow], faults: RowFaults) -> list[Problem]:
    """The problems of published rows; `faults` gets those that cannot be graded."""
    read = READERS[reader]
    written: list[tuple[str, Mapping[str, Any]]] = []
    for row in rows:
        with faults.at(row.place):
            written += [(row.place, own) for own in read_row(read, row)]
    return [in_category(benchmark, problem) for problem in problems_of_rows(written, benchmark.name, faults)]


def read_row(read: Reader, row: PublishedRow) -> list[Mapping[str, Any]]:
    """The rows of ours that a published row is. Raises DataError where it is none, also where a value has another type."""
    try:
        return list(read(row))
    except DataError:
        raise
    except OF_WRONG_TYPES as error:
        raise DataError(f"not as {read.__name__} rows are published: {type(error).__name__}: {str(error)[:100]}") from error


def in_category(benchmark: Benchmark, problem: Problem) -> Problem:
    """Results are reported by task, so that a category is the task of its problems."""
    category = problem.fields.get(CATEGORY)
    return replace(problem, task=str(category)) if benchmark.category and category else replace(problem, task=benchmark.name)


def in_time(benchmark: Benchmark, row: Mapping[str, Any]) -> bool:
    """Whether a row is of the days that are asked; one without a date stays, for its reader to say what is wrong."""
    date = next((str(row[key]) for key in DATES if row.get(key)), None)
    if benchmark.between is None or date is None:
        return True
    first, last = benchmark.between
    return first <= date[:10] <= last


def spread(problems: list[Problem], limit: int) -> list[Problem]:
    """`limit` problems at equal distances, in their order: of files sorted by category each category has its share."""
    if limit >= len(problems):
        return problems
    return [problems[number * len(problems) // limit] for number in range(limit)]


def load_examples(
    benchmark: Benchmark, directory: Path | None, shots: int
) -> tuple[list[tuple[str, str, str]], list[DataFile]]:
    """Solved examples (subject or category, question, worked answer), and their files. Raises as `load_benchmark`."""
    if not benchmark.examples:
        raise ConfigError(f"{benchmark.name}: no solved examples are published beside it; leave out --shots")
    places = find_layout(benchmark, benchmark.examples, directory, what="the solved examples").places
    files, rows = read_all(places)
    faults = RowFaults(f"{benchmark.name}, solved examples")
    problems = to_problems(benchmark, benchmark.examples_reader or benchmark.reader, rows, faults)
    faults.check()
    found = [
        (subject_of(problem), problem.question, str(problem.fields[WORKED])) for problem in problems if WORKED in problem.fields
    ]
    if len(found) < shots:
        raise ConfigError(f"{benchmark.name}: {len(found)} solved examples in {places[0][0]}, but {shots} are asked for")
    return found, files


def subject_of(problem: Problem) -> str:
    """What solved examples are chosen by: its subject where rows have one finer than their category, else the category."""
    return str(problem.fields.get(SUBJECT) or problem.task)
