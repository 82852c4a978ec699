"""The gold of each reasoning task against an independent recomputation from the question's text alone."""

from __future__ import annotations

import ast
import itertools
import random
import re
from types import ModuleType

import pytest

from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.tasks.common import Split
from cogitate.tasks.generators import arithmetic, choice, code, logic, word_problems
from cogitate.tasks.generators.code import Program
from cogitate.types import Problem

SPLITS: tuple[Split, ...] = ("corpus", "train", "eval")
needs_sandbox = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


def problems(module: ModuleType, count: int = 150) -> list[Problem]:
    rng = random.Random(11)
    return [module.generate(rng, split) for split in SPLITS for _ in range(count)]


def found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    assert match is not None, (pattern, text)
    return match


def running_total(start: int, steps: list[tuple[str, int]]) -> list[int]:
    return list(itertools.accumulate(steps, lambda total, step: total + step[1] * (1 if step[0] == "+" else -1), initial=start))


def test_arithmetic_is_the_value_of_the_chain_as_python_reads_it() -> None:
    languages = set()
    for problem in problems(arithmetic):
        chain = found(r"\d+(?: [+-] \d+)+", problem.question).group()
        assert eval(compile(ast.parse(chain, mode="eval"), "chain", "eval")) == int(problem.gold)
        start, *steps = re.findall(r"([+-]?) ?(\d+)", chain)
        totals = running_total(int(start[1]), [(sign, int(number)) for sign, number in steps])
        assert all(0 <= total <= 99 for total in totals), chain
        assert 2 <= len(totals) <= 5
        languages.add(problem.language)
        assert (problem.language == "zh") == bool(re.search("[\u4e00-\u9fff]", problem.question))
    assert languages == {"en", "zh"}


GAINS, LOSSES = "buys|finds|gets|wins|买了|找到|送来|赢了", "gives away|loses|sells|leaves|送给别人|丢了|卖掉|留下"


def test_word_problems_follow_the_story() -> None:
    for problem in problems(word_problems):
        start = found(r"(?:has |有)(\d+)", problem.question).group(1)
        events = re.findall(rf"({GAINS}|{LOSSES})\s*(\d+)", problem.question)
        assert len(re.findall(r"\d+", problem.question)) == len(events) + 1
        steps = [("+" if word in GAINS.split("|") else "-", int(number)) for word, number in events]
        totals = running_total(int(start), steps)
        assert totals[-1] == int(problem.gold), problem.question
        assert min(totals) >= 0
        assert 1 <= len(steps) <= 4
        if problem.language == "en":
            name, item = found(r"^(\w+) has \d+ (\w+)\.", problem.question).groups()
            assert problem.question.endswith(f"How many {item} does {name} have now?")
            assert problem.question.count(name) == len(events) + 2


def test_logic_has_one_order_that_fits_all_premises() -> None:
    ranks = {"tallest": 0, "second tallest": 1, "shortest": -1, "最高": 0, "第二高": 1, "最矮": -1}
    for problem in problems(logic):
        compared = [(a, b, word) for a, word, b in re.findall(r"(\w+) is (taller|shorter) than (\w+)\.", problem.question)]
        compared += re.findall(r"(小.)比(小.)(高|矮)。", problem.question)
        pairs = [(a, b) if word in ("taller", "高") else (b, a) for a, b, word in compared]
        people = sorted({name for pair in pairs for name in pair})
        fitting = [order for order in itertools.permutations(people) if all(order.index(a) < order.index(b) for a, b in pairs)]
        assert len(fitting) == 1, problem.question
        asked = found(r"(second tallest|tallest|shortest)\?|谁(第二高|最高|最矮)？$", problem.question)
        assert fitting[0][ranks[asked.group(1) or asked.group(2)]] == problem.gold, problem.question


TRUE = {  # a second source for some of the facts, written down apart from the task
    ("capital", "Japan"): "Tokyo", ("capital", "Peru"): "Lima", ("capital", "Kenya"): "Nairobi", ("capital", "Cuba"): "Havana",
    ("young", "sheep"): "lamb", ("young", "goat"): "kid", ("young", "frog"): "tadpole", ("opposite", "rich"): "poor",
    ("opposite", "deep"): "shallow", ("symbol", "gold"): "Au", ("symbol", "iron"): "Fe", ("symbol", "lead"): "Pb",
    ("symbol", "tin"): "Sn", ("day", "Sunday"): "Monday", ("day", "Wednesday"): "Thursday",
}  # fmt: skip


