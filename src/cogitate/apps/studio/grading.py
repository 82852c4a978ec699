"""A text is graded again after every edit: answer, form, language and readability, by the graders that training uses."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cogitate.apps.studio.sources import is_candidate
from cogitate.errors import ConfigError
from cogitate.evals.text_metrics import readability_faults
from cogitate.rewards.format import grade_format
from cogitate.rewards.kinds import has_rules
from cogitate.rewards.language import language_share
from cogitate.rewards.workers.pool import GraderPool
from cogitate.tokenizer.thinking import split_thinking
from cogitate.types import Problem, Verdict, VerdictValue

MIXED = "mixed language"
KNOWN_BY_SCRIPT = ("en", "zh", "ja", "ko")
UNGRADED = "no rule judges it: its row names no kind with a rule"


@dataclass(frozen=True, slots=True)
class Check:
    """What is known of a text.

    Attributes:
        verdict: of the answer; None where no rule can judge.
        form: "" where thinking and answer stand as they must, else what is wrong.
        language: share of the words in the language of the question; None without words.
        faults: what makes it unreadable.
    """

    verdict: VerdictValue | None
    reason: str
    extracted: str | None
    form: str
    language: float | None
    faults: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        return {**asdict(self), "faults": list(self.faults)}


class Regrading:
    """Graders in worker processes, started with the first text.

    Args:
        custom: "file.py:function" for problems of kind custom.

    Raises:
        ConfigError: the function cannot be loaded (from the constructor).
    """

    def __init__(self, *, custom: str | None = None, unsafe_local: bool = False):
        self._settings: dict[str, Any] = {"custom": custom, "unsafe_local": unsafe_local}
        self._pool: GraderPool | None = None
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._ready: dict[str, Verdict] = {}
        if custom is not None:  # a fault of the user's function is found before somebody works
            self._started()

    def check(self, item: Mapping[str, Any], text: str) -> Check:
        """All that can be said of a text as the answer to an item's question."""
        parts = split_thinking(text)
        form = grade_format(text, "think_text") if is_candidate(item) or parts.thinking is not None else None
        language = language_of(item)
        verdict = self._verdict(item, text, "r1" if parts.thinking is not None else "free")
        share, faults = of_language(parts.thinking or text, language)
        return Check(
            None if verdict is None else verdict.value,
            UNGRADED if verdict is None else verdict.reason,
            None if verdict is None else verdict.extracted,
            "" if form is None or form.value == "right" else form.reason,
            share,
            faults,
        )

    def _verdict(self, item: Mapping[str, Any], text: str, contract: str) -> Verdict | None:
        kind = item.get("kind")
        if kind is None or not (has_rules(kind)):
            return None
        fields = item.get("fields") or {}
        problem = Problem(
            str(item.get("problem_id") or item["id"]), str(item.get("task") or "studio"), kind, item["question"],
            gold=item.get("gold"), language=str(item.get("language") or "en"), fields=fields,
        )  # fmt: skip
        name = str(next(self._names))
        pool = self._started()
        pool.submit(name, problem, text, contract)
        while True:
            with self._lock:
                if name in self._ready:
                    return self._ready.pop(name)
                self._ready.update(pool.poll(0.02))  # also what other threads wait for

    def _started(self) -> GraderPool:
        with self._lock:
            if self._pool is None:
                self._pool = GraderPool(2, **self._settings)
            return self._pool

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None


def language_of(item: Mapping[str, Any]) -> str | None:
    """The item's language; where its row names none, that of its question, if it is one that needs no package to be known."""
    if item.get("language"):
        return str(item["language"])
    return next((code for code in KNOWN_BY_SCRIPT if (language_share(item["question"], code) or 0) > 0.5), None)


def is_ungraded(item: Mapping[str, Any]) -> bool:
    """Whether a rule can judge it and has not yet."""
    return item.get("verdict") is None and item.get("kind") is not None and has_rules(str(item["kind"]))


def of_language(text: str, language: str | None) -> tuple[float | None, tuple[str, ...]]:
    """(share of the words in this language, faults of readability)."""
    if language is None:  # nothing can be a mixture
        return None, tuple(fault for fault in readability_faults(text, "en") if fault != MIXED)
    try:
        return language_share(text, language), readability_faults(text, language)
    except ConfigError as error:  # a language that needs a package which is not there
        return None, (f"not checked: {error}",)


def why_contested(item: Mapping[str, Any], do: str, check: Check) -> str:
    """Why a decision to keep this text goes against a verdict; "" where it does not."""
    if check.verdict in ("wrong", "none"):
        return f"the grader says {'no verdict' if check.verdict == 'none' else check.verdict}: {check.reason}"
    if do == "accept" and item.get("verdict") in ("wrong", "none"):
        return f"as it was written, the grader said {item['verdict']}: {item.get('reason') or 'no reason is known'}"
    if do == "accept" and item.get("finish_reason") == "length":
        return "it was cut off at the token limit"
    return ""
