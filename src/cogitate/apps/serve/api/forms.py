"""What every form of request has, and how a mistake in one is said."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from cogitate.apps.serve.drawing.shaping import Shape
from cogitate.apps.serve.model import Prompt, ServedModel

MOST_CHOICES, MOST_STOPS, LONGEST_STOP, MOST_BIASES = 16, 16, 256, 1024
LONGEST_CONVERSATION = 4096  # messages
LEAST_REPETITION_PENALTY = 1e-6  # logits are divided by it, and must not become infinite
# Of a place in a body: what pydantic names there beside fields.
NO_FIELDS = ("body", "str", "system", "developer", "user", "assistant", "tool")

StopText = Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class RefusedError(Exception):
    """A request that cannot be fulfilled, in one sentence.

    Attributes:
        parameter: the field that is at fault.
    """

    def __init__(self, message: str, *, parameter: str | None = None, status: int = 400, code: str | None = None):
        super().__init__(message)
        self.parameter, self.status, self.code = parameter, status, code


class Form(BaseModel):
    """A field that is not known is an error, and so is a value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StreamOptions(Form):
    """`continuous_usage_stats`: the usage so far is in every chunk, as in vLLM."""

    include_usage: bool = False
    continuous_usage_stats: bool = False


class Sampling(Form):
    """What the forms of OpenAI have in common; null is as good as leaving a field out."""

    model: str
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    ignore_eos: bool | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(None, max_length=MOST_BIASES)
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(ge=LEAST_REPETITION_PENALTY, le=10)] | None = None
    seed: Seed | None = None
    stop: StopText | Annotated[list[StopText], Field(max_length=MOST_STOPS)] | None = None
    stop_token_ids: Annotated[list[int], Field(max_length=MOST_STOPS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    user: str | None = None  # who asks, for the client's own books: it changes nothing

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def usage_at_end(self) -> bool:
        """Raises RefusedError where it is asked for without a stream."""
        if self.stream_options is not None and not self.stream:
            raise RefusedError("has no effect without stream = true", parameter="stream_options")
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def usage_in_chunks(self) -> bool:
        return self.stream_options is not None and self.stream_options.continuous_usage_stats

    def shape(self, model: ServedModel) -> Shape:
        """Raises RefusedError for a token that is none of the model's."""
        bias = {token_of(token, model, "logit_bias"): value for token, value in (self.logit_bias or {}).items()}
        ends = tuple(sorted(model.tokenizer.end_ids))
        least = self.min_tokens or 0
        return Shape(
            bias={token: value for token, value in bias.items() if value},
            presence=self.presence_penalty or 0.0,
            frequency=self.frequency_penalty or 0.0,
            repetition=self.repetition_penalty or 1.0,
            top_k=max(0, first_given(self.top_k, model.defaults.get("top_k"), 0)),
            min_p=self.min_p or 0.0,
            never=ends if self.ignore_eos else (),
            not_before=(least, (*ends, *self.stop_ids(model))) if least else (0, ()),
        )

    def stop_ids(self, model: ServedModel) -> frozenset[int]:
        return frozenset(token_of(token, model, "stop_token_ids") for token in self.stop_token_ids or ())

    def drawn_at(self, model: ServedModel) -> tuple[float, float]:
        """Temperature and top_p; where a request names none, those that the model's directory names, else 1."""
        defaults = model.defaults
        return (
            float(first_given(self.temperature, defaults.get("temperature"), 1.0)),
            float(first_given(self.top_p, defaults.get("top_p"), 1.0)),
        )


def check_unicode(text: str, place: str) -> None:
    """Raises RefusedError: a text of a request, at this place in it, holds half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError(f"{place}: not Unicode", parameter=place.partition("[")[0]) from None


def first_given(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def seed_of(seed: int | None) -> int:
    return secrets.randbits(62) if seed is None else seed


def token_of(token: int | str, model: ServedModel, parameter: str) -> int:
    try:
        number = int(token)
    except ValueError:
        number = -1
    if not 0 <= number < model.vocabulary:
        raise RefusedError(f"{token!r} is no token of this model, which has {model.vocabulary}", parameter=parameter)
    return number


def new_tokens(model: ServedModel, prompt: Prompt, asked: int | None, parameter: str, default: int | None = None) -> int:
    """How many tokens a completion may have; where the request does not say, as many as the context and the memory for tokens
    leave, `default` at most.

    Raises:
        RefusedError: there is no room.
    """
    room = model.max_context - len(prompt.all_ids)
    if room < 1:
        raise RefusedError(
            f"the prompt has {len(prompt.all_ids)} tokens; the context of this model has {model.max_context}",
            parameter="messages" if parameter != "prompt" else parameter, code="context_length_exceeded",
        )  # fmt: skip
    wanted = min(room, max(1, model.memory_room(prompt)), default or room) if asked is None else asked
    if fault := model.room_fault(prompt, wanted):
        raise RefusedError(fault, parameter=parameter, code="context_length_exceeded")
    return wanted


def one_line(errors: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    """pydantic's errors as one sentence, and the field that the first is about."""
    error = errors[0]
    place = [part for part in error["loc"] if isinstance(part, int) or (part.isidentifier() and part not in NO_FIELDS)]
    last = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "extra_forbidden" and place[-1:] != [last]:  # its name can be any text
        place.append(last if str(last).isidentifier() else repr(last))
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".") or None
    top = str(place[0]) if place else None
    if error["type"] == "extra_forbidden":
        return f"{name}: this server does not support it", top
    if error["type"] == "json_invalid":
        return "the body is no JSON", None
    message = str(error["msg"])
    return f"{name}: {message[:1].lower()}{message[1:]}" if name else message, top
