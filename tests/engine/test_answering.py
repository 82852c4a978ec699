"""A model of ours in a process of its own, asked in words."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cogitate.endpoint import Question
from cogitate.engine.answering import AnsweringModel
from cogitate.errors import CheckpointError, EndpointError, Interrupted
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.replies import Reply
from cogitate.types import Message, SamplingParams

MODEL = SHIPPED / "base"


def ask(text: str, seed: int = 0) -> Question:
    return Question((Message("user", text),), SamplingParams(1.0, max_new_tokens=8), seed)


@pytest.fixture(scope="module")
def model() -> Iterator[AnsweringModel]:
    """One that keeps nothing: its process takes seconds to start."""
    with AnsweringModel(MODEL, "judge", threads=1) as model:
        yield model


def test_it_answers_each_question_by_its_seed_and_keeps_what_it_said(tmp_path: Path) -> None:
    questions = [ask("What is 4 + 5?", 1), ask("What is 4 + 5?", 2), ask("long " * 3000), ask("What is 4 + 5?", 1)]
    with AnsweringModel(MODEL, "judge", cache=str(tmp_path), threads=1) as model:
        first = model.ask_each(questions)
        assert isinstance(first[0], Reply)
        assert first[0].input_tokens > 0
        assert 0 < first[0].output_tokens <= 8
        assert first[0] == first[3] != first[1]
        assert isinstance(first[2], EndpointError)
        assert "context" in str(first[2])
        assert (model.usage.replies, model.usage.failures, model.usage.requests) == (2, 1, 3)  # equal ones are asked once
    with AnsweringModel(MODEL, "judge", cache=str(tmp_path)) as later:
        assert later.ask_each(questions[:2]) == first[:2]
        assert later.usage.requests == 0


def test_an_answer_with_a_given_beginning_is_one_line(model: AnsweringModel) -> None:
    question = Question((Message("user", "4 + 5?"),), SamplingParams(1.0, max_new_tokens=8), 3, "Verdict 123456:")
    (reply,) = model.ask_each([question])
    assert isinstance(reply, Reply)
    assert reply.text.startswith("Verdict 123456:")
    assert "\n" not in reply.text


def test_what_it_answers_depends_on_no_other_question(model: AnsweringModel) -> None:
    """Questions that differ in their seeds alone are read once, and others begin as they do."""
    begun = [replace(ask(text, seed), begins="Verdict 1:") for text in ("4 + 5?", "4 + 6?") for seed in (1, 2)]
    questions = [*begun, ask("4 + 5?", 1), ask("4 + 5?", 2), replace(begun[0], params=SamplingParams(0.5, max_new_tokens=8))]
    together = model.ask_each(questions)
    with AnsweringModel(MODEL, "judge", threads=1) as other:
        alone = [reply for question in reversed(questions) for reply in other.ask_each([question])][::-1]
    assert together == alone
    assert all(isinstance(reply, Reply) for reply in together)


def test_a_model_that_cannot_be_read_is_said_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("{}")
    with AnsweringModel(tmp_path, "judge") as model, pytest.raises(EndpointError, match="ended with exit code 2"):
        model.ask_each([ask("Hello")])
    said = capfd.readouterr().err
    assert said.startswith(f"error: {tmp_path}")
    assert len(said.splitlines()) == 1


def test_one_may_stop_waiting(tmp_path: Path) -> None:
    def stop() -> None:
        raise Interrupted("stopped", 130)

    with AnsweringModel(MODEL, "judge") as model, pytest.raises(Interrupted):
        model.ask_each([ask("Hello")], stop)


def test_a_directory_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"judge.model = .*: no model directory"):
        AnsweringModel(tmp_path, "judge")
