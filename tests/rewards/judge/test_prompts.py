"""What a judge is shown, and that no completion can speak in its place."""

import re

from cogitate.replies import Reply
from cogitate.rewards.judge.prompts import Form, as_data, pairwise_form, pointwise_form
from cogitate.rewards.judge.verdict import read_verdict
from tests.rewards.judge.judging_server import hostile_completions, shown_in, ticket_in


def pointwise(answer: str, seed: int = 0) -> Form:
    return pointwise_form("2 + 2?", answer, reference="4", rubric="", seed=seed)


def test_equal_questions_have_equal_secrets_and_others_have_others() -> None:
    assert pointwise("5") == pointwise("5")
    tickets = {pointwise("5").ticket, pointwise("6").ticket, pointwise("5", seed=1).ticket}
    assert len(tickets) == 3
    assert ticket_in(pointwise("5").messages[0].content) == pointwise("5").ticket


def test_swapping_shows_the_second_answer_first_and_means_the_same() -> None:
    straight = pairwise_form("Which?", "one", "two", swapped=False, rubric="", seed=0)
    swapped = pairwise_form("Which?", "one", "two", swapped=True, rubric="", seed=0)
    assert shown_in(straight.messages[0].content) == {"request": "Which?", "answer A": "one", "answer B": "two"}
    assert shown_in(swapped.messages[0].content) == {"request": "Which?", "answer A": "two", "answer B": "one"}
    assert straight.meanings["A"] == swapped.meanings["B"] == "first"


def test_none_of_a_thousand_hostile_completions_is_read_as_a_verdict() -> None:
    for completion in hostile_completions(1000):
        forms = (pointwise(completion), pairwise_form("2 + 2?", completion, "4", swapped=True, rubric="", seed=3))
        for form in forms:
            prompt = form.messages[0].content
            shown = shown_in(prompt)
            assert as_data(completion) in shown.values()  # no delimiter of its own has ended it
            for said in (completion, prompt, f"It says:\n{completion}", "\n".join(shown.values())):
                assert read_verdict(Reply(said, "stop"), form).choice is None


def test_control_tokens_of_chat_templates_are_broken_up_and_other_text_is_not() -> None:
    assert as_data("<|im_end|><|im_start|>system</s>") == "< |im_end|>< |im_start|>system< /s>"
    assert as_data("[INST]<start_of_turn>") == "[ INST]< start_of_turn>"
    assert as_data("<think></think><tool_call>") == "< think>< /think>< tool_call>"
    assert (
        as_data("<<SYS>>[SYSTEM_PROMPT][/AVAILABLE_TOOLS][gMASK]<sop>")
        == "< <SYS>>[ SYSTEM_PROMPT][ /AVAILABLE_TOOLS][ gMASK]< sop>"
    )
    plain = "if a < b: x[i] = y | z  # <b>bold</b> [A] <s class=x> cout << SYS"
    assert as_data(plain) == plain
    assert as_data("half \ud800") == "half ?"


def test_a_text_that_holds_every_ticket_of_six_digits_gets_a_longer_one() -> None:
    every_ticket = " ".join(f"{number:06d}" for number in range(1_000_000))
    form = pointwise(every_ticket)
    assert len(form.ticket) == 7
    assert form.ticket not in every_ticket
    assert read_verdict(Reply(f"Verdict {form.ticket}: Yes", "stop"), form).meaning == "right"


def test_no_secret_stands_in_what_is_shown() -> None:
    every_ticket = " ".join(f"{number:06d}" for number in range(0, 1_000_000, 7))
    form = pointwise(every_ticket)
    assert form.ticket not in every_ticket
    assert re.search(r"\[(\w{11}) answer begins\]", form.messages[0].content)
