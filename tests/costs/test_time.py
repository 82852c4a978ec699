"""Seconds of training, generation and steps of RL: limits that can be worked by hand, and what must grow or shrink."""

from dataclasses import replace

import pytest

from cogitate.costs.counts import cache_numbers, count_parameters, matrix_operations
from cogitate.costs.factors import prior_factors
from cogitate.costs.generation import Sampling, decode_step, generation_seconds, smallest_tensor, weights_touched
from cogitate.costs.hardware import GIB, Cluster, Gpu
from cogitate.costs.layout import Layout
from cogitate.costs.lengths import Lengths
from cogitate.costs.memory import Training
from cogitate.costs.moving import FILE_BYTES, START, moving_memory, moving_seconds
from cogitate.costs.rl_step import RLStep, mean_context, our_activations, rl_seconds
from cogitate.costs.shape import Shape
from cogitate.costs.training import can_run, training_seconds
from cogitate.model.config import DEEPSEEK_V3, TINY
from cogitate.model.files.published import PUBLISHED

V3 = Shape.from_config(DEEPSEEK_V3.to_dict())
QWEN = Shape.from_config(PUBLISHED["qwen3-8b"].to_dict())
H100 = Gpu("H100", 79 * GIB, 989e12, 3.35e12, 450e9, 50e9, 8, "hopper", 2.5, True)
FACTORS = prior_factors()


def test_matrix_products_of_full_training_are_four_passes_with_recomputation() -> None:
    work = Training(tokens=8192, sequence=8192)
    seconds = training_seconds(QWEN, work, Layout(1), Cluster(H100, 1), FACTORS)
    by_hand = 8192 * matrix_operations(QWEN) * 4 / (989e12 * FACTORS["matrix_efficiency"])
    assert seconds.terms["matrix products"] == pytest.approx(by_hand)


def test_gathering_weights_binds_where_nodes_have_few_tokens() -> None:
    work = Training(tokens=64, sequence=64)
    seconds = training_seconds(QWEN, work, Layout(64), Cluster(H100, 64), FACTORS)
    assert seconds.binding == "gathering weights"
    assert seconds.total == pytest.approx(sum(seconds.hidden.values()))


def test_flash_attention_3_is_of_hopper_alone() -> None:
    assert can_run("flash_attention_3", "hopper")
    assert not can_run("flash_attention_3", "blackwell")
    assert can_run("flash_attention_4", "blackwell")
    assert not can_run("flash_attention_4", "ampere")
    assert can_run("sdpa", "ampere")


def test_one_token_of_one_sequence_reads_the_active_weights_once() -> None:
    sampling = Sampling(1, 1, 1, Lengths(1, 2))
    seconds = decode_step(QWEN, sampling, 1, 0, 1, H100, FACTORS)
    read = 2 * weights_touched(QWEN, 1) / (3.35e12 * FACTORS["decode_bandwidth"])
    assert seconds == pytest.approx(read + QWEN.layers * FACTORS["decode_layer_us"] * 1e-6)


def test_more_completions_at_a_time_read_more_experts_and_cost_less_each() -> None:
    sampling = Sampling(1, 1, 1, Lengths(1, 2))
    one, many = (decode_step(V3, sampling, batch, 1000, 32, H100, FACTORS) for batch in (1, 64))
    assert one < many < 16 * one


def test_the_longest_completion_decides_and_doubling_the_machines_gains_less_than_two() -> None:
    """The straggler's tail: planner notes of published runs have 0.8 to 2.2."""
    sampling = Sampling(512, 32, 100, Lengths(2000, 16384))
    small, large = (sum(generation_seconds(QWEN, sampling, 1, Cluster(H100, n), FACTORS).values()) for n in (8, 16))
    assert 1 < small / large < 1.7


def test_generation_that_never_stops_does_not_wait_for_the_longest() -> None:
    waiting = Sampling(512, 32, 100, Lengths(2000, 16384), most_running=256)
    free = replace(waiting, waits=False)
    apart, beside = (generation_seconds(QWEN, each, 1, Cluster(H100, 1), FACTORS) for each in (waiting, free))
    by_hand = 2 * 2000 * decode_step(QWEN, free, 256, 100 + 1000, 1, H100, FACTORS)
    assert beside["decoding"] == pytest.approx(by_hand)
    assert beside["decoding"] < 0.7 * apart["decoding"]
    assert beside["prefill"] == apart["prefill"]


def test_lengths_keep_their_mean_and_limit() -> None:
    lengths = Lengths(1000, 4096)
    shares = [lengths.share_longer(tokens + 0.5) for tokens in range(4096)]
    assert sum(shares) == pytest.approx(1000, rel=2e-2)
    assert lengths.share_longer(4096) == 0
    assert lengths.longest(1) < 1500 < lengths.longest(100) <= 4096


