"""What each side says to the rows: completions of lm-eval with its verdicts, and of our engine; and our verdicts on both."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.beside_lm_eval.tasks import PREFIX, Comparison
from cogitate.answers import Answers
from cogitate.backend import GenerationRequest
from cogitate.evals.benchmarks.kept import KeptGenerator
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.settings import load_recipe
from cogitate.rewards.grade import judge, problem_fields
from cogitate.rewards.sandbox.isolation import Isolation, open_sandbox
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem, SamplingParams, Verdict

Rows = Sequence[tuple[Problem, str]]


def run_lm_eval(python: Path, model: Path, task: str, tasks: Path, out: Path) -> None:
    """lm-eval over one task file, in its own environment and process. It keeps its completions as they come, for the next run.

    Raises CalledProcessError.
    """
    command = [
        str(python), "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--tasks", task,
        "--include_path", str(tasks), "--output_path", str(out), "--log_samples", "--batch_size", "1", "--device", "cpu",
        "--use_cache", str(out / "kept"),
    ]  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(command, check=True, cwd=tasks, env={**os.environ, **offline})


def samples_of(out: Path, comparison: Comparison) -> dict[str, dict[str, Any]]:
    """lm-eval's samples of the newest run by id: {"text", "right": None where it does not judge, "extracted"}."""
    files = sorted(out.glob(f"**/samples_{PREFIX}{comparison.name}_*.jsonl"), key=lambda path: path.stat().st_mtime)
    found = {}
    for line in files[-1].read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        right = bool(row[comparison.metric]) if comparison.metric else None
        filtered = row["filtered_resps"]
        extracted = filtered[0] if comparison.name not in ("ifeval", "humaneval") else ""
        found[row["doc"]["id"]] = {"text": row["resps"][0][0], "right": right, "extracted": str(extracted)}
    return found


def complete(model: Path, rows: Rows, comparison: Comparison, kept: Path) -> dict[str, str]:
    """The completions of our engine, greedy, by the id of the problem; each is kept in a file as soon as it is drawn."""
    backend = LocalBackend(load_recipe("tiny", ["runtime.dtype=float32", "runtime.max_batch=16"]))
    try:
        with Answers(kept) as answers:
            generator = KeptGenerator(backend.generator(model), answers, scope="float32", others={})
            tokenizer = Tokenizer.load(model)
            params = SamplingParams(0.0, 1.0, comparison.max_new_tokens)
            for problem, prompt in rows:
                ids = (*tokenizer.prefix_ids, *tokenizer.encode(prompt))
                generator.submit(GenerationRequest(problem.id, ids, params, (0,)))
            found = {}
            while generator.pending():
                for completion in generator.poll():
                    found[completion.request_id] = cut(tokenizer.decode(completion.token_ids), comparison)
            return found
    finally:
        backend.close()


def cut(text: str, comparison: Comparison) -> str:
    """A completion up to the first stop text."""
    ends = [place for stop in (*comparison.until, "<|im_end|>", "<|endoftext|>") if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def our_verdict(problem: Problem, prompt: str, text: str) -> Verdict:
    """Our grader on a completion; of HumanEval the function's head stands before it."""
    said = f"```python\n{prompt}{text}\n```" if problem.kind == "code" else text
    return judge(problem.kind, said, "free", problem_fields(problem))


def original_verdict(problem: Problem, prompt: str, text: str) -> bool:
    """HumanEval as its own harness has it: head, completion, tests and the call of check() in a program that must end well."""
    program = f"{prompt}{text}\n{problem.fields['test']}\ncheck({problem.fields['entry_point']})\n"
    ran = open_sandbox(Isolation()).run(program)
    return ran.ending == "exit" and ran.exit_code == 0
