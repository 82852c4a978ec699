"""The measurements of judges and written tests: their shares, and the programs they are measured on."""

import json
import random
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.judging.judge import fitted, own_choices, share, sums
from benchmarks.judging.rewrites import rewrites
from benchmarks.judging.suites_tried import measure, measure_all, report
from benchmarks.judging.tiny_code import drawn, subject_of
from benchmarks.judging.ways import in_all_ways, right_programs
from benchmarks.judging.with_references import row_of
from benchmarks.judging.work import Solved, cases_of, compare, compare_seeds, solved
from benchmarks.judging.written_tests import programs_in, read_row
from cogitate.config import WriteTestsConfig
from cogitate.errors import EndpointError
from cogitate.replies import Reply
from cogitate.rewards.judge.judge import Preference
from cogitate.rewards.judge.verdict import Reading
from cogitate.tasks.corpus.programs import one_liner
from cogitate.tasks.files.datasets import write_rows
from cogitate.tasks.files.jsonl import load_problems
from cogitate.tasks.generators.code import OPERATIONS, Program

PROGRAM = """def largest(xs):
  best = xs[0]
  for x in xs:
    if x > best:
      best = x
    else:
      pass
  return best"""
ROW = {
    "id": "mbpp-0", "text": "Write a function to find the largest number.", "test_setup_code": "",
    "code": PROGRAM.replace("\n", "\r\n"),
    "test_list": ["assert largest([1, 2, 3]) == 3", "assert largest([3, 2]) == 3", "assert largest([-1]) == -1"],
}  # fmt: skip


def test_a_share_stands_with_its_interval_and_none_with_none() -> None:
    assert share(0, 0) == {"value": None, "of": 0}
    found = share(5, 10)
    assert found["value"] == 0.5
    assert found["ci95"][0] < 0.5 < found["ci95"][1]


def opinion(*meanings: str | None) -> Preference:
    choices = {"first": "A", "second": "B", "tie": "tie", None: None}
    return Preference(None, "", tuple(Reading(choices[meaning], meaning) for meaning in meanings))


def test_self_preference_is_what_a_judge_names_more_often_than_the_other_does() -> None:
    good = [opinion("first", "first")] * 6  # both find the first one's answers better
    found = own_choices(good, good)
    assert found["first_names_its_own"]["value"] == 1.0
    assert found["second_names_its_own"]["value"] == 0.0
    assert found["first_names_its_own_more_often_than_second_does"]["value"] == 0.0
    vain = own_choices(
        [*good, *good[:1]], [opinion("second", "second")] * 3 + [opinion("first", "second"), opinion("tie", None)] * 2
    )
    assert vain["second_names_its_own"] == {**vain["second_names_its_own"], "value": 0.8, "of": 5}
    assert vain["first_names_its_own_more_often_than_second_does"]["value"] == 0.8
    silent = own_choices([opinion(None)], [opinion("first")])
    assert silent["first_names_its_own"] == {"value": None, "of": 0}
    assert silent["first_names_its_own_more_often_than_second_does"] == {"value": None, "of": 0}


def test_neutral_text_is_as_long_as_the_order_it_stands_for() -> None:
    assert len(fitted("short", 23)) == 23


def test_half_of_the_answers_are_right_by_the_rule(tmp_path: Path) -> None:
    (tmp_path / "math").mkdir()
    rows = "".join(f'{{"id": "{n}", "question": "{n} + 1?", "answer": "{n + 1}.0"}}\n' for n in range(10))
    (tmp_path / "math" / "svamp.jsonl").write_text(rows)
    answers, truth = sums(tmp_path, 10, random.Random(0))
    assert truth == [number % 2 == 1 for number in range(10)]
    assert all((f"is {one.reference}." in one.text) == right for one, right in zip(answers, truth, strict=True))


def test_rewrites_differ_and_do_the_same() -> None:
    found = rewrites(PROGRAM, "largest")
    assert len(found) == 5
    for program in found:
        space: dict[str, object] = {}
        exec(program, space)  # written here, not by a model
        assert space["largest"]([2, 7, 3]) == 7  # type: ignore[operator]


def test_a_problem_gets_a_suite_and_every_proposal_one_fate() -> None:
    subject = read_row(ROW, 40, 0)
    assert subject is not None
    assert subject.problem.fields["tests"] == ROW["test_list"][:1]  # an author of cases is shown no hidden test
    last = "def largest(xs):\n    return xs[-1]"
    answers = [last, "def largest(xs):\n    return max(xs)"]
    found = report([measure(replace(subject, answers=answers), WriteTestsConfig(proposals=0, changed_values=8), 0)])
    assert found["proposed"] == 8
    assert found["right_rejected"]["value"] == found["right_answers_rejected"]["value"] == 0.0
    assert found["wrong_mutants_accepted_by_both"]["of"] == found["wrong_mutants_accepted_by_public"]["of"]
    assert found["wrong_answers_accepted_by_public"] == {**found["wrong_answers_accepted_by_public"], "value": 1.0, "of": 1}
    assert found["wrong_answers_accepted_by_written"]["value"] == found["wrong_answers_accepted_by_both"]["value"] == 0.0


