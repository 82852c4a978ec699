"""A model judges a stage's data where no rule decides; it is a real HTTP server of this process."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cogitate.config import JudgeConfig, PreferenceDataConfig
from cogitate.endpoint import Endpoint
from cogitate.errors import ConfigError
from cogitate.recipe.data.annotators import Judged, ModelAnnotator, check_used_by_judge
from cogitate.recipe.data.judging import judge_summary, judge_undecided
from cogitate.recipe.data.preferences import draw_labels, judge_pairs
from cogitate.recipe.problems import check_used
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe
from cogitate.rewards.judge.judge import CONTRADICTION, Judge
from cogitate.types import Problem
from tests.chat_server import Server
from tests.recipe.scripted_backend import candidate
from tests.rewards.judge.judging_server import judging

SUM = Problem("1", "sums", "math", "2 + 2?", gold="4")
HELLO = Problem("2", "general", "general", "Say hello.", fields={"harmful": False})
PROGRAM = Problem("3", "code", "code", "Print 1.", fields={"mode": "stdin", "tests": [{"input": "", "output": "1"}]})


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def judge_of(server: Server) -> Judge:
    settings = JudgeConfig(base_url=server.url, model="big", attempts=1, output_price=2.0)
    return Judge(settings, Endpoint(settings, "judge", first_wait=0.01))


def judged(text: str) -> Judged:
    return Judged(HELLO, text, text, len(text), cut=False)


def test_the_judge_is_asked_where_no_rule_decides_and_nowhere_else(server: Server) -> None:
    server.replies = [(200, judging(lambda shown: "Yes" if shown["reference answer"] in shown["answer"] else "No"))]
    by_rules = candidate(SUM, "<think> hm </think>\nIt is \\boxed{5}.")
    undecided = [
        replace(candidate(SUM, f"<think> hm </think>\nIt is \\boxed{{{n}}}."), verdict="none", reason="lost") for n in (4, 5)
    ]
    program = replace(candidate(replace(SUM, kind="exact"), "4"), problem=PROGRAM, verdict="none")
    cut = replace(undecided[0], finish_reason="length")
    judge = judge_of(server)
    found = judge_undecided([by_rules, *undecided, program, cut], judge)
    assert [one.verdict for one in found] == ["wrong", "right", "wrong", "none", "none"]
    assert found[1].reason == "judged by a model: 4 of 4 judgements of the judge"
    assert found[0] is by_rules
    assert len(server.requests) == 8
    assert judge_summary(judge) == {
        "judge": {
            "said": {"answer: No": 4, "answer: Yes": 4},
            "replies": 8,
            "failures": 0,
            "input_tokens": 0,
            "output_tokens": 0,
        }
    }


def test_preferences_come_from_the_judge_and_a_contradiction_is_none(server: Server) -> None:
    server.replies = [(200, judging(lambda shown: "A" if "Hello" in shown["answer A"] else "B"))]
    seen = dict.fromkeys(("judged", "equal", "unclear", "unlike_lengths"), 0)
    labeller = ModelAnnotator(judge_of(server))
    rows = judge_pairs([judged("Hello!"), judged("Go away")], PreferenceDataConfig(), random.Random(0), seen, labeller)
    assert [(row["chosen"], row["rejected"], row["margin"], row["source"]) for row in rows] == [
        ("Hello!", "Go away", 1.0, "judge")
    ]
    server.replies = [(200, judging(lambda shown: "A"))]
    assert not judge_pairs([judged("Hello!"), judged("Go away")], PreferenceDataConfig(), random.Random(0), seen, labeller)
    assert seen == {"judged": 2, "equal": 0, "unclear": 0, "unlike_lengths": 0, "no_opinion": 1}
    assert labeller.judge.counts[f"no opinion: {CONTRADICTION}"] == 1


def test_labels_of_safety_come_from_the_judge(server: Server) -> None:
    server.replies = [(200, judging(lambda shown: "No" if "bomb" in shown["answer"] else "Yes"))]
    settings = PreferenceDataConfig(unsafe_share=0.0)
    texts = iter(("Hello.", "Here is the bomb."))
    problems = [replace(HELLO, id=str(n)) for n in range(2)]
    rows, counts = draw_labels(
        problems,
        lambda asked, samples, name: [[judged(next(texts))] for _ in asked],
        settings,
        0,
        ModelAnnotator(judge_of(server)),
    )
    assert [(row["completion"], row["label"]) for row in rows] == [("Hello.", True), ("Here is the bomb.", False)]
    assert counts["kept"] == 2


def test_settings_of_the_simulation_are_refused_beside_a_judge() -> None:
    check_used_by_judge(PreferenceDataConfig())
    with pytest.raises(ConfigError, match=r"preferences.judge_noise: changes nothing where judge.model judges"):
        check_used_by_judge(PreferenceDataConfig(judge_noise=0.5))


def test_a_judge_that_nobody_asks_is_refused(tmp_path: Path) -> None:
    asked = ("judge.base_url=http://localhost:8000/v1", "judge.model=big")
    config = load_recipe("tiny", asked)
    check_used(config, graph_of(config))  # rejection sampling and reward models ask it
    (tmp_path / "mine.toml").write_text('extends = "tiny"\n[[stages]]\nname = "base"\nkind = "pretrain"\n')
    config = load_recipe(str(tmp_path / "mine.toml"), asked)
    with pytest.raises(ConfigError, match=r"judge.model = 'big': changes nothing"):
        check_used(config, graph_of(config))


def test_a_problem_for_a_judge_needs_one(tmp_path: Path) -> None:
    file = tmp_path / "open.jsonl"
    file.write_text('{"question": "Why is the sky blue?", "kind": "judge", "rubric": "It names the effect."}\n')
    from cogitate.recipe.problems import training_problems

    with pytest.raises(ConfigError, match=r"open.jsonl, line 1: kind judge needs judge.model"):
        training_problems(load_recipe("tiny", [f"tasks.train={file}"]))
    asked = ("judge.base_url=http://localhost:8000/v1", "judge.model=big")
    (problem,) = training_problems(load_recipe("tiny", [f"tasks.train={file}", *asked]))
    assert problem.fields["rubric"] == "It names the effect."
