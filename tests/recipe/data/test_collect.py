"""Post-processing of cold-start candidates: what is kept, what human decisions change, and that none is lost."""

from collections.abc import Mapping

from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.data.collect import (
    DUPLICATE,
    OTHER_TEXT,
    REJECTED,
    SURPASSED,
    WRONG,
    WRONG_REWRITTEN,
    direct_text,
    few_shot_text,
    post_process,
)
from cogitate.recipe.data.decisions.chain import hash_of_text
from cogitate.recipe.data.review import Decision
from cogitate.tasks.examples import LONG_EXAMPLES
from cogitate.tokenizer.prompts import few_shot_prompt
from cogitate.types import Problem
from tests.recipe.scripted_backend import InlineGrader, candidate

SUM = Problem("1", "arithmetic", "math", "What is 4 + 5?", "9")
SHORT = "4 + 5 = 9. The answer is 9."
LONG = "First 4 + 5 = 9, and 9 is what we want. The answer is 9."
CHECKED = "4 + 5 = 9. Let me check: 9 - 5 = 4. Right. The answer is 9."
MIXED = "先算四加五，we get nine。The answer is 9."
WRONG_SUM = "4 + 5 = 8. The answer is 8."


def few_shot(text: str, number: int = 0, problem: Problem = SUM) -> Candidate:
    return candidate(problem, text, source="few_shot", number=number)


def processed(
    *candidates: Candidate, decisions: Mapping[str, Decision] | None = None, per_problem: int = 1
) -> tuple[dict[str, str], dict[str, str]]:
    """What is kept, as texts, and what is dropped, with its rules, by the candidates' ids."""
    done = post_process(candidates, decisions or {}, per_problem=per_problem, grader=InlineGrader())
    assert sorted([*(c.id for c, _ in done.kept), *(c.id for c, _ in done.dropped)]) == sorted(c.id for c in candidates)
    return {c.id: text for c, text in done.kept}, {c.id: rule for c, rule in done.dropped}


def test_what_is_right_and_readable_is_rewritten_and_kept() -> None:
    one = few_shot(SHORT)
    assert processed(one) == ({one.id: "<think> 4 + 5 = 9. </think>\nThe answer is \\boxed{9}."}, {})


def test_wrong_unreadable_and_unmarked_ones_are_dropped_each_for_its_reason() -> None:
    wrong, mixed, bare = few_shot(WRONG_SUM), few_shot(MIXED), few_shot("9")
    assert processed(wrong, mixed, bare)[1] == {wrong.id: WRONG, mixed.id: "mixed language", bare.id: "no thinking"}


def test_one_that_checks_itself_is_better_than_a_longer_one_and_that_than_a_short_one() -> None:
    short, long, checked = few_shot(SHORT), few_shot(LONG), few_shot(CHECKED)
    kept, dropped = processed(short, long, checked)
    assert list(kept) == [checked.id]
    assert dropped == {short.id: SURPASSED, long.id: SURPASSED}
    assert list(processed(short, long, checked, per_problem=2)[0]) == [long.id, checked.id]


def test_each_collector_keeps_its_own_best_but_no_text_twice() -> None:
    ours = few_shot(SHORT)
    theirs = candidate(SUM, "<think> 4 + 5 = 9. </think> <answer> 9 </answer>", source="r1_zero")
    other = candidate(SUM, "<think> 9 = 4 + 5. </think> <answer> 9 </answer>", source="r1_zero")
    assert list(processed(ours, other)[0]) == [ours.id, other.id]
    assert processed(ours, theirs)[1] == {theirs.id: DUPLICATE}


def test_a_person_may_reject_accept_and_edit() -> None:
    short, checked, mixed = few_shot(SHORT), few_shot(CHECKED), few_shot(MIXED)
    edit = "<think> I count from 4: 5, 6, 7, 8, 9. </think>\nThe answer is \\boxed{9}."
    assert processed(checked, decisions={checked.id: Decision("reject", "line 1")})[1] == {checked.id: REJECTED}
    both, _ = processed(short, checked, decisions={short.id: Decision("accept", "line 1")}, per_problem=2)
    assert list(both) == [short.id, checked.id]
    kept, dropped = processed(short, checked, mixed, decisions={mixed.id: Decision("accept", "line 1")})
    assert list(kept) == [mixed.id]  # the reader's word stands above the rule, and before the others
    assert set(dropped.values()) == {SURPASSED}
    kept, _ = processed(short, mixed, decisions={mixed.id: Decision("edit", "line 1", edit)}, per_problem=2)
    assert kept[mixed.id] == edit
    assert list(kept) == [short.id, mixed.id]


def test_no_decision_makes_a_wrong_answer_right() -> None:
    wrong = few_shot(WRONG_SUM)
    assert processed(wrong, decisions={wrong.id: Decision("accept", "line 1")})[1] == {wrong.id: WRONG}
    still_wrong = "<think> 4 + 5 = 8. </think>\nThe answer is \\boxed{8}."
    assert processed(wrong, decisions={wrong.id: Decision("edit", "line 1", still_wrong)})[1] == {wrong.id: WRONG_REWRITTEN}
    mended = "<think> 4 + 5 = 9. </think>\nThe answer is \\boxed{9}."
    assert processed(wrong, decisions={wrong.id: Decision("edit", "line 1", mended)})[0] == {wrong.id: mended}


def test_a_contested_text_is_set_apart_even_if_it_is_right_by_now() -> None:
    """The verdict that was contested may be that of the text before it was rewritten."""
    cut = candidate(SUM, SHORT, source="few_shot", finish_reason="length")
    contested = Decision("accept", "line 1", contested="it says all")
    done = post_process([cut], {cut.id: contested}, per_problem=1, grader=InlineGrader())
    assert ([one.id for one, _ in done.contested], done.kept, done.dropped) == ([cut.id], [], [])


def test_what_a_person_accepted_in_a_studio_is_what_is_learnt_or_nothing() -> None:
    one = few_shot(SHORT)
    rewritten = "<think> 4 + 5 = 9. </think>\nThe answer is \\boxed{9}."
    seen = Decision("accept", "line 1", event={"accepted": hash_of_text(rewritten)})
    assert list(processed(one, decisions={one.id: seen})[0].values()) == [rewritten]
    edited_before = Decision("accept", "line 1", event={"accepted": hash_of_text("an earlier edit")})
    assert processed(one, decisions={one.id: edited_before})[1] == {one.id: OTHER_TEXT}


def test_a_truncated_text_is_dropped_though_its_answer_is_there() -> None:
    cut = candidate(SUM, SHORT, source="few_shot", finish_reason="length")
    assert processed(cut)[1] == {cut.id: "truncated"}


def test_the_prompts_of_the_collectors_are_what_they_say() -> None:
    assert few_shot_text(SUM) == few_shot_prompt(
        "What is 4 + 5? Work carefully and check your answer.", [LONG_EXAMPLES["arithmetic", "en"]]
    )
    assert direct_text(SUM) == "User: What is 4 + 5? Work carefully and check your answer.\nAssistant:"
    chinese = Problem("2", "arithmetic", "math", "4 + 5等于多少？", "9", "zh")
    assert direct_text(chinese) == "User: 4 + 5等于多少？请仔细算，再检查。\nAssistant:"
    assert few_shot_text(chinese).startswith("Question: 24 + 13 - 6 + 20等于多少？")
    french = Problem("3", "arithmetic", "math", "Combien font 4 + 5 ?", "9", "fr")
    assert direct_text(french) == "User: Combien font 4 + 5 ? Work carefully and check your answer.\nAssistant:"
