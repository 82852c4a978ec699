"""Generation by vLLM, in this process, with its compiled model: sampling at temperature 1, a group is one request with n."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.runners.channel import Channel, prompts_of_round, serve

CACHE_GB = 2


def main() -> None:
    channel = Channel()
    settings = channel.settings
    cores = sorted(os.sched_getaffinity(0))[: settings["threads"]]
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GB),
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores)),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
    }
    import torch  # after the environment is set, which vLLM reads as it is imported
    import vllm
    from vllm import LLM, SamplingParams

    prompts = [prompt["ids"] for prompt in json.loads(Path(settings["prompts"]).read_text())]
    llm = LLM(
        settings["model"], dtype=settings["dtype"], max_model_len=settings["context"], max_num_seqs=settings["most"], seed=0,
        **settings.get("options", {}),
    )  # fmt: skip

    def run(number: int, case: Mapping[str, Any]) -> dict[str, float]:
        group, count = min(case["group"], case["sequences"]), case["sequences"]
        chosen = prompts_of_round(prompts, number, count // group)
        # No seed of the request's own: with one, a prompt that is read in parts ends vLLM on a CPU.
        params = SamplingParams(n=group, temperature=1.0, max_tokens=case["new_tokens"], ignore_eos=True, detokenize=False)
        outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in chosen], params, use_tqdm=False)
        tokens = sum(len(completion.token_ids) for output in outputs for completion in output.outputs)
        assert tokens == count * case["new_tokens"], tokens
        return {"tokens": tokens}

    channel.ready(versions={"vllm": vllm.__version__, "torch": torch.__version__}, threads=torch.get_num_threads())
    serve(channel, run)


if __name__ == "__main__":
    main()