def test_a_measurement_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    options = Namespace(out=tmp_path / "out.json", workers=1, seed=0, mutants=2, changed_values=2)
    settings, programs = WriteTestsConfig(proposals=0, changed_values=2), drawn(2, seed=0)
    subjects = [replace(subject_of(program, 1, 2, 0), right=[one_liner(program.steps)]) for program in programs]
    measure_all(subjects[:1], settings, options)
    kept = tmp_path / "out.kept.jsonl"
    first = kept.read_bytes()
    measure_all(subjects, settings, options)
    assert kept.read_bytes().startswith(first)
    assert len(kept.read_bytes().splitlines()) == 2
    found = json.loads(options.out.read_text())
    assert found["problems"] == found["suites"]["of"] == 2
    assert found["proposed"] == sum(found["ledger"].values()) == 4
    options.out.unlink()
    measure_all(subjects, settings, options)
    assert json.loads(options.out.read_text()) == found


def test_a_suite_rejects_a_mutant_that_the_public_test_accepts_and_else_the_reason_is_said() -> None:
    tests = ["assert evens([1, 2, 4]) == 2", "assert evens([2, 2]) == 2", "assert evens([]) == 0"]
    row = ROW | {"code": "def evens(xs):\n    return len([x for x in xs if x % 2 == 0])", "test_list": tests}
    settings = WriteTestsConfig(proposals=0, changed_values=12)
    subject = read_row(row, 30, 0)
    assert subject is not None
    assert report([measure(subject, settings, 0)])["suites"]["value"] == 1.0  # "mistaken for one without repetitions"
    same = read_row(row | {"code": "def evens(xs):\n    return [2, 0][not xs]"}, 2, 0)
    assert same is not None
    assert sum(report([measure(same, settings, 0)])["no_suite"].values()) == 1


def test_all_ways_to_write_a_program_of_the_task_code_do_the_same() -> None:
    rng = random.Random(0)
    lists = [[], [7], [2, 2, -3], *([rng.randint(-9, 12) for _ in range(rng.randrange(9))] for _ in range(30))]
    for name in OPERATIONS:
        program = Program((("add", 2), (name, 3)), "en", "")
        for text in in_all_ways(program.steps):
            space: dict[str, Any] = {}
            exec(text, space)  # written here, not by a model
            for xs in lists:
                given = list(xs)
                assert space["f"](given) == program.run(xs), text
                assert given == xs, text  # what the caller has stays as it is


def test_a_problem_of_the_task_code_has_ten_good_programs_and_as_many_public_tests_as_asked_for() -> None:
    (program,) = drawn(1, seed=0)
    right = right_programs(program.steps, 19, random.Random(0))
    assert len(set(right)) == len(right) == 19
    two_steps = right_programs((("sort", 2), ("odd", 3)), 19, random.Random(0))
    assert len(set(two_steps)) == len(two_steps) == 19
    subject = subject_of(program, 2, 12, 0)
    assert len(subject.problem.fields["tests"]) == 2
    assert len(subject.hidden) == 34
    found = report([measure(subject, WriteTestsConfig(proposals=0, changed_values=4), 0)])
    assert found["right_rejected"]["value"] == 0.0
    assert found["proposed"] == sum(found["ledger"].values()) == 4


def test_programs_are_read_from_replies_once_each() -> None:
    block = Reply("```python\ndef f(x):\n    return x\n```", "stop")
    assert programs_in([block, EndpointError("too long"), block, Reply("I cannot.", "stop")]) == ["def f(x):\n    return x\n"]


def test_the_work_of_right_programs_is_compared_where_both_runs_solve_a_problem() -> None:
    short, long = "def f(xs):\n    return sorted(xs[::-1])", "def f(xs):\n    xs = xs[::-1]\n    xs = sorted(xs)\n    return xs"
    names = [f"code:en:reverse{k},sort3" for k in (2, 3, 4)]

    def run(*programs: str | None) -> dict[str, Solved]:
        return solved(
            {"problem_id": name, "right": program is not None, "extracted": program}
            for name, program in zip(names, programs, strict=True)
        )

    found = compare(run(long, long, long), run(short, short, None))
    assert found["work_ratio"]["of"] == 2
    assert 0.5 < found["work_ratio"]["value"] < 1
    assert found["instructions_efficient"] < found["instructions_plain"]
    assert found["accuracy_plain"]["value"] == 1.0
    assert found["accuracy_difference"]["value"] == -0.3333
    assert compare(run(long, long, long), run(long, long, long))["work_ratio"]["value"] == 1.0
    together = compare_seeds([run(long, long, long)] * 2, [run(short, short, None), run(short, long, short)])
    assert together["work_ratio"]["of"] == 2  # both solve them at both seeds
    assert abs(together["work_ratio"]["value"] - 1 - 0.75 * (found["work_ratio"]["value"] - 1)) < 2e-4
    more = compare_seeds([run(short, short, short)] * 2, [run(long, long, short)] * 2)
    assert more["work_ratio"]["value"] > 1
    assert together["accuracy_difference"]["value"] == -0.1667
    assert cases_of("code:zh:end12,take2")[0] == {"args": [[]], "expected": [12]}


def test_problems_with_references_are_read_and_their_references_pass_the_tests(tmp_path: Path) -> None:
    write_rows(tmp_path / "problems.jsonl", [row_of(program, 0.5) for program in drawn(3, seed=0)])
    for problem in load_problems(tmp_path / "problems.jsonl"):
        assert problem.fields["efficiency"] == 0.5
        space: dict[str, Any] = {}
        exec(problem.fields["reference_program"], space)  # written here, not by a model
        assert all(space["f"](*test["args"]) == test["expected"] for test in problem.fields["tests"])
