"""How the problems of a benchmark are put to a model: the same question in each of the prompts that models are asked with.

| prompt | what the model reads | the answer is looked for |
|---|---|---|
| chat | a turn in the model's own chat template: the question, the benchmark's instruction, R1's request for a box | r1 |
| r1_zero | R1-Zero's template around the question and the instruction | r1 |
| few_shot | `Question:` and `Answer:` of solved examples, then of the question | free |
| bare | the same without examples | free |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from cogitate.config.prompts import QUESTION
from cogitate.errors import ConfigError
from cogitate.evals.benchmarks.definition import Benchmark
from cogitate.evals.benchmarks.load import subject_of
from cogitate.evals.evaluate import Asking
from cogitate.evals.prompts import BARE_QUESTION, FEW_SHOT, R1_ZERO
from cogitate.recipe.asking import chat_prompts, plain_prompts
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.prompts import R1_INSTRUCTION, R1_ZERO_TEMPLATE, bare_prompt, few_shot_prompt
from cogitate.train.rollouts import Prompt
from cogitate.types import Problem

PromptName = Literal["chat", "r1_zero", "few_shot", "bare"]
Example = tuple[str, str, str]  # subject or category, question, worked answer


def usual_prompt(directory: Path) -> PromptName:
    """chat where the model has a chat template, else r1_zero."""
    return "r1_zero" if ChatTemplate.load(directory) is None else "chat"


def shots_of(benchmark: Benchmark, prompt: PromptName, shots: int | None) -> int:
    """How many solved examples a prompt shows; `shots` is what was asked for.

    Raises:
        ConfigError: a prompt that shows none is asked to, or one that must show some has none.
    """
    if shots and prompt not in ("few_shot", "chat"):
        raise ConfigError(f"--shots {shots} has no effect with --prompt {prompt}: few_shot and chat show solved examples")
    if prompt != "few_shot":
        return shots or 0
    wanted = benchmark.shots if shots is None else shots
    if not wanted:
        raise ConfigError(f"{benchmark.name}: --prompt few_shot needs solved examples, and there are none; take bare, or chat")
    return wanted


def asking_of(
    benchmark: Benchmark,
    prompt: PromptName,
    directory: Path,
    *,
    examples: Sequence[Example] = (),
    shots: int = 0,
    contract: str | None = None,
) -> Asking:
    """How a model is asked.

    Args:
        examples: what may be shown; of these `shots` are, of the problem's own subject or category where there are as many.
        contract: where the answer is looked for; None: the prompt's own.

    Raises:
        CheckpointError: the model has no chat template, or it leaves out what it is given.
    """
    tokenizer = Tokenizer.load(directory)

    def prompts(shown: Sequence[tuple[str, str]]) -> Callable[[Problem], Prompt]:
        if prompt == "chat":
            return chat_prompts(directory, tokenizer, chat_text(benchmark), examples=shown)
        if prompt == "r1_zero":
            text = R1_ZERO_TEMPLATE.replace(QUESTION, with_instruction(benchmark))
            return plain_prompts(tokenizer.tags.exchange(text), tokenizer)
        if prompt == "few_shot":
            return lambda problem: few_shot_prompt(problem.question, shown)
        return lambda problem: bare_prompt(problem.question)

    asked = by_subject(prompts, examples, shots)
    base = {"few_shot": FEW_SHOT, "bare": BARE_QUESTION, "r1_zero": R1_ZERO}.get(prompt)
    if base is None:
        asking = Asking("chat", asked, "r1", "think_text", tags=tokenizer.tags)
    else:
        tags = tokenizer.tags if prompt == "r1_zero" else base.tags
        asking = replace(base, name=prompt, prompt_of=asked, tags=tags)
    return asking if contract is None else replace(asking, contract=contract)


def by_subject(
    prompts: Callable[[Sequence[tuple[str, str]]], Callable[[Problem], Prompt]], examples: Sequence[Example], shots: int
) -> Callable[[Problem], Prompt]:
    """One way of asking for each subject or category that has enough examples of its own, and one for all others."""
    if not shots:
        return prompts(())
    made: dict[str, Callable[[Problem], Prompt]] = {}

    def asked(problem: Problem) -> Prompt:
        subject = subject_of(problem)
        if subject not in made:
            own = [(question, worked) for of, question, worked in examples if of == subject]
            usual = [(question, worked) for _, question, worked in examples]
            made[subject] = prompts((own if len(own) >= shots else usual)[:shots])
        return made[subject](problem)

    return asked


def instruction_of(benchmark: Benchmark, prompt: PromptName) -> str:
    """What stands beside the question in such a prompt; "": nothing does."""
    text = {"chat": chat_text(benchmark), "r1_zero": with_instruction(benchmark)}.get(prompt, "")
    return text.removeprefix(QUESTION).strip()


def with_instruction(benchmark: Benchmark) -> str:
    return f"{QUESTION}\n\n{benchmark.instruction}" if benchmark.instruction else QUESTION


def chat_text(benchmark: Benchmark) -> str:
    """The user's turn, with a place for the question."""
    return f"{with_instruction(benchmark)}\n\n{R1_INSTRUCTION}" if benchmark.boxed else with_instruction(benchmark)
