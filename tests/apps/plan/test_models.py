"""Shapes of models by the names that people write."""

import pytest

from cogitate.apps.plan.models import find_shape, known_shapes
from cogitate.costs.counts import active_parameters, count_parameters
from cogitate.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [  # of the models' own cards
        ("meta-llama/Llama-3.1-8B-Instruct", 8.03, 8.03), ("Llama3.1 70B", 70.6, 70.6),
        ("meta-llama/Llama-2-13b-hf", 13.0, 13.0),
        ("Qwen/Qwen2.5-Math-7B", 7.62, 7.62), ("Qwen 2.5 7B", 7.62, 7.62), ("Qwen/Qwen2-7B-Instruct", 7.62, 7.62),
        ("qwen3 8b", 8.19, 8.19), ("Qwen/Qwen3-Coder-480B-A35B-Instruct", 480, 35), ("DeepSeek-V3.1", 671, 37.5),
        ("deepseek-ai/DeepSeek-R1-0528", 671, 37.5), ("DeepSeek-V2", 236, 21), ("DeepSeek-V2-Lite", 15.7, 2.7),
        ("mistralai/Mixtral-8x7B-v0.1", 46.7, 12.9), ("Mixtral-8x22B", 141, 39), ("gpt-oss-20b", 20.9, 4.2),
        ("openai/gpt-oss-120b", 117, 5.7), ("google/gemma-3-27b-it", 27.0, 27.0), ("microsoft/phi-4", 14.7, 14.7),
        ("Kimi-K2-Instruct", 1026, 32.9), ("Moonlight-16B-A3B", 16.0, 2.9), ("GLM-4.6", 353, 33.6), ("SmolLM3-3B", 3.08, 3.08),
    ],
)  # fmt: skip
def test_a_name_as_people_write_it_has_the_parameters_of_the_models_card(name: str, billions: float, active: float) -> None:
    shape, note = find_shape(name)
    assert note == ""
    assert count_parameters(shape).total == pytest.approx(billions * 1e9, rel=0.01)
    assert active_parameters(shape) == pytest.approx(active * 1e9, rel=0.03)


@pytest.mark.parametrize(
    ("name", "size", "taken"),
    [
        ("CodeLlama-34b", 34e9, "dense"), ("Qwen1.5-32B", 32e9, "qwen"), ("pythia-160m", 160e6, "dense"),
        ("Somebody-9B", 9e9, "dense"), ("Somebody-200B-A20B", 200e9, "experts"), ("Other-8x10B", 0.83 * 80e9, "experts"),
    ],
)  # fmt: skip
def test_an_unknown_name_with_a_size_is_a_model_of_that_size(name: str, size: float, taken: str) -> None:
    shape, note = find_shape(name)
    assert count_parameters(shape).total == pytest.approx(size, rel=0.04)
    assert bool(shape.experts) == (taken == "experts")
    assert note.startswith(f"{name} is not known: taken as {taken if taken == 'qwen' else ''}")
    assert 0 <= shape.dense_layers <= shape.layers


@pytest.mark.parametrize("name", ["", "dbrx", "Nobody's", "900000b", "1m"])
def test_a_name_without_a_possible_size_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown"):
        find_shape(name)


def test_every_known_name_is_found_as_itself() -> None:
    for name, shape in known_shapes().items():
        assert find_shape(name) == (shape, "")
