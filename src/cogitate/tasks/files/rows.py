"""What one row of a user's JSON Lines file means as a problem: its question, its answer, how it is graded.

A row needs a `question` (or `problem`, `prompt`, `text`; a text or a list of messages) and, for most kinds, an `answer`, which
may stand where TRL and verl put it (`problem_forms`); every other key is kept in `Problem.fields`. Where `kind` is not given:

- `tests`, `test_list` or `test` make it code; `choices` or `options` a multiple choice, as does a lettered answer to a question
  that lists options; `target` with `numbers` or `nums` a countdown, whose question may be left out;
- an answer that is a number, an amount or mathematics (`is_mathematics`) makes it math, any other answer exact.

MBPP's rows (`text`, `test_list`), HumanEval's (`prompt`, `test`, `entry_point`) and the usual forms of multiple choice (a list
of texts, texts that begin with their letter, `{"text": [...], "label": [...]}`) are understood.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import shown
from cogitate.rewards.kinds import check_fields, has_rules, kind_of
from cogitate.tasks.files.answers import answer_text, is_mathematics
from cogitate.tasks.files.messages import MEDIA, refuse_unsupported
from cogitate.tasks.files.problem_forms import prompt_turns, with_answer
from cogitate.tokenizer.prompts import turns_as_text
from cogitate.types import Message

QUESTION_KEYS = ("question", "problem", "prompt", "text", "messages")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read_question(row: Mapping[str, Any]) -> tuple[str, str, tuple[Message, ...]]:
    """(the key that held it, the question, stripped, the turns before it where it ends a list of messages).

    Raises:
        DataError: no question, or it is empty or no text.
    """
    key = next((key for key in QUESTION_KEYS if key in row), None)
    numbers = row.get("numbers", row.get("nums"))
    if key is None and isinstance(numbers, list) and "target" in row:
        listed = ", ".join(str(number) for number in numbers)
        return "", f"Use each of the numbers {listed} once, with + - * / and brackets, to make {row['target']}.", ()
    if key is None:
        raise DataError(f"no question; give it under the key {QUESTION_KEYS[0]!r}")
    question = row[key]
    before: tuple[Message, ...] = ()
    if isinstance(question, Sequence) and question and isinstance(question[0], Mapping):
        *turns, last = prompt_turns(row, key)
        question, before = last.content, tuple(turns)
    refuse_unsupported(row, MEDIA)
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{key} must be text that is not empty, got {shown(question)}")
    return key, question.strip(), before


def read_kind(row: Mapping[str, Any], question: str) -> str:
    """The kind given, else the one that the row's keys and its answer suggest."""
    kind = row.get("kind")
    if kind is not None:
        return kind_of(str(kind)).name
    if "tests" in row or "test_list" in row or ("test" in row and "entry_point" in row):
        return "code"
    if "choices" in row or "options" in row:
        return "choice"
    if "target" in row and ("numbers" in row or "nums" in row):
        return "countdown"
    if "instruction_id_list" in row:
        return "ifeval"
    answer = row.get("answer")
    if isinstance(answer, Mapping):
        return "logic"
    text = answer_text(answer)
    if re.fullmatch(r"\(?[A-Z]\)?\.?", text) and lists_options(question):
        return "choice"
    return "math" if is_mathematics(text) else "exact"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a row means as a problem; the attributes are those of Problem."""

    kind: str
    question: str
    gold: Any
    fields: dict[str, Any]
    turns: tuple[Message, ...] = ()


def read_row(row: Mapping[str, Any]) -> Meaning:
    """What one row means.

    Raises:
        DataError: what is missing or of the wrong form; the caller adds file and line.
    """
    row = with_answer(row)
    key, question, before = read_question(row)
    kind, question, gold, fields = read_as_kind(row, key, question)
    if not before:
        return Meaning(kind, question, gold, fields)
    turns = (*before, Message("user", question))
    return Meaning(kind, turns_as_text(turns), gold, fields, turns)


def read_as_kind(row: Mapping[str, Any], key: str, question: str) -> tuple[str, str, Any, dict[str, Any]]:
    """(kind, question as asked, gold, fields) of a row whose question stands under `key`. Raises DataError."""
    kind = read_kind(row, question)
    fields = {name: value for name, value in row.items() if name not in (key, "answer", "kind", "id", "language")}
    if kind == "code":
        fields |= code_fields(row)
        if "test_list" in row and "tests" not in row:
            question = f"{question}\nYour code must pass this test:\n{row['test_list'][0]}"
    if "nums" in fields:
        fields.setdefault("numbers", fields["nums"])
    check_present(kind, row, fields)
    gold = read_gold(kind, row)
    if kind == "choice" and (options := read_options(row)):
        question += "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    if isinstance(row.get("answer"), str) and "####" in row["answer"]:
        fields.setdefault("solution", row["answer"])
    if has_rules(kind):
        check_fields(kind, {"language": "en", "gold": gold, **fields})
    return kind, question, gold, fields


def check_present(kind: str, row: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Raises DataError where a row lacks what its kind needs; the grader's `gold` is a row's `answer`."""
    for name in kind_of(kind).required:
        key, given = ("answer", row.get("answer")) if name == "gold" else (name, fields.get(name))
        if name != "language" and given in (None, "", [], {}):  # every problem has a language: see `jsonl`
            raise DataError(f"{key} is missing; a problem of kind {kind} needs it")


def read_gold(kind: str, row: Mapping[str, Any]) -> Any:
    """What a row's answer is for the grader; None where there is none and none is needed."""
    if kind == "logic":
        return logic_gold(row["answer"])
    if row.get("answer") is None:
        return None
    gold = choice_gold(row, read_options(row)) if kind == "choice" else answer_text(row["answer"])
    if not gold and "gold" in kind_of(kind).required:
        raise DataError(f"answer is empty: {shown(row['answer'])}")
    return gold


