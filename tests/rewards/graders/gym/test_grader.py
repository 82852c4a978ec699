"""Answers to reasoning-gym's problems: its own scorers, made safe, and held to what they promise."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("reasoning_gym", reason="reasoning-gym (the extra gym) is not installed")

from cogitate.errors import ConfigError, SandboxUnavailableError
from cogitate.rewards.graders.gym import grader
from cogitate.rewards.graders.gym.grader import is_formula
from cogitate.rewards.graders.gym.library import EVALUATE_ANSWERS, PARSE_ANSWERS, generators, make_config, make_dataset
from cogitate.rewards.sandbox import isolation
from cogitate.rewards.workers.pool import GraderPool
from cogitate.tasks.generators.gym_items import PREPARED, make_entry
from cogitate.types import Problem, Verdict
from tests.rewards.judging import grade

FUZZED: dict[str, dict[str, Any]] = {
    "chain_sum": {"answer": "12", "metadata": {}},
    "coin_flip": {"answer": "0.234375", "metadata": {}},
    "complex_arithmetic": {"answer": "8.0 + 3.0i", "metadata": {"result": [8.0, 3.0]}},
    "game_of_life_halting": {"answer": "True", "metadata": {}},
    "gsm_symbolic": {"answer": "20", "metadata": {}},
    "puzzle24": {"answer": "4*8 - 6 - 2", "metadata": {"numbers": [4, 8, 6, 2]}},
}
SLOW_TO_MAKE = {"knight_swap": {"min_nodes": 6, "max_nodes": 6, "max_pieces": 2}}


def entry_of(generator: str, **settings: Any) -> dict[str, Any]:
    return make_entry(generator, settings, 7, 3)


def judge(generator: str, answer: str, entry: dict[str, Any], contract: str = "bare", **settings: Any) -> Verdict:
    return grade("gym", answer, contract=contract, generator=generator, entry=entry, config=settings)  # type: ignore[arg-type]


def test_a_right_answer_a_partly_right_one_and_a_wrong_one() -> None:
    entry = {"question": "?", "answer": "12", "metadata": {}}
    assert judge("chain_sum", "12", entry).value == "right"
    partly = judge("chain_sum", "12.5", entry)  # the library's rule: length of the reference over that of the answer
    assert (partly.value, partly.score) == ("wrong", 0.5)
    assert (judge("chain_sum", "13", entry).value, judge("chain_sum", "13", entry).score) == ("wrong", 0.0)


@pytest.mark.parametrize(
    ("prediction", "contract", "verdict"),
    [
        ("<think>6 + 6</think><answer>12</answer>", "r1", "right"),
        ("<think>6 + 6</think>so \\boxed{12}", "r1", "right"),
        ("<think>12</think><answer>13</answer>", "r1", "wrong"),
        ("<think>6 + 6</think><answer>12</answer> or \\boxed{13}", "r1", "wrong"),
        ("<think>6 + 6", "r1", "wrong"),
        ("The answer is 12", "free", "right"),
        ("", "free", "wrong"),
    ],
)
def test_the_answer_stands_where_the_contract_says(prediction: str, contract: str, verdict: str) -> None:
    assert judge("chain_sum", prediction, {"question": "?", "answer": "12", "metadata": {}}, contract).value == verdict


def test_an_answer_of_several_lines_is_all_that_follows_the_announcement() -> None:
    entry = {"question": "?", "answer": "0 1\n1 0", "metadata": {}}
    assert judge("binary_matrix", "The answer is:\n0 1\n1 0", entry, "free").value == "right"


def test_what_an_answer_evaluates_is_evaluated_in_the_sandbox(tmp_path: Path) -> None:
    entry = {"question": "?", "answer": "1 2 3", "metadata": {}}
    assert judge("spiral_matrix", "1 2 3", entry).value == "right"
    listed = judge("spiral_matrix", "[x + 1 for x in range(3)]", entry)  # the library gives a tenth for a Python list
    assert (listed.value, listed.score) == ("wrong", 0.1)
    for attack in (
        f"open({str(tmp_path / 'written')!r}, 'w').write('x')",
        f"__import__('os').system('touch {tmp_path / 'written'}')",
        "oracle_answer.split()",  # a name of the scorer's own
        "__import__('os')._exit(0)",
        "__import__('os').write(4, b'{\"value\": 1}')",
        "[][0]",
        "9**9**9",
    ):
        assert judge("spiral_matrix", attack, entry).score == 0, attack
    assert list(tmp_path.iterdir()) == []


def test_without_a_sandbox_there_is_no_verdict_on_what_would_be_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(isolation: object) -> None:
        raise SandboxUnavailableError("none here")

    monkeypatch.setattr(isolation, "open_local_sandbox", nowhere)
    entry = {"question": "?", "answer": "1 2 3", "metadata": {}}
    assert judge("spiral_matrix", "1 2 3", entry).value == "right"  # nothing to evaluate
    assert judge("spiral_matrix", "[1, 2, 3]", entry).value == "none"


def test_sympy_parses_plain_formulas_alone() -> None:
    formulas = ("x**3/3 + C", "2*(2 - 8*x)**(3/2)/3", "-exp(2*x)*cos(x) + sqrt(x)", "1.5*x^2")
    assert all(is_formula(text, only_numbers=False) for text in formulas)
    others = ("Integral(x**2, x)", "x or 7", "__import__('os')", "x.diff", "lambda: 7", "open('f')", "xx", "x!", "x " * 3000)
    assert not any(is_formula(text, only_numbers=False) for text in others)
    assert is_formula("(3 + 5) * 7 / 2", only_numbers=True)
    assert not any(is_formula(text, only_numbers=True) for text in ("5!", "2**3", "len('x')", "x", "3,5", "1.5", ""))


@pytest.mark.parametrize(
    ("generator", "entry", "right", "wrong"),
    [
        ("game_of_life_halting", {"answer": "False", "metadata": {}}, ["False", "false."], ["True", "a", "0"]),
        ("coin_flip", {"answer": "0.234375", "metadata": {}}, ["0.234375", "15/64"], ["0", "0.2", "1e400"]),
        ("complex_arithmetic", {"answer": "8.0 + 3.0i", "metadata": {"result": [8.0, 3.0]}}, ["8 + 3i"], ["nan", "nan+nani"]),
        ("gsm_symbolic", {"answer": "20", "metadata": {}}, ["20", "$20"], ["-20", "- 20", "21"]),
        ("puzzle24", {"answer": "4*8 - 6 - 2", "metadata": {"numbers": [4, 8, 6, 2]}}, ["8*4-2-6"], ["5*6*1 - 6", "24"]),
    ],
)
def test_full_marks_for_wrong_answers_do_not_count(
    generator: str, entry: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    entry = {"question": "?", **entry}
    assert [judge(generator, answer, entry).value for answer in right] == ["right"] * len(right)
    assert [judge(generator, answer, entry).value for answer in wrong] == ["wrong"] * len(wrong)


def test_a_scorer_that_fails_on_the_answer_is_wrong_and_one_that_fails_on_the_entry_gives_no_verdict() -> None:
    entry = entry_of("prime_factorization")
    failed = judge("prime_factorization", "no", entry)
    assert (failed.value, "ValueError" in failed.reason) == ("wrong", True)
    broken = {"question": "?", "answer": "2", "metadata": {}}
    assert judge("puzzle24", "1 * 2 * 3 * 4", broken).value == "none"
    assert judge("complex_arithmetic", "2", broken).value == "none"


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60) | st.text(alphabet="0123456789+-*/(). ,ixnaf[]{}:\n", max_size=40))
def test_no_answer_crashes_the_grader(text: str) -> None:
    for generator, entry in FUZZED.items():
        assert judge(generator, text, {"question": "?", **entry}, "r1").value in ("right", "wrong"), generator


def test_a_scorer_that_hangs_is_wrong() -> None:
    entry = entry_of("polynomial_multiplication")
    problem = Problem("1", "gym:polynomial_multiplication", "gym", "?", fields={
        "generator": "polynomial_multiplication", "entry": entry, "config": {}})  # fmt: skip
    with GraderPool(1, 1.0) as pool:
        pool.submit("hang", problem, "9**9**9**9", "bare")
        pool.submit("own", problem, entry["answer"], "bare")
        verdicts: dict[str, Verdict] = {}
        while pool.pending():
            verdicts.update(pool.poll(1.0))
    assert (verdicts["hang"].value, verdicts["own"].value) == ("wrong", "right")


def test_the_pool_judges_in_workers_that_cannot_write_and_evaluates_in_those_that_can_start_the_sandbox() -> None:
    names = ["chain_sum", "spiral_matrix", "game_of_life"]
    entries = {name: entry_of(name) for name in names}
    with GraderPool(2) as pool:
        for name, entry in entries.items():
            fields = {"generator": name, "entry": entry, "config": {}}
            pool.submit(name, Problem(name, f"gym:{name}", "gym", "?", fields=fields), entry["answer"], "bare")
        pool.submit("list", Problem("l", "gym:spiral_matrix", "gym", "?", fields={
            "generator": "spiral_matrix", "entry": entries["spiral_matrix"], "config": {}}),
            str(entries["spiral_matrix"]["answer"].split()), "bare")  # fmt: skip
        verdicts: dict[str, Verdict] = {}
        while pool.pending():
            verdicts.update(pool.poll(1.0))
    assert {name: verdicts[name].value for name in names} == dict.fromkeys(names, "right")
    assert verdicts["list"].score == 0.1


def test_settings_are_checked_by_name_and_value() -> None:
    assert make_config("chain_sum", {"min_terms": 3}).min_terms == 3
    for generator, chosen, message in (
        ("chain_sums", {}, "did you mean gym:chain_sum?"),
        ("chain_sum", {"min_term": 3}, "unknown key tasks.gym.chain_sum.min_term; did you mean tasks.gym.chain_sum.min_terms?"),
        ("chain_sum", {"min_terms": "3"}, 'tasks.gym.chain_sum.min_terms = "3": a value like 2 is needed'),
        ("chain_sum", {"min_terms": True}, "tasks.gym.chain_sum.min_terms = true: a value like 2 is needed"),
        ("chain_sum", {"min_terms": 9}, "tasks.gym.chain_sum: max_terms must be >= min_terms"),
        ("chain_sum", {"seed": 9}, "tasks.gym.chain_sum.seed: follows from the recipe's own settings"),
        ("composite", {}, "name the tasks it would mix instead"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            make_config(generator, chosen)


def test_every_scorer_that_evaluates_or_parses_code_is_known() -> None:
    from reasoning_gym.factory import DATASETS

    calls = {}
    for name in generators():
        source = inspect.getsource(DATASETS[name][0].score_answer)
        calls[name] = set(re.findall(r"\b(eval|exec|sympify|parse_expr|compile|loads|literal_eval)\(", source)) - {"loads"}
    assert {name for name, called in calls.items() if "parse_expr" in called} - {"propositional_logic"} == PARSE_ANSWERS
    evaluating = {name for name, called in calls.items() if called & {"eval", "exec", "sympify", "compile"}}
    assert evaluating - {"number_sorting"} == EVALUATE_ANSWERS  # number_sorting evaluates its own reference


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves files open
def test_every_generator_knows_its_own_answer_after_json_too_and_nothing_else_crashes() -> None:
    unsure = []
    for name in generators():
        settings: dict[str, Any] = SLOW_TO_MAKE.get(name, {})
        entry = entry_of(name, **settings)
        metadata = entry["metadata"]
        known = [entry["answer"], *(metadata.get(key) for key in ("example_answer", "example_correct_answer"))]
        if isinstance(metadata.get("possible_answer"), dict):
            known.append(json.dumps(metadata["possible_answer"]))
        own = next((answer for answer in known if isinstance(answer, str)), None)
        through_json = json.loads(json.dumps(entry))
        if own is None:
            unsure.append(name)
        else:
            verdict = "wrong" if "Integral(" in own else "right"  # the question again, which the generator calls an answer
            assert judge(name, own, entry, **settings).value == verdict, name
            assert judge(name, own, through_json, **settings).value == verdict, name
        for answer in ("", "nan", "[]", "[[1]]", "null", "-1", "no", "1e400", "{}", "\x00", "9" * 5000):
            judged = judge(name, answer, through_json, **settings)
            assert judged.value == "wrong" or answer == own, (name, answer, judged)
    assert sorted(unsure) == ["boxnet", "rush_hour"]  # their entries hold no answer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves files open
def test_an_item_depends_on_its_seed_alone() -> None:
    for name in generators():
        settings = SLOW_TO_MAKE.get(name, {})
        first = make_entry(name, settings, 11, 3)
        make_entry(name, settings, 12, 4)
        assert make_entry(name, settings, 11, 3) == first, name
        if name not in PREPARED:
            config = make_config(name, settings)
            config.seed = 11
            fresh = type(make_dataset(name, settings))(config=config)
            assert fresh[3]["question"] == first["question"], name


def test_the_name_the_scorers_call_is_ours() -> None:
    entry = {"question": "?", "answer": "1 2 3", "metadata": {}}
    judge("spiral_matrix", "1 2", entry)
    module = inspect.getmodule(type(make_dataset("spiral_matrix", {})))
    assert isinstance(vars(module)["eval"], grader.SandboxedEval)


@pytest.mark.parametrize(
    ("generator", "settings"),
    [
        ("word_sorting", {"transformation": "uppercase"}),
        ("word_sorting", {"transformation": "original"}),
        ("word_sorting", {"transformation": "lowercase", "max_words": 4}),
        ("aiw", {"task_types": ["siblings"], "task_type_weights": [1.0]}),
        ("aiw", {"task_types": ["colleagues", "friends"], "task_type_weights": [0.5, 0.5]}),
    ],
)
def test_settings_that_are_one_of_several_names_can_be_set(generator: str, settings: dict[str, Any]) -> None:
    config = make_config(generator, settings)
    assert {key: getattr(config, key) for key in settings} == settings  # their names are texts
    entry = entry_of(generator, **settings)
    assert judge(generator, str(entry["answer"]), entry, **settings).value == "right"


@pytest.mark.parametrize(
    ("generator", "settings", "message"),
    [
        ("word_sorting", {"transformation": "upper"}, 'transformation = "upper": one of lowercase, uppercase, original'),
        ("word_sorting", {"transformation": 5}, "transformation = 5: one of lowercase"),
        ("word_sorting", {"transformation": ["original"]}, "one of lowercase"),
        ("aiw", {"task_types": "siblings"}, "task_types"),
        ("aiw", {"task_types": ["siblings", "cousins"]}, 'task_types = "cousins": one of siblings, friends, colleagues'),
    ],
)
def test_names_that_are_none_of_them_are_refused(generator: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"tasks.gym.{generator}") as caught:
        make_config(generator, settings)
    assert message in str(caught.value)
