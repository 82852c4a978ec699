"""Candidates for training data: completions, judged by the rule graders, sampled in chunks that survive a kill.

A candidate's fate is one of two: it becomes a row of data, or it goes to the ledger with the rule that dropped it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from cogitate.backend import Generator, Grader
from cogitate.config import Config, PromptConfig, RLConfig
from cogitate.recipe.asking import Fitting, ask_r1, fitting, with_tags_of
from cogitate.recipe.stage import StageContext, find
from cogitate.runtime import derive_seed
from cogitate.tasks.files.datasets import read_rows, write_rows
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rollouts import Phases, Prompt, sample_and_grade
from cogitate.types import FinishReason, Problem, SamplingParams, Verdict, VerdictValue

CHUNK = 1024  # completions sampled between two points a kill goes back to


@dataclass(frozen=True, slots=True)
class Candidate:
    """One completion of a problem, as it was written, and what is known of it.

    Attributes:
        id: of its content and origin: the same text gets the same id in another run.
        source: the collector, or "reasoning" or "general".
        model, prompt: who wrote it, and the name of the prompt it answered.
        contract: where its answer was looked for.
        tokens: of the completion, end token included.
    """

    id: str
    problem: Problem
    source: str
    model: str
    prompt: str
    contract: str
    text: str
    finish_reason: FinishReason
    tokens: int
    verdict: VerdictValue
    reason: str
    extracted: str | None

    def row(self) -> dict[str, Any]:
        """Everything but the problem, of which only its name is kept."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "problem"}
        return {**values, "task": self.problem.task, "problem_id": self.problem.id, "language": self.problem.language}


class Writer(Protocol):
    """Whoever answers: a model of ours, or one behind a URL. Both grade what they get."""

    @property
    def source(self) -> str:
        """The collector."""

    def write(self, asked: Sequence[tuple[Problem, tuple[int, ...]]]) -> list[Candidate]:
        """For each (problem, seeds) one candidate a seed, in this order."""

    def fitting(self, problems: Sequence[Problem], too_long: str) -> Fitting:
        """The problems whose prompts it can be asked; `too_long` as in recipe/asking.py."""


@dataclass(frozen=True, slots=True)
class ModelWriter:
    """A model of ours, asked by a named prompt.

    Attributes:
        stop: what begins the next question, where the model would go on; the text ends before it.
        meanwhile: called while one waits; may raise to end everything.
    """

    source: str
    model: str
    prompt: str
    prompt_of: Callable[[Problem], Prompt]
    contract: str
    params: SamplingParams
    tokenizer: Tokenizer
    generator: Generator
    grader: Grader
    meanwhile: Callable[[], None]
    stop: str | None = None

    def fitting(self, problems: Sequence[Problem], too_long: str) -> Fitting:
        return fitting(
            problems, [(self.prompt_of, self.tokenizer)], self.generator.max_context,
            max_new_tokens=self.params.max_new_tokens, too_long=too_long,
        )  # fmt: skip

    def write(self, asked: Sequence[tuple[Problem, tuple[int, ...]]]) -> list[Candidate]:
        groups = sample_and_grade(
            [(problem, self.prompt_of(problem), seeds) for problem, seeds in asked],
            params=self.params,
            contract=self.contract,
            tokenizer=self.tokenizer,
            generator=self.generator,
            grader=self.grader,
            phases=Phases(),
            stop=self.stop,
            meanwhile=self.meanwhile,
        )
        return [
            Candidate(
                candidate_id(self.source, sampled.problem, number, sampled.text),
                sampled.problem,
                self.source,
                self.model,
                self.prompt,
                self.contract,
                sampled.text.strip(),
                "stop" if sampled.cut else sampled.completion.finish_reason,
                len(sampled.completion.token_ids),
                sampled.verdict.value,
                sampled.verdict.reason,
                sampled.verdict.extracted,
            )
            for group in groups
            for number, sampled in enumerate(group)
        ]


def writer_as_trained(
    source: str, name: str, directory: Path, params: SamplingParams, config: Config, context: StageContext
) -> ModelWriter:
    """A model after SFT or a later RL, asked as its own stage has trained it.

    Args:
        name: of the stage that made it; directory: where it is.
    """
    asked = config.section(name, RLConfig) if find(context.graph, name).has(RLConfig) else PromptConfig(prompt="turn")
    tokenizer = with_tags_of(asked, Tokenizer.load(directory))
    return ModelWriter(
        source, name, "r1", ask_r1(asked, directory, tokenizer), "r1", params, tokenizer, context.backend.generator(directory),
        context.backend.grader(), context.stop_if_interrupted,
    )  # fmt: skip


