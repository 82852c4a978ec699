"""Generation by llama.cpp, one sequence at a time: sampling at temperature 1 from the 40 likeliest, its own default."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp import Llama, llama

from benchmarks.peers.runners.channel import Channel, prompts_of_round, serve


def main() -> None:
    channel = Channel()
    settings = channel.settings
    prompts = [prompt["ids"] for prompt in json.loads(Path(settings["prompts"]).read_text())]
    threads = settings["threads"]
    llama.llama_cpp.llama_model_default_params = without_other_layouts
    llm = Llama(settings["model"], n_ctx=settings["context"], n_threads=threads, n_threads_batch=threads, verbose=False)

    def run(number: int, case: Mapping[str, Any]) -> dict[str, float]:
        assert case["sequences"] == 1, case
        (prompt,) = prompts_of_round(prompts, number, 1)
        llm.reset()
        drawn = llm.generate(prompt, top_k=40, top_p=1.0, min_p=0.0, temp=1.0, repeat_penalty=1.0, reset=True)
        return {"tokens": len(list(itertools.islice(drawn, case["new_tokens"])))}

    info = llama_cpp.llama_print_system_info().decode()
    channel.ready(versions={"llama-cpp-python": llama_cpp.__version__}, system=info, threads=threads)
    serve(channel, run)


def without_other_layouts(made: Any = llama_cpp.llama_model_default_params) -> Any:
    """The model's default settings, but with its weights as the file has them. This release lays them out anew where there
    is AMX, which made float16 slower, and matrices of 4 bits end the process by an illegal instruction."""
    settings = made()
    settings.use_extra_bufts = False
    return settings


if __name__ == "__main__":
    main()
