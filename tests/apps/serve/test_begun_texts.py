"""Completions that go on from a text: what the client has and what it is sent are together the whole completion."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.serve.api.chat import BOTH_NAMES, ChatAnswer, ChatForm, plan_chat
from cogitate.apps.serve.api.messages import MessageAnswer, MessageForm, plan_message
from cogitate.apps.serve.model import Plan, ServedModel
from tests.apps.serve.conftest import TEMPLATE
from tests.apps.serve.scripted import model_of, read, script, steps_of, tokens_of

PLAIN = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}{% if add_generation_prompt %}A: {% endif %}"
BEGUN = [
    "The answer is", "The answer is ", "<think>\nhalf a thought", "<think>\nhalf ", "<think>", "a <th", "<think>\na</th", "x",
    "<think>\na\n</think>\n\nso", "\u4f60", '{"a": ',
]  # fmt: skip
PARTS = [" 42", "\n", "\n\n", "<think>", "</think>", "<", "a<", "ink>", "e", " ", "stop", '{"a": "<think>"}', "\u4f60\u597d"]
STOPS = [("stop",), ("<",), ("</",), ("p\n", "<e"), ()]
Said = tuple[str, str, str]


@pytest.fixture(scope="module", params=[TEMPLATE, PLAIN], ids=["opens the thinking", "opens nothing"])
def model(request: pytest.FixtureRequest, thinking_model: Path, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return model_of(thinking_model, tmp_path_factory.mktemp("scripted") / "micro", request.param)


def channels(text: str, opened: bool) -> list[str]:
    """Of each character: thinking, answer, or "" for those of tags."""
    start = 0 if opened else text.find("<think>")
    if start < 0:
        return ["answer"] * len(text)
    inside = start if opened else start + len("<think>")
    end = text.find("</think>", inside)
    before = ["answer"] * start + [""] * (inside - start)
    if end < 0:
        return before + ["thinking"] * (len(text) - inside)
    return before + ["thinking"] * (end - inside) + [""] * len("</think>") + ["answer"] * (len(text) - end - len("</think>"))


def expected(begun: str, drawn: str, opened: bool, stops: tuple[str, ...]) -> Said:
    """Thinking, answer and stop of what is drawn, by looking at the whole text at once."""
    kinds = channels(begun + drawn, opened)
    had, places = kinds[: len(begun)], range(len(drawn))
    thinking = [at for at in places if kinds[len(begun) + at] == "thinking"]
    answer = [at for at in places if kinds[len(begun) + at] == "answer"]

    def has_begun(kind: str) -> bool:
        return any(its == kind and letter.strip() for its, letter in zip(had, begun, strict=True))

    def without_white(ats: list[int]) -> list[int]:
        return [at for number, at in enumerate(ats) if "".join(drawn[one] for one in ats[: number + 1]).strip()]

    if not has_begun("thinking"):
        thinking = without_white(thinking)
    if not (has_begun("answer") or had[-1:] == ["answer"]):
        answer = without_white(answer)
    text = "".join(drawn[at] for at in answer)
    found = [(text.find(stop) + len(stop), text.find(stop), stop) for stop in stops if stop in text]
    if not found:
        return "".join(drawn[at] for at in thinking).rstrip(), text, ""
    end, start, stop = min(found)
    return "".join(drawn[at] for at in thinking if at < answer[end - 1]).rstrip(), text[:start], stop


def of_chat(model: ServedModel, begun: str, stops: tuple[str, ...]) -> tuple[Plan, Callable[[Any], Any]]:
    turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": begun}]
    settings = {"continue_final_message": True, "add_generation_prompt": False, "stop": list(stops)}
    form = ChatForm.model_validate({"model": "micro", "messages": turns} | settings)
    return plan_chat(form, model), lambda drawing: ChatAnswer(form, model, drawing, BOTH_NAMES)


def of_messages(model: ServedModel, begun: str, stops: tuple[str, ...]) -> tuple[Plan, Callable[[Any], Any]]:
    turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": begun}]
    form = MessageForm.model_validate({"model": "micro", "messages": turns, "max_tokens": 60, "stop_sequences": list(stops)})
    return plan_message(form, model), lambda drawing: MessageAnswer(form, drawing)


def said_by_chat(whole: Any, events: list[dict[str, Any]]) -> tuple[Said, Said]:
    (choice,) = whole["choices"]
    deltas = [event["choices"][0] for event in events]
    thinking = "".join(each["delta"].get("reasoning", "") for each in deltas)
    answer = "".join(each["delta"].get("content", "") for each in deltas)
    for each in (choice, deltas[-1]):
        assert each["finish_reason"] == ("stop" if each["stop_reason"] else "length")
    message = choice["message"]
    return (message["reasoning"] or "", message["content"], choice["stop_reason"] or ""), (
        thinking, answer, deltas[-1]["stop_reason"] or "",
    )  # fmt: skip


def said_by_messages(whole: Any, events: list[dict[str, Any]]) -> tuple[Said, Said]:
    def text(kind: str, blocks: list[dict[str, Any]]) -> str:
        return "".join(block.get(kind, "") for block in blocks)

    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    kinds = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert kinds == [block["type"] for block in whole["content"]]
    ending = events[-2]["delta"]
    return (text("thinking", whole["content"]), text("text", whole["content"]), whole["stop_sequence"] or ""), (
        text("thinking", deltas), text("text", deltas), ending["stop_sequence"] or "",
    )  # fmt: skip


@pytest.mark.parametrize(("make", "said"), [(of_chat, said_by_chat), (of_messages, said_by_messages)])
def test_a_begun_text_and_what_is_sent_are_the_whole_text(model: ServedModel, make: Any, said: Any) -> None:
    random_ = random.Random(0)
    for number in range(66):
        begun, stops = BEGUN[number % len(BEGUN)], random_.choice(STOPS)
        drawn = tokens_of(model, "|".join(random_.choices(PARTS, k=random_.randint(0, 7))))
        script(model, steps_of(drawn, each=random_.randint(1, 3)))
        plan, answer = make(model, begun, stops)
        texts = b"".join(model.texts[token] for token in plan.prompt.given_ids).decode()
        opened = model.opened(plan.prompt)
        assert texts.endswith(begun.removeprefix("<think>").lstrip() if opened else begun)
        wanted = expected(texts, b"".join(model.texts[token] for token in drawn).decode(), opened, stops)
        assert said(*read(model, plan, answer)) == (wanted, wanted), (begun, drawn, stops)


def test_thinking_that_is_gone_on_with_counts_for_the_budget_and_not_for_the_usage(model: ServedModel) -> None:
    script(model, steps_of(tokens_of(model, " so</think>4")))
    plan, answer = of_chat(model, "<think>\nhalf a thought", ())
    whole, _ = read(model, plan, answer)
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == len(tokens_of(model, " so"))
    (request, _) = (draw.request for draw in model.loop.draws)  # type: ignore[attr-defined]  # of the scripted loop
    assert request.given_ids == plan.prompt.given_ids
    assert whole["usage"]["prompt_tokens"] == len(plan.prompt.all_ids)


def test_where_a_schema_rules_from_the_first_token_a_tag_is_text(model: ServedModel) -> None:
    text = '{"a": "<think>b</think>"}'
    script(model, steps_of(tokens_of(model, text), "stop"))
    form = ChatForm.model_validate({
        "model": "micro", "messages": [{"role": "user", "content": "1"}], "response_format": {"type": "json_object"},
        "chat_template_kwargs": {"enable_thinking": False},
    })  # fmt: skip
    whole, events = read(model, plan_chat(form, model), lambda drawing: ChatAnswer(form, model, drawing, BOTH_NAMES))
    assert said_by_chat_texts(whole, events) == (("", text), ("", text))
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def said_by_chat_texts(whole: Any, events: list[dict[str, Any]]) -> tuple[tuple[str, str], tuple[str, str]]:
    message = whole["choices"][0]["message"]
    deltas = [event["choices"][0]["delta"] for event in events]
    return (message["reasoning"] or "", message["content"]), (
        "".join(delta.get("reasoning", "") for delta in deltas), "".join(delta.get("content", "") for delta in deltas),
    )  # fmt: skip
