"""vLLM itself: COGITATE_VLLM_PYTHON names the Python of an environment that has it (docs/cluster.md says how to make one)."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import torch

from cogitate.backend import GenerationRequest
from cogitate.cluster.vllm.engine import VLLMEngine
from cogitate.config import ClusterConfig, RuntimeConfig
from cogitate.model.files.hf import load_model, save_model
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


def test_log_probabilities_are_those_of_the_weights_that_were_sent(tmp_path: Path) -> None:
    first, second = SHIPPED / "student_base_llama", tmp_path
    engine = VLLMEngine(first, 0, RuntimeConfig(), ClusterConfig(engine="vllm", vllm_python=PYTHON))
    assert largest_gap(first, drawn(engine)) < 1e-4
    connections = psutil.Process(engine._process.pid).net_connections("inet")
    assert {each.laddr.ip for each in connections} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    changed = load_model(first)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.1)
    save_model(changed, second, tokenizer_files=sorted(first.glob("tokenizer*")))
    engine.load_weights(second, 1)
    completions = drawn(engine)
    assert {one.weight_versions[0][0] for one in completions} == {1}
    assert largest_gap(second, completions) < 1e-4
    assert largest_gap(first, completions) > 1e-2


def test_a_student_learns_from_what_vllm_samples(tmp_path: Path) -> None:
    out, stage = tmp_path / "run", "student_rl_llama"
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
    assert max(gaps) < 0.02