def lists_options(question: str) -> bool:
    """Does the question itself list options, "(A) ... (B) ..." or "A. ..." and "B. ..." on lines of their own?"""
    return re.search(r"\(A\).*\(B\)|^\s*A[.):].*^\s*B[.):]", question, re.DOTALL | re.MULTILINE) is not None


def read_options(row: Mapping[str, Any]) -> list[str]:
    """The texts of the options in order, without their letters; empty where the row has none."""
    options = row.get("choices", row.get("options"))
    if options is None:
        return []
    if isinstance(options, Mapping):
        options = options["text"] if isinstance(options.get("text"), Sequence) else list(options.values())
    if isinstance(options, str) or not isinstance(options, Sequence) or not 2 <= len(options) <= len(LETTERS):
        raise DataError(f"choices must be a list of 2 to {len(LETTERS)} options, got {shown(options)}")
    texts = [str(option).strip() for option in options]
    lettered = all(re.match(rf"\(?{letter}\s*[).:]", text) for letter, text in zip(LETTERS, texts, strict=False))
    return [re.sub(r"^\(?[A-Z]\s*[).:]\s*", "", text) for text in texts] if lettered else texts


def choice_gold(row: Mapping[str, Any], options: Sequence[str]) -> str:
    """The letter of the right option, then its text where the row has it; the answer may be letter, label, index or text."""
    answer = row["answer"]
    labels = row["choices"].get("label") if isinstance(row.get("choices"), Mapping) else None
    text = answer_text(answer)
    letter = re.fullmatch(r"\(?([A-Za-z])\)?\.?", text)
    if not options:
        return text
    if isinstance(labels, Sequence) and text in labels:
        index = list(labels).index(text)
    elif isinstance(answer, int) and 0 <= answer < len(options):
        index = answer
    elif text in options:
        index = list(options).index(text)
    elif letter and LETTERS.index(letter.group(1).upper()) < len(options):
        index = LETTERS.index(letter.group(1).upper())
    else:
        raise DataError(
            f"answer {shown(answer)} is none of the {len(options)} choices; give a letter, an index from 0, or the text"
        )
    return f"{LETTERS[index]}. {options[index]}"


def logic_gold(answer: Any) -> dict[str, bool]:
    if not isinstance(answer, Mapping) or not all(isinstance(value, bool) for value in answer.values()):
        raise DataError(
            f"answer of kind logic must be an object of name -> true (knight) or false (knave), got {shown(answer)}"
        )
    return dict(answer)


def code_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """tests, mode and, for functions, entry_point; assertions name the function themselves.

    Assertions `f(literals) == literal` become argument and result pairs, whose expected values a program never sees.
    """
    tests = assertions(row) if row.get("tests") is None else row["tests"]
    if not isinstance(tests, str | list) or not tests:
        raise DataError(f"tests must be a list of tests or the source of assertions, got {shown(tests)}")
    stdin = isinstance(tests, list) and isinstance(tests[0], Mapping) and "input" in tests[0]
    mode = row.get("mode", "stdin" if stdin else "function")
    if mode not in ("function", "stdin"):
        raise DataError(f"mode must be function or stdin, got {shown(mode)}")
    if mode == "stdin":
        return {"tests": tests, "mode": mode}
    tree = parse_assertions(tests) if isinstance(tests, str) else None
    entry_point = row.get("entry_point") or (called_function(tree) if tree else None)
    if entry_point is None and tree is None:
        raise DataError("entry_point is missing: the name of the function that the tests call")
    pairs = argument_result_pairs(tree, entry_point) if tree else None
    return {"tests": pairs or tests, "mode": mode, "entry_point": entry_point}


def assertions(row: Mapping[str, Any]) -> str | None:
    """The source of MBPP's list of assertions or of HumanEval's check; None where the row has neither."""
    listed, check = row.get("test_list"), row.get("test")
    if isinstance(listed, list) and all(isinstance(test, str) for test in listed):
        return "\n".join(part for part in (row.get("test_setup_code") or "", *listed) if part)
    if isinstance(check, str) and "def check(" in check:
        return f"{check}\ncheck({row['entry_point']})"
    return check if isinstance(check, str) else None


def parse_assertions(tests: str) -> ast.Module:
    try:
        return ast.parse(tests)
    except (SyntaxError, ValueError) as error:
        raise DataError(f"tests are not Python: {error}") from error


def called_function(tree: ast.Module) -> str | None:
    """The function that assertions are about: the first they call that Python does not bring along, else the first at all."""
    calls = [
        node.func
        for statement in tree.body
        if isinstance(statement, ast.Assert)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
    ]
    names = [function.id for function in calls if isinstance(function, ast.Name)]
    return next((name for name in names if not hasattr(builtins, name)), names[0] if names else None)


def argument_result_pairs(tree: ast.Module, entry_point: str | None) -> list[dict[str, Any]] | None:
    """Assertions `entry_point(literals) == literal` as tests with args and expected; None where one is anything else."""
    pairs = []
    for statement in tree.body:
        match statement:
            case ast.Assert(
                test=ast.Compare(
                    left=ast.Call(func=ast.Name(id=name), args=args, keywords=[]), ops=[ast.Eq()], comparators=[result]
                )
            ):
                if name != entry_point:
                    return None
            case _:
                return None
        try:
            pairs.append({"args": [ast.literal_eval(arg) for arg in args], "expected": ast.literal_eval(result)})
        except ValueError:
            return None
    return pairs
