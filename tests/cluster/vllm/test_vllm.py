"""vLLM itself: COGITATE_VLLM_PYTHON names the Python of an environment that has it (docs/cluster.md says how to make one)."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.cluster.vllm.engine import VLLMEngine
from cogitate.cluster.vllm.environment import KERNEL_SHAPE
from cogitate.cluster.weights import StaleWeightsError
from cogitate.config import ClusterConfig, RuntimeConfig
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.checkpoint_files import MTP
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.types import Completion, SamplingParams
from tests.cluster.clustered import SECONDS, STEPS, on_ray

PYTHON = os.environ.get("COGITATE_VLLM_PYTHON", "")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(3 * SECONDS),
    pytest.mark.skipif(not PYTHON, reason="COGITATE_VLLM_PYTHON names no Python with vLLM"),
]
PROMPTS = [(5, 6, 7), (8, 9)]
PARAMS = SamplingParams(temperature=0.7, max_new_tokens=12)


def drawn(engine: VLLMEngine) -> list[Completion]:
    for number, prompt in enumerate(PROMPTS):
        engine.submit(GenerationRequest(str(number), prompt, PARAMS, (number, number + 10)))
    completions: list[Completion] = []
    while engine.pending():
        completions += engine.poll()
    return completions


def largest_gap(model: Path, completions: Sequence[Completion]) -> float:
    """Between vLLM's log-probabilities and those that our model computes at the same temperature."""
    ours, gaps = load_model(model, dtype=torch.float32).eval(), [0.0]
    with torch.inference_mode():
        for one in completions:
            prompt = PROMPTS[int(one.request_id)]
            ids = torch.tensor([[*prompt, *one.token_ids]])
            hidden_TD = ours(ids)[0, len(prompt) - 1 : -1]
            logprobs_T, _ = ours.logprobs(hidden_TD, ids[0, len(prompt) :], temperature=PARAMS.temperature)
            gaps += (logprobs_T - torch.tensor(one.logprobs)).abs().tolist()
    return max(gaps)


def as_vllm_takes_it(model: Path, directory: Path) -> Path:
    """A copy of a model directory as generators get it."""
    shutil.copytree(model, directory, ignore=shutil.ignore_patterns(MTP))
    return directory


def with_the_shape_of_the_kernel(directory: Path) -> Path:
    """A model of random weights whose latent attention vLLM's own kernel takes, with the shipped base's tokenizer."""
    torch.manual_seed(1)
    shape = {"kv_lora_rank": KERNEL_SHAPE[0], "qk_rope_head_dim": KERNEL_SHAPE[1], "qk_nope_head_dim": 64, "v_head_dim": 64}
    config = ModelConfig.from_dict({**TINY.to_dict(), **shape, "num_nextn_predict_layers": 0, "initializer_range": 0.1})
    save_model(Transformer(config), directory, tokenizer_files=sorted((SHIPPED / "base").glob("tokenizer*")))
    return directory


@pytest.mark.parametrize("name", ["student_base_llama", "base", "kernel"])
def test_log_probabilities_are_those_of_the_weights_that_were_sent(name: str, tmp_path: Path) -> None:
    first = with_the_shape_of_the_kernel(tmp_path / "first") if name == "kernel" else SHIPPED / name
    engine = VLLMEngine(
        as_vllm_takes_it(first, tmp_path / "sent"), 0, RuntimeConfig(), ClusterConfig(engine="vllm", vllm_python=PYTHON)
    )
    assert largest_gap(first, drawn(engine)) < 1e-4
    connections = psutil.Process(engine._process.pid).net_connections("inet")
    assert {each.laddr.ip for each in connections} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    changed, second = load_model(first), tmp_path / "second"
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.1)
        for router in changed.routers():
            assert router.e_score_correction_bias is not None
            router.e_score_correction_bias.add_(torch.arange(8) % 2)
    save_model(changed, second, tokenizer_files=sorted(first.glob("tokenizer*")))
    engine.load_weights(as_vllm_takes_it(second, tmp_path / "sent again"), 1)
    completions = drawn(engine)
    assert {one.weight_versions[0][0] for one in completions} == {1}
    assert largest_gap(second, completions) < 1e-4
    assert largest_gap(first, completions) > 1e-2
    engine.version = 2  # as if others had been sent, which vLLM does not have
    with pytest.raises(StaleWeightsError, match=r"by weights \[\[1, \d+\]\], not of version 2"):
        drawn(engine)


def test_more_prompts_than_a_step_reads_are_sampled_by_their_seeds(tmp_path: Path) -> None:
    model = as_vllm_takes_it(SHIPPED / "student_base_llama", tmp_path / "sent")
    engine = VLLMEngine(model, 0, RuntimeConfig(), ClusterConfig(engine="vllm", vllm_python=PYTHON))
    count = 50
    for number in range(count):  # 20,000 tokens that are nowhere alike
        prompt = tuple(5 + (number + place * (number + 1)) % 500 for place in range(400))
        engine.submit(GenerationRequest(str(number), prompt, PARAMS, (number % 2,)))
    completions: list[Completion] = []
    while engine.pending():
        completions += engine.poll()
    assert len(completions) == count
    assert len({tuple(one.token_ids) for one in completions}) >= 2


@pytest.mark.parametrize("stage", ["student_rl_llama", "r1_zero"])
def test_a_model_learns_from_what_vllm_samples(stage: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    of_vllm = ("cluster.engine=vllm", f"cluster.vllm_python={PYTHON}", f"cluster.start_limit={SECONDS}")
    settings = [setting.replace("r1_zero", stage) for setting in STEPS]
    arguments = [sys.executable, "-m", "cogitate", "run", "tiny", "--only", stage, "--out", str(out), *settings]
    done = subprocess.run(
        [*arguments, *on_ray(1, *of_vllm, f"cluster.answer_limit={SECONDS}")],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "vLLM 0.32.0 generates: completions depend in their last bits" in done.stdout + done.stderr
    assert "completions by vLLM 0.32.0" in (out / stage / "manifest.json").read_text()
    rows = [json.loads(line) for line in (out / stage / "metrics.jsonl").read_text().splitlines()]
    gaps = [row["logprob_gap"] for row in rows if "logprob_gap" in row]
    assert len(gaps) > 1, "weights must have been sent again"
    assert max(gaps) < 1e-3
