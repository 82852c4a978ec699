"""A model that is served: its engine, how a conversation becomes its prompt, and what it can take."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cogitate.apps.serve.drawing.choice import Choice
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.drawing.engine_loop import Draw, EngineLoop, Step
from cogitate.apps.serve.drawing.grammar import Grammars
from cogitate.apps.serve.drawing.shaping import Grammar, Shape, TokenShaper
from cogitate.apps.serve.metrics import Metrics
from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError
from cogitate.model.files.hf import load_config, load_model
from cogitate.model.kv_cache import BLOCK, blocks_of
from cogitate.recipe.asking import check_thinks
from cogitate.runtime import derive_seed, pick_device
from cogitate.tokenizer.bpe import GENERATION_FILE, Tokenizer, read_json_object
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.tags import LONGEST_TAG
from cogitate.tokenizer.thinking_budget import make_thinking_budget, token_bytes
from cogitate.tokenizer.tools.call_forms import texts_with_tags
from cogitate.tokenizer.tools.call_stream import call_reader
from cogitate.tokenizer.tools.conversation import Calling
from cogitate.tokenizer.tools.turns import Function, Turn
from cogitate.train.rollouts import opens_thinking
from cogitate.types import Message, SamplingParams

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SWITCHES = ("enable_thinking", "thinking")  # by which templates are told whether the model shall think: Qwen's, DeepSeek's


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model takes at the same time.

    Attributes:
        streams: completions decoded together.
        queue: completions that wait, at most; beyond them requests are refused.
        cache_bytes: memory of the tokens that running completions may come to hold.
        prefix_bytes: memory of the tokens kept for later requests.
        prefill_tokens: of prompts that are read in a step of the running completions; 0: prompts are read whole.
        seconds: a request may take, its time in the queue included.
        ngram_drafts: tokens that are drafted for a completion in a step, at most; 0: none.
    """

    streams: int = 64
    queue: int = 256
    cache_bytes: int = 2 << 30
    prefix_bytes: int = 256 << 20
    prefill_tokens: int = 64
    seconds: float = 600.0
    ngram_drafts: int = 0


class BusyError(Exception):
    """The queue is full."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What completions are drawn after.

    Attributes:
        given_ids: the beginning of each completion, which the client has written.
    """

    ids: tuple[int, ...]
    given_ids: tuple[int, ...] = ()

    @property
    def all_ids(self) -> tuple[int, ...]:
        return self.ids + self.given_ids


@dataclass(frozen=True, slots=True)
class Plan:
    """How the completions of one request are drawn.

    Attributes:
        stop_ids: tokens that end a completion and are no part of its text, beside the model's own.
        split: thinking and answer are told apart.
        thinks: what looks like thinking is thinking; not where a grammar follows all of the completion.
        budget: thinking tokens, at most; None: as many as it likes.
        top_logprobs: None: no log-probabilities.
        grammar: of the answer; makes one for each completion.
        calls: how many calls are read in an answer, at most; None: none, what looks like one is text.
        functions: names of those that may be called: what calls another is text.
    """

    prompt: Prompt
    params: SamplingParams
    seed: int
    n: int = 1
    shape: Shape = field(default_factory=Shape)
    stops: tuple[str, ...] = ()
    stop_ids: frozenset[int] = frozenset()
    split: bool = True
    thinks: bool = True
    budget: int | None = None
    top_logprobs: int | None = None
    grammar: Callable[[], Grammar] | None = None
    calls: int | None = None
    functions: frozenset[str] = frozenset()


