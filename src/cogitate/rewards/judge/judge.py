"""Several judgements of one thing become one opinion. A judge that contradicts itself has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cogitate.config import JudgeConfig
from cogitate.endpoint import Asker, Question, Usage
from cogitate.rewards.judge.prompts import Form, pairwise_form, pointwise_form
from cogitate.rewards.judge.verdict import Reading, read_verdict
from cogitate.rewards.verdicts import no_verdict, right, wrong
from cogitate.runtime import derive_seed
from cogitate.types import SamplingParams, Verdict

CONTRADICTION, ONE_ORDER = "the judge contradicts itself", "the judge gave no verdict in one of the orders"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one request."""

    question: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a request.

    Attributes:
        reference: a right answer, where there is one.
        rubric: what a good answer is, in place of the settings'.
    """

    question: str
    text: str
    reference: str | None = None
    rubric: str = ""


@dataclass(frozen=True, slots=True)
class Preference:
    """What a judge prefers.

    Attributes:
        winner: "first", "second" or "tie"; None: it has no opinion, and `reason` says why.
        readings: each judgement, in straight and swapped order in turn.
    """

    winner: str | None
    reason: str
    readings: tuple[Reading, ...]


@dataclass(slots=True)
class Judge:
    """Asks a model for judgements.

    Attributes:
        counts: of single judgements by what they say or why they say nothing ("pair: A", "no verdict: cut off"), and of
            opinions that were none ("no opinion: ...").
        usage: what its own questions have cost. Others may ask the same model.
    """

    settings: JudgeConfig
    asker: Asker
    seed: int = 0
    on_wait: Callable[[], None] = lambda: None
    counts: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)

    def compare(self, pairs: Sequence[Pair]) -> list[Preference]:
        """Which answer of each pair is better, asked with the positions swapped every other time."""
        forms = [
            [
                pairwise_form(
                    pair.question, pair.first, pair.second, swapped=turn % 2 == 1, rubric=self.settings.rubric, seed=self.seed
                )
                for turn in range(self.settings.judgements)
            ]
            for pair in pairs
        ]  # fmt: skip
        return [self._preference(readings) for readings in self._read("pair", forms)]

    def grade(self, answers: Sequence[Answer]) -> list[Verdict]:
        """Whether each answer is good: right, wrong, or no verdict where the judge gives none or contradicts itself."""
        count = self.settings.judgements if self.settings.temperature else 1
        forms = [
            [
                pointwise_form(
                    answer.question, answer.text, reference=answer.reference, rubric=answer.rubric or self.settings.rubric,
                    seed=self.seed,
                )
            ]
            * count
            for answer in answers
        ]  # fmt: skip
        return [self._verdict(readings) for readings in self._read("answer", forms)]

    def _read(self, what: str, forms: Sequence[Sequence[Form]]) -> list[list[Reading]]:
        """The readings of each thing's forms, all of which are asked at once.

        Judgements of one form differ in their seeds alone, so that whoever answers has to read it once.
        """
        flat = [form for group in forms for form in group]
        turns = [turn for group in forms for turn in range(len(group))]
        params = SamplingParams(self.settings.temperature, max_new_tokens=self.settings.max_new_tokens)
        at_once = self.settings.verdict_at_once
        questions = [
            Question(
                form.messages,
                params,
                derive_seed(self.seed, form.ticket, turn),
                f"Verdict {form.ticket}:" if at_once else "",
            )
            for form, turn in zip(flat, turns, strict=True)
        ]
        replies = self.asker.ask_each(questions, self.on_wait)
        self.usage.count(dict(zip(questions, replies, strict=True)).values())
        readings = [read_verdict(reply, form) for reply, form in zip(replies, flat, strict=True)]
        self.counts.update(f"no verdict: {one.fault}" if one.choice is None else f"{what}: {one.choice}" for one in readings)
        rest = iter(readings)
        return [[next(rest) for _ in group] for group in forms]

    def _preference(self, readings: Sequence[Reading]) -> Preference:
        straight, swapped = (given(readings[start::2]) for start in (0, 1))
        winners = straight + swapped
        if not straight or not swapped:
            reason = ONE_ORDER
        elif len(winners) > 1:
            reason = CONTRADICTION
        else:
            (winner,) = winners
            return Preference(winner, f"{winners[winner]} of {len(readings)} judgements", tuple(readings))
        self.counts[f"no opinion: {reason}"] += 1
        return Preference(None, reason, tuple(readings))

    def _verdict(self, readings: Sequence[Reading]) -> Verdict:
        said = given(readings)
        if len(said) == 1:
            (value,) = said
            reason = f"{said[value]} of {len(readings)} judgements of the judge"
            return right(reason) if value == "right" else wrong(reason)
        reason = CONTRADICTION if said else f"the judge gave no verdict: {readings[0].fault}"
        self.counts[f"no opinion: {CONTRADICTION if said else 'the judge gave no verdict'}"] += 1
        return no_verdict(reason)


def given(readings: Sequence[Reading]) -> Counter[str]:
    """How often each verdict was given."""
    return Counter(one.meaning for one in readings if one.meaning is not None)
