"""What reward models read of a completion."""

from __future__ import annotations

from cogitate.rewards.reward_model import everything, final_answer, judged_ids


def test_helpfulness_reads_the_final_answer_and_safety_everything():
    completion = " <think> first cut the lock </think>\nHello there.<|im_end|>"
    assert final_answer(completion) == "Hello there."
    assert everything(completion) == "<think> first cut the lock </think>\nHello there."
    assert final_answer(" Hi!") == "Hi!"  # a greeting may come without thinking
    assert final_answer(" <think> never closed") == ""


def test_a_judged_text_is_the_plain_turn_and_ends_with_the_end_token(micro_tokenizer):
    prompt, completion = judged_ids(micro_tokenizer, "Say a number.", "7")
    assert micro_tokenizer.decode(prompt) == "User: Say a number.\nAssistant:"
    assert micro_tokenizer.decode(completion) == " 7"
    assert completion[-1] == micro_tokenizer.end_id
