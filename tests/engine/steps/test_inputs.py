"""One array there and one back: what is packed comes out to the bit."""

import numpy as np
import torch

from cogitate.engine.steps.inputs import results, to_device, to_host


def test_parts_come_out_as_they_were_packed() -> None:
    parts = {
        "rows": np.array([3, 1]),
        "chances": np.array([[0.1, 1 / 3], [0.0, -2.5]]),
        "blocks": np.array([[7, 8, 9], [1, 2, 3]], dtype=np.int32),
    }
    inputs = to_device(parts, torch.device("cpu"))
    assert inputs["rows"].tolist() == [[3], [1]]
    assert inputs["blocks"].tolist() == parts["blocks"].tolist()
    assert np.array_equal(inputs.doubles("chances").numpy(), parts["chances"])


def test_results_come_back_as_they_were_made() -> None:
    tokens, logprobs = torch.tensor([5, 1 << 40]), torch.tensor([-0.1, -1e30])
    (integers,), numbers = to_host(results([tokens], logprobs))
    assert integers.tolist() == tokens.tolist()
    assert np.array_equal(numbers, logprobs.numpy())
