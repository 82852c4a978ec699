"""`python -m benchmarks.serving MODEL`: tokens a second and delays of our server and of others, one after the other."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import OtherWork, machine_facts
from benchmarks.serving.client import Answer, complete
from benchmarks.serving.servers import Running, Server, llama_cpp, ours, started, vllm

WORDS = "a model reads words and writes words so that people see how long it takes to read and write all".split()  # noqa: SIM905


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a directory in Hugging Face's format, e.g. of SmolLM2-135M")
    parser.add_argument("--vllm", type=Path, metavar="PYTHON", help="the Python of an environment that has vllm")
    parser.add_argument("--llama-server", type=Path, metavar="PROGRAM", help="llama.cpp's server")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="the same model for llama.cpp, whose type is its own")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16"], default="float32", help="of our server's weights and of vLLM's"
    )
    parser.add_argument("--streams", default="1,8,32,64", help="how many at the same time, one after the other")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement, after as many requests to warm up")
    parser.add_argument("--tokens", type=int, default=128, help="of each completion")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the figures go, as JSON")
    options = parser.parse_args()
    counts = [int(count) for count in options.streams.split(",")]
    figures: dict[str, Any] = {"machine": machine_facts(), "model": options.model.name, "dtype": options.dtype, "servers": {}}
    for server in (
        ours(options.model, options.dtype),
        vllm(options.model, options.vllm, options.dtype),
        llama_cpp(options.gguf, options.llama_server),
    ):
        if server.missing:
            print(f"{server.name}: not measured; {server.missing}", flush=True)
            continue
        figures["servers"][server.name] = measured(server, counts, options.seconds, options.tokens)
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")


def measured(server: Server, counts: list[int], seconds: float, tokens: int) -> list[dict[str, Any]]:
    rows = []
    with started(server, max(counts)) as running:
        for count in counts:
            asyncio.run(ask_for(running.port, count, 0.0, tokens, seed=1000 + count))  # what is made once is made
            row = {"streams": count, **one_measurement(running, count, seconds, tokens)}
            figures = (f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items())
            print(f"{server.name:10}", *figures, sep="  ", flush=True)
            rows.append(row)
    return rows


def one_measurement(running: Running, count: int, seconds: float, tokens: int) -> dict[str, Any]:
    others, began = OtherWork(), time.monotonic()
    cpu, main_thread = running.seconds(), running.main_thread_seconds()
    answers = asyncio.run(ask_for(running.port, count, seconds, tokens, seed=count))
    cpu, main_thread = running.seconds() - cpu, running.main_thread_seconds() - main_thread
    elapsed = max(end for answer in answers for end in answer.ends) - began
    firsts = [answer.first for answer in answers if answer.first is not None]
    gaps = sorted(gap for answer in answers for gap in answer.gaps)
    return {
        "requests": len(answers),
        "incomplete": sum(not answer.complete or answer.status != 200 for answer in answers),
        "tokens_per_second": sum(answer.tokens or 0 for answer in answers) / elapsed,
        "first_token_median_s": statistics.median(firsts),
        "first_token_p99_s": sorted(firsts)[int(0.99 * (len(firsts) - 1))],
        "between_tokens_p99_s": gaps[int(0.99 * (len(gaps) - 1))],
        "server_to_engine_cpu": main_thread / max(1e-9, cpu - main_thread),
        "cpu_seconds": cpu,
        "other_work": max(0.0, others.share() - cpu / (os.cpu_count() or 1) / elapsed),
    }


async def ask_for(port: int, count: int, seconds: float, tokens: int, *, seed: int) -> list[Answer]:
    """So many clients, each with one request after the other until the time is over; each asks one at least."""
    end = time.monotonic() + seconds
    answers: list[Answer] = []

    async def client(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        while True:
            prompt = " ".join(rng.choices(WORDS, k=rng.randrange(20, 200)))
            body = {"model": "bench", "prompt": prompt, "max_tokens": tokens, "temperature": 0.0, "ignore_eos": True}
            answers.append(await complete(port, body))
            if time.monotonic() >= end:
                return

    await asyncio.gather(*(client(number) for number in range(count)))
    return answers


if __name__ == "__main__":
    main()
