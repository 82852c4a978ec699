"""Named architectures against the parameter counts of the published models."""

import pytest

from cogitate.model.config import DEEPSEEK_V3
from cogitate.model.describe import describe
from cogitate.model.files.published import PUBLISHED, find_published, no_such_model

COUNTS = {
    "r1-distill-qwen-1.5b": 1_777_088_000,
    "r1-distill-qwen-7b": 7_615_616_512,
    "r1-distill-qwen-14b": 14_770_033_664,
    "r1-distill-qwen-32b": 32_763_876_352,
    "r1-distill-llama-8b": 8_030_261_248,
    "r1-distill-llama-70b": 70_553_706_496,
    "qwen2.5-0.5b": 494_032_768,
    "qwen3-0.6b": 596_049_920,
    "qwen3-8b": 8_190_735_360,
    "qwen3-30b-a3b": 30_532_122_624,
    "smollm2-135m": 134_515_008,
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_named_model_has_the_published_number_of_parameters(name: str) -> None:
    assert describe(PUBLISHED[name]).parameters == COUNTS[name]


def test_names_are_found_whatever_their_capitals_and_owner() -> None:
    for name in ("deepseek-v3", "DeepSeek-R1", "deepseek-ai/DeepSeek-R1-Zero"):
        assert find_published(name) == DEEPSEEK_V3
    assert find_published("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B") == PUBLISHED["r1-distill-qwen-7b"]
    assert find_published("gpt-2") is None


def test_an_unknown_name_is_told_the_nearest() -> None:
    assert no_such_model("depseek-v3").startswith(
        "depseek-v3: neither a file or directory nor a known model; did you mean deepseek-v3?"
    )
