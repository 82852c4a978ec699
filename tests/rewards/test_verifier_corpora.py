"""The bars on the verifier corpora: no false positive on mathematics, at most 2 % false negatives, 100 % elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cogitate.rewards.answer import Contract
from cogitate.rewards.language import count_words, language_share
from cogitate.rewards.math import library
from tests.rewards.judging import grade

Corpus = Callable[[str], list[dict[str, Any]]]

MATH_FILES = ("math_triples", "issue_triples", "adversarial_math_completions")
CONTRACT_OF_FORM: dict[str, Contract] = {
    "bare": "bare", "latex_env": "bare", "free_text": "free", "boxed": "r1", "long_boxed": "r1", "tagged": "r1",
}  # fmt: skip
KIND = {"math": "math", "mcq": "choice", "string": "exact", None: "math"}


@pytest.fixture(autouse=True)
def library_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "in_worker", True)


def contract_of(row: dict[str, Any]) -> Contract:
    if "form" in row:
        return CONTRACT_OF_FORM[row["form"]]
    return "r1" if "boxed{" in row["prediction"] or "<answer>" in row["prediction"] else "free"


def verdict_of(row: dict[str, Any], kind: str | None = None) -> str:
    kind = kind or KIND[row.get("kind")]
    return grade(kind, row["prediction"], contract=contract_of(row), gold=row["gold"]).value


def test_mathematics_has_no_false_positive_and_few_false_negatives(corpus: Corpus) -> None:
    missed, true_rows = {}, 0
    for file in MATH_FILES:
        rows = [row for row in corpus(f"verifiers/{file}") if row["expected"] is not None]
        verdicts = {row["id"]: verdict_of(row) for row in rows}
        assert [row["id"] for row in rows if not row["expected"] and verdicts[row["id"]] == "right"] == []
        missed[file] = [row["id"] for row in rows if row["expected"] and verdicts[row["id"]] != "right"]
        true_rows += sum(row["expected"] for row in rows)
    assert sum(map(len, missed.values())) <= 0.02 * true_rows, missed
    assert all(len(missed[file]) <= 1 for file in MATH_FILES[1:]), missed


def test_the_grader_of_mathematics_reads_letters_and_words_as_well(corpus: Corpus) -> None:
    rows = [row for row in corpus("verifiers/math_triples") if row["expected"] is not None and row["kind"] != "math"]
    assert [row["id"] for row in rows if not row["expected"] and verdict_of(row, "math") == "right"] == []
    missed = [row["id"] for row in rows if row["expected"] and verdict_of(row, "math") != "right"]
    assert len(missed) <= 1, missed  # "A Peter ..." may be an option or begin with an article: for the grader of choices


@pytest.mark.parametrize("file", ["countdown_model_outputs", "countdown_tricks"])
def test_countdown_agrees_with_every_label(corpus: Corpus, file: str) -> None:
    rows = [row for row in corpus(f"verifiers/{file}") if row["expected"] is not None]
    verdicts = [grade("countdown", row["completion"], numbers=row["nums"], target=row["target"]).value for row in rows]
    assert [row["id"] for row, given in zip(rows, verdicts, strict=True) if (given == "right") != row["expected"]] == []


def test_knights_and_knaves_agree_with_every_label(corpus: Corpus) -> None:
    rows = [row for row in corpus("verifiers/kk_verdicts") if row["expected"] is not None]
    golds = [dict(zip(row["names"], row["solution"], strict=True)) for row in rows]
    verdicts = [grade("logic", row["completion"], gold=gold).value for row, gold in zip(rows, golds, strict=True)]
    assert [row["id"] for row, given in zip(rows, verdicts, strict=True) if (given == "right") != row["expected"]] == []


def test_model_solutions_of_gsm8k_agree_with_every_label(corpus: Corpus) -> None:
    rows = corpus("verifiers/gsm8k_labelled_solutions")
    verdicts = [grade("math", row["completion"], contract="free", gold=row["gold"]).value for row in rows]
    assert [row["id"] for row, given in zip(rows, verdicts, strict=True) if (given == "right") != row["expected"]] == []


def test_the_language_share_is_that_of_the_segments(corpus: Corpus) -> None:
    for row in corpus("verifiers/language_mix"):
        if not row["segments"]:
            continue
        target = row["target"]
        words = {"zh": row["zh_characters"], "en": row["en_words"]}
        all_words = sum(words.values())
        wanted = words[target] / all_words if all_words else 0.0
        assert language_share(row["text"], target) == pytest.approx(wanted, abs=0.02), row["id"]


def test_the_share_is_defined_where_there_are_no_words(corpus: Corpus) -> None:
    empty = [row for row in corpus("verifiers/language_mix") if row["category"] in ("only_math", "empty")]
    assert empty
    assert all(count_words(row["text"], row["target"]).all == 0 for row in empty)
    assert all(language_share(row["text"], row["target"]) is None for row in empty)
