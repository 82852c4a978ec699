"""Attention of packed rows, forward and backward, against the same sums in float64."""

import itertools
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cogitate.model.causal_attention import (
    _is_native,
    attend,
    attend_in_blocks,
    attend_masked,
    compiled_for_each_form,
)
from cogitate.model.visibility import Visibility, document_positions

PACKED = [[0] * 40 + [1] * 33 + [2] * 20 + [-1] * 7, [0] * 3 + [1] * 97]  # two rows of 100 tokens, one with padding


# A beginning of 37 tokens, prompt 1 with completions 2 and 3, prompt 4 with 5, prompt 6 with 7, padding.
BRANCHES = [[0] * 37 + [1] * 5 + [2] * 30 + [3] * 20 + [4] * 2 + [5] * 31 + [6] + [7] * 20 + [-1] * 4]
OF_BRANCHES = {2: 1, 3: 1, 5: 4, 7: 6}

Seen = Callable[[torch.dtype], Visibility]  # for attention of a type
Given = tuple[Tensor, Tensor, Tensor, Tensor]  # queries, keys, values and the gradient of the output


def seen(
    documents: list[list[int]] | None,
    tokens: int,
    *,
    shared: bool = False,
    window: int | None = None,
    prompts: dict[int, int] | None = None,
) -> Seen:
    """What tokens see; `prompts` has the document that a document goes on from, beside document 0."""
    if documents is None:
        return lambda dtype: Visibility(tokens, torch.device("cpu"), dtype, None, shared, window, None)
    ids, positions, of_prompts = torch.tensor(documents), None, None
    if prompts is not None:
        of_prompts = torch.tensor([[prompts.get(document, 0) for document in row] for row in documents])
        lengths = {document: documents[0].count(document) for document in range(len(documents[0]))}
        before = [[lengths[0] * (d > 0) + (lengths[prompts[d]] if d in prompts else 0) for d in row] for row in documents]
        positions = document_positions(ids) + torch.tensor(before)
    return lambda dtype: Visibility(tokens, torch.device("cpu"), dtype, ids, shared, window, positions, of_prompts)


def inputs(rows: int, tokens: int, heads: int, kv_heads: int, widths: tuple[int, int], dtype: torch.dtype) -> Given:
    made = torch.Generator().manual_seed(0)
    shapes = [(heads, widths[0]), (kv_heads, widths[0]), (kv_heads, widths[1]), (heads, widths[1])]
    q, k, v, grad = (torch.randn(rows, tokens, *shape, generator=made).to(dtype) for shape in shapes)
    return q, k, v, grad


def outcome(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, visible: Seen) -> list[Tensor]:
    """The output and the gradients of q, k, v."""
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    out = attend(q, k, v, visible(q.dtype), 0.2)
    return [out.detach(), *torch.autograd.grad(out, (q, k, v), grad)]


def by_float64(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, visible: Seen) -> list[Tensor]:
    q, k, v = (x.detach().double().requires_grad_() for x in (q, k, v))
    out = attend_masked(q, k, v, visible(torch.float64).mask, 0.2)
    return [out.detach(), *torch.autograd.grad(out, (q, k, v), grad.double())]


def distance(made: Tensor, exact: Tensor) -> float:
    return float((made.double() - exact).norm() / exact.norm().clamp_min(1.0))


