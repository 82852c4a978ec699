"""The corpus: documented frequencies hold, what claims to be right is right, and no RL code can see any of it."""

from __future__ import annotations

import ast
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from types import ModuleType
from typing import Any, get_args

import pytest

from cogitate.evals.text_metrics import is_mixed, is_reflective
from cogitate.tasks.corpus import orders, programs, quizzes, sums
from cogitate.tasks.corpus.documents import (
    DOMAINS,
    FRAMES,
    KINDS,
    REQUEST_SHARE,
    asked_for,
    conversation,
    documents,
    facts,
    practice,
    solution,
)
from cogitate.tasks.corpus.styles import STYLES, WRONG, Style, draw_style
from cogitate.tasks.generators import arithmetic, choice, code, logic, word_problems

STYLE_NAMES: tuple[Style, ...] = get_args(Style)
DRAWS = 300  # of each kind that is counted; a share p is then known to within sqrt(p (1 - p) / 300), 0.029 at most


def tolerance(share: float, draws: int = DRAWS) -> float:
    """Four standard deviations, and something for shares near 0 and 1."""
    return 4 * math.sqrt(share * (1 - share) / draws) + 4 / draws


@pytest.fixture(scope="module")
def written() -> list[str]:
    return list(islice(documents(seed=1), 1500))


def test_the_same_seed_writes_the_same_documents(written: list[str]) -> None:
    assert list(islice(documents(seed=1), 60)) == written[:60]
    assert list(islice(documents(seed=2), 60)) != written[:60]
    assert len(set(written)) > 0.97 * len(written)


def test_shares_add_up_to_one() -> None:
    for shares in (KINDS.values(), FRAMES.values(), STYLES.values()):
        assert sum(shares) == pytest.approx(1.0)
    assert set(STYLE_NAMES) == STYLES.keys() == WRONG.keys()


def test_styles_are_drawn_as_documented() -> None:
    rng = random.Random(0)
    counts = Counter(draw_style(rng) for _ in range(4 * DRAWS))
    for style in STYLE_NAMES:
        share = STYLES[style]
        assert counts[style] / (4 * DRAWS) == pytest.approx(share, abs=tolerance(share, 4 * DRAWS)), style


def test_tags_are_rare_and_reasoning_is_rarer_than_bare_answers(written: list[str]) -> None:
    tagged = sum("<think>" in text and "</think>" in text for text in written)
    explained = sum("<think>" in text and not text.count("Assistant: <think>") for text in written)
    domains = sum(share for kind, share in KINDS.items() if kind in DOMAINS)
    others = KINDS["general"] + KINDS["safety"]
    share = domains * (FRAMES["tagged"] + FRAMES["boxed"]) + others * 0.1
    assert (tagged - explained) / len(written) == pytest.approx(share, abs=tolerance(share, len(written)))
    working = {style: share for style, share in STYLES.items() if style in ("long", "checked", "mixed")}
    assert 0 < sum(working.values()) < 0.3 < STYLES["bare"]


def test_some_text_is_chinese_some_reflects_and_some_mixes_languages(written: list[str]) -> None:
    chinese = sum(bool(re.search("[\u4e00-\u9fff]", text)) for text in written) / len(written)
    reflecting = sum(is_reflective(text) for text in written) / len(written)
    worked = [text for text in written if "Then" in text or "再算" in text]
    mixed = sum(is_mixed(text, "en") and is_mixed(text, "zh") for text in worked)
    assert 0.1 < chinese < 0.4
    assert 0.005 < reflecting < 0.15
    assert mixed > 0


def of_steps(module: ModuleType, steps: int) -> Iterator[Any]:
    """Items of a task with so many steps, drawn as the corpus draws them."""
    rng = random.Random(steps)
    while True:
        item = module.draw(rng, "corpus")
        if len(getattr(item, "steps", None) or item.premises) == steps:
            yield item


@pytest.mark.parametrize("style", STYLE_NAMES)
@pytest.mark.parametrize(("module", "steps"), [(arithmetic, 1), (arithmetic, 3), (word_problems, 2), (word_problems, 4)])
def test_sums_are_as_often_wrong_as_documented(module: ModuleType, steps: int, style: Style) -> None:
    rng = random.Random(7)
    wrong = 0
    for item in islice(of_steps(module, steps), DRAWS):
        worked = sums.solve(rng, item, style)
        wrong += int(worked.answer) != item.results()[-1]
        assert bool(worked.thinking) == (style != "bare")
    share = WRONG[style][steps - 1]
    # a slip that would go below zero is kept at zero, which is right where the result is zero: about one in a hundred slips
    assert wrong / DRAWS == pytest.approx(share, abs=tolerance(share) + 0.01 * share)


@pytest.mark.parametrize("style", STYLE_NAMES)
@pytest.mark.parametrize("premises", [2, 3])
def test_orders_are_as_often_wrong_as_documented(premises: int, style: Style) -> None:
    rng = random.Random(8)
    items = list(islice(of_steps(logic, premises), DRAWS))
    wrong = sum(orders.solve(rng, item, style).answer != item.answer() for item in items)
    share = WRONG[style][premises - 1]
    spared = 0.5 if style == "short" else 1.0  # people are shuffled to get a wrong order; the one asked for may keep his place
    assert wrong / DRAWS <= share + tolerance(share)
    assert wrong / DRAWS >= share * spared - tolerance(share)


