"""Can a base model do the steps that searching needs? `python -m benchmarks.evidence.single_steps MODEL`.

Puzzles of levels 1 to 3 are put to it as a searcher of the corpus begins; each sum, remainder, comparison and claim that it
then writes is judged by a program. A share for each family and kind of step, and one for each level.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

from benchmarks.evidence.page import percent, table
from cogitate.backend import GenerationRequest, Generator
from cogitate.config import Config
from cogitate.errors import CogitateError
from cogitate.evals.metrics import share_of_completions
from cogitate.evals.steps.measures import read_steps
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.models import find_model
from cogitate.tasks.corpus.puzzles.voices import FIRST
from cogitate.tasks.mixture import PUZZLES
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem, SamplingParams

TEMPERATURE, MAX_NEW_TOKENS = 0.6, 320
PROMPT = "User: {question}\nAssistant: <think> {opening}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 where the model cannot be used."""
    parser = argparse.ArgumentParser("python -m benchmarks.evidence.single_steps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--problems", type=int, default=60, help="of each family")
    given = parser.parse_args(arguments)
    try:
        directory = find_model(given.model)
        backend = LocalBackend(Config())
        try:
            asked = opened(given.problems)
            texts = continued(backend.generator(directory), Tokenizer.load(directory), asked)
        finally:
            backend.close()
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary([(problem, text) for (problem, _), text in zip(asked, texts, strict=True)]))
    return 0


def opened(count: int) -> list[tuple[Problem, str]]:
    """Problems of every family, always the same ones, each with the first words of a solution; long sums have none to try."""
    rng = random.Random(5)
    problems = [family.generate(rng, "train") for family in PUZZLES for _ in range(count)]
    return [
        (problem, "" if problem.task == "long_sums" else FIRST[problem.language][number % 4].strip())
        for number, problem in enumerate(problems)
    ]


def continued(generator: Generator, tokenizer: Tokenizer, asked: Sequence[tuple[Problem, str]]) -> list[str]:
    """The thinking that follows each opening, the opening included."""
    params, texts = SamplingParams(temperature=TEMPERATURE, max_new_tokens=MAX_NEW_TOKENS), dict[str, str]()
    for number, (problem, opening) in enumerate(asked):
        prompt = tokenizer.encode(PROMPT.format(question=problem.question, opening=opening))
        generator.submit(GenerationRequest(str(number), tuple(prompt), params, (number,)))
    while generator.pending():
        for each in generator.poll():
            texts[each.request_id] = tokenizer.decode(list(each.token_ids))
    return [(opening + texts[str(number)]).partition("</think>")[0] for number, (_, opening) in enumerate(asked)]


def summary(solved: Sequence[tuple[Problem, str]]) -> str:
    """Share of right statements by family and kind, then by family and level; intervals over problems."""
    rows: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for problem, thinking in solved:
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for statement in read_steps(thinking, problem).statements:
            for key in keys_of(problem, statement.kind):
                found[key].append(float(statement.right))
        for key, right in found.items():
            rows[key].append(right)
    return table(
        ["family", "step", "right", "of"],
        [[*key, percent(share_of_completions(rows[key]).as_json()), str(sum(map(len, rows[key])))] for key in sorted(rows)],
    )


def keys_of(problem: Problem, kind: str) -> Iterator[tuple[str, str]]:
    yield from (("all", kind), (problem.task, kind), (problem.task, f"level {problem.fields['level']}"))


if __name__ == "__main__":
    sys.exit(main())
