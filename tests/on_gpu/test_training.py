"""Training with CUDA: the CPU's metrics, kernels beside their plain forms, how often the host waits, times and memory."""

import json
import time
from pathlib import Path

import pytest
import torch

from cogitate.algorithms.advantages import gae_by_doubling, gae_by_token
from cogitate.config import FineTuneConfig
from cogitate.model.causal_attention import attend_in_blocks, attend_masked, compiled_flex_attention
from cogitate.model.transformer import Transformer
from cogitate.model.visibility import Visibility
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.runner import run_recipe
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.optimisers.adamw import MOMENTS, Moved, move, move_together, set_master
from cogitate.train.optimisers.muon import MuonAdamW
from cogitate.train.rows.packing import pack_documents
from tests.model.test_causal_attention import BRANCHES, OF_BRANCHES
from tests.on_device.test_muon import model_of as muon_model
from tests.on_device.test_muon import step as muon_step
from tests.on_device.test_recipe import recipe, texts_of
from tests.on_device.test_training import KINDS, MOST_WAITS, maker, weights_of
from tests.on_gpu.conftest import Figure
from tests.on_gpu.smollm2 import CUDA, SMOLLM2
from tests.on_gpu.waits import skip_where_experts_wait, waits_of


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimiser_step_waits_as_seldom_as_on_the_stand_in(kind: str, figure: Figure) -> None:
    skip_where_experts_wait()
    make, update = KINDS[kind]
    learner = make(maker(torch.bfloat16, "cuda"))
    update(learner)  # compiles, and makes the moments
    waits = waits_of(lambda: update(learner))
    figure(f"waits of an optimiser step, {kind}", str(waits))
    assert waits <= MOST_WAITS


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
        said.append(texts_of(tmp_path / device)["r1_zero"])
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


@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
def test_muons_updates_are_those_of_the_cpu(bfloat16: bool) -> None:
    here, there = muon_model(2), muon_model(2).to(CUDA)
    optimisers = [MuonAdamW(model, learning_rate=0.01, weight_decay=0.1, bfloat16=bfloat16) for model in (here, there)]
    for seed in range(2):
        for model, optimiser in zip((here, there), optimisers, strict=True):
            muon_step(model, optimiser, seed)
    for (name, parameter), other in zip(here.named_parameters(), there.parameters(), strict=True):
        assert torch.allclose(parameter, other.cpu(), atol=1e-3 if bfloat16 else 1e-5), name


def test_gae_by_doubling_is_that_token_by_token() -> None:
    rewards, values = (torch.randn(4, 500, dtype=torch.float64) for _ in range(2))
    mask = torch.rand(4, 500) < 0.8
    values = torch.where(mask, values, 0.0)
    here = gae_by_token(rewards, values, mask, 1.0, 0.95)
    there = gae_by_doubling(rewards.to(CUDA), values.to(CUDA), mask.to(CUDA), 1.0, 0.95)
    assert torch.allclose(there.cpu(), here, atol=1e-9)


def test_time_and_memory_of_training(figure: Figure) -> None:
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
