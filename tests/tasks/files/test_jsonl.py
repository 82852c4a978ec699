"""Users' own problems: what a row means, and the one-line error of each thing that can be wrong with a file."""

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.tasks.files.jsonl import canonical, check_disjoint, load_problems
from cogitate.types import Problem


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def load_one(tmp_path: Path, **row: Any) -> Problem:
    (problem,) = load_problems(write(tmp_path / "mine.jsonl", row))
    return problem


def refused(path: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        load_problems(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "gold", "kind"),
    [
        (43, "43", "math"),
        (43.0, "43", "math"),
        (-0.0, "0", "math"),
        (11.5, "11.5", "math"),
        (1e-7, "0.0000001", "math"),
        (1e20, "100000000000000000000", "math"),
        (" 1,234 ", "1,234", "math"),
        ("She sold 24 and 48.\n48+24=72 clips.\n#### 72", "72", "math"),
        ("\\frac{3}{4}", "\\frac{3}{4}", "math"),
        ("Paris", "Paris", "exact"),
        ("Yes", "Yes", "exact"),
        ("the sea #### is blue", "is blue", "exact"),
    ],
)
def test_an_answer_becomes_a_gold_text_and_decides_the_kind(tmp_path: Path, answer: float | str, gold: str, kind: str) -> None:
    problem = load_one(tmp_path, question="What?", answer=answer)
    assert (problem.gold, problem.kind) == (gold, kind)


def test_other_keys_are_kept_and_the_task_is_named_after_the_file(tmp_path: Path) -> None:
    problem = load_one(tmp_path, id="q7", question=" How many? ", answer=3, level="easy", solution="1 + 2")
    assert (problem.id, problem.task, problem.question, problem.language) == ("q7", "mine", "How many?", "en")
    assert problem.fields == {"level": "easy", "solution": "1 + 2", "_place": f"{tmp_path / 'mine.jsonl'}, line 1"}
    assert load_problems(tmp_path / "mine.jsonl", task_name="sums")[0].task == "sums"


def test_the_solution_before_a_gsm8k_tail_is_kept(tmp_path: Path) -> None:
    assert load_one(tmp_path, question="?", answer="2+2=4\n#### 4").fields["solution"] == "2+2=4\n#### 4"


def test_language_is_given_or_found(tmp_path: Path) -> None:
    assert load_one(tmp_path, question="小明有3个苹果，又买了2个，一共有几个？", answer="5").language == "zh"
    assert load_one(tmp_path, question="How do you say 你好 in English?", answer="hello").language == "en"
    assert load_one(tmp_path, question="Combien font 2 et 2 ?", answer=4, language="fr").language == "fr"


def test_kind_can_be_given_and_numbers_and_targets_are_passed_on(tmp_path: Path) -> None:
    problem = load_one(tmp_path, question="Make 24 of 4, 6 and 1.", kind="countdown", numbers=[4, 6, 1], target=24)
    assert (problem.kind, problem.gold, problem.fields["numbers"], problem.fields["target"]) == (
        "countdown",
        None,
        [4, 6, 1],
        24,
    )
    assert load_one(tmp_path, question="What is 2+2?", answer="4", kind="exact").kind == "exact"
    problem = load_one(tmp_path, question="Who is what?", answer={"Ann": True, "Bob": False})
    assert (problem.kind, problem.gold) == ("logic", {"Ann": True, "Bob": False})


def test_every_kind_of_the_table_can_stand_in_a_file(tmp_path: Path) -> None:
    problem = load_one(tmp_path, question="Say hello in French.", kind="language", language="fr")
    assert (problem.kind, problem.gold, problem.language) == ("language", None, "fr")
    assert load_one(tmp_path, question="Hello!", kind="general").kind == "general"
    assert load_one(tmp_path, question="Think.", kind="format", format_contract="think_text").kind == "format"
    entry = {"question": "1 + 2?", "answer": "3", "metadata": {}}
    assert load_one(tmp_path, question="1 + 2?", kind="gym", generator="chain_sum", entry=entry).fields["entry"] == entry


