"""`python -m benchmarks.serving.load MODEL --minutes 10`: many streams for a long time.

Every request is seeded and was asked alone before, so an answer that was mixed up with another one is seen. Then memory from
minute 2 to the end, and processor time of a minute without requests. The exit status is 1 where an answer was wrong or missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.serving.client import Answer, complete
from benchmarks.serving.servers import Running, ours, started

SETTLED_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--requests", type=int, default=48, help="different ones")
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    options = parser.parse_args()
    with started(ours(options.model), options.streams) as running:
        figures, memory = asyncio.run(load(running, options.streams, 60 * options.minutes, requests(options.requests)))
        settled = [size for second, size in memory if second >= min(SETTLED_SECONDS, 30 * options.minutes)]
        figures["memory_gb"] = [round(size / 1e9, 3) for size in (settled[0], min(settled), max(settled), settled[-1])]
        figures["memory_change"] = round(max(settled) / settled[0] - 1, 4)
        time.sleep(2)
        cpu = running.seconds()
        time.sleep(options.idle_seconds)
        figures["idle_share_of_a_core"] = round((running.seconds() - cpu) / options.idle_seconds, 5)
    print(json.dumps(figures, indent=1))
    print("memory: at minute 2, least, most, at the end")
    sys.exit(1 if figures["answers"].keys() - {"right", "refused"} else 0)


def requests(count: int) -> list[dict[str, Any]]:
    """Short and long prompts, answers of different lengths and settings."""
    rng = random.Random(0)
    made = []
    for number in range(count):
        question = f"Question {number}: " + " ".join(str(rng.randrange(1000)) for _ in range(rng.choice([3, 30, 300])))
        settings = rng.choice([{}, {"top_p": 0.9}, {"presence_penalty": 0.5}, {"top_k": 20, "min_p": 0.05}])
        made.append(
            {
                "model": "bench", "messages": [{"role": "user", "content": question}], "seed": number,
                "temperature": rng.choice([0.0, 1.0]), "max_tokens": rng.randrange(8, 96), **settings,
            }
        )  # fmt: skip
    return made


async def load(
    running: Running, streams: int, seconds: float, asked: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[tuple[float, int]]]:
    """What became of the requests, and the server's memory by seconds."""
    alone = [await ask(running.port, body) for body in asked]
    if statuses := {each.status for each in alone if not each.complete}:
        sys.exit(f"requests alone were not answered (status {statuses}): does the model have a context of 2048 tokens?")
    began, counted, memory = time.monotonic(), Counter[str](), list[tuple[float, int]]()

    async def client(number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() - began < seconds:
            which = rng.randrange(len(asked))
            answer = await ask(running.port, asked[which])
            if answer.status == 429:
                counted["refused"] += 1
                await asyncio.sleep(1)
                continue
            same = (answer.text, answer.finish) == (alone[which].text, alone[which].finish)
            counted["right" if answer.complete and same else "wrong" if answer.complete else "incomplete"] += 1

    async def watch() -> None:
        while True:
            memory.append((time.monotonic() - began, running.memory()))
            await asyncio.sleep(min(5.0, seconds / 10))

    watching = asyncio.ensure_future(watch())
    await asyncio.gather(*(client(number) for number in range(streams)))
    watching.cancel()
    return {"streams": streams, "seconds": round(time.monotonic() - began, 1), "answers": dict(counted)}, memory


async def ask(port: int, body: dict[str, Any]) -> Answer:
    return await complete(port, body, path="/v1/chat/completions")


if __name__ == "__main__":
    main()
