"""Answers to reasoning-gym's problems, judged by the library's own scorers, made safe and held to what they promise.

- A scorer that calls `eval` on the answer gets one that runs in the sandbox and hands back plain data: an answer cannot
  forge the verdict, since the scorer itself stays out here.
- A scorer that lets sympy parse the answer (an eval in disguise) is asked only about plain formulas.
- Some scorers give full marks to wrong answers; `checks.py` says what must hold as well.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from cogitate.errors import ConfigError, SandboxUnavailableError
from cogitate.rewards.answer import Answer, Contract, find_answer
from cogitate.rewards.graders.gym.checks import CHECKS
from cogitate.rewards.graders.gym.library import EVALUATE_ANSWERS, PARSE_ANSWERS, make_dataset, restored
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.verdicts import clip, no_verdict, right, wrong
from cogitate.types import Verdict

EVALUATION = "def value(text):\n    return eval(text)\n"
EVALUATION_LIMITS = Limits(cpu_seconds=1.0, wall_seconds=10.0)
FORMULA_CHARACTERS = 2000
_FUNCTIONS = "sin|cos|tan|cot|sec|csc|asin|acos|atan|sinh|cosh|tanh|exp|log|ln|sqrt|pi"
_FORMULA = re.compile(rf"(?:\s|\d|[-+*/^(),.]|(?<![A-Za-z_])(?:{_FUNCTIONS}|[A-Za-z])(?![A-Za-z_]))+")
_ARITHMETIC = re.compile(r"(?:\s|\d|[-+/()]|(?<!\*)\*(?!\*))+")
_OF_NUMBERS_ALONE = ("countdown", "puzzle24")


def grade_gym(
    prediction: str,
    *,
    generator: str,
    entry: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    contract: Contract = "r1",
    isolation: Isolation | None = None,
) -> Verdict:
    """Right at full marks; the score is the scorer's.

    Args:
        generator: its name, e.g. "chain_sum".
        entry: what the generator made: question, answer, metadata. It may have been through JSON.
        settings: of the generator, where they are not the defaults.
    """
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    if any(other.strip() != answer.text.strip() for other in answer.alternatives):
        return wrong("several different answers are given", answer.text)
    text = whole_answer(answer, entry)
    if generator in PARSE_ANSWERS and not is_formula(text, only_numbers=generator in _OF_NUMBERS_ALONE):
        return wrong("the answer is no plain formula", text)
    try:
        dataset = make_dataset(generator, settings or {})
    except ConfigError as error:
        return no_verdict(str(error), text)
    try:
        entry = restored(generator, entry)
        score = ask_scorer(dataset, generator, text, entry, isolation or Isolation())
    except SandboxUnavailableError as error:
        return no_verdict(f"no sandbox: {error}", text)
    except Exception as error:  # noqa: BLE001 - a scorer may raise anything
        why = f"{type(error).__name__}: {clip(str(error))}"
        if not scores_its_own(dataset, generator, entry):
            return no_verdict(f"reasoning-gym's scorer cannot use the entry: {why}", text)
        return wrong(f"reasoning-gym's scorer failed on the answer: {why}", text)
    return verdict_of(score, generator, text, entry)


def verdict_of(score: float, generator: str, text: str, entry: Mapping[str, Any]) -> Verdict:
    """The scorer's number as a verdict; full marks count only where our own check agrees."""
    said = f"reasoning-gym's scorer of {generator} gave {score:g}"
    if not 0 <= score <= 1:
        return wrong(f"{said}, which is no score", text)
    if score < 1:
        return wrong(said, text, score=score)
    try:
        complaint = CHECKS[generator](text, entry) if generator in CHECKS else None
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        return no_verdict(f"the entry cannot be used: {type(error).__name__}: {clip(str(error))}", text)
    return wrong(complaint, text) if complaint else right(said, text)


def whole_answer(answer: Answer, entry: Mapping[str, Any]) -> str:
    """The answer's text; where the reference has several lines, all lines behind the announcement."""
    text = answer.text.strip()
    if answer.source == "statement" and "\n" in str(entry["answer"]).strip():
        start = answer.region.rfind(text)
        return answer.region[start:].strip() if start >= 0 else text
    return text


def is_formula(text: str, *, only_numbers: bool) -> bool:
    """Whether sympy may parse it: nothing but numbers, operators, brackets and (else) variables and known functions."""
    grammar = _ARITHMETIC if only_numbers else _FORMULA
    return len(text) <= FORMULA_CHARACTERS and grammar.fullmatch(text) is not None


def ask_scorer(dataset: Any, generator: str, text: str, entry: Mapping[str, Any], isolation: Isolation) -> float:
    """The library's score of an answer. Raises SandboxUnavailableError, and whatever the scorer raises."""
    evaluate = SandboxedEval(isolation)
    if generator in EVALUATE_ANSWERS:
        vars(sys.modules[type(dataset).__module__])["eval"] = evaluate  # the name the scorer calls
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # some scorers say what they think
        warnings.simplefilter("ignore")
        score = float(dataset.score_answer(text, entry))
    if evaluate.unavailable is not None:
        raise evaluate.unavailable
    return score


class SandboxedEval:
    """`eval` of a text in the sandbox: its value as plain data, ValueError where it has none.

    Attributes:
        unavailable: why there was no sandbox; scorers swallow every exception, so it is kept here.
    """

    def __init__(self, isolation: Isolation):
        self._isolation = isolation
        self.unavailable: SandboxUnavailableError | None = None

    def __call__(self, text: str) -> Any:
        from cogitate.rewards.sandbox.isolation import open_local_sandbox
        from cogitate.rewards.sandbox.process import ProgramEndedError

        try:
            with open_local_sandbox(self._isolation).open(EVALUATION, tests=2, limits=EVALUATION_LIMITS) as process:
                process.receive()
                process.begin_test()
                process.send({"name": "value", "call": True, "args": (text,), "kwargs": {}})
                reply = process.receive()
        except ProgramEndedError as ended:
            raise ValueError(f"evaluating the answer ended in {ended.ending}") from ended
        except SandboxUnavailableError as error:
            self.unavailable = error
            raise
        if "error" in reply:
            raise ValueError(reply["error"])
        return reply["value"]


def scores_its_own(dataset: Any, generator: str, entry: Mapping[str, Any]) -> bool:
    """Whether the scorer can do with the entry's own answer, so that a failure is the completion's."""
    if generator in EVALUATE_ANSWERS:  # these fail on no answer
        return False
    try:
        return math.isfinite(ask_scorer(dataset, generator, entry["answer"], entry, Isolation()))
    except Exception:  # noqa: BLE001 - a scorer may raise anything
        return False
