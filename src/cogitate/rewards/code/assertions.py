"""Assertion tests: source code that calls the program, as in HumanEval and MBPP.

The assertions run in a sandbox of their own and call the program, in another, over a pipe: it can reach neither them nor
what they expect. Only plain data crosses. Tests that need the program's own classes, hand it functions, or read a global of
it that is no plain data, cannot be kept apart so; they run beside it, where a program could patch what judges it, and are
called weaker. Where that is not allowed there is no verdict, but a test that fails apart fails all the same.

The tests alone decide that they need classes or hand over functions. What a global holds is the program's doing, so a test
that reads one may be led the weaker way.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cogitate.rewards.code.outcome import ENDINGS, BadTestsError, Outcome, load_trouble
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.sandbox.process import ProgramEndedError, SandboxProcess
from cogitate.rewards.sandbox.sandbox import Sandbox

NEEDS_MORE = "needs more than plain data"
SETUP = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


@dataclass(frozen=True, slots=True)
class AssertionTests:
    """Tests ready to run.

    Attributes:
        pieces: statements in order, as source; `is_test` tells those that count from those that prepare.
        free_names: what they use and neither define nor import; Python's own names among them.
        entry_point: the function they are about, where it is known.
        leaves_nothing: those that bind no name, so that what follows cannot rest on them.
        need_classes: they name classes of the program.
    """

    pieces: tuple[str, ...]
    is_test: tuple[bool, ...]
    leaves_nothing: tuple[bool, ...]
    free_names: frozenset[str]
    entry_point: str | None
    need_classes: bool

    @property
    def total(self) -> int:
        return sum(self.is_test)


def read_assertions(tests: str | Sequence[str], entry_point: str | None) -> AssertionTests:
    """Split assertion source into statements; a `check` that nobody calls is called with the entry point.

    Args:
        tests: one text, whose top-level statements are the tests, or a list of texts, each of them one test.

    Raises:
        BadTestsError: not Python, or nothing in it tests anything.
    """
    texts = [tests] if isinstance(tests, str) else list(tests)
    try:
        trees = [ast.parse(text) for text in texts]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadTestsError(f"assertions are not Python: {error}") from error
    if isinstance(tests, str):
        trees = [ast.Module(body=[statement], type_ignores=[]) for statement in trees[0].body]
    needs = any(needs_class(trees, name) for name in free_names(trees) if name[:1].isupper() and not name.isupper())
    if unused_check(trees):
        if entry_point is None:
            raise BadTestsError("check(candidate) needs an entry_point")
        trees.append(ast.parse(f"check({entry_point})"))
    is_test = tuple(not all(isinstance(statement, SETUP) for statement in tree.body) for tree in trees)
    if not any(is_test):
        raise BadTestsError("there is no assertion in them")
    pieces, nothing = tuple(map(ast.unparse, trees)), tuple(map(leaves_nothing, trees))
    return AssertionTests(pieces, is_test, nothing, free_names(trees), entry_point, needs)


def leaves_nothing(tree: ast.Module) -> bool:
    """Whether a piece is made of plain assertions alone."""
    binds = any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree))
    return not binds and all(isinstance(statement, ast.Assert) for statement in tree.body)


def free_names(trees: Sequence[ast.Module]) -> frozenset[str]:
    """Names that these statements use and do not define."""
    used: set[str] = set()
    bound: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bound.add(node.name)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, ast.alias):
                bound.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.ExceptHandler) and node.name:
                bound.add(node.name)
    return frozenset(used - bound)


def unused_check(trees: Sequence[ast.Module]) -> bool:
    """Whether `check` is defined, as in HumanEval, and nowhere called."""
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    defined = {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    return "check" in defined - called


def needs_class(trees: Sequence[ast.Module], name: str) -> bool:
    """Whether a capitalised name is used as a class: anywhere but in a call whose result is compared at once."""
    if hasattr(builtins, name):
        return False
    nodes = [node for tree in trees for node in ast.walk(tree)]
    uses = sum(isinstance(node, ast.Name) and node.id == name for node in nodes)
    operands = [operand for node in nodes if isinstance(node, ast.Compare) for operand in (node.left, *node.comparators)]
    compared = sum(isinstance(op, ast.Call) and isinstance(op.func, ast.Name) and op.func.id == name for op in operands)
    return uses > compared


def run_assertion_tests(
    box: Sandbox, program: str, tests: AssertionTests, limits: Limits, *, weaker: bool, stop_early: bool
) -> Outcome:
    """Run the assertions apart from the program, or beside it where they cannot be.

    A test that fails apart from the program fails, whatever the others need.

    Args:
        weaker: whether running beside is allowed; where it is not, tests that need it raise BadTestsError.
    """
    if not tests.need_classes:
        outcome = _run_apart(box, program, tests, limits, stop_early=stop_early)
        if outcome.trouble or not outcome.undecided:
            return outcome
    if not weaker:
        raise BadTestsError("they need more of the program than plain data, so that only a weaker judgement is possible")
    return _run_beside(box, program, tests, limits, stop_early=stop_early)


def _run_apart(box: Sandbox, program: str, tests: AssertionTests, limits: Limits, *, stop_early: bool) -> Outcome:
    with box.open(program, tests=4 * len(tests.pieces) + 1, limits=limits) as solution:
        try:
            loaded = solution.receive()
            if "error" in loaded:
                return Outcome(0, tests.total, load_trouble(loaded["error"]))
            orders = _orders(tests, _names(loaded["value"]), box)
        except ProgramEndedError as ended:
            return Outcome(0, tests.total, f"loading the program failed: it {ENDINGS[ended.ending]}")
        with box.open_extension("tester", orders, tests=len(tests.pieces) + 1, limits=_patient(limits)) as tester:
            return _judge(tests, tester, solution, stop_early=stop_early)


def _run_beside(box: Sandbox, program: str, tests: AssertionTests, limits: Limits, *, stop_early: bool) -> Outcome:
    orders = {"program": program, "pieces": list(tests.pieces)}
    with box.open_extension("tester", orders, tests=len(tests.pieces) + 1, limits=limits) as tester:
        outcome = _judge(tests, tester, None, stop_early=stop_early)
    return replace(outcome, weaker=True)


def _judge(tests: AssertionTests, tester: SandboxProcess, solution: SandboxProcess | None, *, stop_early: bool) -> Outcome:
    """Follow the tester through the pieces, carrying its calls to the program."""
    passed, undecided, trouble, number = 0, 0, "", 0
    try:
        loaded = tester.receive()
        if "error" in loaded:
            return Outcome(0, tests.total, load_trouble(loaded["error"]))
        for index, (piece, is_test) in enumerate(zip(tests.pieces, tests.is_test, strict=True)):
            number += is_test
            tester.begin_test()
            complaint = _run_piece(tester, solution)
            if complaint is None:
                passed += is_test
            elif complaint.startswith(NEEDS_MORE):
                if not tests.leaves_nothing[index]:  # what follows may rest on it
                    undecided += tests.total - number + is_test
                    break
                undecided += is_test
            else:
                trouble = trouble or f"test {max(number, 1)} of {tests.total} fails: {piece[:200]}: {complaint}"
                if stop_early or not is_test:
                    break
    except ProgramEndedError as ended:
        trouble = trouble or f"test {max(number, 1)} of {tests.total} fails: the program {ENDINGS[ended.ending]}"
    return Outcome(passed, tests.total - undecided, trouble, undecided=undecided)


def _run_piece(tester: SandboxProcess, solution: SandboxProcess | None) -> str | None:
    """One statement of the tests: None where it went well. Raises ProgramEndedError."""
    while True:
        message = _value(tester.receive())
        if not isinstance(message, list) or not message or message[0] not in ("done", "call", "read"):
            raise ProgramEndedError("protocol")
        if message[0] == "done":
            return None if message[1] is None else str(message[1])
        if solution is None:
            raise ProgramEndedError("protocol")
        solution.begin_test()
        if message[0] == "read":
            solution.send({"name": message[1], "call": False})
            tester.send(solution.receive())
            continue
        _, name, args, kwargs = message
        solution.send({"name": name, "call": True, "args": args, "kwargs": kwargs, "arguments_too": True})
        tester.send(_checked_reply(solution.receive()))


def _checked_reply(reply: dict[str, Any]) -> dict[str, Any]:
    """A program's answer in the form the tester relies on."""
    if "error" in reply:
        return reply
    value = reply["value"]
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], list):
        raise ProgramEndedError("protocol")
    return reply


