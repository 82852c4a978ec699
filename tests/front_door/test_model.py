from pathlib import Path

import pytest

import cogitate
from cogitate.errors import ArtifactError, ConfigError, DataError
from cogitate.front_door import model as model_file
from cogitate.front_door.asking import Ask, ask_for
from cogitate.tokenizer.tags import Tags
from cogitate.types import Completion as SampledTokens

PROMPTS = ["Say a number. Digit:", "Say"]


@pytest.fixture(scope="module")
def model(digit_model: Path) -> cogitate.Model:
    return cogitate.load(digit_model)


def test_answers_depend_on_the_seed_and_on_nothing_else(model: cogitate.Model, digit_model: Path) -> None:
    settings = {"max_new_tokens": 6, "temperature": 1.0, "template": "raw"}
    answers = model.generate(PROMPTS, n=3, seed=4, **settings)  # type: ignore[arg-type]
    assert len(answers) == 6
    assert cogitate.generate(digit_model, PROMPTS, n=3, seed=4, **settings) == answers  # type: ignore[arg-type]
    assert model.generate(PROMPTS[0], n=2, seed=4, **settings) == answers[:2]  # type: ignore[arg-type]
    assert model.generate(PROMPTS, n=3, seed=5, **settings) != answers  # type: ignore[arg-type]


def test_a_completion_is_counted_and_its_tokens_have_probabilities(model: cogitate.Model) -> None:
    (answer,) = model.generate(PROMPTS[:1], temperature=0, max_new_tokens=6, template="raw", logprobs=True)
    assert answer.text.strip().isdigit()
    assert (answer.answer, answer.thinking, answer.thinking_tokens) == (answer.text.strip(), None, 0)
    assert answer.finish_reason == "stop"
    assert answer.logprobs is not None
    assert len(answer.logprobs) == answer.tokens
    assert all(logprob <= 0 for logprob in answer.logprobs)
    (cut,) = model.generate(PROMPTS[:1], temperature=0, max_new_tokens=1, template="raw")
    assert (cut.tokens, cut.finish_reason, cut.logprobs) == (1, "length", None)


def test_thinking_and_answer_are_apart() -> None:
    (answer,) = cogitate.generate("base", "What is 2 + 3?", max_new_tokens=40, template="r1_zero")
    assert answer.text.strip() == f"<think> {answer.thinking} </think> <answer> {answer.answer} </answer>"
    assert 0 < answer.thinking_tokens < answer.tokens


def test_a_completion_in_other_tags_is_shown_in_those_that_graders_read(digit_model: Path, tmp_path: Path) -> None:
    model = cogitate.load(digit_model)
    tags = Tags(("<reasoning>", "</reasoning>"), ("<result>", "</result>"))
    model._tokenizer = tokenizer = model._tokenizer.with_tags(tags)
    ids = tuple(tokenizer.encode("<reasoning> 2 + 3 </reasoning> <result> 5 </result>"))
    answer = model._completion(SampledTokens("", ids, (0.0,) * len(ids), "stop", ((0, len(ids)),), 0), [], None, logprobs=False)
    assert answer.text == "<think> 2 + 3 </think> <answer> 5 </answer>"
    assert (answer.thinking, answer.answer, cogitate.grade(answer, gold=5).value) == ("2 + 3", "5", "right")


def test_what_follows_a_stop_text_is_no_part_of_the_answer(model: cogitate.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = model.generate("Say a", temperature=0, max_new_tokens=12, template="raw", logprobs=True)
    assert "Digit" in whole.text
    monkeypatch.setattr(model_file, "ask_for", lambda *given: Ask(ask_for(*given).ids, stop=" Digit"))
    (cut,) = model.generate("Say a", temperature=0, max_new_tokens=12, template="raw", logprobs=True)
    assert whole.text.startswith(f"{cut.text} Digit")
    assert cut.finish_reason == "stop"
    assert whole.logprobs is not None
    assert cut.logprobs == whole.logprobs[: cut.tokens]


def test_what_cannot_be_asked_is_refused_and_the_model_goes_on(model: cogitate.Model) -> None:
    with pytest.raises(DataError, match=r"request of prompts\[1\]: a prompt of .* do not fit the context of 128"):
        model.generate(["Say", "Say " * 100], max_new_tokens=64, template="raw")
    with pytest.raises(DataError, match="n = 0: must be at least 1"):
        model.generate("Say", n=0)
    with pytest.raises(DataError, match="max_new_tokens = 0"):
        model.generate("Say", max_new_tokens=0, template="raw")
    assert len(model.generate(["Say", "Say"], max_new_tokens=2, template="raw")) == 2


def test_a_model_that_is_not_there_is_one_line(digit_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such directory"):
        cogitate.load(tmp_path / "model")
    with pytest.raises(ConfigError, match="dtype = 'int4': must be one of float32, bfloat16"):
        cogitate.load(digit_model, dtype="int4")  # type: ignore[arg-type]