class ServedModel:
    """
    Attributes:
        name: by which clients ask for it.
        directory: where its weights were read.
        thinks: there is a sign that it thinks: tags in its template, or among its tokens.
        switches: those of SWITCHES that its template reads.
        calling: how it is told of functions and how it calls them.
        defaults: temperature, top_p and top_k of its generation_config.json.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        limits: Limits,
        metrics: Metrics,
        *,
        dtype: str = "float32",
        device: str = "auto",
        weight_bits: int = 0,
        activation_bits: int = 0,
        cache_bits: int = 0,
    ):
        """Reads the model, which takes its time; `start` begins to serve it.

        Args:
            weight_bits, activation_bits, cache_bits: as the engine has them.

        Raises:
            CogitateError: a file of the directory cannot be used.
        """
        self.name, self.directory, self.limits, self.metrics = name, directory, limits, metrics
        self.tokenizer = Tokenizer.load(directory)
        self.form = ConversationForm.load(directory, self.tokenizer)
        # Weights are rounded once, from what the files hold.
        decoder = load_model(directory, dtype=DTYPES["float32" if weight_bits else dtype], device=pick_device(device))
        self.engine = Engine(
            decoder, end_id=self.tokenizer.end_ids, max_batch=limits.streams, tokenizer=self.tokenizer,
            prefix_bytes=limits.prefix_bytes, prefill_tokens=limits.prefill_tokens,
            ngram_drafts=limits.ngram_drafts, dtype=DTYPES[dtype], weight_bits=weight_bits,
            activation_bits=activation_bits, cache_bits=cache_bits,
        )  # fmt: skip
        self.vocabulary = self.engine.config.vocab_size
        self.texts = token_bytes(self.tokenizer, self.vocabulary)
        self.tags = self.tokenizer.tags.thinking
        self.thinks = self._thinks()
        self.switches = sorted(self.form.template.variables() & {*SWITCHES})
        self.calling = Calling.of(self.form.template)
        self.call_texts = texts_with_tags(self.texts, self.calling.form, self.tokenizer.control_ids)
        self.grammars = Grammars(self.tokenizer, directory, self.texts)
        self.defaults = read_json_object(directory / GENERATION_FILE) or {}
        self.created = int(time.time())
        self._loop: EngineLoop | None = None
        self._numbers = itertools.count()
        self._in_flight = 0

    def start(self) -> None:
        """Start its thread; called in the event loop."""
        self._loop = EngineLoop(self.engine, rows=self.limits.streams, cache_bytes=self.limits.cache_bytes)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()

    @property
    def loop(self) -> EngineLoop:
        assert self._loop is not None, "not started"
        return self._loop

    @property
    def version(self) -> int:
        """How often its weights have been replaced."""
        return self.engine.version

    @property
    def max_context(self) -> int:
        return self.engine.max_context

    async def reload(self, directory: Path) -> None:
        """Take over the weights of a directory of the same architecture; streams go on. Raises CogitateError."""
        if load_config(directory) != self.engine.config:
            raise ConfigError("the new directory holds a model of another shape: start the server anew")
        await self.loop.load_weights(directory)
        self.directory = directory

    def prompt(
        self,
        messages: Sequence[Turn],
        *,
        thinking: bool | None = None,
        goes_on: bool = False,
        opens: bool = False,
        functions: Sequence[Function] = (),
    ) -> Prompt:
        """A conversation as the model reads it.

        Args:
            thinking: whether it shall think; None: as it likes.
            goes_on: the last message is the beginning of what it says.
            opens: where it may think, the prompt opens the thinking, so that one knows where the answer begins. One that has
                closed it stays as it is.
            functions: that it may call.

        Raises:
            CheckpointError: the template refuses these messages.
        """
        variables = {} if thinking is None else dict.fromkeys(self.switches, thinking)
        *before, last = messages
        ids = self.form.prompt_ids(
            self.calling.turns(before if goes_on else messages, functions), variables,
            tools=functions if self.calling.lists else (), arguments_as_text=self.calling.as_text,
        )  # fmt: skip
        if goes_on:
            white = last.content[len(last.content.rstrip()) :]
            return Prompt(tuple(ids), (*self.form.completion_ids(last.content, ids)[:-1], *self._ids_of(white)))
        if thinking is False and self.thinks and not self.switches:
            ids += self._closed_thinking(ids)
        elif opens and self.thinks and thinking is not False:
            end = self.tokenizer.decode(ids[-LONGEST_TAG:]).rstrip()
            ids += [] if end.endswith(self.tags) else self._ids_of(self.form.lead, self.tags[0], "\n")
        return Prompt(tuple(ids))

    def opened(self, prompt: Prompt) -> bool:
        """Whether the prompt has opened the thinking."""
        return opens_thinking(prompt.ids, self.tokenizer)

    def draw(self, plan: Plan) -> Drawing:
        """Submit a request's completions. Raises BusyError: too many wait."""
        if self._in_flight + plan.n > self.limits.streams + self.limits.queue:
            raise BusyError
        self._in_flight += plan.n

        def ended(drawing: Drawing) -> None:
            self._in_flight -= plan.n
            self.metrics.note_request(self.name, drawing)

        def tokens(seconds: float | None, count: int) -> None:
            self.metrics.note_tokens(self.name, seconds, count)

        return Drawing(
            self.loop,
            [self._one(plan, index) for index in range(plan.n)],
            prompt_tokens=len(plan.prompt.all_ids), seconds=self.limits.seconds, on_end=ended, on_tokens=tokens,
        )  # fmt: skip

    def memory_room(self, prompt: Prompt) -> int:
        """How many tokens after a prompt fit the memory that this server gives to tokens."""
        return BLOCK * (self.loop.most_blocks - blocks_of(len(prompt.ids)) - blocks_of(len(prompt.given_ids)))

    def room_fault(self, prompt: Prompt, max_tokens: int) -> str | None:
        """Why so many tokens have no room; None where they have."""
        tokens = len(prompt.all_ids)
        if tokens + max_tokens > self.max_context:
            return f"{tokens} tokens of the prompt and {max_tokens} new ones: the context has {self.max_context}"
        if max_tokens > self.memory_room(prompt):
            return "prompt and answer need more memory than this server gives to tokens"
        return None

    def _one(self, plan: Plan, index: int) -> tuple[Choice, Callable[[Callable[[Step], None]], Draw]]:
        prompt = plan.prompt
        texts = self.texts if plan.calls is None else self.call_texts
        choice = Choice(
            texts, prompt.ids, tags=self.tags, split=plan.split, opened=self.opened(prompt), thinks=plan.thinks,
            given_ids=prompt.given_ids, stops=plan.stops, stop_ids=plan.stop_ids,
            calls=None if plan.calls is None else call_reader(self.calling.form, plan.functions), most_calls=plan.calls or 0,
        )  # fmt: skip
        budget = None
        if plan.budget is not None and self.thinks and plan.thinks:
            budget = make_thinking_budget(self.tokenizer, at_most=plan.budget)
        shaper = None
        grammar: Grammar | None = None if plan.grammar is None else plan.grammar()
        if plan.shape.changes_something or plan.top_logprobs is not None or grammar is not None:
            shaper = TokenShaper(
                plan.shape, prompt.all_ids, temperature=plan.params.temperature, top_logprobs=plan.top_logprobs,
                grammar=grammar,
            )  # fmt: skip
        seed = plan.seed if index == 0 else derive_seed(plan.seed, "choice", index)
        request = GenerationRequest(
            f"{next(self._numbers)}", prompt.ids, plan.params, (seed,), given_ids=prompt.given_ids, thinking=budget
        )
        return choice, lambda deliver: Draw(request, deliver, shaper)

    def _thinks(self) -> bool:
        try:
            check_thinks(self.directory, self.tokenizer, self.form.prompt_ids([Message("user", "question")]))
        except ConfigError:
            return False
        return True

    def _closed_thinking(self, prompt_ids: Sequence[int]) -> list[int]:
        """A thinking without content, after which the model answers at once."""
        opens, closes = self.tags
        before = [] if opens_thinking(prompt_ids, self.tokenizer) else [self.form.lead, opens]
        return self._ids_of(*before, "\n\n", closes, "\n\n")

    def _ids_of(self, *texts: str) -> list[int]:
        """Texts one after the other, a tag that is a token being this one."""
        ids: list[int] = []
        for text in texts:
            control = self.tokenizer.control_ids.get(text)
            ids += self.tokenizer.encode(text) if control is None else [control]
        return ids
