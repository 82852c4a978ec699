"""What the stand-in cannot show: real kernels against the CPU's, waits that CUDA itself reports, a captured step, and times."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cogitate.algorithms.advantages import gae_by_doubling, gae_by_token
from cogitate.device import send
from cogitate.engine.generator import Engine
from cogitate.engine.steps.device import DeviceSteps
from cogitate.model.causal_attention import attend_in_blocks, attend_masked, compiled_flex_attention
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.moe import GROUPED_ON
from cogitate.model.transformer import Transformer
from cogitate.model.visibility import Visibility
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.runner import run_recipe
from cogitate.train.optimisers.adamw import MOMENTS, Moved, move, move_together, set_master
from tests.engine.test_generator import END, make_model, request, run
from tests.model.test_causal_attention import BRANCHES, OF_BRANCHES
from tests.on_device.steps import regions_of
from tests.on_device.test_generation import FAMILIES, difference, requests
from tests.on_device.test_recipe import recipe, texts_of
from tests.on_device.test_training import KINDS, MOST_WAITS, maker, weights_of
from tests.on_gpu.waits import OF_A_WAIT, each_wait, waits_of

CUDA = torch.device("cuda")
Figure = Callable[[str, str], None]
PROMPT = tuple(
    range(4, 132)
)  # eight blocks: those of 48 new tokens are in one bucket, so that no graph is captured among timed steps
SMOLLM2 = ModelConfig.from_dict(
    {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    }
)  # fmt: skip


@pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES.keys())
def test_the_tokens_are_those_of_the_cpu(config: ModelConfig) -> None:
    engines = [Engine(make_model(config), end_id=END, max_batch=5, device=device) for device in ("cpu", "cuda")]
    here, there = (run(engine, *requests()) for engine in engines)
    assert [each.token_ids for each in there] == [each.token_ids for each in here]
    assert difference(there, here) < 1e-4


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


def skip_where_experts_wait() -> None:
    if torch.cuda.get_device_capability()[0] not in GROUPED_ON:
        pytest.skip("torch has no grouped product for this GPU: each layer with experts waits once")


def test_a_wait_is_noticed() -> None:
    numbers = torch.ones(3, device=CUDA)
    assert waits_of(lambda: numbers.sum()) == 0
    assert waits_of(lambda: float(numbers.sum())) == 1
    assert waits_of(lambda: torch.ones(3).to(CUDA)) == 1
    assert waits_of(lambda: send(torch.ones(3), CUDA)) == 0
    with each_wait("error"), pytest.raises(RuntimeError, match=OF_A_WAIT):
        float(numbers.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimiser_step_waits_as_seldom_as_on_the_stand_in(kind: str, figure: Figure) -> None:
    skip_where_experts_wait()
    make, update = KINDS[kind]
    learner = make(maker(torch.bfloat16, "cuda"))
    update(learner)  # compiles, and makes the moments
    waits = waits_of(lambda: update(learner))
    figure(f"waits of an optimiser step, {kind}", str(waits))
    assert waits <= MOST_WAITS


@pytest.mark.parametrize(("family", "speculative"), [("llama", False), ("qwen3", False), ("deepseek_v3", True)])
def test_captured_steps_give_the_tokens_of_launched_ones(family: str, speculative: bool, tmp_path: Path) -> None:
    """Also with weights that are loaded in place, and after weights were freed."""
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
        engine.free_weights()
        engine.load_weights(tmp_path, 2)
        outcomes.append([each.token_ids for each in (*made, *run(engine, *requests(18)))])
    assert regions_of(engine).replays > regions_of(engine).captures > 0
    assert outcomes[0] == outcomes[1]


def test_flex_attention_is_that_of_the_mask_forward_and_backward() -> None:
    flex = compiled_flex_attention()
    assert flex is not None, "torch was installed without Triton"
    documents = torch.tensor(BRANCHES, device=CUDA)
    prompts = torch.tensor([[OF_BRANCHES.get(document, 0) for document in row] for row in BRANCHES], device=CUDA)
    seen = Visibility(documents.shape[1], CUDA, torch.float32, documents, True, None, None, prompts)
    q, k, v = (torch.randn(*documents.shape, heads, 32, device=CUDA, requires_grad=True) for heads in (4, 2, 2))
    outcomes = [attend_in_blocks(q, k, v, seen, 0.2, flex), attend_masked(q, k, v, seen.mask, 0.2)]
    gradients = [torch.autograd.grad(out.square().sum(), (q, k, v)) for out in outcomes]
    assert torch.allclose(outcomes[0], outcomes[1], atol=1e-4)
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_step_of_training_has_the_metrics_of_the_cpu(kind: str, dtype: torch.dtype) -> None:
    make, update = KINDS[kind]
    there, here = (update(make(maker(dtype, device))) for device in ("cuda", "cpu"))
    assert there == pytest.approx(here, rel=2e-3 if dtype == torch.float32 else 1e-1, abs=1e-2)


@pytest.mark.parametrize("kind", ["supervised", "ppo"])
def test_whether_a_resumed_run_has_the_same_bytes_is_measured(kind: str, tmp_path: Path, figure: Figure) -> None:
    make, update = KINDS[kind]
    straight, stopped, resumed = (make(maker(torch.bfloat16, "cuda")) for _ in range(3))
    for learner, steps in ((straight, 3), (stopped, 2)):
        for _ in range(steps):
            update(learner)
    stopped.save(tmp_path, 2, {})
    resumed.load(next(tmp_path.iterdir()))
    update(resumed)
    expected, made = weights_of(straight), weights_of(resumed)
    same = sum(torch.equal(expected[name], made[name]) for name in expected)
    figure(f"{kind}, resumed: tensors with the same bytes", f"{same} of {len(expected)}")


def test_a_recipe_runs_whole(tmp_path: Path, figure: Figure) -> None:
    """Base and R1-Zero with their evaluations, with drafts. How many completions are the CPU's is measured: training rounds
    otherwise here."""
    said = []
    for device in ("cpu", "cuda"):
        run_recipe(recipe(tmp_path, f"runtime.device={device}"), tmp_path / device, make_backend=LocalBackend, retrain=["base"])
        manifest = json.loads((tmp_path / device / "r1_zero" / "manifest.json").read_text())
        assert manifest["device"].startswith(device)
        said.append(texts_of(tmp_path / device))
    same = sum(a == b for a, b in zip(*said, strict=True))
    figure("completions of a small R1-Zero in training that are the CPU's", f"{same} of {len(said[0])}")


def test_masters_moved_as_one_are_those_moved_one_by_one() -> None:
    def moved() -> list[Moved]:
        generator = torch.Generator().manual_seed(0)
        made = []
        for size in (300, 7, 13):
            weight, remainder = torch.empty(size, dtype=torch.bfloat16), torch.empty(size, dtype=torch.int16)
            set_master(weight, remainder, torch.randn(size, generator=generator))
            gradient, *moments = (torch.rand(size, generator=generator).bfloat16().to(CUDA) for _ in range(3))
            state = {"step": torch.tensor(3.0), **dict(zip(MOMENTS, moments, strict=True))}
            made.append(Moved(weight.to(CUDA), remainder.to(CUDA), gradient, state))
        return made

    group = {"betas": (0.9, 0.95), "lr": 1e-2, "weight_decay": 0.1, "eps": 1e-8}
    one_by_one, together = moved(), moved()
    for each in one_by_one:
        move(each.weight, each.remainder, each.gradient, 0.7, each.state, group)
    move_together(together, 0.7, group)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(one_by_one, together, strict=True))
    assert all(torch.equal(a.remainder, b.remainder) for a, b in zip(one_by_one, together, strict=True))


def test_gae_by_doubling_is_that_token_by_token() -> None:
    rewards, values = (torch.randn(4, 500, dtype=torch.float64) for _ in range(2))
    mask = torch.rand(4, 500) < 0.8
    values = torch.where(mask, values, 0.0)
    here = gae_by_token(rewards, values, mask, 1.0, 0.95)
    there = gae_by_doubling(rewards.to(CUDA), values.to(CUDA), mask.to(CUDA), 1.0, 0.95)
    assert torch.allclose(there.cpu(), here, atol=1e-9)


@pytest.mark.parametrize("captured", [False, True], ids=["launched", "captured"])
@pytest.mark.parametrize("rows", [1, 32, 256])
def test_time_of_decoding(rows: int, captured: bool, figure: Figure) -> None:
    model = Transformer(SMOLLM2)
    engine = Engine(model, end_id=-1, max_batch=rows, device="cuda", dtype=torch.bfloat16, captured_steps=captured)
    engine.submit(request("a", PROMPT, seeds=tuple(range(rows)), max_new_tokens=64))
    for _ in range(8):
        engine.poll()
    torch.cuda.synchronize()
    began, steps = time.perf_counter(), 32
    for _ in range(steps):
        engine.poll()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / steps
    what = f"a step of decoding, 135 M parameters, {rows} rows, {'as graphs' if captured else 'kernel by kernel'}"
    figure(what, f"{1000 * seconds:.2f} ms, {rows / seconds:,.0f} tokens/s")


def test_time_and_memory_of_training(figure: Figure) -> None:
    from cogitate.config import FineTuneConfig
    from cogitate.train.learners.supervised import SupervisedLearner
    from cogitate.train.rows.packing import pack_documents

    torch.cuda.reset_peak_memory_stats()
    learner = SupervisedLearner(Transformer(SMOLLM2).bfloat16().to(CUDA), FineTuneConfig(micro_rows=4))
    packed = pack_documents([tuple(range(4, 516))] * 16, None, 1024, pad_id=0)
    for _ in range(2):
        learner.update(packed, 1e-4)
    torch.cuda.synchronize()
    began, steps = time.perf_counter(), 4
    for _ in range(steps):
        learner.update(packed, 1e-4)
    torch.cuda.synchronize()
    seconds, tokens = (time.perf_counter() - began) / steps, 16 * 512
    figure("a step of training, 135 M parameters, 8192 tokens", f"{1000 * seconds:.0f} ms, {tokens / seconds:,.0f} tokens/s")
    figure("peak memory of training", f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
