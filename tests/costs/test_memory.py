"""Memory against sums worked by hand."""

import math
from dataclasses import replace

import pytest

from cogitate.costs.counts import cache_numbers, count_parameters, lora_parameters
from cogitate.costs.factors import Factors, prior_factors
from cogitate.costs.generation import Sampling, our_cache_bytes, our_engine_memory
from cogitate.costs.layout import Layout
from cogitate.costs.lengths import Lengths
from cogitate.costs.memory import (
    BFLOAT16_ADAMW,
    FLOAT32_ADAMW,
    KEPT_OF_LAYER,
    MEGATRON,
    TRANSFER_BUCKET,
    Training,
    cache_bytes,
    generation_memory,
    layer_work,
    our_logits,
    parameters_of_process,
    scoring_memory,
    training_memory,
    transfer_memory,
)
from cogitate.costs.shape import Shape
from cogitate.model.config import DEEPSEEK_V3, TINY
from cogitate.model.files.published import PUBLISHED

V3 = Shape.from_config(DEEPSEEK_V3.to_dict())
SMALL = Shape.from_config(TINY.to_dict())
QWEN = Shape.from_config(PUBLISHED["qwen3-8b"].to_dict())
EXACT: Factors = prior_factors().with_values(states=1.0, saved=1.0)
STEP = Training(tokens=8192, sequence=8192)


def test_states_of_adamw_in_float32_are_sixteen_bytes_of_a_parameter_divided_among_all() -> None:
    terms = training_memory(QWEN, STEP, Layout(8), EXACT).terms
    states = terms["weights"] + terms["gradients"] + terms["optimiser states"]
    assert states == pytest.approx(16 * count_parameters(QWEN).total / 8)


def test_states_at_rest_in_16_bits_keep_masters_in_the_optimiser() -> None:
    work = Training(tokens=1024, sequence=1024, precision=BFLOAT16_ADAMW)
    terms = training_memory(QWEN, work, Layout(1), EXACT).terms
    parameters = count_parameters(QWEN).total
    assert (terms["weights"], terms["gradients"], terms["optimiser states"]) == (
        2 * parameters,
        2 * parameters,
        12 * parameters,
    )


def test_lora_trains_adapters_alone() -> None:
    work = Training(tokens=1024, sequence=1024, lora_rank=16, precision=FLOAT32_ADAMW)
    terms = training_memory(QWEN, work, Layout(1), EXACT).terms
    assert terms["optimiser states"] == 8 * lora_parameters(QWEN, 16, ours=False)
    assert terms["weights"] == 4 * count_parameters(QWEN).total + 4 * lora_parameters(QWEN, 16, ours=False)


def test_recomputation_keeps_the_inputs_of_layers_and_offloading_nothing() -> None:
    kept = training_memory(QWEN, STEP, Layout(1), EXACT).terms["activations saved"]
    assert kept == 36 * 8192 * 4096 * 2
    offloaded = Training(tokens=8192, sequence=8192, activations="offload")
    assert training_memory(QWEN, offloaded, Layout(1), EXACT).terms["activations saved"] == 0
    whole = Training(tokens=8192, sequence=8192, activations="keep")
    assert training_memory(QWEN, whole, Layout(1), EXACT).terms["activations saved"] > 10 * kept


def test_plain_logits_are_a_term_of_their_own_that_fused_ones_do_not_have() -> None:
    plain = Training(tokens=8192, sequence=8192, logits="plain")
    memory = training_memory(QWEN, plain, Layout(8), EXACT)
    assert memory.largest == "logits"
    assert memory.by_term()["logits"] == EXACT["logit_bytes"] * 151936 * 8192
    assert "logits" not in training_memory(QWEN, STEP, Layout(8), EXACT).by_term()


def test_logits_of_our_head_are_kept_while_they_are_few_and_else_a_piece_with_its_weights_gradient() -> None:
    tiny, small = Shape.from_config(TINY.to_dict()), Shape.from_config(PUBLISHED["smollm2-135m"].to_dict())
    assert our_logits(tiny, 4096, 4.0) == 4 * 4096 * tiny.vocabulary
    assert our_logits(small, 1024, 2.0) == 2 * 1024 * 49152
    assert our_logits(small, 8192, 2.0) == 2**29 + 4 * 49152 * 576
    work = Training(tokens=1024, sequence=1024, logits="ours", number_bytes=2.0)
    assert training_memory(small, work, Layout(1), EXACT).alternatives["logits"] == 2 * 1024 * 49152


def test_what_only_scores_keeps_nothing_and_has_no_gradients() -> None:
    scored = scoring_memory(QWEN, 4096, Layout(1), EXACT)
    assert scored.terms["weights"] == 2 * count_parameters(QWEN).total
    assert scored.total < training_memory(QWEN, Training(tokens=4096, sequence=4096), Layout(1), EXACT).total / 4


def test_deepseek_v3_on_pipelines_and_expert_parallelism_by_hand() -> None:
    layout = Layout(512, pipeline=16, experts=32, sharding="optimiser")
    counts = count_parameters(V3)
    held = (counts.total_with_mtp - counts.routed) / 16 + counts.routed / (16 * 32)
    assert parameters_of_process(V3, layout) == held
    terms = training_memory(V3, Training(4096, 4096, precision=MEGATRON), layout, EXACT).terms
    assert terms["weights"] == pytest.approx(2 * held)
    assert terms["optimiser states"] == pytest.approx(12 * counts.total_with_mtp / 512)


def test_context_parallelism_divides_the_tokens() -> None:
    whole, divided = (training_memory(QWEN, STEP, Layout(8, context=n), EXACT) for n in (1, 4))
    assert divided.terms["activations saved"] == whole.terms["activations saved"] / 4
    assert divided.terms["optimiser states"] == whole.terms["optimiser states"]


def test_a_latent_cache_is_576_numbers_a_layer_and_whole_on_each_process() -> None:
    assert cache_bytes(V3, 1000) == 2 * 576 * 61 * 1000
    memory = generation_memory(V3, 8, 1000, Layout(16, tensor=16), EXACT, weight_bytes=1.0)
    assert memory.terms["cache"] == 8 * 2 * 576 * 61 * 1000
    assert memory.terms["weights"] == count_parameters(V3).total_with_mtp / 16


def test_a_grouped_cache_is_divided_among_key_heads() -> None:
    memory = generation_memory(QWEN, 8, 1000, Layout(4, tensor=4), EXACT)
    assert memory.terms["cache"] == 8 * 1000 * 2 * cache_numbers(QWEN) / 4


def test_what_nothing_recomputes_is_kept_by_every_layer_and_by_trained_mtp_blocks() -> None:
    whole = Training(tokens=4096, sequence=4096, activations="keep")
    terms = training_memory(V3, whole, Layout(1), EXACT).terms
    assert terms["activations saved"] == pytest.approx(KEPT_OF_LAYER * layer_work(V3, EXACT) * 61 * 4096)
    more = training_memory(V3, replace(whole, mtp=True), Layout(1), EXACT).terms
    assert more["activations saved"] == pytest.approx(terms["activations saved"] * 62 / 61)


def test_activations_of_32_bits_are_twice_those_of_16() -> None:
    narrow, wide = (training_memory(QWEN, replace(STEP, number_bytes=size), Layout(1), EXACT) for size in (2.0, 4.0))
    assert wide.terms["activations saved"] == 2 * narrow.terms["activations saved"]
    assert wide.alternatives["activations of a layer"] == 2 * narrow.alternatives["activations of a layer"]
    assert wide.terms["optimiser states"] == narrow.terms["optimiser states"]


def test_uneven_passes_leave_holes_none_with_the_first_update_and_ever_less_with_each_further_one() -> None:
    whole = Training(tokens=4096, sequence=4096, activations="keep", logits="ours")
    even = training_memory(QWEN, whole, Layout(1), EXACT)
    assert "holes" not in even.terms
    of_a_pass = even.terms["activations saved"] + max(even.alternatives.values())
    holes = [
        training_memory(QWEN, replace(whole, uneven=True, updates=count), Layout(1), EXACT).terms["holes"]
        for count in (1.0, 4.0, 16.0, math.inf)
    ]
    assert holes == pytest.approx([share * EXACT["holes"] * of_a_pass for share in (0.0, 0.5, 0.75, 1.0)])


def test_our_engine_has_its_matrices_beside_the_model_that_they_are_read_from() -> None:
    sampling = Sampling(64, 1, 48, Lengths(48, 48), 256, weight_bytes=4.0, cache_number_bytes=4.0)
    terms = our_engine_memory(SMALL, sampling, 64, EXACT).terms
    counts = count_parameters(SMALL)
    assert terms["weights"] == 4 * (counts.total_with_mtp + counts.total - counts.embedding)
    assert terms["completions"] == 68 * 64 * 48
    numbers = 8 * 160 + 3 * 448 + 2 * (3 * 112 + 160)
    assert terms["engine"] == 4 * ((64 + 512) * numbers + 64 * 1536)


def test_a_prompt_is_in_our_cache_once_for_all_its_completions() -> None:
    equal = Sampling(64, 4, 48, Lengths(32, 32), 256, cache_number_bytes=4.0)
    held = 4 * 48 + 64 * (32 + 8)  # the last block of each is half empty
    assert our_cache_bytes(SMALL, equal, math.inf) == pytest.approx(cache_bytes(SMALL, held, number_bytes=4.0), rel=1e-3)
    assert our_cache_bytes(SMALL, replace(equal, most_running=16.0), math.inf) == pytest.approx(
        cache_bytes(SMALL, held / 4, number_bytes=4.0), rel=1e-3
    )


def test_of_uneven_completions_few_are_left_when_they_are_long() -> None:
    lengths = Lengths(50, 512)
    uneven = our_cache_bytes(SMALL, Sampling(240, 20, 50, lengths, cache_number_bytes=4.0), math.inf)
    least, most = (cache_bytes(SMALL, 20 * 50 + 240 * each, number_bytes=4.0) for each in (10, 50))
    assert least < uneven < most


def test_a_transfer_has_both_sides_a_bucket_and_the_largest_matrix() -> None:
    training = training_memory(QWEN, STEP, Layout(8), EXACT)
    terms = transfer_memory(QWEN, training, Layout(2, tensor=2), EXACT).terms
    parameters = count_parameters(QWEN).total
    assert terms["states of training"] == pytest.approx(12 * parameters / 8)
    assert terms["weights"] == pytest.approx(2 * parameters / 2)
    assert terms["transfer buffers"] == TRANSFER_BUCKET + 2 * 151936 * 4096
    small = Shape.from_config(TINY.to_dict())
    whole = 4.0 * count_parameters(small).total_with_mtp
    buffers = transfer_memory(small, training, Layout(1), EXACT, weight_bytes=4.0).terms["transfer buffers"]
    assert buffers == whole + 4.0 * small.vocabulary * small.width
