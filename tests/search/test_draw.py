"""Whole completions and single steps from one policy."""

from __future__ import annotations

from collections.abc import Sequence

from cogitate.search.draw import Draw
from cogitate.search.work import Workers
from tests.search.toy import PROBLEM, TOKENIZER, ToyPolicy, question, workers


def drawn(
    work: Workers, *, given: str = "", step_tokens: int = 0, limit: int = 60, seeds: tuple[int, ...] = (1, 2)
) -> list[str]:
    draw = Draw(question().prompt_ids, tuple(TOKENIZER.encode(given)), seeds, limit, 1.0, step_tokens)
    ((*found,),) = work.sampler.draw([draw])
    return [TOKENIZER.decode(each.token_ids) for each in found]


def test_a_step_ends_with_its_sentence_and_the_answer_is_the_last_step() -> None:
    work = workers(ToyPolicy(1.0))
    assert drawn(work, step_tokens=20) == [" a.", " a."]
    assert drawn(work, given=" a. a.", step_tokens=20) == [" a.", " a."]
    assert drawn(work, given=" a. a. a.", step_tokens=4) == [" </think> <answer> 3 </answer>"] * 2  # no limit cuts an answer


def test_an_answer_that_pauses_at_the_limit_of_a_step_is_not_cut() -> None:
    text = " a </think> <answer> 3. Or 4 </answer>"

    class Answering(ToyPolicy):
        def rest(self, given_ids: Sequence[int], seed: int) -> list[int]:
            return [*TOKENIZER.encode(text), TOKENIZER.end_id][len(given_ids) :]

    work = workers(Answering())
    ids = TOKENIZER.encode(text)
    (pause,) = [place for place, token in enumerate(ids, 1) if token in work.sampler.reader.pause_ids]
    assert drawn(work, step_tokens=pause) == [text] * 2


def test_steps_one_after_the_other_are_the_whole_completion() -> None:
    work = workers(ToyPolicy())
    (whole,) = drawn(work, seeds=(5,))
    text = ""
    while "</answer>" not in text:
        text += drawn(work, given=text, step_tokens=20, seeds=(5,))[0]
    assert text == whole


def test_a_completion_ends_at_its_limit_and_is_then_cut() -> None:
    work = workers(ToyPolicy(1.0))
    draw = Draw(question().prompt_ids, (), (1,), 3, 1.0, 20)
    ((first,),) = work.sampler.draw([draw])
    rest = Draw(question().prompt_ids, first.token_ids, (1,), 3 - len(first.token_ids), 1.0, 20)
    ((last,),) = work.sampler.draw([rest])
    assert (first.finished, last.finished, last.cut) == (False, True, True)


def test_every_sampled_token_is_counted() -> None:
    policy = ToyPolicy()
    work = workers(policy)
    drawn(work, step_tokens=20)
    drawn(work)
    assert work.sampler.tokens == policy.sampled


def test_equal_completions_are_graded_once_and_all_get_their_verdict() -> None:
    work = workers(ToyPolicy())
    ids = tuple(TOKENIZER.encode(" a. </think> <answer> 3 </answer>"))
    other = tuple(TOKENIZER.encode(" a. </think> <answer> 1 </answer>"))
    prompt = question().prompt_ids
    verdicts = work.judge.verdicts([(PROBLEM, prompt, ids), (PROBLEM, prompt, other), (PROBLEM, prompt, ids)])
    assert [each.value for each in verdicts] == ["right", "wrong", "right"]
