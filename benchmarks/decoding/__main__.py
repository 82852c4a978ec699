"""`python -m benchmarks.decoding MODEL`: generation in bfloat16 beside weights of 8 and 4 bits, activations of 8 bits with
them, keys and values in 8 bits, and drafts, each type under its own name.

Quality: each type reads completions that bfloat16 samples, or the text of --text, and its distributions are compared with
bfloat16's. Speed: tokens a second at each number of sequences, all types in turn, medians; with drafts tokens per step beside
it. --context N lets every sequence begin with N tokens.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.decoding.quality import compare, sampled_texts
from benchmarks.decoding.types import REFERENCE, TYPES, changes_completions, engine_of
from benchmarks.places import RESULTS
from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError
from cogitate.kernels.isa import isa
from cogitate.recipe.models import find_model
from cogitate.runtime import write_json
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import SamplingParams

GROUP = 8  # completions of a prompt
PROMPTS = [
    f"Question: a shop sells {7 * n} apples a day, and {n} of them are bad. How many good ones does it sell in {n + 2} days?\n"
    for n in range(3, 11)
]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    model = find_model(options.model)
    tokenizer = Tokenizer.load(model)
    prompts = [tokenizer.encode(prompt) for prompt in PROMPTS]
    if options.context:
        prompts = [list(itertools.islice(itertools.cycle(prompt), options.context)) for prompt in prompts]
    result: dict[str, Any] = {
        "date": str(datetime.date.today()), "machine": machine.machine_facts(), "isa": isa(), "model": options.model,
        "context": options.context, "new_tokens": options.tokens, "quality": {}, "speed": {},
    }  # fmt: skip
    if not options.no_quality:
        if options.text:
            texts = [tokenizer.encode(options.text.read_text(encoding="utf-8"))[: options.context or None]]
        else:
            texts = sampled_texts(model, prompts, options.tokens)
        for name in filter(changes_completions, options.types):
            try:
                result["quality"][name] = asdict(compare(model, name, texts))
            except ConfigError as error:
                print(f"{name} is left out: {error}", flush=True)
                continue
            print(name, json.dumps(result["quality"][name]), flush=True)
    if not options.no_speed:
        for batch in options.batches:
            result["speed"][str(batch)] = speeds(model, options.types, prompts, batch, options)
    path = options.out or RESULTS / f"{result['date']}-decoding-{result['isa']}.json"
    write_json(path, result)
    print(f"written to {path}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.decoding", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="as `cogitate chat` takes it")
    parser.add_argument("--types", default="bf16,w8,w8a8,w4,w4a8,kv8,w8+kv8,bf16+ngram", help=f"of {', '.join(TYPES)}")
    parser.add_argument("--batches", default="1,8,32,64", help="sequences at a time")
    parser.add_argument("--tokens", type=int, default=128, help="of a completion")
    parser.add_argument("--context", type=int, default=0, help="tokens that every sequence begins with; 0: a short prompt")
    parser.add_argument("--rounds", type=int, default=5, help="of every type, after one to warm up")
    parser.add_argument("--text", type=Path, help="text to compare distributions on, in place of sampled completions")
    parser.add_argument("--no-quality", action="store_true")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--out", type=Path, help="the JSON file")
    options = parser.parse_args(arguments)
    options.types, options.batches = options.types.split(","), [int(each) for each in options.batches.split(",")]
    unknown = [name for name in options.types if name not in TYPES]
    if unknown:
        parser.error(f"--types {unknown[0]}: there are {', '.join(TYPES)}")
    return options


def speeds(
    model: Path, names: Sequence[str], prompts: Sequence[Sequence[int]], batch: int, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Tokens a second of each type that the model has, and what that is of the reference where it took part."""
    engines = {}
    for name in names:
        try:
            engines[name] = engine_of(model, name, batch)
        except ConfigError as error:
            print(f"{name} is left out: {error}", flush=True)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    for number in range(options.rounds + 1):
        for name, engine in engines.items():
            figures = decode(engine, prompts, batch, options.tokens, number)
            if number:
                rounds[name].append(figures)
    found = {name: {key: median(each[key] for each in done) for key in done[0]} for name, done in rounds.items()}
    for name, figures in found.items():
        if REFERENCE in found:
            figures["over_bf16"] = figures["tokens_per_second"] / found[REFERENCE]["tokens_per_second"]
        print(batch, name, json.dumps({key: round(value, 3) for key, value in figures.items()}), flush=True)
    return found


def decode(engine: Engine, prompts: Sequence[Sequence[int]], batch: int, new_tokens: int, number: int) -> dict[str, float]:
    """One round; prompts are read before the clock starts, and groups of 8 share one."""
    params = SamplingParams(max_new_tokens=new_tokens)
    for group in range(-(-batch // GROUP)):
        seeds = tuple(range(number * batch + group * GROUP, number * batch + min(batch, (group + 1) * GROUP)))
        engine.submit(GenerationRequest(str(group), tuple(prompts[group % len(prompts)]), params, seeds))
    engine.poll()
    engine.tokens_per_step()
    before, started = engine.tokens_sampled, time.perf_counter()
    while engine.pending():
        engine.poll()
    figures = {"tokens_per_second": (engine.tokens_sampled - before) / (time.perf_counter() - started)}
    if (tokens := engine.tokens_per_step()) is not None:
        figures["tokens_per_step"] = tokens
    return figures


if __name__ == "__main__":
    main()
