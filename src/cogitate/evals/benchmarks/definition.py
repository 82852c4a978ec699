"""The table of benchmarks: one TOML file for each, by name.

A file says where the rows are published, under which licence, how many there are, what is asked beside the question, how many
completions are drawn, and which reader of `readers/table.py` understands a row. A file of one's own is named by its path.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from cogitate.config import Section
from cogitate.config.toml import explain, read_toml
from cogitate.errors import ConfigError

TABLE = Path(__file__).with_name("table")


class Layout(Section):
    """One form in which the rows are published.

    Attributes:
        hub: OWNER/NAME of the data set on the Hugging Face hub; "": it is not fetched from there.
        files: paths in that repository, or in the directory of the data; `*` stands for any part of a name.
        rows: how many rows all files have together; 0: this is not known, and not checked.
        differs: how the rows are others than the benchmark's own, so that a figure on them is not its figure; "": they are not.
    """

    hub: str = ""
    files: tuple[str, ...]
    rows: int = Field(0, ge=0)
    differs: str = ""


class Benchmark(Section):
    """One benchmark.

    Attributes:
        source: the paper or repository that publishes it.
        licence: of the rows.
        reader: the function that understands a row, of `readers.table.READERS`.
        k: completions of each problem. k_source: whether the R1 paper draws as many, or we chose the number.
        instruction: what is asked beside the question, in every prompt without solved examples.
        boxed: whether a chat prompt also asks for the answer in a box, in R1's words.
        metric: pass@1; score: the mean of the grader's partial credit; win_rate: a judge compares with the baseline.
        category: what the categories of the rows are, e.g. "subject"; "": there are none.
        between: first and last day of the rows that are asked, where they have a date.
        layouts: the first one that is there is read.
        examples: layouts of the rows that solved examples are taken from. examples_reader: of these, where it is another one.
        shots: how many of them a few-shot prompt shows.
    """

    name: str
    title: str
    about: str
    source: str
    licence: str
    reader: str
    k: int = Field(4, ge=1)
    k_source: Literal["paper", "ours"] = "ours"
    instruction: str = ""
    boxed: bool = True
    metric: Literal["pass@1", "score", "win_rate"] = "pass@1"
    category: str = ""
    between: tuple[str, str] | None = None
    layouts: tuple[Layout, ...]
    examples: tuple[Layout, ...] = ()
    examples_reader: str = ""
    shots: int = Field(0, ge=0)

    @property
    def needs_judge(self) -> bool:
        return self.metric == "win_rate"


def benchmark_names() -> list[str]:
    """Those that ship with the package, in alphabetical order."""
    return sorted(path.stem for path in TABLE.glob("*.toml"))


def find_benchmarks(names: str) -> list[Benchmark]:
    """The benchmarks of `a,b,c`, each once.

    Raises:
        ConfigError: a name is unknown (the nearest one is named), stands there twice, two files have one name, or a file cannot
            be used.
    """
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if not listed:
        raise ConfigError(f"--benchmarks {names!r}: names none; known are {', '.join(benchmark_names())}")
    for name in listed:
        if listed.count(name) > 1:
            raise ConfigError(f"--benchmarks {names}: {name} stands there twice")
    found = [find_benchmark(name) for name in listed]
    for benchmark in found:
        same = [name for name, one in zip(listed, found, strict=True) if one.name == benchmark.name]
        if len(same) > 1:
            raise ConfigError(f"--benchmarks {names}: {' and '.join(same)} have the same name, {benchmark.name}; rename a file")
    return found


def find_benchmark(name: str) -> Benchmark:
    """One benchmark by its name, or by the path of a TOML file. Raises as `find_benchmarks`."""
    if name.endswith(".toml"):
        return read_benchmark(Path(name))
    known = benchmark_names()
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise ConfigError(f"benchmark {name!r} is unknown; did you mean {nearest}? Known are {', '.join(known)}")
    return read_benchmark(TABLE / f"{name}.toml")


def read_benchmark(path: Path) -> Benchmark:
    """One file of the table.

    Raises:
        ConfigError: it cannot be read, a key is missing, unknown or of another type, or its name is one of the table's.
    """
    if path.stem in benchmark_names() and path.resolve().parent != TABLE.resolve():
        raise ConfigError(
            f"{path}: {path.stem} is a benchmark of this package, whose results it would replace; rename the file"
        )
    try:
        return Benchmark(name=path.stem, **read_toml(path))
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, Benchmark)[1]}") from error
