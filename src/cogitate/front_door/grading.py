"""`grade`: right, wrong or no verdict, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from cogitate.errors import ConfigError, DataError
from cogitate.front_door.completion import Completion
from cogitate.front_door.given import Reward
from cogitate.rewards.answer import CONTRACTS, Contract
from cogitate.rewards.grade import judge, problem_fields
from cogitate.rewards.kinds import kind_of
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.rewards.workers.pool import GraderPool
from cogitate.tasks.files.jsonl import read_problem
from cogitate.tasks.files.rows import QUESTION_KEYS
from cogitate.types import Problem, Verdict

Answer = str | Completion


@overload
def grade(completions: Answer, *, kind: str | None = None, reward: Reward | None = None, **fields: Any) -> Verdict: ...


@overload
def grade(
    completions: Sequence[Answer], *, kind: str | None = None, reward: Reward | None = None, **fields: Any
) -> list[Verdict]: ...


def grade(
    completions: Answer | Sequence[Answer],
    *,
    kind: str | None = None,
    contract: Contract = "r1",
    reward: Reward | None = None,
    workers: int = 2,
    unsafe_local: bool = False,
    packages: Sequence[str] = (),
    remote_sandbox: str = "",
    **fields: Any,
) -> Verdict | list[Verdict]:
    """Judge completions of one problem.

        grade("The answer is \\\\boxed{1/2}", gold="0.5").value                          # "right"
        grade(["42", "41"], gold=["42", "42"], contract="bare")                        # two verdicts
        grade(program, mode="function", entry_point="double", tests=[{"args": [4], "expected": 8}])

    Args:
        completions: a text or a `Completion`, which gives one verdict; or a list of these, which gives a list.
        kind: how they are judged (docs/graders.md); where it is not given, the fields say it, as those of a row in a file do:
            `tests` is code, `target` and `numbers` a countdown, a `gold` that is a number or mathematics math, another exact.
        contract: where the answer stands: "r1", in tags or a box behind the thinking; "free", anywhere; "bare", it is all.
        reward: a function of (completion, problem) that judges, kind custom; it is called in this process.
        workers, unsafe_local, packages, remote_sandbox: where programs run: in worker processes and a sandbox.
        fields: what the kind needs: gold (of a list of completions also a list, one for each), tests, numbers, target ...

    Returns:
        verdicts with `value` (right, wrong, none), `score`, `reason` and `extracted`, in the order of the completions.

    Raises:
        DataError: an unknown kind or contract, or a field of the kind is missing or wrong.
    """
    single = isinstance(completions, str | Completion)
    answers = [completions] if isinstance(completions, str | Completion) else list(completions)
    texts = [answer.text if isinstance(answer, Completion) else answer for answer in answers]
    if contract not in CONTRACTS:
        raise DataError(f"contract {contract!r} is unknown; known are {', '.join(CONTRACTS)}")
    problems = problems_of(len(texts), kind, reward, fields, one_gold=single)
    isolation = Isolation(unsafe_local, tuple(packages), remote_sandbox)
    if any(kind_of(problem.kind).runs_code(problem_fields(problem)) for problem in problems):
        verdicts = in_workers(texts, problems, contract, workers, isolation)
    elif isolation != Isolation():
        raise ConfigError("unsafe_local, packages and remote_sandbox change nothing: no program is run here")
    else:
        verdicts = [
            judge(problem.kind, text, contract, problem_fields(problem), custom=reward)
            for text, problem in zip(texts, problems, strict=True)
        ]
    return verdicts[0] if single else verdicts


def problems_of(
    count: int, kind: str | None, reward: Reward | None, fields: Mapping[str, Any], *, one_gold: bool
) -> list[Problem]:
    """The problem that each completion answers: they differ where there is a list of golds."""
    if reward is not None and kind not in (None, "custom"):
        raise ConfigError(f"reward: judges kind custom, and kind = {kind!r}: leave one of them out")
    if reward is None and kind == "custom":
        raise DataError("kind custom needs a function: reward=...")
    named = "custom" if reward is not None else kind
    row = {**({"kind": named} if named else {}), **fields}
    if not any(key in row for key in QUESTION_KEYS):
        row["question"] = "(not given)"
    gold = row.pop("gold", None)
    if gold is None and kind in (None, "math", "exact") and row.keys() <= {"question", "kind"} and reward is None:
        raise DataError("gold is missing: give gold=..., or what a problem of another kind needs (tests=..., reward=...)")
    golds = gold if isinstance(gold, list | tuple) and not one_gold else [gold] * count
    if len(golds) != count:
        raise DataError(f"gold: {len(golds)} for {count} completions; give one for all, or one for each")
    rows = [row if each is None else {**row, "answer": each} for each in golds]
    return [as_problem(each) for each in rows]


def as_problem(row: Mapping[str, Any]) -> Problem:
    """A row as a problem of its kind; weaker tests will do where no training hangs on the verdict."""
    problem = read_problem({"weaker_tests": True, **row} if "tests" in row else row, "grade", "grade()")
    kind_of(problem.kind).check_library(problem.fields)
    return problem


def in_workers(
    texts: Sequence[str], problems: Sequence[Problem], contract: Contract, workers: int, isolation: Isolation
) -> list[Verdict]:
    """Verdicts of a grader pool."""
    verdicts: dict[int, Verdict] = {}
    with GraderPool(
        workers, unsafe_local=isolation.unsafe_local, packages=isolation.packages, remote_sandbox=isolation.remote
    ) as pool:
        for index, (text, problem) in enumerate(zip(texts, problems, strict=True)):
            pool.submit(str(index), problem, text, contract)
        while pool.pending():
            verdicts |= {int(name): verdict for name, verdict in pool.poll(1.0)}
    return [verdicts[index] for index in range(len(texts))]