@pytest.mark.parametrize("style", STYLE_NAMES)
def test_quizzes_are_as_often_wrong_as_documented(style: Style) -> None:
    rng = random.Random(9)
    items = [choice.draw(rng, "corpus") for _ in range(DRAWS)]
    wrong = sum(quizzes.solve(rng, item, style).answer != item.letter for item in items)
    share = WRONG[style][quizzes.CARELESS_STEPS - 1]
    assert wrong / DRAWS == pytest.approx(share, abs=tolerance(share))


def function_in(answer: str) -> Callable[[list[int]], list[int]]:
    source = answer.removeprefix("```python\n").removesuffix("\n```")
    ast.parse(source)
    names: dict[str, Any] = {}
    exec(source, names)
    function: Callable[[list[int]], list[int]] = names["f"]
    return function


@pytest.mark.parametrize("style", STYLE_NAMES)
def test_programs_parse_run_and_are_wrong_no_more_often_than_documented(style: Style) -> None:
    rng = random.Random(10)
    wrong, allowed = 0, 0.0
    for _ in range(DRAWS):
        item = code.draw(rng, "corpus")
        worked = programs.solve(rng, item, style)
        function = function_in(worked.answer)
        failed = any(function(list(test["args"][0])) != test["expected"] for test in item.tests())
        allowed += WRONG[style][min(len(item.steps), 4) - 1] / DRAWS
        wrong += failed
    # exchanged steps and a changed constant do not always matter, so fewer are wrong than slipped
    assert wrong / DRAWS <= allowed + tolerance(allowed)
    assert wrong / DRAWS > 0.3 * allowed - tolerance(allowed)


def test_a_one_liner_without_slip_does_what_the_statements_do() -> None:
    rng = random.Random(12)
    for _ in range(DRAWS):
        item = code.draw(rng, "corpus")
        function = function_in(programs.fenced(programs.one_liner(item.steps)))
        assert all(function(list(test["args"][0])) == test["expected"] for test in item.tests()), item.steps


def test_who_works_step_by_step_is_far_more_often_asked_to() -> None:
    rng = random.Random(13)
    asked = Counter[Style]()
    for style in STYLE_NAMES:
        asked[style] = sum(asked_for(rng, "?", style, "en") != "?" for _ in range(DRAWS))
        assert asked[style] / DRAWS == pytest.approx(REQUEST_SHARE[style], abs=tolerance(REQUEST_SHARE[style]))
    assert asked["long"] > 10 * asked["bare"]


def test_a_working_without_slip_states_only_true_sums() -> None:
    rng = random.Random(3)
    for module in (arithmetic, word_problems):
        for item in islice(of_steps(module, 3), 60):
            worked = sums.solve(rng, item, "long")
            if int(worked.answer) != item.results()[-1]:
                continue
            stated = re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", worked.thinking)
            assert len(stated) == 3
            assert all(int(a) + int(b) * (1 if sign == "+" else -1) == int(result) for a, sign, b, result in stated)


def test_a_checked_working_takes_a_slip_back_or_undoes_the_last_step() -> None:
    rng = random.Random(4)
    kinds = Counter[str]()
    for item in islice(of_steps(arithmetic, 2), 200):
        worked = sums.solve(rng, item, "checked")
        mended = re.search("Wait, that is wrong|等等，不对", worked.thinking)
        undone = re.search("Let me check|检查一下", worked.thinking)
        assert bool(mended) != bool(undone)
        assert is_reflective(worked.thinking)
        kinds["mended" if mended else "undone"] += 1
    assert kinds["mended"] / 200 == pytest.approx(0.5, abs=tolerance(0.5, 200))


def test_a_mixed_working_has_a_line_in_the_other_language() -> None:
    rng = random.Random(5)
    for item in islice(of_steps(arithmetic, 3), 60):
        thinking = sums.solve(rng, item, "mixed").thinking
        other = r"[\u4e00-\u9fff。]" if item.language == "en" else r"Then|First|Next|Now|Start|\. |\.$"
        assert re.search(other, thinking), (item.language, thinking)


def test_every_document_frame_holds_question_and_answer() -> None:
    rng = random.Random(6)
    for domain in DOMAINS:
        for _ in range(60):
            text = solution(rng, domain)
            assert text == text.strip() or text.endswith("```"), text
            assert len(re.findall("(?<!Write )(?<!in )(?<!Use )<think>", text)) <= 1, text
            assert "{" not in text or "\\boxed{" in text, text
    assert all(conversation(rng, task) for task in ("general", "safety") for _ in range(40))


def test_rows_of_practice_are_nearly_always_right() -> None:
    rng = random.Random(7)
    rows = [row for _ in range(150) for row in re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", practice(rng))]
    wrong = sum(int(a) + int(b) * (1 if sign == "+" else -1) != int(result) for a, sign, b, result in rows)
    assert len(rows) > 500
    assert wrong / len(rows) == pytest.approx(0.02, abs=tolerance(0.02, len(rows)))


def test_stated_facts_are_those_of_the_task() -> None:
    rng = random.Random(8)
    true = {r.statement.format(key=key, value=value) for r in choice.RELATIONS.values() for key, value in r.facts.items()}
    for _ in range(30):
        assert set(re.findall(r"[^.]+\.", facts(rng))) <= {f" {text}" for text in true} | true
