"""General prompts measured by their true scores: by hand, and with a real small model."""

import random
from pathlib import Path
from typing import Any

import pytest

from cogitate.engine.generator import Engine
from cogitate.evals.evaluate import Asking, measure_model, table
from cogitate.evals.general import Scored, add_general, score, with_true_scores
from cogitate.model.files.hf import load_model
from cogitate.rewards.workers.pool import GraderPool
from cogitate.tasks.general import general, safety
from cogitate.tasks.general.categories import BY_NAME
from cogitate.tasks.mixture import gather_problems
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem, SamplingParams
from tests.evals.test_evaluate import completion, problem

PROMPTS = gather_problems("general,safety", 40, split="eval", seed=0)


def good_answer(asked: Problem) -> str:
    if asked.kind == "safety":
        write = safety.refuse if asked.fields["harmful"] else safety.advise
        return write(random.Random(0), asked.fields, asked.language)
    return BY_NAME[asked.fields["category"]].answer(random.Random(0), dict(asked.fields), asked.language)


def test_helpfulness_is_that_of_the_final_answer_whatever_was_thought() -> None:
    for asked in PROMPTS:
        answer = good_answer(asked)
        expected = general.helpfulness(asked, answer)
        plain, thought, tagged, unfinished = (
            score(completion(asked, None, text=text))
            for text in (
                f" {answer}",
                f" <think> Go away. </think>\n{answer}<|end|>",
                f" <think> Go away. </think> <answer> {answer} </answer>",
                f" <think> {answer}",
            )
        )
        assert plain.helpfulness == thought.helpfulness == tagged.helpfulness == expected
        assert unfinished.helpfulness == general.helpfulness(asked, "") < 0.5
    assert any(general.helpfulness(asked, good_answer(asked)) > 0.9 for asked in PROMPTS)


def test_safety_is_that_of_everything_said() -> None:
    asked = next(p for p in PROMPTS if p.kind == "safety" and p.fields["harmful"])
    harm = safety.comply(random.Random(0), asked.fields, asked.language)
    refusal = safety.refuse(random.Random(0), asked.fields, asked.language)
    assert safety.safety(asked, harm) == 0.0
    assert score(completion(asked, None, text=f" <think> {harm} </think>\n{refusal}")).safety == 0.0
    assert score(completion(asked, None, text=f" <think> No. </think>\n{refusal}")).safety == 1.0


def scored(task: str, helpfulness: float, safe: float, **measured: Any) -> Scored:
    asked = problem(f"{task}{helpfulness}{safe}", task=task, kind=task)
    return Scored(completion(asked, None, **measured), helpfulness, safe)


def test_general_tasks_get_columns_and_all_gets_both_scores_and_nothing_else() -> None:
    right, wrong = problem("a"), problem("b")
    result = table([[completion(right, True), completion(right, True)], [completion(wrong, False), completion(wrong, True)]])
    before = result["all"]
    groups = [
        [scored("general", 0.5, 1.0, tokens=4), scored("general", 0.7, 1.0, tokens=8, finished=False)],
        [scored("safety", 0.2, 0.0), scored("safety", 0.4, 0.5)],
        [scored("safety", 1.0, 1.0), scored("safety", 1.0, 1.0)],
    ]
    add_general(result, groups)
    assert list(result) == ["digits", "general", "safety", "all"]
    assert result["general"]["helpfulness"]["value"] == pytest.approx(0.6)
    assert result["general"]["completion_tokens"]["value"] == pytest.approx(6.0)
    assert result["general"]["truncated_share"]["value"] == 0.5
    assert (result["general"]["problems"], result["general"]["samples"]) == (1, 2)
    assert result["safety"]["helpfulness"]["value"] == pytest.approx((0.3 + 1.0) / 2)
    assert result["safety"]["safety"]["value"] == pytest.approx((0.25 + 1.0) / 2)
    both = {key: result["all"][key] for key in ("helpfulness", "safety")}
    assert both["helpfulness"]["value"] == pytest.approx((0.6 + 0.3 + 1.0) / 3)
    assert both["safety"]["value"] == pytest.approx((1.0 + 0.25 + 1.0) / 3)
    assert result["all"] == {**before, **both}  # pass@1 stays that of the two problems with verdicts
    for value in both.values():
        assert value["ci95"][0] < value["value"] < value["ci95"][1]


def test_a_real_model_is_asked_and_no_grader_is(digit_model: Path) -> None:
    tokenizer = Tokenizer.load(digit_model)
    asking = Asking("digit", lambda asked: "Say a number. Digit:", "r1", "think_text")
    with GraderPool(workers=1, seconds_limit=20.0) as grader:
        answers = measure_model(
            PROMPTS[:3],
            asking,
            samples=2,
            params=SamplingParams(max_new_tokens=4),
            seed=1,
            tokenizer=tokenizer,
            generator=Engine(load_model(digit_model), end_id=tokenizer.end_id, max_batch=8),
            grader=grader,
        )
    groups = with_true_scores(answers)
    assert [[each.measured.problem for each in group] for group in groups] == [[p] * 2 for p in PROMPTS[:3]]
    for group in groups:
        for each in group:
            assert each.measured.right is None
            row = each.row()
            assert row["helpfulness"] == general.helpfulness(each.measured.problem, row["completion"].strip())
            assert row["safety"] == safety.safety(each.measured.problem, row["completion"])
