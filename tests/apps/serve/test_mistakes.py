"""Mistakes at the edge of what a form says are named, too."""

from typing import Any

import pytest

from cogitate.apps.serve.api.forms import RefusedError
from cogitate.apps.serve.api.responses_in import ResponsesForm
from tests.apps.serve.conftest import Client


def test_mistakes_that_were_faults_of_the_server_are_named(client: Client) -> None:
    turns = [{"role": "assistant", "content": "2", "reasoning": "\ud800"}, {"role": "user", "content": "1"}]
    said = client.refused(messages=turns, chat_template_kwargs={"keep_thinking": True})
    assert said == "400 messages[0].reasoning: not Unicode"
    for name in ("top-p", "system", "a\nb"):
        shown = name if name.isidentifier() else repr(name)
        unknown: dict[str, Any] = {name: 1}
        assert client.refused(**unknown) == f"400 {shown}: this server does not support it"
    assert client.refused(add_generation_prompt=False) == (
        "400 add_generation_prompt: must be the opposite of continue_final_message"
    )


def test_a_penalty_that_would_make_logits_infinite_is_refused_and_fails_nobody_else(client: Client) -> None:
    said = "400 repetition_penalty: input should be greater than or equal to 0.000001"
    assert client.refused(repetition_penalty=1e-40) == said
    assert client.chat(repetition_penalty=1e-6)["choices"]


def test_instructions_count_as_a_message() -> None:
    form = ResponsesForm.model_validate({
        "model": "micro", "input": [{"role": "user", "content": ""}] * 4096, "instructions": "Be short.",
    })  # fmt: skip
    with pytest.raises(RefusedError, match="4096 messages are allowed, instructions included"):
        form.as_chat()
