"""Which problems of a benchmark stand in training data: runs of 13 words, the published practice since GPT-3
(arXiv:2005.14165, appendix C).

A problem overlaps where any 13 words of its question follow each other in one training text. A question of 5 to 12 words
overlaps where all of it does; a shorter one, which any text may hold by chance, only where a training text is that question.
Words that several of the benchmark's own problems share (a passage, a form of asking) or that are our instruction show nothing;
a question that has no others overlaps where all of it does.
Case, marks, widths of characters and white space are folded; a Chinese character is a word. Solutions are not looked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.evals.metrics import pass_at_1
from cogitate.evals.paired import Key
from cogitate.tasks.files.datasets import read_rows
from cogitate.tasks.files.decontaminate import words_of
from cogitate.tasks.files.jsonl import canonical
from cogitate.types import Problem

NGRAM, SHORTEST = 13, 5  # words
Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingText:
    """What is compared.

    Attributes:
        files: data files, of which every text of every row is read.
        generated: tasks of the training that are made by programs, which have no file and are not compared.
        missing: files that the training names and that are not there.
    """

    files: tuple[Path, ...]
    generated: tuple[str, ...] = ()
    missing: tuple[Path, ...] = ()

    def texts(self) -> Iterator[tuple[str, str]]:
        """(place, text) of every row of every file; the texts of a row are one, apart from each other."""
        for path in self.files:
            for place, row in read_rows(path):
                yield from ((place, text) for text in texts_in(row))


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a row, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def contamination(
    problems: Sequence[Problem],
    training: TrainingText,
    values: Mapping[Key, Sequence[float]],
    *,
    added: Sequence[str] = (),
) -> dict[str, Any]:
    """How many problems overlap, the first of them, and the figure without them.

    Args:
        values: the metric of each completion by problem.
        added: texts of ours in questions and prompts, which show nothing of the benchmark.

    Returns:
        {"rule", "files", "not_compared", "problems", "overlapping", "first", "value_without": {"value", "ci95"} or None}.
    """
    found = overlapping(problems, training, added)
    clean = [
        row
        for problem in problems
        if problem.id not in found and (row := values.get((problem.task, problem.id, problem.question)))
    ]
    first = next(((problem.place, found[problem.id]) for problem in problems if problem.id in found), None)
    return {
        "rule": f"{NGRAM} words in a row; of shorter questions the whole",
        "files": [path.name for path in training.files],
        "not_compared": [*training.generated, *(f"{path.name} (missing)" for path in training.missing)],
        "problems": len(problems),
        "overlapping": len(found),
        "first": "" if first is None else f"{first[0]} in {first[1]}",
        "value_without": pass_at_1(clean).as_json() if clean else None,
    }


def overlapping(problems: Sequence[Problem], training: TrainingText, added: Sequence[str] = ()) -> dict[str, str]:
    """The problems that overlap, by id, and the place of the first training text that each does with."""
    ours = {gram for text in added for gram in grams_of(words_of(text), NGRAM)}
    questions = [words_of(problem.question) for problem in problems]
    holders = Counter(gram for words in questions for gram in set(grams_of(words, NGRAM)))
    wanted: dict[int, dict[Gram, list[str]]] = defaultdict(lambda: defaultdict(list))
    whole: dict[str, list[str]] = defaultdict(list)
    for problem, words in zip(problems, questions, strict=True):
        if len(words) < SHORTEST:
            whole[canonical(problem.question)].append(problem.id)
            continue
        telling = [gram for gram in grams_of(words, NGRAM) if holders[gram] == 1 and gram not in ours]
        for gram in telling or [tuple(words)]:
            wanted[len(gram)][gram].append(problem.id)
    found: dict[str, str] = {}
    for place, text in training.texts():
        for name in whole.get(canonical(text), ()) if whole else ():
            found.setdefault(name, place)
        words = words_of(text)
        for size, grams in wanted.items():
            for gram in grams_of(words, size):
                for name in grams.get(gram, ()):
                    found.setdefault(name, place)
    return found


def grams_of(words: Sequence[str], size: int) -> Iterator[Gram]:
    return (tuple(words[start : start + size]) for start in range(len(words) - size + 1))