def _orders(tests: AssertionTests, names: dict[str, str], box: Sandbox) -> dict[str, Any]:
    """What the tester needs: the pieces, and what the names are that they mean of the program's."""
    installed = {path.stem for path in box.packages} | sys.stdlib_module_names
    wanted = program_names(tests, names)

    def kind_here(kind: str) -> str:
        """A module that cannot be imported here is a value, which will not cross."""
        module = kind.partition(" ")[2]
        return "value" if module and module.partition(".")[0] not in installed else kind

    return {
        "program": None,
        "entry_point": tests.entry_point,
        "names": {name: kind_here(kind) for name, kind in names.items() if name in wanted},
        "pieces": list(tests.pieces),
    }


def program_names(tests: AssertionTests, names: Iterable[str]) -> set[str]:
    """The names of the tests that mean the program's.

    A name of Python's own does so only where it is the function under test: a program must not replace the `sorted` or
    `set` of its judge.
    """
    shared = tests.free_names & set(names)
    own = {name for name in shared if not hasattr(builtins, name)}
    return own | (shared & {tests.entry_point}) if own or tests.entry_point else set(shared)


def _names(value: Any) -> dict[str, str]:
    """The program's list of its names; an answer of another form was forged."""
    if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise ProgramEndedError("protocol")
    return value


def _value(message: dict[str, Any]) -> Any:
    if "value" not in message:
        raise ProgramEndedError("protocol")
    return message["value"]


def _patient(limits: Limits) -> Limits:
    """The tester's limits: it waits while the program runs."""
    return replace(limits, wall_seconds=limits.total_seconds)
