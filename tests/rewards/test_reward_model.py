"""What reward models read of a completion."""

from __future__ import annotations

from pathlib import Path

from cogitate.rewards.reward_model import everything, final_answer, judged_ids
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.types import Message


def test_helpfulness_reads_the_final_answer_and_safety_everything() -> None:
    completion = " <think> first cut the lock </think>\nHello there.<|im_end|>"
    assert final_answer(completion) == "Hello there."
    assert everything(completion) == "<think> first cut the lock </think>\nHello there."
    assert final_answer(" Hi!") == "Hi!"  # a greeting may come without thinking
    assert final_answer(" <think> never closed") == ""


def test_a_judged_text_is_the_plain_turn_and_ends_with_the_end_token(micro_tokenizer: Tokenizer, tmp_path: Path) -> None:
    form = ConversationForm.load(tmp_path, micro_tokenizer)
    prompt, completion = judged_ids(form, [Message("user", "Say a number.")], "7")
    assert prompt == micro_tokenizer.encode_prompt("User: Say a number.\nAssistant:")
    assert completion == [*micro_tokenizer.encode(" 7"), micro_tokenizer.end_id]


def test_a_reward_model_with_a_chat_template_reads_every_turn_through_it(micro_tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    form = ConversationForm.load(tmp_path, micro_tokenizer)
    turns = [Message("system", "Be brief."), Message("user", "1?"), Message("assistant", "7"), Message("user", "2?")]
    prompt, completion = judged_ids(form, turns, "8")
    assert micro_tokenizer.decode([*prompt, *completion]) == (
        "[system] Be brief.\n[user] 1?\n[assistant] 7\n[user] 2?\n[assistant] 8"
    )
    assert completion[-1] == micro_tokenizer.end_id