def grade_all(
    grader: Grader, answers: Sequence[tuple[Problem, str, str]], meanwhile: Callable[[], None] = lambda: None
) -> list[Verdict]:
    """The verdict of each (problem, text, contract)."""
    for index, (problem, text, contract) in enumerate(answers):
        grader.submit(str(index), problem, text, contract)
    verdicts: dict[str, Verdict] = {}
    while grader.pending():
        meanwhile()
        verdicts.update(grader.poll(timeout=1.0))
    return [verdicts[str(index)] for index in range(len(answers))]


def askable(writer: Writer, problems: Sequence[Problem], too_long: str, context: StageContext) -> Fitting:
    """The problems a writer can be asked; how many are left out is said."""
    found = writer.fitting(problems, too_long)
    if found.left_out:
        context.say(f"{writer.source}: {found.line()}")
    return found


def candidate_id(source: str, problem: Problem, number: int, text: str) -> str:
    """E.g. few_shot-3f2a90c1b7e4: `number` tells equal texts of one problem apart."""
    content = "\x1f".join((problem.task, problem.id, str(number), text.strip()))
    return f"{source}-{hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def count_chunks(problems: Sequence[Problem], samples: int) -> int:
    return -(-len(problems) // problems_per_chunk(samples))


def problems_per_chunk(samples: int) -> int:
    return max(1, CHUNK // samples)


def collect(
    writer: Writer, problems: Sequence[Problem], samples: int, *, seed: int, context: StageContext, first_step: int
) -> list[Candidate]:
    """`samples` candidates of each problem; each finished chunk is kept in the checkpoint and is one row of metrics.

    Args:
        seed: completion k of a problem depends on the seed, the source, the problem and k alone.
        first_step: the number of the first chunk's metrics row.
    """
    found: list[Candidate] = []
    size = problems_per_chunk(samples)
    for number, start in enumerate(range(0, len(problems), size)):
        context.stop_if_interrupted()
        chunk = problems[start : start + size]
        path = context.checkpoint / f"{writer.source}-{number:04d}.jsonl"
        if path.is_file():
            candidates = read_chunk(path, chunk)
        else:
            seeds = [tuple(derive_seed(seed, writer.source, p.task, p.id, k) for k in range(samples)) for p in chunk]
            candidates = writer.write(list(zip(chunk, seeds, strict=True)))
            write_rows(path, (candidate.row() for candidate in candidates))
        judged = [candidate for candidate in candidates if candidate.verdict != "none"]
        row = {
            "step": first_step + number,
            "source": writer.source,
            "sampled": len(candidates),
            "completion_tokens": sum(candidate.tokens for candidate in candidates) / len(candidates),
        }
        if judged:
            row["accuracy"] = sum(candidate.verdict == "right" for candidate in judged) / len(judged)
        context.metrics.write(row)
        found += candidates
    return found


def collect_all(
    writer: Writer, problems: Sequence[Problem], samples: int, config: Config, context: StageContext
) -> tuple[Fitting, list[Candidate]]:
    """The problems that a writer can be asked, and `samples` candidates of each, where a stage samples nothing else."""
    found = askable(writer, problems, config.tasks.too_long, context)
    context.metrics.truncate(0)
    context.begin(count_chunks(found.problems, samples))
    seed = derive_seed(config.seed, context.stage)
    return found, collect(writer, found.problems, samples, seed=seed, context=context, first_step=0)


def read_chunk(path: Path, problems: Sequence[Problem]) -> list[Candidate]:
    """The candidates of a finished chunk."""
    by_name = {(problem.task, problem.id): problem for problem in problems}
    candidates = []
    for _, row in read_rows(path):
        row.pop("language")
        candidates.append(Candidate(problem=by_name[row.pop("task"), row.pop("problem_id")], **row))
    return candidates


def data_row(candidate: Candidate, text: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """A row of data.parquet: the question, and `text` as the assistant's turn; lengths are of that text.

    There is no key `prompt`: to TRL it would mean another format.
    """
    thinking = split_thinking(text).thinking or ""
    problem = candidate.problem
    return {
        "messages": [
            *({"role": turn.role, "content": turn.content} for turn in problem.conversation),
            {"role": "assistant", "content": text},
        ],
        "id": candidate.id,
        "task": problem.task,
        "problem_id": problem.id,
        "language": problem.language,
        "source": candidate.source,
        "model": candidate.model,
        "prompt_name": candidate.prompt,
        "verdict": candidate.verdict,
        "thinking_tokens": len(tokenizer.encode(thinking.strip())),
        "completion_tokens": len(tokenizer.encode(text)),
    }


def ledger_row(candidate: Candidate, rule: str) -> dict[str, Any]:
    """A row of ledger.jsonl: the candidate and the rule that dropped it."""
    return {"rule": rule, **candidate.row()}


def count_by(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs, the most frequent first."""
    return dict(sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))
