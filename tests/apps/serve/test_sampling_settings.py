"""What a request may say about how its completion is drawn, each seen to act."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from cogitate.apps.serve.drawing.shaping import Shape, TokenShaper
from tests.apps.serve.conftest import Client

EMPTY = np.zeros(0, np.int32)


def shaped(
    logits: list[float], shape: Shape, *, drawn: list[int] | None = None, prompt: list[int] | None = None
) -> list[float]:
    logits_V = torch.tensor(logits)
    TokenShaper(shape, prompt or [], temperature=0.5).shape(np.array(drawn or [], np.int32), logits_V)
    return [round(value, 4) for value in logits_V.tolist()]


def test_shapes_by_hand() -> None:
    none = -math.inf
    assert shaped([1.0, 2.0], Shape()) == [1.0, 2.0]
    assert shaped([1.0, 2.0, 3.0], Shape(bias={1: 5.0, 2: -100.0})) == [1.0, 7.0, -97.0]
    assert shaped([1.0, 2.0, 3.0], Shape(presence=0.5, frequency=1.0), drawn=[1, 1, 2]) == [1.0, -0.5, 1.5]
    assert shaped([2.0, -2.0, 2.0], Shape(repetition=2.0), drawn=[0], prompt=[1]) == [1.0, -4.0, 2.0]
    assert shaped([1.0, 2.0, 3.0], Shape(top_k=2)) == [none, 2.0, 3.0]
    # at temperature 0.5 probabilities are e^-4, e^-2 and 1 of the largest: 0.018, 0.135, 1
    assert shaped([1.0, 2.0, 3.0], Shape(min_p=0.1)) == [none, 2.0, 3.0]
    assert shaped([1.0, 2.0, 3.0], Shape(never=(2,), not_before=(2, (1,))), drawn=[0]) == [1.0, none, none]
    assert shaped([1.0, 2.0, 3.0], Shape(never=(2,), not_before=(2, (1,))), drawn=[0, 0]) == [1.0, 2.0, none]


def test_log_probabilities_are_those_before_any_change() -> None:
    shaper = TokenShaper(Shape(bias={0: 50.0}), [], temperature=0.1, top_logprobs=2)
    shaper.shape(EMPTY, torch.tensor([0.0, math.log(3.0)]))
    note = shaper.take(0)
    assert note is not None
    assert note.logprob == pytest.approx(math.log(0.25))
    assert [token for token, _ in note.top] == [1, 0]


def text(answer: dict[str, Any]) -> str:
    said: str = answer["choices"][0]["text"]
    return said


def complete(client: Client, **settings: Any) -> dict[str, Any]:
    body = {"model": "micro", "prompt": "Say a number.", "seed": 3, "max_tokens": 12, "ignore_eos": True}
    status, answer = client.post("/v1/completions", body | settings)
    assert status == 200, answer
    return answer


def test_a_bias_decides(client: Client) -> None:
    (seven,) = client.post("/tokenize", {"model": "micro", "prompt": "7"})[1]["tokens"]
    assert text(complete(client, logit_bias={str(seven): 100})) == "7" * 12


def test_top_k_of_one_is_greedy(client: Client) -> None:
    assert text(complete(client, top_k=1)) == text(complete(client, temperature=0)) == text(complete(client, min_p=1))


def test_penalties_keep_tokens_from_coming_again(client: Client) -> None:
    notes = complete(client, temperature=0, presence_penalty=2, frequency_penalty=2, logprobs=0)["choices"][0]["logprobs"]
    plain = complete(client, temperature=0, logprobs=0)["choices"][0]["logprobs"]
    assert len(set(notes["tokens"])) > len(set(plain["tokens"]))


def test_a_stop_text_ends_the_text_before_it(client: Client) -> None:
    (seven,) = client.post("/tokenize", {"model": "micro", "prompt": "7"})[1]["tokens"]
    answer = complete(client, logit_bias={str(seven): 100}, stop=["x", "777"])
    assert (text(answer), answer["choices"][0]["finish_reason"], answer["choices"][0]["stop_reason"]) == ("", "stop", "777")
    assert answer["usage"]["completion_tokens"] == 3


def test_a_stop_token_ends_the_text_before_it_but_not_before_the_least_number(client: Client) -> None:
    (seven,) = client.post("/tokenize", {"model": "micro", "prompt": "7"})[1]["tokens"]
    settings = {"logit_bias": {str(seven): 100}, "stop_token_ids": [seven]}
    answer = complete(client, **settings)
    assert (text(answer), answer["choices"][0]["stop_reason"], answer["usage"]["completion_tokens"]) == ("", seven, 1)
    assert complete(client, **settings, min_tokens=3)["usage"]["completion_tokens"] == 4


def test_an_end_token_is_ignored_only_where_one_says_so(client: Client) -> None:
    end = {"logit_bias": {str(client.model.tokenizer.end_id): 100}}
    assert complete(client, **end, ignore_eos=False)["choices"][0]["finish_reason"] == "stop"
    assert complete(client, **end)["choices"][0]["finish_reason"] == "length"


def test_log_probabilities_stand_with_their_tokens(client: Client) -> None:
    chat = client.chat(logprobs=True, top_logprobs=2, temperature=0, thinking_token_budget=3)
    notes = chat["choices"][0]["logprobs"]["content"]
    assert len(notes) == chat["usage"]["completion_tokens"]
    assert [note["top_logprobs"][0]["token"] for note in notes[:3]] == [note["token"] for note in notes[:3]]
    assert notes[0]["logprob"] == notes[0]["top_logprobs"][0]["logprob"]
    chunks = client.stream(logprobs=True, top_logprobs=2, temperature=0, thinking_token_budget=3)[:-1]
    streamed = [note for chunk in chunks for note in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]]
    assert streamed == notes
    old = complete(client, logprobs=1)["choices"][0]["logprobs"]
    assert len(old["tokens"]) == len(old["token_logprobs"]) == len(old["top_logprobs"]) == len(old["text_offset"]) == 12


def test_a_message_of_the_assistants_goes_on(client: Client) -> None:
    turns = [{"role": "user", "content": "Say a number."}, {"role": "assistant", "content": "Digit: 7"}]
    shorter = client.chat(messages=turns, continue_final_message=True)["usage"]["prompt_tokens"]
    assert client.chat(messages=turns)["usage"]["prompt_tokens"] > shorter > client.chat()["usage"]["prompt_tokens"]
