"""Steps as graphs on a device: the same completions, and graphs that live as long as what they know addresses of."""

from pathlib import Path

import pytest
import torch

from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError, NotFiniteError
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from tests.engine.test_generator import DEEPSEEK, END, LLAMA, QWEN3, WINDOWED, make_model, prompts_of, request, run
from tests.on_device.graphs import StandInGraphs, graphs_there
from tests.on_device.launches import launches
from tests.on_device.stand_in_device import KIND, CaptureError, stand_in
from tests.on_device.steps import regions_of
from tests.on_device.test_generation import FORMS, requests

DENSE = DEEPSEEK.model_copy(update={"num_hidden_layers": 2, "first_k_dense_replace": 9})
EXPERTS = DEEPSEEK.model_copy(update={"num_hidden_layers": 2})
FAMILIES = {"llama": LLAMA, "qwen3": QWEN3, "qwen2 with a window": WINDOWED, "deepseek_v3": DENSE}


def captured_engine(
    config: ModelConfig, *, end_id: int = END, dtype: torch.dtype | None = None, speculative: bool = False
) -> Engine:
    model = make_model(config)
    return Engine(model, end_id=end_id, max_batch=5, device=KIND, dtype=dtype, speculative=speculative, captured_steps=True)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("family", "speculative"), [*((family, False) for family in FAMILIES), ("deepseek_v3", True)])
def test_graphs_give_the_tokens_of_the_cpu(family: str, speculative: bool, form: str) -> None:
    config, tokens = FAMILIES[family], 18  # 16 fill a block
    here = run(Engine(make_model(config), end_id=END, max_batch=5), *requests(tokens))
    with stand_in(), graphs_there(), FORMS[form]():
        engine = captured_engine(config, speculative=speculative)
        there = run(engine, *requests(tokens))
    by_seed = [{(each.request_id, each.seed): each.token_ids for each in completions} for completions in (there, here)]
    assert by_seed[0] == by_seed[1]
    assert regions_of(engine).replays > regions_of(engine).captures > 1


def test_graphs_with_experts_wait_for_nothing() -> None:
    with stand_in(), graphs_there():
        engine = captured_engine(EXPERTS, dtype=torch.bfloat16, speculative=True)
        run(engine, *requests())
        assert regions_of(engine).captures > 1
        with pytest.raises(ConfigError, match="layers with experts wait for the host"):
            captured_engine(EXPERTS)


def test_graphs_live_on_over_weights_that_are_loaded_and_over_freed_ones(tmp_path: Path) -> None:
    other, asked = make_model(LLAMA, seed=1), request("b", prompts_of([5])[0], max_new_tokens=6)
    save_model(other, tmp_path)
    expected = run(Engine(other, end_id=-1, max_batch=2), asked)[0].token_ids
    with stand_in(), graphs_there():
        engine = captured_engine(LLAMA, end_id=-1)
        engine.submit(request("goes on", prompts_of([5])[0], max_new_tokens=200))
        engine.submit(request("a", prompts_of([5])[0], max_new_tokens=40))
        while engine.pending() > 1:  # in the end of this the blocks of the first fill the bucket of four
            engine.poll()
        captures = regions_of(engine).captures
        engine.load_weights(tmp_path, 1)
        engine.submit(asked)
        loaded = [each for _ in range(6) for each in engine.poll()]
        assert regions_of(engine).captures == captures
        engine.abort(["goes on"])
        assert not engine.cache.blocks_in_use
        run(engine, asked)  # alone, in other buckets
        captures = regions_of(engine).captures
        engine.free_weights()
        with pytest.raises(AssertionError, match="the weights have been freed"):
            run(engine, asked)
        engine.abort(["b"])
        engine.load_weights(tmp_path, 2)
        freed = run(engine, asked)
        assert regions_of(engine).captures == captures
    assert loaded[0].token_ids == freed[0].token_ids == expected


def test_blocks_that_stay_have_nothing_of_a_completion_that_was_not_finite() -> None:
    (good,), bad = prompts_of([5]), (*range(10, 30), 5)
    with stand_in(), graphs_there():
        engine = captured_engine(LLAMA, end_id=-1)
        (before,) = run(engine, request("before", good))
        assert isinstance(engine.decoder, PlainDecoder)
        engine.decoder.model.embed_tokens.weight.data[5] = torch.nan
        with pytest.raises(NotFiniteError, match="the completion of seed 0, token 0"):
            run(engine, request("bad", bad))
        (after,) = run(engine, request("after", good))
    assert after.token_ids == before.token_ids


def test_beside_graphs_hardly_anything_is_launched() -> None:
    with stand_in() as counts, graphs_there():
        assert launches(LLAMA, 2, torch.float32, counts, captured=True) <= 2


def test_a_graph_of_the_stand_in_knows_nothing_of_the_host_and_refuses_to_wait() -> None:
    with stand_in():
        numbers, from_host = torch.ones(3, device=KIND), 1.0
        replay = StandInGraphs(numbers.device)(lambda: (numbers * 2 + from_host,))
        from_host = 5.0
        numbers.fill_(10.0)
        assert replay()[0].tolist() == [21.0] * 3
        for waiting in (lambda: (numbers[: int(numbers.sum())],), lambda: (numbers + torch.zeros(3).to(KIND),)):
            with pytest.raises(CaptureError):
                StandInGraphs(numbers.device)(waiting)


def test_what_cannot_be_captured_is_refused() -> None:
    with pytest.raises(ConfigError, match="captured_steps has no effect on a CPU"):
        Engine(make_model(LLAMA), end_id=END, max_batch=1, captured_steps=True)
    with stand_in(), pytest.raises(ConfigError, match="captured_steps has no effect on standin"):
        captured_engine(LLAMA)