def test_a_countdown_without_a_question_is_asked_in_words(tmp_path: Path) -> None:
    problem = load_one(tmp_path, nums=[4, 6, 1], target=24)
    assert problem.question == "Use each of the numbers 4, 6, 1 once, with + - * / and brackets, to make 24."
    assert (problem.kind, problem.fields["numbers"]) == ("countdown", [4, 6, 1])


def test_code_rows_with_tests_and_the_rows_of_mbpp_and_humaneval_are_understood(tmp_path: Path) -> None:
    tests = [{"args": [2], "expected": 4}]
    problem = load_one(tmp_path, question="Double it.", tests=tests, entry_point="double")
    assert (problem.kind, problem.fields["mode"], problem.fields["tests"], problem.fields["entry_point"]) == (
        "code",
        "function",
        tests,
        "double",
    )
    problem = load_one(tmp_path, question="Read and add.", tests=[{"input": "1 2\n", "output": "3\n"}])
    assert (problem.kind, problem.fields["mode"]) == ("code", "stdin")
    problem = load_one(
        tmp_path,
        text="Double it.",
        test_list=["assert sorted(twice(2)) == [4]", "assert twice(3) == 6"],
        test_setup_code="import math",
    )
    assert problem.question == "Double it.\nYour code must pass this test:\nassert sorted(twice(2)) == [4]"
    assert problem.fields["tests"] == "import math\nassert sorted(twice(2)) == [4]\nassert twice(3) == 6"
    assert problem.fields["entry_point"] == "twice"
    problem = load_one(
        tmp_path, prompt="def one():", test="def check(candidate):\n    assert candidate() == 1", entry_point="one"
    )
    assert problem.fields["tests"] == "def check(candidate):\n    assert candidate() == 1\ncheck(one)"


def test_assertions_of_literals_become_pairs_whose_results_a_program_never_sees(tmp_path: Path) -> None:
    asserts = ["assert add((1, 2), [3]) == {4}", "assert add(1, -2) == 'x'"]
    problem = load_one(tmp_path, text="Add.", test_list=asserts)
    assert problem.fields["tests"] == [{"args": [(1, 2), [3]], "expected": {4}}, {"args": [1, -2], "expected": "x"}]
    assert problem.fields["entry_point"] == "add"
    for other in ("assert add(1) == other(2)", "assert not add(1)", "assert add(k=1) == 2", "x = 1", "assert sub(1) == 2"):
        problem = load_one(tmp_path, text="Add.", test_list=[*asserts, other])
        assert problem.fields["tests"] == "\n".join([*asserts, other])
    assert load_one(tmp_path, text="Sum.", test_list=["assert sum(1, 2) == 3"]).fields["entry_point"] == "sum"


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({"choices": ["tea", "milk", "ink"], "answer": "B"}, "B. milk"),
        ({"choices": ["tea", "milk", "ink"], "answer": "(b)"}, "B. milk"),
        ({"choices": ["tea", "milk", "ink"], "answer": 2}, "C. ink"),
        ({"choices": ["tea", "milk", "ink"], "answer": "milk"}, "B. milk"),
        ({"choices": {"text": ["tea", "milk", "ink"], "label": ["1", "2", "3"]}, "answer": "3"}, "C. ink"),
        ({"choices": {"A": "tea", "B": "milk", "C": "ink"}, "answer": "A"}, "A. tea"),
        ({"options": ["A)tea", "B) milk", "C)ink"], "answer": "A"}, "A. tea"),
    ],
)
def test_the_usual_forms_of_multiple_choice_are_asked_and_graded_alike(tmp_path: Path, row: dict[str, Any], gold: str) -> None:
    problem = load_one(tmp_path, question="What is white?", **row)
    assert (problem.kind, problem.gold) == ("choice", gold)
    assert problem.question == "What is white?\nA. tea\nB. milk\nC. ink"


def test_a_question_that_lists_its_options_itself_is_a_choice(tmp_path: Path) -> None:
    assert load_one(tmp_path, question="Who won? Options:\n(A) Ann\n(B) Bob", answer="(B)").kind == "choice"
    assert load_one(tmp_path, question="Which letter comes first?", answer="A").kind == "exact"


