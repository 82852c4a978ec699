"""Whether a model thinks, and whether earlier thinking is kept: what reaches its template, and what would change nothing."""

from pathlib import Path

import pytest

from cogitate.apps.serve.api.chat import plan_chat
from cogitate.apps.serve.api.forms import RefusedError
from cogitate.apps.serve.api.tokens import TokenizeForm, tokenize
from tests.apps.serve.scripted import chat, model_of, refusal

# As in DeepSeek-V3.1, which does not think unless it is told to, and leaves earlier thinking out.
DEEPSEEK = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
    "{% for message in messages %}{{ message['content'].split('</think>')[-1] }}\n{% endfor %}"
    "{% if add_generation_prompt %}{% if thinking %}<think>{% else %}</think>{% endif %}{% endif %}"
)
NO_THINKING = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
TURNS = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2", "reasoning": "why"}]


def test_both_names_of_the_switch_reach_a_template_that_knows_one(thinking_model: Path, tmp_path: Path) -> None:
    model = model_of(thinking_model, tmp_path / "micro", DEEPSEEK)
    assert model.switches == ["thinking"]
    for name in ("thinking", "enable_thinking"):
        for value, end in ((True, "<think>"), (False, "</think>")):
            plan = plan_chat(chat(chat_template_kwargs={name: value}), model)
            assert model.tokenizer.decode(plan.prompt.ids) == f"1\n{end}"
            asked = TokenizeForm.model_validate({
                "model": "micro", "messages": [{"role": "user", "content": "1"}], "chat_template_kwargs": {name: value},
            })  # fmt: skip
            assert tuple(tokenize(asked, model)["tokens"]) == plan.prompt.ids
    plan = plan_chat(chat(response_format={"type": "json_object"}), model)
    assert (model.tokenizer.decode(plan.prompt.ids), plan.thinks) == ("1\n</think>", False)


def test_switches_without_effect_are_refused(thinking_model: Path, tmp_path: Path) -> None:
    model = model_of(thinking_model, tmp_path / "micro", DEEPSEEK)
    conversation = [*TURNS, {"role": "user", "content": "3"}]
    kept = {"keep_thinking": True}
    assert "leaves earlier thinking out" in refusal(model, messages=conversation, chat_template_kwargs=kept)
    assert plan_chat(chat(chat_template_kwargs=kept), model)  # there is no earlier thinking yet
    both = {"thinking": True, "enable_thinking": False}
    asked = TokenizeForm.model_validate({"model": "m", "messages": TURNS, "chat_template_kwargs": both})
    with pytest.raises(RefusedError, match="contradict each other"):
        tokenize(asked, model)
    bare = model_of(thinking_model, tmp_path / "bare", NO_THINKING)
    assert refusal(bare, chat_template_kwargs={"enable_thinking": True}) == (
        "chat_template_kwargs: has no effect: this model does not think"
    )
    assert plan_chat(chat(chat_template_kwargs={"enable_thinking": False}), bare)
    assert plan_chat(chat(messages=conversation, chat_template_kwargs=kept), bare)
