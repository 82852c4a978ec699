"""Keeping evaluation out of training data, and near copies on one side of a split.

Generated problems of train and evaluation share their phrasing on purpose (what is held out is their composition), so among
them only an equal problem counts. Real text is looked at harder: people reuse a problem with other numbers, or quote it.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cogitate.errors import DataError
from cogitate.tasks.files.jsonl import canonical
from cogitate.types import PLACE, Problem

SAME_PROBLEM = "same problem as in the evaluation"
SAME_TEMPLATE = "same text as an evaluation problem, other numbers"
OVERLAP = "overlap with an evaluation problem"

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECE = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+")
Row = TypeVar("Row")


def number_masked_template(question: str) -> str:
    """The question with every number replaced by #, case, width, marks and white space aside: one text for all its variants."""
    return " ".join(re.findall(r"#|" + _PIECE.pattern, _NUMBER.sub(" # ", canonical(question))))


def split_by_template(
    rows: Sequence[Row], question_of: Callable[[Row], str], held_out_share: float, *, seed: int = 0
) -> tuple[list[Row], list[Row]]:
    """(the others, held out): rows of one number-masked template always fall on the same side.

    Which side is decided by a hash of the template and the seed, so that adding rows moves no other; the shares are therefore
    those of templates and only about those of rows.
    """
    if not 0 < held_out_share < 1:
        raise DataError(f"held_out_share = {held_out_share}: must be between 0 and 1")
    sides: tuple[list[Row], list[Row]] = [], []
    for row in rows:
        digest = hashlib.sha256(f"{seed}/{number_masked_template(question_of(row))}".encode()).digest()
        sides[int.from_bytes(digest[:8], "big") < held_out_share * 2**64].append(row)
    return sides


@dataclass(slots=True)
class EvaluationIndex:
    """What of the evaluation is looked for in training data.

    Attributes:
        questions: canonical text of every problem.
        templates: number-masked text of those that are real text.
        holders: for each n-gram the real problems that have it; sizes: how many each of these has.
    """

    ngram: int
    limit: float
    compare_templates: bool = True
    mask_numbers: bool = False
    questions: set[str] = field(default_factory=set)
    templates: set[str] = field(default_factory=set)
    holders: dict[tuple[str, ...], list[int]] = field(default_factory=lambda: defaultdict(list))
    sizes: list[int] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        self.questions.add(canonical(problem.question))
        if is_generated(problem):
            return
        self.templates.add(number_masked_template(problem.question))
        grams = self._pieces(problem.question)
        for gram in grams:
            self.holders[gram].append(len(self.sizes))
        self.sizes.append(len(grams))

    def contamination(self, problem: Problem, completion: str = "") -> str | None:
        """Why a row must not be trained on, or None.

        A generated problem counts where it is equal to one of the evaluation; other text also where its template is, or where
        more than `limit` of its question's n-grams stand in one evaluation problem, or of that one's in the whole row.
        """
        if canonical(problem.question) in self.questions:
            return SAME_PROBLEM
        if is_generated(problem):
            return None
        if self.compare_templates and number_masked_template(problem.question) in self.templates:
            return SAME_TEMPLATE
        asked = self._pieces(problem.question)
        whole = asked | self._pieces(completion)
        in_asked, in_whole = self._shared(asked), self._shared(whole)
        if any(count > self.limit * len(asked) for count in in_asked.values()):
            return OVERLAP
        if any(count > self.limit * self.sizes[index] for index, count in in_whole.items()):
            return OVERLAP
        return None

    def _pieces(self, text: str) -> set[tuple[str, ...]]:
        return ngrams(number_masked_template(text) if self.mask_numbers else text, self.ngram)

    def _shared(self, grams: Iterable[tuple[str, ...]]) -> dict[int, int]:
        """How many of the n-grams each evaluation problem has."""
        counts: dict[int, int] = defaultdict(int)
        for gram in grams:
            for index in self.holders.get(gram, ()):
                counts[index] += 1
        return counts


def index_evaluation(
    problems: Iterable[Problem],
    *,
    ngram: int = 13,
    limit: float = 0.5,
    compare_templates: bool = True,
    mask_numbers: bool = False,
) -> EvaluationIndex:
    """An index of evaluation problems, generated ones and real text.

    Args:
        ngram: words of a piece.
        limit: share of pieces that a row may have in common with a problem; 1 allows all.
        compare_templates: False for files whose problems are one phrasing with other numbers on purpose.
        mask_numbers: pieces are equal whatever their numbers, so that a problem with other numbers and another name is found.
    """
    index = EvaluationIndex(ngram, limit, compare_templates, mask_numbers)
    for problem in problems:
        index.add(problem)
    return index


def decontaminate(
    rows: Sequence[Row],
    evaluation: EvaluationIndex,
    read: Callable[[Row], tuple[Problem, str]],
    *,
    smallest_kept_share: float = 0.5,
) -> tuple[list[Row], list[tuple[Row, str]]]:
    """(rows that may be trained on, dropped ones with the rule).

    Args:
        read: a row's problem and completion.
        smallest_kept_share: of the rows; fewer are an error, since then training data and evaluation are one collection.

    Raises:
        DataError: too few rows survive.
    """
    kept: list[Row] = []
    dropped: list[tuple[Row, str]] = []
    for row in rows:
        rule = evaluation.contamination(*read(row))
        if rule is None:
            kept.append(row)
        else:
            dropped.append((row, rule))
    if len(kept) < smallest_kept_share * len(rows):
        example, rule = dropped[0]
        raise DataError(
            f"decontamination leaves {len(kept)} of {len(rows)} rows, under the share of {smallest_kept_share:g}: training and "
            f"evaluation problems are of one collection (e.g. {read(example)[0].place}: {rule}); split it by "
            "tasks.decontaminate.split_by_template, evaluate on another one or, where they share their phrasing on purpose, "
            "set sft_data.compare_templates=false and sft_data.overlap_limit=1"
        )
    return kept, dropped


def is_generated(problem: Problem) -> bool:
    """Whether a generator of ours made it: it was not read from a file."""
    return PLACE not in problem.fields


def ngrams(text: str, count: int) -> set[tuple[str, ...]]:
    """Runs of `count` words, as `words_of` finds them."""
    words = words_of(text)
    return {tuple(words[start : start + count]) for start in range(len(words) - count + 1)}


def words_of(text: str) -> list[str]:
    """Its words (Chinese: characters) in order, case and marks aside."""
    return _PIECE.findall(canonical(text))
