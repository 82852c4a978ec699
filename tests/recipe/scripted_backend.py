"""Models whose completions are written by hand, for tests of what data stages make of them. The graders are real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from cogitate.backend import Backend, GenerationRequest
from cogitate.config import EndpointConfig
from cogitate.endpoint import Endpoint
from cogitate.recipe.data.candidates import Candidate, candidate_id
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import R1
from cogitate.recipe.stage import StageContext
from cogitate.rewards.grade import judge, problem_fields
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Completion, Ending, FinishReason, Problem, Verdict

Script = Callable[[str, int], str]  # (prompt, seed) -> completion; one that ends in … was cut


class InlineGrader:
    """The rule graders, called at once."""

    def __init__(self) -> None:
        self.ready: list[tuple[str, Verdict]] = []

    def submit(self, request_id: str, problem: Problem, completion: str, contract: str, ending: Ending | None = None) -> None:
        self.ready.append((request_id, judge(problem.kind, completion, contract, problem_fields(problem))))

    def poll(self, timeout: float = 0.0) -> list[tuple[str, Verdict]]:
        done, self.ready = self.ready, []
        return done

    def pending(self) -> int:
        return len(self.ready)

    def close(self) -> None: ...


class ScriptedGenerator:
    """Says what its script says, byte by byte; counts what it was asked."""

    max_context = 100_000

    def __init__(self, script: Script, tokenizer: Tokenizer) -> None:
        self.script, self.tokenizer = script, tokenizer
        self.waiting: list[tuple[GenerationRequest, int]] = []
        self.asked = 0

    def submit(self, request: GenerationRequest) -> None:
        self.waiting += [(request, seed) for seed in request.seeds]
        self.asked += len(request.seeds)

    def poll(self) -> list[Completion]:
        request, seed = self.waiting.pop(0)
        text = self.script(self.tokenizer.decode(request.prompt_ids), seed)
        ids = tuple(self.tokenizer.encode(text.removesuffix("…")))
        reason: FinishReason = "length" if text.endswith("…") else "stop"
        return [Completion(request.id, ids, (0.0,) * len(ids), reason, ((0, len(ids)),), seed)]

    def pending(self) -> int:
        return len(self.waiting)


class ScriptedBackend:
    """A backend of one script for each model, by the name of its directory."""

    def __init__(self, tokenizer: Tokenizer, **scripts: Script) -> None:
        self.generators = {name: ScriptedGenerator(s, tokenizer) for name, s in scripts.items()}
        self.askers: dict[str, Endpoint] = {}

    def generator(self, directory: Path) -> ScriptedGenerator:
        return self.generators[directory.name]

    def grader(self) -> InlineGrader:
        return InlineGrader()

    def asker(self, settings: EndpointConfig, name: str) -> Endpoint:
        """The server of the settings."""
        if name not in self.askers:
            self.askers[name] = Endpoint(settings, name, first_wait=0.01)
        return self.askers[name]

    def close(self) -> None:
        while self.askers:
            self.askers.popitem()[1].close()

    @property
    def asked(self) -> int:
        return sum(generator.asked for generator in self.generators.values())


def stage_context(stage: str, work: Path, scripted: ScriptedBackend) -> StageContext:
    """A stage's context in `work`, which may hold what an earlier attempt has left."""
    for name in ("out", "checkpoint"):
        (work / name).mkdir(parents=True, exist_ok=True)
    backend = cast(Backend, scripted)  # data stages ask for generators and graders alone
    return StageContext(stage, R1, backend, MetricsLog(work / "out" / "metrics.jsonl"), work / "checkpoint", NullProgress())


def candidate(
    problem: Problem, text: str, *, source: str = "reasoning", finish_reason: FinishReason = "stop", number: int = 0
) -> Candidate:
    """A candidate graded by the real graders."""
    contract = "r1" if "</think>" in text else "free"
    without_rules = problem.kind in ("general", "safety")
    verdict = Verdict("none", 0.0, "no rule") if without_rules else judge(problem.kind, text, contract, problem_fields(problem))
    return Candidate(
        candidate_id(source, problem, number, text), problem, source, "micro", "r1", contract, text, finish_reason, len(text),
        verdict.value, verdict.reason, verdict.extracted,
    )  # fmt: skip