def test_byte_order_mark_crlf_blank_lines_and_odd_line_separators_in_texts_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"question": "one\xe2\x80\xa8two\xc2\x85?", "answer": 1}\r\n\r\n{"question": "b", "answer": 2}'
    )
    first, second = load_problems(path)
    assert (first.question, first.gold, second.gold) == ("one\u2028two\x85?", "1", "2")
    assert second.fields["_place"].endswith("line 3")


def test_ids_that_are_not_given_depend_on_content_alone(tmp_path: Path) -> None:
    rows = [{"question": "a", "answer": 1}, {"question": "b", "answer": 2}]
    forward = {p.question: p.id for p in load_problems(write(tmp_path / "x.jsonl", *rows))}
    backward = {p.question: p.id for p in load_problems(write(tmp_path / "x.jsonl", *rows[::-1]))}
    assert forward == backward
    assert len(set(forward.values())) == 2


def test_equal_rows_are_one_problem_and_equal_ids_of_others_an_error(tmp_path: Path) -> None:
    row = {"question": "a", "answer": 1}
    assert len(load_problems(write(tmp_path / "x.jsonl", row, row, {"question": "a", "answer": 2}))) == 2
    assert len(load_problems(write(tmp_path / "x.jsonl", {**row, "id": 5}, {**row, "id": 5}))) == 1
    path = write(tmp_path / "x.jsonl", {**row, "id": 5}, {"question": "b", "answer": 1, "id": "5"})
    refused(path, r"line 2: the id '5' is also that of another problem, in .*line 1; make ids unique")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"question": "a", "answer": 1', "line 2: not JSON: .* at character 30"),
        (b'{"question": "a"}', "line 2: answer is missing"),
        (b'{"question": "a", "answer": null}', "line 2: answer is missing"),
        (b'{"question": "a", "answer": "  "}', "line 2: answer is empty"),
        (b'{"question": "a", "answer": "so #### "}', "line 2: answer is empty"),
        (b'{"question": "a", "answer": [1]}', "line 2: answer must be text or a number"),
        (b'{"question": "a", "answer": true}', "line 2: answer must be text or a number"),
        (b'{"question": "a", "answer": NaN}', "line 2: .*NaN is no JSON number"),
        (b'{"question": "a", "answer": 1e999}', "line 2: answer must be finite"),
        (b'{"question": "a", "answer": ' + b"9" * 5000 + b"}", "line 2: not JSON that can be used"),
        (b"[" * 100_000, "line 2: not JSON that can be used"),
        (b'{"answer": 1}', "line 2: no question"),
        (b'{"question": "", "answer": 1}', "line 2: question must be text"),
        (b'{"question": ["a"], "answer": 1}', "line 2: question must be text"),
        (b'{"question": "\\ud800", "answer": 1}', "line 2: .*surrogate"),
        (b'["a", 1]', "line 2: a JSON object is needed"),
        (b'{"question": "a", "answer": 1, "kind": "maths"}', "line 2: kind 'maths' is unknown; known are math, choice"),
        (b'{"question": "a", "answer": 1, "language": "English"}', "line 2: language must be a code"),
        (b'{"question": "a", "answer": 1, "id": ["x"]}', "line 2: id must be"),
        (b'{"question": "a", "kind": "countdown", "numbers": [1, 2]}', "line 2: target is missing"),
        (b'{"question": "a", "kind": "countdown", "numbers": [1.5], "target": 3}', "line 2: numbers .* a list of integers"),
        (b'{"question": "a", "instruction_id_list": ["b"]}', "line 2: kwargs is missing; a problem of kind ifeval needs it"),
        (b'{"question": "a", "instruction_id_list": ["b"], "kwargs": [{}, {}]}', "line 2: 1 instructions with 2 sets"),
        (b'{"question": "a", "kind": "format", "format_contract": "x"}', "line 2: format_contract .* one of think_answer"),
        (b'{"question": "a", "kind": "code"}', "line 2: tests must be"),
        (b'{"question": "a", "tests": [{"args": [1], "expected": 2}]}', "line 2: entry_point is missing"),
        (b'{"question": "a", "test_list": ["assert f(("]}', "line 2: tests are not Python"),
        (b'{"question": "a", "choices": ["x", "y"], "answer": "C"}', "line 2: answer 'C' is none of the 2 choices"),
        (b'{"question": "a", "kind": "logic", "answer": "Ann"}', "line 2: answer of kind logic"),
        (b'{"question": "caf\xe9", "answer": 1}', "line 2: not UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_an_error_with_file_and_number(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_bytes(b'{"question": "fine", "answer": 1}\n' + line + b"\n")
    refused(path, message)


def test_files_without_problems_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\xef\xbb\xbf\r\n \n")
    refused(empty, "no problem in it")
    refused(tmp_path / "absent.jsonl", "cannot be read: No such file")
    refused(tmp_path, "cannot be read")
    utf16 = tmp_path / "utf16.jsonl"
    utf16.write_text('{"question": "a", "answer": 1}', encoding="utf-16")
    refused(utf16, "line 1: not UTF-8")


def test_the_same_question_in_train_and_eval_is_an_error_that_names_both_lines(tmp_path: Path) -> None:
    train = load_problems(
        write(tmp_path / "train.jsonl", {"question": "x", "answer": 1}, {"question": "How many  cats?", "answer": 2})
    )
    evaluation = load_problems(write(tmp_path / "eval.jsonl", {"question": "how many cats?", "answer": 2, "id": "other"}))
    with pytest.raises(DataError, match=r"train\.jsonl, line 2 and .*eval\.jsonl, line 1: 'how many cats\?'; remove it"):
        check_disjoint(train, evaluation)
    check_disjoint(train[:1], evaluation)
    copies = [Problem(id=str(n), task="sums", kind="math", question="x", gold="1") for n in range(7)]
    with pytest.raises(DataError, match=r"^7 problems are in the training .*line 1 and task sums.*; and 2 more; remove them"):
        check_disjoint(train, copies)
    generated = Problem(id="sum:1", task="sums", kind="math", question="X", gold="1")
    with pytest.raises(DataError, match=r"train\.jsonl, line 1 and task sums, problem 'sum:1'"):
        check_disjoint(train, [generated])


def test_canonical_folds_case_width_and_white_space_but_not_numbers() -> None:
    assert canonical("Ｈow\n many？") == canonical("how many?")
    assert canonical("1 + 2") != canonical("1 + 3")


@pytest.mark.parametrize(
    ("name", "count", "kinds"),
    [
        ("math/mawps", 1059, {"math"}),
        ("math/svamp", 492, {"math"}),
        ("math/gsm8k_train", 7473, {"math"}),
        ("zh/cmath", 281, {"math"}),
        ("code/mbpp", 476, {"code"}),
        ("code/humaneval", 79, {"code"}),
        ("mcq/mmlu_stem", 1523, {"choice"}),
        ("mcq/arc_challenge_test", 615, {"choice"}),
        ("mcq/aqua_test", 114, {"choice"}),
        ("logic/countdown_test", 259, {"countdown"}),
        ("instruction/ifeval", 255, {"ifeval"}),
    ],
)
def test_public_data_sets_load_whole(name: str, count: int, kinds: set[str]) -> None:
    if "COGITATE_DATA" not in os.environ:
        pytest.skip("COGITATE_DATA is not set: the public data sets are not here")
    problems = load_problems(Path(os.environ["COGITATE_DATA"]) / f"{name}.jsonl")
    assert Counter(problem.kind for problem in problems).keys() == kinds
    assert len(problems) == len({problem.id for problem in problems}) == count
    assert {problem.language for problem in problems} == ({"zh"} if name.startswith("zh/") else {"en"})
    if name == "code/mbpp":
        assert all(re.search(rf"def\s+{p.fields['entry_point']}\s*\(", p.fields["code"]) for p in problems)
