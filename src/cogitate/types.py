"""The records that flow between rooms. Plain frozen data: no behaviour beyond what a reader of the record needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FinishReason = Literal["stop", "length", "abort", "pause"]
VerdictValue = Literal["right", "wrong", "none"]

PLACE = "_place"  # the key of Problem.fields that names file and line


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, as in Hugging Face chat templates.

    Attributes:
        content: what is said; thinking stands in it between its tags.
        learn: whether SFT learns this turn of the assistant's, or only reads it.
    """

    role: Literal["system", "user", "assistant"]
    content: str
    learn: bool = True


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that end with the assistant's: what SFT learns (TRL's `messages`, or its `prompt` and `completion`).

    Attributes:
        facts: the other keys of its row: source, task, language, the model and prompt that made it, verdict, lengths ...
        place: file and line.
    """

    messages: tuple[Message, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """One prompt that can be graded.

    Attributes:
        id: unique within its task; equal ids mean the same problem.
        task: the task it belongs to, e.g. "arithmetic"; results are reported by task.
        kind: how completions are judged, one of rewards.kinds.KINDS.
        question: what the user asks, without any template around it.
        gold: what the grader compares with; its form depends on kind. Never shown to a policy.
        language: "en" or "zh": the language the thinking should be in.
        fields: further inputs of the grader (tests, numbers, target ...) and the unused keys of a user's row.
        turns: the prompt where it is more than one turn of the user's: a system prompt, earlier turns. `question` is then all
            of it as one text, for prompts without a chat template.
    """

    id: str
    task: str
    kind: str
    question: str
    gold: Any = None
    language: str = "en"
    fields: Mapping[str, Any] = field(default_factory=dict)
    turns: tuple[Message, ...] = ()

    @property
    def place(self) -> str:
        """Where it comes from: the file and line of a user's problem, the task and id of a generated one."""
        return str(self.fields.get(PLACE, f"task {self.task}, problem {self.id!r}"))

    @property
    def conversation(self) -> tuple[Message, ...]:
        """What is asked, as turns that end with the user's: for a chat template."""
        return self.turns or (Message("user", self.question),)


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How completions are drawn. `seed` fixes a completion: it does not depend on what else is in the batch beyond rounding."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True)
class ThinkingBudget:
    """How long each completion of a request thinks, exact to the token; `make_thinking_budget` makes one of texts.

    A thinking token is a token of the completion after the one that completes the opening tag (after the prompt, where this
    ends in the tag) and before the first one that holds a part of the closing tag, or before the completion's end where none
    comes. Tokens of the request's `given_ids` count, and so do those of `wait_ids` that were set; `closing_ids` do not.
    A completion that opens no thinking has none, and nothing is set in it: neither bound applies.

    Attributes:
        tags: what opens and closes the thinking, as the model writes it.
        closing_ids: set after `at_most` thinking tokens: a closing phrase, where one is wanted, and the closing tag.
        rest_ids: set instead where the model itself has just begun the closing tag and may end there: by how many of its bytes
            are there, the tokens of the rest; () where there are none, as for 0 bytes.
        wait_ids: set in place of the closing tag (or the end token) that comes before `at_least` thinking tokens; as many of
            them as `at_most` has room for.
        at_most: None: no limit. What is given beyond it is not cut; the thinking is then closed at once.
        at_least: reached unless `waits` are used up. A closing tag that begins in `given_ids` stands.
        waits: how often `wait_ids` are set, at most.
    """

    tags: tuple[str, str]
    closing_ids: tuple[int, ...]
    rest_ids: tuple[tuple[int, ...], ...]
    wait_ids: tuple[int, ...] = ()
    at_most: int | None = None
    at_least: int = 0
    waits: int = 0

    def fault(self) -> str:
        """Why this can be no budget, one sentence; "" where it can."""
        if self.at_most is not None and self.at_most < 0:
            return f"at_most = {self.at_most} thinking tokens: must not be negative"
        if self.at_least < 0 or self.waits < 0:
            return f"at_least = {self.at_least} and waits = {self.waits}: must not be negative"
        if self.at_most is None and not self.at_least:
            return "a thinking budget without at_most and at_least changes nothing: leave it out"
        if self.at_most is not None and self.at_least > self.at_most:
            return f"at_least = {self.at_least} thinking tokens is more than at_most = {self.at_most}"
        if (self.at_least > 0) != (self.waits > 0):
            return f"at_least = {self.at_least} and waits = {self.waits}: one without the other changes nothing"
        if self.at_least and not self.wait_ids:
            return f"at_least = {self.at_least}: wait_ids is empty, so there is nothing to go on with"
        if self.at_most is not None and not self.closing_ids:
            return f"at_most = {self.at_most}: closing_ids is empty, so there is nothing to close with"
        return ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a generator returns for one request.

    Attributes:
        request_id: the id the request was submitted with.
        token_ids: sampled and set tokens, the end token included when finish_reason is "stop".
        logprobs: log-probability of each sampled token under the sampler, at the sampling temperature.
        finish_reason: "stop" (end token), "length" (truncated), "pause" (one of the request's `pause_ids`) or "abort".
        weight_versions: (version, number of tokens) for each run of tokens sampled under the same weights.
        seed: the sampling seed.
        forced: indices of tokens that were not sampled but set (the end of a thinking that reached its budget, say): learning
            leaves them out, and their log-probability is what the model would have given them.
        thinking_tokens: as ThinkingBudget counts them, those of given_ids included; None for a request without a budget.
    """

    request_id: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason
    weight_versions: tuple[tuple[int, int], ...]
    seed: int
    forced: tuple[int, ...] = ()
    thinking_tokens: int | None = None

    @property
    def loss_mask(self) -> tuple[int, ...]:
        """1 for each token that was sampled, 0 for each that was set."""
        return tuple(int(index not in self.forced) for index in range(len(self.token_ids)))


class Ending(NamedTuple):
    """How a completion ended: after how many tokens, its end token included, and why."""

    tokens: int
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grader's judgement of one completion.

    `wrong` covers every fault the completion causes (limit exceeded, crash, unparsable answer, a comparison it hangs);
    `none` is only for faults of ours or of the reference (worker lost, sandbox unavailable, gold unparsable).

    Attributes:
        value: right, wrong or none.
        score: 0..1; a share for graders that give partial credit.
        reason: one readable sentence.
        extracted: the answer the grader found, or None.
        seconds: wall time of the judgement.
        parts: the values of the user's own parts of the reward, by name, where these were asked for.
    """

    value: VerdictValue
    score: float
    reason: str
    extracted: str | None = None
    seconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One graded completion with everything training, replay and off-policy correction need.

    Attributes:
        prompt_ids, completion_ids: token ids; the model saw exactly prompt_ids + completion_ids.
        logprobs: the sampler's log-probability of each completion token.
        loss_mask: 1 for tokens the loss counts, one per completion token.
        reward_breakdown: each part of the reward by name; reward is their weighted sum, None where there is no verdict.
    """

    problem: Problem
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    loss_mask: tuple[int, ...]
    weight_versions: tuple[tuple[int, int], ...]
    finish_reason: FinishReason
    seed: int
    text: str
    reward: float | None
    reward_breakdown: Mapping[str, float]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """All rollouts of one prompt in one step: what GRPO compares with each other.

    Attributes:
        greedy: the most likely completion, where the method compares with its reward; nothing is learnt from it.
    """

    problem: Problem
    rollouts: tuple[Rollout, ...]
    greedy: Rollout | None = None

    @property
    def tokens(self) -> int:
        """Generated for this group, the greedy completion's included."""
        return sum(len(rollout.completion_ids) for rollout in (*self.rollouts, *([self.greedy] if self.greedy else [])))


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Documents side by side in rows of fixed length; the rest of a row is padding.

    Attributes:
        tokens_BT: int64; padding holds the pad token.
        loss_mask_BT: bool; False in padding.
        documents_BT: int64, 0, 1, 2 ... within each row, -1 in padding: attention and targets stay within equal numbers.
        positions_BT: int64, counting from 0 in each document; 0 in padding.
        padding_share: padding tokens / all tokens.
    """

    tokens_BT: NDArray[np.int64]
    loss_mask_BT: NDArray[np.bool_]
    documents_BT: NDArray[np.int64]
    positions_BT: NDArray[np.int64]
    padding_share: float


class Text(NamedTuple):
    """A prompt and a completion, as token ids, to be judged or to learn from."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        return (*self.prompt_ids, *self.completion_ids)


class TextPair(NamedTuple):
    """Two completions of one prompt, of which people or a judge prefer the first."""

    chosen: Text
    rejected: Text


class LabelledText(NamedTuple):
    """A text and whether it is safe."""

    text: Text
    safe: bool


class LabelledSteps(NamedTuple):
    """A completion cut into steps, and what each is worth.

    Attributes:
        ends: after how many tokens of the completion each step ends, ascending.
        labels: of each step, 0..1: 1 where it is right, or the share of its continuations that came to the right answer.
    """

    text: Text
    ends: tuple[int, ...]
    labels: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A chosen and a rejected completion of one prompt (TRL's `prompt`/`chosen`/`rejected`), as turns.

    Attributes:
        prompt: ends with the user's turn; a system prompt and earlier turns stand before it.
        chosen, rejected: begin and end with the assistant's turn; mostly it is the only one.
        place: file and line.
    """

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    source: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class LabelledCompletion:
    """An unpaired completion with a yes/no label (TRL's unpaired preference format); turns as in PreferencePair."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    label: bool
    source: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished stage's output: a directory whose manifest.json was written last.

    Attributes:
        stage: the stage that made it.
        id: hash of the settings that can change it, its input ids, the files read and the stage's version.
        path: the directory.
    """

    stage: str
    id: str
    path: Path