def test_exactly_one_option_of_a_quiz_is_true() -> None:
    letters = set()
    for problem in problems(choice):
        asked, _, listed = problem.question.partition("? ")
        asked, options = f"{asked}?", re.findall(r"(\w+) \([A-D]\)", listed)
        assert listed == ", ".join(f"{option} ({letter})" for option, letter in zip(options, "ABCD", strict=True)) + "."
        assert len(options) == len(set(options)) == 4
        true = set()
        for relation in choice.RELATIONS.values():
            for key, value in relation.facts.items():
                true |= {value for form in relation.forward if form.format(key=key) == asked}
                true |= {key for form in relation.backward if form.format(value=value) == asked}
        assert len(true) == 1, asked
        assert [letter for letter, option in zip("ABCD", options, strict=True) if option in true] == [problem.gold]
        letters.add(problem.gold)
    assert letters == set("ABCD")
    for (name, key), value in TRUE.items():
        assert choice.RELATIONS[name].facts[key] == value
    for relation in choice.RELATIONS.values():
        assert len(set(relation.facts.values())) == len(relation.facts)


def interpret(question: str, xs: list[int]) -> list[int]:
    """Does what the question says, phrase by phrase, with loops of its own."""
    if "然后" in question or "对一列数" in question:
        phrases = found(r"对一列数(.*)。", question).group(1).split("，然后")
    else:
        phrases = found(r"list of numbers and (.*)\.", question).group(1).split(", then ")
    for phrase in phrases:
        k = int((re.search(r"(?:above|adds|by|puts|first|大于|加|乘|放|前)\s?(\d+)", phrase) or [0, 0])[1])
        if re.search("sorts|排序", phrase):
            result: list[int] = []
            for x in xs:
                result.insert(sum(y <= x for y in result), x)
        elif re.search("reverses|反转", phrase):
            result = [xs[-1 - i] for i in range(len(xs))]
        elif re.search("even|偶数", phrase):
            result = [x for x in xs if x // 2 * 2 == x]
        elif re.search("odd|奇数", phrase):
            result = [x for x in xs if x // 2 * 2 != x]
        elif re.search("above|大于", phrase):
            result = [x for x in xs if x - k > 0]
        elif re.search("adds|每个数加", phrase):
            result = [x - -k for x in xs]
        elif re.search("multiplies|每个数乘", phrase):
            result = [sum([x] * k) for x in xs]
        elif re.search("in front|前面放", phrase):
            result = [k]
            result.extend(xs)
        elif re.search("at the end|后面放", phrase):
            result = list(xs)
            result.append(k)
        elif re.search("drops the first|去掉第一个", phrase):
            result = [x for i, x in enumerate(xs) if i > 0]
        elif re.search("drops the last|去掉最后", phrase):
            result = [x for i, x in enumerate(xs) if i < len(xs) - 1]
        elif re.search("keeps the first|留下前", phrase):
            result = [x for i, x in enumerate(xs) if i < k]
        else:
            assert re.search("repeated|重复", phrase), phrase
            result = []
            for x in xs:
                if x not in result:
                    result.append(x)
        xs = result
    return xs


def test_unit_tests_of_code_expect_what_the_words_say() -> None:
    operations = set()
    for problem in problems(code):
        tests = problem.fields["tests"]
        for test in tests:
            assert interpret(problem.question, list(test["args"][0])) == test["expected"], problem.question
        inputs = [test["args"][0] for test in tests]
        assert [] in inputs
        assert any(min(xs) < 0 for xs in inputs if xs)
        assert any(len(set(xs)) < len(xs) for xs in inputs)
        assert len(inputs) == 6
        operations |= set(re.findall("[a-z]+", problem.id.rpartition(":")[2]))
    assert operations == set(code.OPERATIONS)


def program_of(steps: tuple[tuple[str, int], ...]) -> str:
    lines = [f"    xs = {code.OPERATIONS[name].expression.format(xs='xs', k=k)}" for name, k in steps]
    return "\n".join(["```python", "def f(xs):", *lines, "    return xs", "```"])


@needs_sandbox
def test_the_reference_composition_passes_its_tests_in_the_sandbox_and_the_wrong_order_fails() -> None:
    rng = random.Random(5)
    judged = 0
    while judged < 3:
        program = code.draw(rng, "eval")
        turned = Program(program.steps[::-1], program.language, program.question)
        fields = program.problem().fields
        if all(turned.run(list(test["args"][0])) == test["expected"] for test in fields["tests"]):
            continue  # an order that makes no difference
        for steps, verdict in ((program.steps, "right"), (turned.steps, "wrong")):
            got = grade_code(program_of(steps), mode=fields["mode"], entry_point=fields["entry_point"], tests=fields["tests"])
            assert got.value == verdict, (program.question, got)
        judged += 1


@needs_sandbox
def test_every_operation_does_as_python_what_its_reference_does() -> None:
    steps = tuple((name, 2 + index % 8) for index, name in enumerate(code.OPERATIONS))
    for half in (steps[:5], steps[5:9], steps[9:]):
        program = Program(half, "en", "")
        got = grade_code(program_of(half), mode="function", entry_point="f", tests=program.tests())
        assert got.value == "right", got


def test_two_like_operations_never_follow_each_other() -> None:
    for problem in problems(code):
        names = re.findall("[a-z]+", problem.id.rpartition(":")[2])
        assert 2 <= len(names) <= 4
        assert all(first != second for first, second in itertools.pairwise(names))
