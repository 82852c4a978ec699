"""Layouts that cannot be are refused with the nearest that can."""

import pytest

from cogitate.costs.layout import LARGE, Layout, check_layout, usual_layout
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.model.config import DEEPSEEK_V3
from cogitate.model.files.published import PUBLISHED

V3 = Shape.from_config(DEEPSEEK_V3.to_dict())
QWEN3_8B = Shape.from_config(PUBLISHED["qwen3-8b"].to_dict())


@pytest.mark.parametrize(
    ("layout", "shape", "message"),
    [
        (Layout(8, tensor=3), QWEN3_8B, "8 GPUs cannot be divided by tensor 3 .* the nearest number that can is 9"),
        (Layout(12, tensor=6), QWEN3_8B, "tensor parallelism 6 does not divide the 32 query heads: the nearest that does is 4"),
        (Layout(64, pipeline=64), QWEN3_8B, "pipeline parallelism 64 is more than the 36 layers: the nearest is 36"),
        (Layout(8, experts=8), QWEN3_8B, "the model has no experts; the nearest that works is 1"),
        (Layout(96, experts=96), V3, "expert parallelism 96 does not divide the 256 experts: the nearest that does is 64"),
        (Layout(24, experts=16), V3, "does not divide the 24 processes .*: the nearest that does is 12"),
    ],
)
def test_an_impossible_layout_is_refused_with_the_nearest(layout: Layout, shape: Shape, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_layout(layout, shape)


def test_usual_layouts_can_be() -> None:
    for count in (1, 8, 96, 512):
        check_layout(usual_layout(V3, LARGE, count), V3)
    assert usual_layout(QWEN3_8B, 8e9, 64) == Layout(64)
    assert usual_layout(V3, LARGE, 96) == Layout(96, pipeline=12, experts=8, sharding="optimiser")
