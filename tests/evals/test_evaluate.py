"""Measuring a model: with a real small one, and the table by hand-worked numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cogitate.engine.generator import Engine
from cogitate.errors import DataError, Interrupted
from cogitate.evals.evaluate import Asking, Measured, consensus_table, longest_third, measure_model, missing_verdicts, table
from cogitate.evals.steps.counts import count_steps
from cogitate.model.files.hf import load_model
from cogitate.rewards.workers.pool import GraderPool
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem, SamplingParams

DIGIT = Asking("digit", lambda problem: f"{problem.question} Digit:", "bare", "think_answer")


@pytest.fixture(scope="module")
def grader() -> Iterator[GraderPool]:
    with GraderPool(workers=1, seconds_limit=20.0) as pool:
        yield pool


@pytest.fixture
def shared(digit_model: Path, grader: GraderPool) -> dict[str, Any]:
    tokenizer = Tokenizer.load(digit_model)
    return {
        "params": SamplingParams(max_new_tokens=4),
        "tokenizer": tokenizer,
        "generator": Engine(load_model(digit_model), end_id=tokenizer.end_id, max_batch=8),
        "grader": grader,
    }


def problem(
    name: str, gold: str = "7", *, task: str = "digits", question: str = "Say a number.", kind: str = "exact"
) -> Problem:
    return Problem(name, task, kind, question, gold=gold)


def test_every_problem_gets_its_samples_graded_in_order(shared: dict[str, Any]) -> None:
    problems = [problem(f"p{digit}", gold=str(digit)) for digit in range(5)]
    groups = measure_model(problems, DIGIT, samples=12, seed=1, **shared)
    assert [[m.problem for m in group] for group in groups] == [[p] * 12 for p in problems]
    for group in groups:
        for m in group:
            assert m.right == (m.text.strip() == m.problem.gold)
            assert m.finished or m.tokens == 4
    drawn = {m.text.strip() for group in groups for m in group}
    assert len(drawn & set("0123456789")) > 7  # the model says any digit
    assert 0 < table(groups)["all"]["pass@1"]["value"] < 0.4


def test_the_same_seed_measures_the_same_and_another_something_else(shared: dict[str, Any]) -> None:
    problems = [problem("a"), problem("b", gold="3")]
    first, again, other = (measure_model(problems, DIGIT, samples=8, seed=seed, **shared) for seed in (1, 1, 2))
    assert first == again
    assert [[m.text for m in group] for group in first] != [[m.text for m in group] for group in other]
    alone = measure_model(problems[:1], DIGIT, samples=8, seed=1, **shared)
    assert alone == first[:1]  # a problem's completions do not depend on its neighbours


def test_what_follows_a_stop_text_is_no_part_of_the_completion(shared: dict[str, Any]) -> None:
    cut = Asking("digit", DIGIT.prompt_of, "bare", "think_answer", stop="7")
    plain, stopped = (
        measure_model([problem("a", gold="3")], asking, samples=40, seed=5, **shared)[0] for asking in (DIGIT, cut)
    )
    assert any("7" in m.text for m in plain)
    tokenizer = shared["tokenizer"]
    for whole, part in zip(plain, stopped, strict=True):
        assert part.text == whole.text.split("7")[0]
        if "7" in whole.text:
            assert part.finished
            assert part.tokens == len(tokenizer.encode(part.text)) < whole.tokens
        else:
            assert part == whole


def test_a_truncated_completion_is_counted_as_such(shared: dict[str, Any]) -> None:
    shared["params"] = SamplingParams(max_new_tokens=1)
    (group,) = measure_model([problem("a")], DIGIT, samples=6, seed=1, **shared)
    assert all(not m.finished and m.tokens == 1 for m in group)
    assert table([group])["all"]["truncated_share"]["value"] == 1.0


def test_problems_that_cannot_be_judged_are_counted_and_left_out(shared: dict[str, Any]) -> None:
    problems = [problem("a"), problem("b", gold="", task="broken"), problem("c", gold="3")]
    groups = measure_model(problems, DIGIT, samples=6, seed=1, **shared)
    result = table(groups)
    first = "task broken, problem 'b': the reference answer is empty"
    assert missing_verdicts(groups) == {"no_verdict": {"share": pytest.approx(1 / 3), "first": first}}
    assert missing_verdicts(groups[:1]) == {}
    assert "pass@1" not in result["broken"]
    assert "score" not in result["broken"]
    assert "longest_third" not in result["broken"]
    assert result["broken"]["no_verdict_share"]["value"] == 1.0
    assert result["all"]["no_verdict_share"]["value"] == pytest.approx(1 / 3)
    assert result["all"]["pass@1"]["value"] == pytest.approx(result["digits"]["pass@1"]["value"])


def test_the_steps_of_a_puzzle_are_counted_where_it_is_measured_and_of_no_other_problem(shared: dict[str, Any]) -> None:
    fields = {"numbers": [4, 1, 10], "target": 6, "level": 4}
    puzzle = Problem("p", "countdown", "countdown", "Make 6 of 4, 1 and 10.", gold="(10 - 4) * 1", fields=fields)
    groups = measure_model([puzzle, problem("a")], DIGIT, samples=2, seed=1, **shared)
    assert [[m.steps is not None for m in group] for group in groups] == [[True, True], [False, False]]
    result = table(groups)
    assert result["countdown"]["tries"]["value"] == 0.0
    assert result["all"]["extrapolation"] == {**result["countdown"]["pass@1"], "problems": 1}


def test_an_evaluation_without_a_single_verdict_says_why(shared: dict[str, Any]) -> None:
    pattern = "no completion of 1 problems could be judged; task digits, problem 'a': the reference answer is empty"
    with pytest.raises(DataError, match=pattern):
        measure_model([problem("a", gold="")], DIGIT, samples=2, seed=1, **shared)


def test_one_may_leave_while_it_samples(shared: dict[str, Any]) -> None:
    def leave() -> None:
        raise Interrupted("stopped", 130)

    with pytest.raises(Interrupted):
        measure_model([problem("a")], DIGIT, samples=2, seed=1, meanwhile=leave, **shared)


def completion(
    asked: Problem, right: bool | None, *, text: str = "", extracted: str | None = None, tokens: int = 10,
    thinking: int | None = None, finished: bool = True, **flags: bool,
) -> Measured:  # fmt: skip
    flags = {"well_formed": False, "reflective": False, "mixed": False, **flags}
    score = None if right is None else float(right)
    return Measured(
        asked, right, score, extracted, text, tokens, thinking, finished, reason="", steps=count_steps(text, asked), **flags
    )


def test_the_table_by_hand() -> None:
    a, b, c = problem("a", question="long long"), problem("b"), problem("c", task="other", question="x")
    short = completion(a, True, tokens=4, thinking=3, well_formed=True)
    groups = [
        [short, completion(a, False, tokens=8, thinking=5, reflective=True)],
        [completion(b, False, finished=False, thinking=50), completion(b, None)],
        [completion(c, True, mixed=True), completion(c, True, well_formed=True)],
    ]
    result = table(groups)
    assert list(result) == ["digits", "other", "all"]
    digits, everything = result["digits"], result["all"]
    assert digits["pass@1"]["value"] == pytest.approx((0.5 + 0.0) / 2)
    assert everything["pass@1"]["value"] == pytest.approx((0.5 + 0.0 + 1.0) / 3)
    assert digits["pass@2"]["value"] == 1.0  # b has lost a verdict, so a alone counts
    assert result["other"]["pass@2"]["value"] == 1.0
    assert digits["thinking_tokens"]["value"] == pytest.approx(4.0)  # the truncated 50 does not count
    assert "thinking_tokens" not in result["other"]
    assert digits["completion_tokens"]["value"] == pytest.approx((4 + 8 + 10 + 10) / 4)
    assert digits["truncated_share"]["value"] == pytest.approx(1 / 4)
    assert everything["format_rate"]["value"] == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert everything["reflection_rate"]["value"] == pytest.approx(0.5 / 3)
    assert everything["language_mix_rate"]["value"] == pytest.approx(0.5 / 3)
    assert everything["no_verdict_share"]["value"] == pytest.approx(0.5 / 3)
    assert (everything["problems"], everything["samples"]) == (3, 2)
    for column in result.values():
        for name, value in column.items():
            if name not in ("problems", "samples"):
                assert value.keys() == {"value", "ci95"}
                assert len(value["ci95"]) == 2


def test_puzzles_have_figures_by_level_and_of_their_steps_and_other_problems_nothing_more() -> None:
    fields = {"numbers": [4, 1, 10], "target": 6}
    easy, hard = (Problem(str(n), "countdown", "countdown", "?", fields={**fields, "level": n}) for n in (1, 5))
    other = problem("c")
    tried = "Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes."
    groups = [
        [completion(asked, right, text=text) for right, text in rows]
        for asked, rows in (
            (easy, [(True, tried), (True, "It is 10 - 4.")]),
            (hard, [(False, ""), (False, tried)]),
            (other, [(True, "7"), (True, "7")]),
        )
    ]
    result = table(groups)
    puzzles, everything = result["countdown"], result["all"]
    assert (puzzles["pass@1.level_1"]["value"], puzzles["pass@1.level_5"]["value"]) == (1.0, 0.0)
    assert everything["extrapolation"] == puzzles["extrapolation"] == puzzles["pass@1.level_5"]
    assert everything["extrapolation"]["problems"] == 1
    assert everything["tries"] == puzzles["tries"]
    assert puzzles["tries"]["value"] == puzzles["rejecting_rate"]["value"] * 2 == 1.0
    assert puzzles["step_accuracy"]["value"] == 1.0
    assert result["digits"] == table(groups[2:])["digits"]
    assert not {"tries", "self_correction_rate", "extrapolation", "pass@1.level_1"} & result["digits"].keys()
    row = groups[0][0].row()
    assert (row["level"], row["tries"], row["turn"]["kind"]) == (1, 2, "rejected try")
    assert not {"level", "turn", "statements"} & groups[2][0].row().keys()


def test_the_mean_score_counts_partial_credit_and_leaves_out_what_has_no_verdict() -> None:
    a, b = problem("a"), problem("b")
    half, most = replace(completion(a, True), score=0.5), replace(completion(a, False), score=0.25)
    groups = [[half, most], [replace(completion(b, True), score=0.75), completion(b, None)]]
    assert table(groups)["all"]["score"]["value"] == pytest.approx((0.375 + 0.75) / 2)
    assert table(groups)["all"]["pass@1"]["value"] == pytest.approx((0.5 + 1.0) / 2)
    assert groups[0][0].row()["score"] == 0.5
    assert groups[1][1].row()["score"] is None


def test_pass_at_k_is_left_out_where_every_problem_has_lost_a_verdict() -> None:
    a = problem("a")
    result = table([[completion(a, True), completion(a, None)]])
    assert result["all"]["pass@1"]["value"] == 1.0
    assert "pass@2" not in result["all"]


def test_the_longest_third_is_taken_within_each_task_by_characters() -> None:
    asked = [problem(f"p{i}", question="x" * i) for i in range(6)]
    others = [problem(f"q{i}", task="other", question="yy" * i) for i in range(2)]
    chosen = longest_third([[completion(p, True)] for p in [*asked, *others]])
    assert chosen == [False] * 4 + [True] * 2 + [False, True]
    groups = [[completion(p, p.id in ("p4", "q1"))] for p in [*asked, *others]]
    assert table(groups)["digits"]["longest_third"]["value"] == 0.5
    assert table(groups)["all"]["longest_third"]["value"] == pytest.approx(2 / 3)


def test_problems_of_two_files_may_share_their_ids() -> None:
    asked = [problem("1", task=task, question="x" * n) for task, n in (("a", 1), ("a", 9), ("b", 5))]
    twins = [problem("1", task="a", question="y" * 20)]
    chosen = longest_third([[completion(p, True)] for p in [*asked, *twins]])
    assert chosen == [False, False, True, True]
    groups = [[completion(p, n == 0, extracted="x")] for n, p in enumerate([asked[0], twins[0]])]
    assert consensus_table(groups)["a"]["cons@1"]["value"] == 0.5


def test_consensus_is_the_majority_vote_over_answers_that_can_be_compared() -> None:
    a, b = problem("a"), problem("b", task="sums", kind="math")
    program = problem("c", task="code", kind="code")
    cat, same, dog = (False, "The cat."), (False, "cat"), (True, "dog")  # one answer twice outvotes the right one
    groups = [
        [completion(a, right, extracted=answer) for right, answer in (cat, same, dog)],
        [completion(b, True, extracted="1/2"), completion(b, True, extracted="0.5"), completion(b, False, extracted="3")],
        [completion(program, True, extracted="def f(): ...")] * 3,
    ]
    result = consensus_table(groups)
    assert result.keys() == {"digits", "sums", "all"}
    assert result["digits"]["cons@3"]["value"] == 0.0
    assert result["sums"]["cons@3"]["value"] == 1.0
    assert result["all"]["cons@3"]["value"] == 0.5
    assert result["all"]["pass@1 of cons@3"]["value"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert consensus_table(groups[2:]) == {}


def test_completions_without_a_verdict_do_not_vote() -> None:
    a, b = problem("a", kind="math"), problem("b", kind="math")
    lost = [completion(a, None, extracted="5"), completion(a, None, extracted="5"), completion(a, True, extracted="4")]
    nobody = [completion(b, None, extracted="5"), completion(b, None, extracted="4"), completion(b, None)]
    result = consensus_table([lost, nobody])["all"]
    assert result["cons@3"]["value"] == 1.0
    assert result["pass@1 of cons@3"]["value"] == 1.0
    assert consensus_table([nobody]) == {}
