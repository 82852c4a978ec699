"""A teacher behind a URL, asked in place of our own models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cogitate.backend import Grader
from cogitate.endpoint import Endpoint, Question
from cogitate.recipe.asking import Fitting
from cogitate.recipe.data.candidates import Candidate, candidate_id, grade_all
from cogitate.replies import Reply
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN
from cogitate.types import Message, Problem, SamplingParams


@dataclass(frozen=True, slots=True)
class TeacherWriter:
    """The endpoint's model as a Writer: `messages_of` says how it is asked; its answers are graded like any other's."""

    source: str
    prompt: str
    messages_of: Callable[[Problem], Sequence[Message]]
    params: SamplingParams
    endpoint: Endpoint
    tokenizer: Tokenizer
    grader: Grader
    meanwhile: Callable[[], None]

    def fitting(self, problems: Sequence[Problem], too_long: str) -> Fitting:
        """All of them: only the endpoint knows its model's context, and refuses what does not fit."""
        return Fitting(list(problems))

    def write(self, asked: Sequence[tuple[Problem, tuple[int, ...]]]) -> list[Candidate]:
        flat = [(problem, number, seed) for problem, seeds in asked for number, seed in enumerate(seeds)]
        questions = [Question(tuple(self.messages_of(problem)), self.params, seed) for problem, _, seed in flat]
        replies = self.endpoint.ask_all(questions, self.meanwhile)
        answers = [(in_tags(reply), reply.finish_reason) for reply in replies]
        judged = [(problem, text, contract_of(text)) for (problem, _, _), (text, _) in zip(flat, answers, strict=True)]
        verdicts = grade_all(self.grader, judged, self.meanwhile)
        lengths = [len(ids) for ids in self.tokenizer.encode_batch([text for text, _ in answers])]
        return [
            Candidate(
                candidate_id(self.source, problem, number, text),
                problem,
                self.source,
                self.endpoint.settings.model,
                self.prompt,
                contract_of(text),
                text.strip(),
                reason,
                lengths[index],
                verdicts[index].value,
                verdicts[index].reason,
                verdicts[index].extracted,
            )
            for index, ((problem, number, _), (text, reason)) in enumerate(zip(flat, answers, strict=True))
        ]


def in_tags(reply: Reply) -> str:
    """All of a reply; thinking that the server hands over apart stands before it in tags."""
    return f"{THINK_OPEN} {reply.thinking} {THINK_CLOSE}\n{reply.text.strip()}" if reply.thinking else reply.text


def contract_of(text: str) -> str:
    """A teacher that thinks in tags answers behind them; another one announces its answer at the end."""
    return "r1" if THINK_CLOSE in text else "free"
