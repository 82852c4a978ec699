"""Answers as a whole and as a stream are built of the same pieces."""

import json
import random
from pathlib import Path

from cogitate.apps.serve.api.respond import event_of
from cogitate.apps.serve.api.responses import ResponseAnswer, plan_response
from cogitate.apps.serve.api.responses_in import ResponsesForm
from cogitate.apps.serve.drawing.choice import Choice
from cogitate.apps.serve.drawing.engine_loop import Step
from tests.apps.serve.scripted import model_of, read, script, steps_of, tokens_of

PARTS = [" 42", "\n", "<think>", "</think>", "<", "a", " ", "\u4f60\u597d"]
NO_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def test_a_response_and_its_stream_have_the_same_items(thinking_model: Path, tmp_path: Path) -> None:
    model = model_of(thinking_model, tmp_path / "micro", NO_TEMPLATE)
    random_ = random.Random(1)
    form = ResponsesForm.model_validate({"model": "micro", "input": "1"})
    plan = plan_response(form, model)
    for text in ["", "a<think>b</think>c", "<think>b", "</think>", "b</think>"] + [
        "|".join(random_.choices(PARTS, k=random_.randint(0, 7))) for _ in range(20)
    ]:
        script(model, steps_of(tokens_of(model, text), each=random_.randint(1, 3)))
        whole, events = read(model, plan, lambda drawing: ResponseAnswer(form, drawing))
        streamed = events[-1]["response"]
        assert [item["id"].rpartition("_")[2] for item in whole["output"]] == [str(n) for n in range(len(whole["output"]))]
        for item in (*whole["output"], *streamed["output"]):
            item["id"] = item["id"].partition("_")[0] + item["id"].rpartition("_")[2]
        assert streamed["output"] == whole["output"]
        assert whole["output"][-1]["status"] == "incomplete"
        deltas = [event for event in events if event["type"].endswith("_text.delta")]
        for index, item in enumerate(whole["output"]):
            assert "".join(event["delta"] for event in deltas if event["output_index"] == index) == item["content"][0]["text"]


def test_a_stop_text_that_is_complete_only_at_the_end_is_said() -> None:
    texts = [b"a<"]
    choice = Choice(texts, (), tags=("<think>", "</think>"), split=True, opened=False, stops=("<",))
    delta = choice.take(Step([0], [], "length"))
    assert (delta.answer, delta.finish, delta.stop) == ("a", "stop", "<")


def test_an_event_is_one_line_for_clients_that_split_text() -> None:
    said = "a\x85b\u2028c\u2029d\x1ce\x0bf\ng 中文"
    event = event_of({"text": said})
    assert event.decode().splitlines() == [event.decode().rstrip("\n"), ""]
    assert json.loads(event.decode().removeprefix("data: ")) == {"text": said}
    assert "中文" in event.decode()