CASES = {
    "one text in a row": (seen(None, 77), (3, 77, 4, 2, (32, 32))),
    "a single token": (seen(None, 1), (2, 1, 2, 1, (16, 16))),
    "packed documents": (seen(PACKED, 100), (2, 100, 4, 2, (64, 64))),
    "completions of one prompt": (seen(PACKED, 100, shared=True), (2, 100, 3, 3, (32, 32))),
    "a sliding window": (seen(None, 150, window=20), (1, 150, 2, 1, (16, 16))),
    "a sliding window over completions of a prompt": (seen(PACKED, 100, shared=True, window=30), (2, 100, 2, 1, (16, 16))),
    "completions of prompts that begin alike": (
        seen(BRANCHES, 150, shared=True, prompts=OF_BRANCHES),
        (1, 150, 4, 2, (64, 64)),
    ),
    "a sliding window over these": (seen(BRANCHES, 150, shared=True, prompts=OF_BRANCHES, window=30), (1, 150, 2, 1, (16, 16))),
    "widths that fill no vector": (seen(PACKED, 100), (2, 100, 2, 1, (22, 38))),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients_are_those_of_the_masked_sums(case: str, dtype: torch.dtype) -> None:
    visible, sizes = CASES[case]
    given = inputs(*sizes, dtype)
    bound = 2e-6 if dtype == torch.float32 else 5e-3  # bfloat16 rounds what it multiplies to 8 bits
    for made, exact in zip(outcome(*given, visible), by_float64(*given, visible), strict=True):
        assert made.dtype == dtype
        assert distance(made, exact) < bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_scores_far_apart_are_weighed_as_they_should(dtype: torch.dtype) -> None:
    """Later keys outweigh earlier ones by far more than e^8, so that sums are scaled down on the way."""
    q, k, v, grad = inputs(1, 200, 2, 2, (16, 16), dtype)
    k = k * torch.linspace(0, 40, 200).view(1, 200, 1, 1).to(dtype)
    visible = seen(None, 200)
    for made, exact in zip(outcome(q, k, v, grad, visible), by_float64(q, k, v, grad, visible), strict=True):
        assert distance(made, exact) < (1e-5 if dtype == torch.float32 else 1e-2)


def test_heads_may_be_parts_of_one_projection() -> None:
    projection = torch.randn(2, 100, 8, 24, generator=torch.Generator().manual_seed(1)).bfloat16()
    q, k, v = projection.split((4, 2, 2), dim=2)
    grad = torch.ones(2, 100, 4, 24).bfloat16()
    visible, _ = CASES["packed documents"]
    apart = outcome(q.contiguous(), k.contiguous(), v.contiguous(), grad, visible)
    for view, copy in zip(outcome(q, k, v, grad, visible), apart, strict=True):
        assert torch.equal(view, copy)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_the_copy_of_a_gradient_of_other_strides_is_there_as_long_as_it_is_read(dtype: torch.dtype) -> None:
    q, k, v, grad = inputs(1, 4, 2, 1, (8, 8), dtype)
    visible = seen(None, 4)
    for made, right in zip(outcome(q, k, v, grad.mT.contiguous().mT, visible), outcome(q, k, v, grad, visible), strict=True):
        assert torch.equal(made, right)


@pytest.mark.skipif(not _is_native(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2)), reason="no C++ compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_one_and_two_threads_give_the_same_bytes(dtype: torch.dtype) -> None:
    visible, sizes = CASES["completions of one prompt"]
    given = inputs(*sizes, dtype)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            found.append([x.float().numpy().tobytes() for x in outcome(*given, visible)])
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


def test_ranges_say_what_the_mask_says() -> None:
    for visible, (rows, tokens, *_) in CASES.values():
        visibility = visible(torch.float64)
        mask = torch.ones(tokens, tokens).tril().log() if visibility.mask is None else visibility.mask
        seen_BTS = (mask == 0).view(-1, tokens, tokens)
        prefix_from, prefix_to, prompt_from, prompt_to, own_from = (x[..., None] for x in visibility.ranges.unbind(-1))
        keys_S, steps_T1 = torch.arange(tokens), torch.arange(tokens)[:, None]
        in_prefix, in_prompt = (keys_S >= prefix_from) & (keys_S < prefix_to), (keys_S >= prompt_from) & (keys_S < prompt_to)
        by_ranges = in_prefix | in_prompt | ((keys_S >= own_from) & (keys_S <= steps_T1))
        assert torch.equal(by_ranges.expand(rows, -1, -1), seen_BTS.expand(rows, -1, -1))


def test_without_native_code_the_masks_are_used() -> None:
    code = (
        "import torch\n"
        "from cogitate.model.causal_attention import _is_native\n"
        "assert not _is_native(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"COGITATE_NATIVE": "0", "PATH": ""})


VISIBLE = {
    "packed texts": seen(PACKED, 100),
    "branches": seen(BRANCHES, 150, shared=True, prompts=OF_BRANCHES),
    "windows": seen(PACKED, 100, shared=True, window=13),
    "one text with a window": seen(None, 100, window=20),
}


@pytest.mark.parametrize("name", VISIBLE)
def test_the_function_of_block_masks_is_the_mask(name: str) -> None:
    visible = VISIBLE[name](torch.float32)
    assert visible.mask is not None
    rows, tokens = len(visible.mask), visible.tokens
    sees = visible.block_mask.mask_mod
    row, query, key = torch.meshgrid(torch.arange(rows), torch.arange(tokens), torch.arange(tokens), indexing="ij")
    assert torch.equal(sees(row, torch.tensor(0), query, key), (visible.mask == 0).expand(rows, 1, -1, -1)[:, 0])


@pytest.mark.slow  # torch's compiler is imported
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", ["packed texts", "branches", "windows"])
def test_flex_attention_is_that_of_the_mask(name: str) -> None:
    """Its backward pass has no form for a CPU."""
    from torch.nn.attention.flex_attention import flex_attention

    visible = VISIBLE[name](torch.float32)
    documents_BT = visible.documents_BT
    assert documents_BT is not None
    q, k, v, _ = inputs(len(documents_BT), visible.tokens, 4, 2, (32, 32), torch.float32)
    made = attend_in_blocks(q, k, v, visible, 0.2, flex_attention)
    assert torch.allclose(made, attend_masked(q, k, v, visible.mask, 0.2), atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_flex_attention_is_never_uncompiled_whatever_forms_of_rows_it_has_met() -> None:
    """Uncompiled it warns, and warnings are errors; torch's own limit is eight forms."""
    flex, sizes = compiled_for_each_form("eager"), ((1, 40), (2, 40), (2, 150))  # twelve forms
    for heads, (rows, tokens), with_gradient in itertools.product(((4, 2), (3, 3)), sizes, (False, True)):
        documents_BT = torch.arange(tokens).div(11, rounding_mode="floor").expand(rows, -1)
        visible = Visibility(tokens, torch.device("cpu"), torch.float32, documents_BT, True, None, None)
        q, k, v, _ = inputs(rows, tokens, *heads, (16, 16), torch.float32)
        with torch.set_grad_enabled(with_gradient):  # which a form notes, though these inputs ask for none
            made = attend_in_blocks(q, k, v, visible, 0.2, flex)
        assert torch.allclose(made, attend_masked(q, k, v, visible.mask, 0.2), atol=1e-5)
