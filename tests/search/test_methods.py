"""Every method on a policy whose steps are good or bad by chance, and a model that knows which."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest

from cogitate.backend import GenerationRequest
from cogitate.errors import ConfigError
from cogitate.search.draw import Drawn
from cogitate.search.evaluate import BESIDE, METHODS, Evaluator, MethodResult, SearchSettings, tree_rows
from cogitate.search.mcts import TreeSearch, TreeSettings
from cogitate.search.pool import Limits
from cogitate.search.scoring import Reading
from cogitate.search.tree import Tree
from cogitate.search.verify import plain, says_right
from cogitate.search.work import run_searches
from tests.search.toy import PROBLEM, TOKENIZER, ToyPolicy, ToyScorer, question, workers

LIMITS = Limits(60, 1.0, 20)
PROBLEMS = 12


def evaluator(good: float = 0.5, *, scorer: bool = True, most: int = 8, value: str = "model") -> Evaluator:
    asked = [(PROBLEM, question(seed)) for seed in range(PROBLEMS)]
    work = workers(ToyPolicy(good), scorer=ToyScorer() if scorer else None)
    settings = SearchSettings(LIMITS, value=value, verification_tokens=40)
    return Evaluator(asked, work, settings, most, lambda text: tuple(TOKENIZER.encode("yes or no? <think>")))


def accuracy(result: MethodResult) -> float:
    assert result.accuracy is not None
    return result.accuracy.value


def test_a_model_that_knows_bad_steps_finds_what_sampling_misses() -> None:
    measured = evaluator()
    by = {name: accuracy(measured.measure(name, 8)) for name in (*METHODS, *BESIDE)}
    assert by["best_of_n"] == by["oracle"] > by["pass@1"] + 0.3
    assert by["step_beam"] > 0.9  # each level goes on from good steps alone
    assert by["mcts"] > by["majority"]


def test_what_a_method_spends_is_what_was_sampled_and_read() -> None:
    measured = evaluator()
    before = measured.workers.sampler.tokens
    beam = measured.measure("step_beam", 4)
    assert sum(each.cost.policy_tokens for each in beam.found) == measured.workers.sampler.tokens - before
    one, four = measured.measure("majority", 1), measured.measure("majority", 4)
    assert [each.cost.scorer_tokens for each in four.found] == [0] * PROBLEMS
    assert all(a.cost.policy_tokens < b.cost.policy_tokens for a, b in zip(one.found, four.found, strict=True))
    best = measured.measure("best_of_n", 1)
    prompt = len(question().prompt_ids)
    assert [each.cost.scorer_tokens for each in best.found] == [0.5 * (prompt + each.cost.policy_tokens) for each in best.found]


def test_a_tree_search_ends_with_its_budget_and_answers_in_any_case() -> None:
    work = workers(ToyPolicy(), scorer=ToyScorer())
    for budget in (1.0, 150.0, 600.0):
        settings = TreeSettings(budget, 4, 1.25, 0.5)
        ((found,),) = (
            run_searches([TreeSearch(question(), LIMITS, settings, work.scorer).run()], [(PROBLEM, question())], work),
        )
        assert found.chosen is not None
        assert found.chosen.finished
        assert found.cost.total < budget + 250
    visits = found.tree.root.visits
    assert sum(node.visits for node in found.tree.root.children) == visits > 4
    assert sum(node.prior for node in found.tree.root.children) == pytest.approx(1)


def test_a_continuation_that_is_drawn_often_has_as_many_votes() -> None:
    class Scripted(ToyPolicy):
        """The n-th continuation is the n-th text."""

        texts = (" a 3",) * 3 + (" a 1", " b 1")

        def submit(self, request: GenerationRequest) -> None:
            self.said = {seed: self.texts[number] for number, seed in enumerate(request.seeds)}
            super().submit(request)

        def rest(self, given_ids: Sequence[int], seed: int) -> list[int]:
            letter, answer = self.said[seed].split()
            return [*TOKENIZER.encode(f" {letter} </think> <answer> {answer} </answer>"), TOKENIZER.end_id]

    settings = TreeSettings(1.0, 5, 1.25)
    (found,) = run_searches(
        [TreeSearch(question(), LIMITS, settings, None).run()], [(PROBLEM, question())], workers(Scripted())
    )
    assert [node.share for node in found.tree.solutions] == [0.6, 0.2, 0.2]
    assert [node.value for node in found.tree.solutions] == pytest.approx([0.6, 0.4, 0.4])
    assert found.chosen is not None
    assert found.chosen.answer == "3"


def test_a_node_is_reached_by_the_draws_of_all_its_parents() -> None:
    tree = Tree()
    first = tree.add(tree.root, 0, Drawn((1,), -1.0, finished=False))
    second = tree.add(first, 0, Drawn((2,), -1.0, finished=True))
    first.share, second.share = 0.5, 0.25
    assert (tree.root.reach, first.reach, second.reach) == (1.0, 0.5, 0.125)


def test_the_prompts_of_verification_are_paid_for() -> None:
    measured, shown = evaluator(scorer=False), dict[tuple[int, ...], None]()
    measured.asked = measured.asked[:1]

    def prompt_ids(text: str) -> tuple[int, ...]:
        ids = tuple(TOKENIZER.encode(f"{text} <think>"))
        shown[ids] = None
        return ids

    measured.prompt_ids = prompt_ids
    (found,) = measured.measure("self_verification", 4).found
    assert len(shown) > 1
    assert found.cost.scorer_tokens == sum(map(len, shown))


def test_only_who_reads_scores_waits_for_them() -> None:
    class SlowScorer(ToyScorer):
        def step_scores(self, readings: Sequence[Reading]) -> list[list[float]]:
            time.sleep(0.1)
            return super().step_scores(readings)

    measured = evaluator(most=4)
    measured.workers = workers(ToyPolicy(), scorer=SlowScorer())
    seconds = {
        name: measured.measure(name, 4).seconds for name in ("majority", "oracle", "best_of_n", "last_step", "answer_only")
    }
    assert seconds["majority"] == seconds["oracle"]
    assert all(seconds[name] >= seconds["majority"] + 0.1 for name in ("best_of_n", "last_step", "answer_only"))


def test_rollouts_value_a_step_by_the_answers_that_agree() -> None:
    measured = evaluator(0.8, scorer=False, value="rollouts")
    result = measured.measure("mcts", 8)
    trees = [found.searched.tree for found in result.found if found.searched]
    assert any(node.rollout for tree in trees for node in tree.nodes)
    assert all(0 <= node.value <= 1 for tree in trees for node in tree.nodes)


def test_the_same_seed_gives_the_same_bytes_whatever_runs_beside() -> None:
    def lines(count: int) -> list[str]:
        measured = evaluator()
        measured.asked = measured.asked[:count]
        return [
            json.dumps(row)
            for name in ("step_beam", "best_of_n")
            for row in tree_rows(measured.measure(name, 4), measured.asked)
        ]

    assert lines(PROBLEMS) == lines(PROBLEMS)
    assert lines(2)[0] == lines(PROBLEMS)[0]


def test_methods_that_need_a_model_are_refused_without_one() -> None:
    with pytest.raises(ConfigError, match="--method step_beam needs a model that judges: give --scorer DIR"):
        evaluator(scorer=False).measure("step_beam", 4)
    with pytest.raises(ConfigError, match="--value rollouts"):
        evaluator(scorer=False).measure("mcts", 4)


def test_a_verification_is_read_by_its_answer() -> None:
    assert says_right("<think> no, wait </think> <answer> yes </answer>") == 1
    assert says_right("<think> yes </think> it is not right") == 0
    assert says_right("<think> a </think> 不对") == 0
    assert says_right("<think> a") == 0.5
    assert says_right("it is right, but wait", opened=True) == 0.5  # cut in the thinking that its prompt has opened
    assert says_right("wrong? </think> yes", opened=True) == 1
    assert plain(" <think> a. </think> <answer> 2 </answer>") == "a. 2"