def test_a_replica_is_as_small_as_holds_the_weights() -> None:
    assert smallest_tensor(QWEN, H100) == 1
    assert smallest_tensor(V3, H100) == 32
    assert smallest_tensor(V3, H100, weight_bytes=1.0) == 16


def test_an_update_that_recomputes_nothing_has_three_passes_of_four() -> None:
    recomputed = RLStep(Sampling(512, 32, 100, Lengths(2000, 4096)), 1, Layout(1, sharding="none"))
    kept = replace(recomputed, activations="keep")
    only_products = FACTORS.with_values(step_seconds=1e-9, fused_seconds=1e-9, flash3=1e9)
    four, three = (rl_seconds(QWEN, each, Cluster(H100, 1), only_products).phases["update"] for each in (recomputed, kept))
    assert three == pytest.approx(0.75 * four, rel=1e-3)


def test_weights_that_are_read_averaged_and_written_take_their_bytes() -> None:
    size = 2.0 * count_parameters(QWEN).total
    assert moving_seconds(QWEN, 3, weight_bytes=2) == pytest.approx(START + 3 * size / FILE_BYTES)
    copied, averaged = (moving_memory(QWEN, 2, FACTORS, weight_bytes=2, averaged=each) for each in (False, True))
    assert copied.terms["weights"] == averaged.terms["weights"] == 2 * size
    assert averaged.total - copied.total == pytest.approx(3 * 8 * QWEN.vocabulary * QWEN.width)


def test_rollouts_one_step_old_overlap_with_training() -> None:
    step = RLStep(Sampling(512, 32, 100, Lengths(2000, 4096)), 1, Layout(16))
    cluster = Cluster(H100, 16)
    turns, beside = rl_seconds(QWEN, step, cluster, FACTORS), rl_seconds(QWEN, replace(step, colocated=False), cluster, FACTORS)
    phases = beside.phases
    longer = max(phases["generation"], phases["log-probabilities"] + phases["update"])
    assert beside.total == pytest.approx(FACTORS["rl_rest"] * (longer + phases["transfer"]))
    assert turns.total == pytest.approx(FACTORS["rl_rest"] * sum(turns.phases.values()))


def test_our_learner_of_rl_recomputes_where_a_pass_would_keep_more_than_half_a_gib() -> None:
    tiny = Shape.from_config(TINY.to_dict())
    small = Shape.from_config(PUBLISHED["smollm2-135m"].to_dict())
    assert our_activations(tiny, 4.0) == "keep"
    assert our_activations(small, 2.0) == "recompute"


def test_tokens_that_are_not_predicted_have_no_logits() -> None:
    work = Training(tokens=8192, sequence=8192)
    whole, half = (
        training_seconds(QWEN, each, Layout(1), Cluster(H100, 1), FACTORS) for each in (work, replace(work, predicted=0.5))
    )
    head = 8192 * 0.5 * 2 * QWEN.vocabulary * QWEN.width * 4 / (989e12 * FACTORS["matrix_efficiency"])
    assert whole.terms["matrix products"] - half.terms["matrix products"] == pytest.approx(head)
    assert half.terms["memory traffic"] < whole.terms["memory traffic"]
    assert half.terms["attention"] == whole.terms["attention"]


def test_tokens_of_completions_see_their_prompt_and_half_of_their_own_text() -> None:
    sampling = Sampling(4, 2, 10, Lengths(20, 100))  # 20 tokens of prompts see 5, 80 of completions see 10 + 10
    assert mean_context(sampling, 2, 0.0) == pytest.approx((20 * 5 + 80 * 20) / 100)
    assert mean_context(sampling, 2, 6.0) == pytest.approx((8 * (6 + 2) + 80 * 20) / 88)


def test_what_rows_have_cached_takes_its_own_time_where_our_engine_decodes() -> None:
    sampling = Sampling(64, 1, 48, Lengths(48, 48), weight_bytes=4.0, cache_number_bytes=4.0)
    cpu = replace(H100, generation="cpu", peak=1e11, bandwidth=2e10)
    short, long = (decode_step(QWEN, sampling, 64, context, 1, cpu, FACTORS) for context in (100, 600))
    read = 64 * 500 * cache_numbers(QWEN) * 4 / (2e10 * FACTORS["decode_bandwidth"])
    assert long - short == pytest.approx(read)


def test_a_token_stands_beyond_half_the_mean_where_lengths_differ() -> None:
    assert Lengths(100, 100).mean_position() == pytest.approx(50, rel=0.03)
    assert 100 < Lengths(150, 512).mean_position() < 200
