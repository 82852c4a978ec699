"""How settings become a prompt and its room, and which of them have no effect."""

from pathlib import Path

import pytest

from cogitate.apps.serve.api.chat import plan_chat
from cogitate.apps.serve.api.completions import CompletionForm, plan_completion
from cogitate.apps.serve.api.messages import MessageForm, plan_message
from tests.apps.serve.conftest import Client
from tests.apps.serve.scripted import chat, model_of, refusal, script

TURNS = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2", "reasoning": "why"}]


def test_without_a_limit_a_completion_has_as_much_room_as_fits(thinking_model: Path, tmp_path: Path) -> None:
    model = model_of(thinking_model, tmp_path / "micro")
    limits = []
    for blocks in (1 << 20, 5):
        script(model, most_blocks=blocks)
        plan = plan_chat(chat(), model)
        limits.append(plan.params.max_new_tokens)
        size = len(plan.prompt.ids)
    assert limits == [128 - size, 16 * (5 - -(-size // 16))]
    assert refusal(model, max_tokens=100).startswith("max_completion_tokens: prompt and answer need more memory")
    begun = plan_chat(chat(messages=[*TURNS], continue_final_message=True), model)
    assert begun.params.max_new_tokens == 16 * (5 - -(-len(begun.prompt.ids) // 16) - 1)
    text = plan_completion(CompletionForm.model_validate({"model": "micro", "prompt": "1" * 70}), script(model, most_blocks=6))
    assert text.params.max_new_tokens == 16
    script(model, most_blocks=1)
    assert refusal(model, messages=[{"role": "user", "content": "1" * 40}]).startswith("max_completion_tokens: prompt and")


def test_a_long_context_is_answered_without_a_limit_by_a_small_cache(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.model.loop, "most_blocks", 4)
    answer = client.chat(max_tokens=None, ignore_eos=True)
    usage = answer["usage"]
    assert usage["completion_tokens"] == 16 * (4 - -(-usage["prompt_tokens"] // 16))


def test_a_text_that_is_gone_on_with_stands_after_the_prompt_as_it_is(thinking_model: Path, tmp_path: Path) -> None:
    model = model_of(thinking_model, tmp_path / "micro")
    turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "It is "}]
    message = MessageForm.model_validate({"model": "micro", "max_tokens": 9, "messages": turns})
    plan = plan_message(message, model)
    assert model.tokenizer.decode(plan.prompt.given_ids) == "</think>\n\nIt is "
    assert plan_chat(chat(messages=turns, continue_final_message=True), model).prompt == plan.prompt
