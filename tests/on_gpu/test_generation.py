"""Generation with CUDA: the CPU's tokens, waits that CUDA itself reports, captured steps, and times."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cogitate.device import send
from cogitate.engine.generator import Engine
from cogitate.engine.steps.device import DeviceSteps
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.paged import reads
from cogitate.model.transformer import Transformer
from tests.engine.test_generator import END, make_model, request, run
from tests.model.paged.cases import SHAPES, case, moved
from tests.on_device.steps import regions_of
from tests.on_device.test_generation import FAMILIES, difference, requests
from tests.on_gpu.conftest import Figure
from tests.on_gpu.smollm2 import CUDA, LONG, PROMPT, SMOLLM2
from tests.on_gpu.waits import OF_A_WAIT, each_wait, skip_where_experts_wait, waits_of


def read_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps copy the cache's blocks, as where there is no Triton."""
    monkeypatch.setitem(reads.IN_PLACE, "cuda", lambda: False)


@pytest.mark.parametrize("form", ["in place", "copied"])
@pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES.keys())
def test_the_tokens_are_those_of_the_cpu(config: ModelConfig, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "copied":
        read_copies(monkeypatch)
    engines = [Engine(make_model(config), end_id=END, max_batch=5, device=device) for device in ("cpu", "cuda")]
    here, there = (run(engine, *requests()) for engine in engines)
    assert [each.token_ids for each in there] == [each.token_ids for each in here]
    assert difference(there, here) < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_are_attended_to_where_they_lie(shape: str, dtype: torch.dtype) -> None:
    assert reads.has_triton(), "torch was installed without Triton"
    from cogitate.model.paged.kernel import attend_in_place  # which imports it

    for tokens, window in ((1, None), (1, 20), (2, None)):
        given = moved(case(shape, tokens, window, dtype), CUDA)
        arguments = (given.q_NTHK, given.entries, given.cut, given.window, given.scale)
        by_parts = [attend_in_place(given.q_NTHK, given.entries, given.slots, *arguments[2:], parts=parts) for parts in (1, 4)]
        for made in (*by_parts, reads.InPlace(given.slots).attend(*arguments)):
            assert torch.allclose(made.double().cpu(), given.expected, atol=1e-5 if dtype == torch.float32 else 2e-2)


@pytest.mark.parametrize("speculative", [False, True])
def test_nothing_waits_between_the_copy_and_the_result(speculative: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_waiting(method: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object) -> object:
            with each_wait("error"):
                return method(*args)

        return run

    skip_where_experts_wait()
    engine = Engine(
        make_model(FAMILIES["deepseek_v3"]), end_id=END, max_batch=5, device="cuda", dtype=torch.bfloat16,
        speculative=speculative,
    )  # fmt: skip
    for each in requests():
        engine.submit(each)
    engine.poll()
    for name in ("read_last", "read_drafted", "draw"):
        monkeypatch.setattr(DeviceSteps, name, without_waiting(getattr(DeviceSteps, name)))
    for _ in range(4):
        engine.poll()


def test_a_wait_is_noticed() -> None:
    numbers = torch.ones(3, device=CUDA)
    assert waits_of(lambda: numbers.sum()) == 0
    assert waits_of(lambda: float(numbers.sum())) == 1
    assert waits_of(lambda: torch.ones(3).to(CUDA)) == 1
    assert waits_of(lambda: send(torch.ones(3), CUDA)) == 0
    with each_wait("error"), pytest.raises(RuntimeError, match=OF_A_WAIT):
        float(numbers.sum())


@pytest.mark.parametrize(("family", "speculative"), [("llama", False), ("qwen3", False), ("deepseek_v3", True)])
def test_captured_steps_give_the_tokens_of_launched_ones(family: str, speculative: bool, tmp_path: Path) -> None:
    """Also with weights that are loaded in place, and after weights were freed, which leaves graphs as they are."""
    config = FAMILIES[family].model_copy(update={"first_k_dense_replace": 9} if family == "deepseek_v3" else {})
    save_model(make_model(config, seed=1), tmp_path)
    outcomes = []
    for captured in (False, True):
        engine = Engine(
            make_model(config), end_id=END, max_batch=5, device="cuda", speculative=speculative, captured_steps=captured
        )
        made = run(engine, *requests(18))
        engine.load_weights(tmp_path, 1)
        made += run(engine, *requests(18))
        captures = regions_of(engine).captures if captured else 0
        engine.free_weights()
        engine.load_weights(tmp_path, 2)
        outcomes.append([each.token_ids for each in (*made, *run(engine, *requests(18)))])
    assert regions_of(engine).captures == captures
    assert regions_of(engine).replays > regions_of(engine).captures > 0
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("captured", [False, True], ids=["launched", "captured"])
@pytest.mark.parametrize("rows", [1, 32, 256])
def test_time_of_decoding(rows: int, captured: bool, figure: Figure) -> None:
    seconds = seconds_of_a_step(PROMPT, rows, captured=captured)
    what = f"a step of decoding, 135 M parameters, {rows} rows, {'as graphs' if captured else 'kernel by kernel'}"
    figure(what, f"{1000 * seconds:.2f} ms, {rows / seconds:,.0f} tokens/s")


@pytest.mark.parametrize("form", ["in place", "copied"])
def test_time_of_decoding_after_long_texts(form: str, figure: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reading the cache in place is worth, and its peak of memory."""
    if form == "copied":
        read_copies(monkeypatch)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    seconds = seconds_of_a_step(LONG, 64, captured=True)
    figure(
        f"a step after {len(LONG)} tokens, 64 rows, as graphs, blocks {form}",
        f"{1000 * seconds:.2f} ms, {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB at most",
    )


def seconds_of_a_step(prompt: tuple[int, ...], rows: int, *, captured: bool) -> float:
    model = Transformer(SMOLLM2)
    engine = Engine(model, end_id=-1, max_batch=rows, device="cuda", dtype=torch.bfloat16, captured_steps=captured)
    engine.submit(request("a", prompt, seeds=tuple(range(rows)), max_new_tokens=64))
    for _ in range(8):
        engine.poll()
    torch.cuda.synchronize()
    began, steps = time.perf_counter(), 32
    for _ in range(steps):
        engine.poll()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps
