"""Thinking budgets hold to the token: random requests against a plain reading of what came out."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest
import torch
from tokenizers import AddedToken, decoders, models
from tokenizers import Tokenizer as HuggingFaceTokenizer

from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.engine.thinking.budget import TagFinder, Thinking
from cogitate.errors import DataError
from cogitate.model.config import TINY
from cogitate.model.transformer import Transformer
from cogitate.tokenizer.bpe import END, PAD, Tokenizer
from cogitate.tokenizer.tags import Tags
from cogitate.tokenizer.thinking_budget import token_bytes
from cogitate.types import Completion, SamplingParams, ThinkingBudget

OPENS, CLOSES = "<a>", "</a>"
PIECES = ["<", "/", "a", ">", "b", "</", "a>", "<a", ">b", "b<"]  # few, so that a random model writes tags all the time
LONG = 40  # tokens of a completion


def make_tokenizer(*, special: bool) -> Tokenizer:
    """Tags of one to four tokens, which share tokens with the text around them; or of one special token each."""
    inner = HuggingFaceTokenizer(models.BPE({piece: number for number, piece in enumerate(PIECES)}, []))
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(END, special=True), AddedToken(PAD, special=True)])
    if special:
        inner.add_special_tokens([AddedToken(OPENS, special=True), AddedToken(CLOSES, special=True)])
    return Tokenizer(inner).with_tags(Tags(thinking=(OPENS, CLOSES)))


def make_engine(tokenizer: Tokenizer, *, speculative: bool = False, prefix_bytes: int = 0, max_batch: int = 64) -> Engine:
    torch.manual_seed(0)
    config = TINY.model_copy(update={"vocab_size": tokenizer.vocab_size, "hidden_size": 64, "num_hidden_layers": 2})
    return Engine(
        Transformer(config),
        end_id=tokenizer.end_id,
        max_batch=max_batch,
        speculative=speculative,
        tokenizer=tokenizer,
        prefix_bytes=prefix_bytes,
    )


def budget_of(tokenizer: Tokenizer, **bounds: int | None) -> ThinkingBudget:
    special = tokenizer.control_ids.get(CLOSES)
    tag = tokenizer.encode(CLOSES) if special is None else [special]
    rest = tuple(tuple(tokenizer.encode(CLOSES[had:])) if had else () for had in range(len(CLOSES)))
    found: ThinkingBudget = replace(
        ThinkingBudget((OPENS, CLOSES), (*tokenizer.encode("//"), *tag), rest),
        **bounds,  # type: ignore[arg-type]
        wait_ids=tuple(tokenizer.encode("bab")) if bounds.get("at_least") else (),
    )
    return found


def random_request(number: int, tokenizer: Tokenizer) -> GenerationRequest:
    rng = random.Random(number)
    at_most = rng.choice([None, 0, 1, 2, 5, rng.randrange(30)])
    at_least = rng.choice([0, rng.randrange(1, 20)]) if at_most is not None else rng.randrange(1, 20)
    at_least = at_least if at_most is None else min(at_least, at_most)
    waits = rng.randrange(1, 4) if at_least else 0
    prompt = tokenizer.encode("".join(rng.choice("ab/") for _ in range(rng.randrange(1, 20))))
    opened = tokenizer.encode(OPENS) if CLOSES not in tokenizer.control_ids else [tokenizer.control_ids[OPENS]]
    prompt += opened if rng.random() < 0.5 else []
    seeds = tuple(range(number * 4, number * 4 + rng.randrange(1, 4)))
    params = SamplingParams(rng.choice([0.0, 0.7, 1.0]), rng.choice([0.9, 1.0]), rng.randrange(1, LONG + 1))
    budget = budget_of(tokenizer, at_most=at_most, at_least=at_least, waits=waits)
    return GenerationRequest(str(number), tuple(prompt), params, seeds, thinking=budget)


def run(engine: Engine, requests: list[GenerationRequest]) -> dict[tuple[str, int], Completion]:
    for request in requests:
        engine.submit(request)
    found: dict[tuple[str, int], Completion] = {}
    while engine.pending():
        found |= {(each.request_id, each.seed): each for each in engine.poll()}
    return found


@dataclass(frozen=True)
class Reading:
    """A completion read by its text alone: thinking tokens, and how many tokens of the closing were set."""

    thinking: int
    closed: bool
    closing_set: int


def read(request: GenerationRequest, completion: Completion, texts: list[bytes]) -> Reading:
    """By the definition in ThinkingBudget, from all tokens at once."""
    assert request.thinking is not None
    opens, closes = (tag.encode() for tag in request.thinking.tags)
    tokens = completion.token_ids
    owner = [number for number, token in enumerate(tokens) for _ in texts[token]]
    text = b"".join(texts[token] for token in tokens)
    start, first = 0, 0
    if not b"".join(texts[token] for token in request.prompt_ids).endswith(opens):
        at = text.find(opens)
        if at < 0:
            return Reading(0, False, 0)
        start = at + len(opens)
        first = owner[start - 1] + 1
    at = text.find(closes, start)
    if at < 0:
        last = len(tokens) - (completion.finish_reason == "stop")
        # A closing that the limit of tokens cut short is no thinking either.
        closing = trailing(completion.forced, last)
        set_ids, whole = tokens[last - closing : last], request.thinking.closing_ids
        cut = next((n for n in range(min(closing, len(whole)), 0, -1) if set_ids[-n:] == whole[:n]), 0)
        return Reading(max(0, last - first), False, cut)
    end = max(owner[at], first)
    last = owner[at + len(closes) - 1] + 1
    whole = request.thinking.closing_ids
    is_set = tokens[max(0, last - len(whole)) : last] == whole and set(range(last - len(whole), last)) <= set(completion.forced)
    return Reading(last - len(whole) - first if is_set else end - first, True, len(whole) if is_set else 0)


def trailing(forced: tuple[int, ...], end: int) -> int:
    """How many tokens up to `end` were set, without a gap."""
    count = 0
    while end - count - 1 in forced:
        count += 1
    return count


def check(request: GenerationRequest, completion: Completion, texts: list[bytes]) -> None:
    """None over, none ignored."""
    budget, found = request.thinking, read(request, completion, texts)
    assert budget is not None
    thought = completion.thinking_tokens
    assert thought is not None
    about = f"{request}\n{completion}\n{found}"
    assert len(completion.token_ids) <= request.params.max_new_tokens, about
    assert completion.loss_mask.count(0) == len(completion.forced), about
    if budget.at_most is not None:
        assert thought <= budget.at_most, about
    if found.closed or not completion.forced:
        assert thought == found.thinking, about
    else:
        assert thought <= found.thinking <= thought + len(budget.closing_ids) + len(CLOSES), about
    waits = waits_of(completion, budget)
    assert waits <= budget.waits, about
    over = found.closed or (completion.finish_reason == "stop" and found.thinking > 0)
    if over and thought < budget.at_least:
        assert waits == budget.waits, about


def waits_of(completion: Completion, budget: ThinkingBudget) -> int:
    """How often it had to wait: each time at least the first of the tokens is set."""
    tokens, forced, count, number = completion.token_ids, set(completion.forced), 0, 0
    while number < len(tokens):
        length = 0
        while (
            length < len(budget.wait_ids)
            and number + length in forced
            and (number + length < len(tokens) and tokens[number + length] == budget.wait_ids[length])
        ):
            length += 1
        count += length > 0
        number += max(1, length)
    return count


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("count", [120, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_no_budget_is_exceeded_or_ignored_in_random_requests_with_and_without_drafts(special: bool, count: int) -> None:
    tokenizer = make_tokenizer(special=special)
    texts = token_bytes(tokenizer, tokenizer.vocab_size)
    requests = [random_request(number, tokenizer) for number in range(count)]
    plain = run(make_engine(tokenizer), requests)
    drafted = run(make_engine(tokenizer, speculative=True), requests)
    assert plain == drafted
    assert plain == run(make_engine(tokenizer, prefix_bytes=1 << 20), requests)
    forced = reached = 0
    for request in requests:
        for seed in request.seeds:
            check(request, plain[request.id, seed], texts)
            forced += bool(plain[request.id, seed].forced)
            reached += plain[request.id, seed].thinking_tokens == (request.thinking and request.thinking.at_most)
    assert forced > count / 4  # it is not by chance that they hold
    assert reached > count / 4


@pytest.mark.parametrize("options", [{}, {"speculative": True}, {"prefix_bytes": 1 << 20}])
@pytest.mark.parametrize("special", [False, True])
def test_a_completion_that_is_stopped_anywhere_goes_on_within_its_budget_as_if_it_had_not_been(
    special: bool, options: dict[str, int]
) -> None:
    tokenizer = make_tokenizer(special=special)
    requests = [replace(random_request(number, tokenizer), seeds=(number,)) for number in range(10)]
    whole = run(make_engine(tokenizer), requests)
    engine = make_engine(tokenizer, **options)  # type: ignore[arg-type]
    for request in requests:
        parts: list[Completion] = []
        rest = request
        for polls in (3, 5, 1000):
            engine.submit(rest)
            finished: list[Completion] = []
            for _ in range(polls):
                finished += engine.poll()
                if not engine.pending():
                    break
            parts += finished or engine.abort([request.id])
            if finished:
                break
            had = [token for part in parts for token in part.token_ids]
            forced = offset_forced(parts)
            room = request.params.max_new_tokens - len(had)
            params = replace(request.params, max_new_tokens=room)
            rest = replace(request, params=params, given_ids=tuple(had), given_forced=forced)
        expected = whole[request.id, request.seeds[0]]
        assert tuple(token for part in parts for token in part.token_ids) == expected.token_ids
        assert offset_forced(parts) == expected.forced
        assert parts[-1].thinking_tokens == expected.thinking_tokens


def offset_forced(parts: list[Completion]) -> tuple[int, ...]:
    forced: list[int] = []
    had = 0
    for part in parts:
        forced += [had + number for number in part.forced]
        had += len(part.token_ids)
    return tuple(forced)


def test_completions_of_one_request_are_those_of_requests_of_their_own() -> None:
    tokenizer = make_tokenizer(special=False)
    request = replace(random_request(7, tokenizer), seeds=tuple(range(12)))
    together = run(make_engine(tokenizer), [request])
    for seed in request.seeds:
        assert run(make_engine(tokenizer), [replace(request, seeds=(seed,))])["7", seed] == together["7", seed]


def test_a_budget_that_is_not_reached_leaves_a_completion_as_it_is() -> None:
    tokenizer = make_tokenizer(special=False)
    requests = [random_request(number, tokenizer) for number in range(40)]
    wide = [replace(each, thinking=budget_of(tokenizer, at_most=100)) for each in requests]
    free = run(make_engine(tokenizer), [replace(each, thinking=None) for each in requests])
    bounded = run(make_engine(tokenizer), wide)
    assert {key: replace(each, thinking_tokens=None) for key, each in bounded.items()} == free


def test_what_is_shown_early_is_never_taken_back() -> None:
    tokenizer = make_tokenizer(special=False)
    budget = budget_of(tokenizer, at_least=30, waits=50)
    prompt = tuple(tokenizer.encode("b<a>"))
    engine = make_engine(tokenizer)
    engine.submit(GenerationRequest("a", prompt, SamplingParams(max_new_tokens=200), tuple(range(8)), thinking=budget))
    shown: dict[int, list[int]] = {seed: [] for seed in range(8)}
    finished: dict[int, Completion] = {}
    while engine.pending():
        finished |= {each.seed: each for each in engine.poll()}
        for seed, tokens in engine.partial("a").items():
            assert tokens[: len(shown[seed])] == shown[seed]
            shown[seed] = tokens
    assert any(each.forced for each in finished.values())
    for seed, each in finished.items():
        assert list(each.token_ids[: len(shown[seed])]) == shown[seed]


def test_set_tokens_carry_the_log_probability_that_the_model_gives_them() -> None:
    tokenizer = make_tokenizer(special=False)
    engine = make_engine(tokenizer)
    prompt = tuple(tokenizer.encode("b<a>"))
    params = SamplingParams(max_new_tokens=30)
    budget = budget_of(tokenizer, at_most=8, at_least=6, waits=2)
    engine.submit(GenerationRequest("a", prompt, params, (3,), thinking=budget))
    found: list[Completion] = []
    while engine.pending():
        found += engine.poll()
    torch.manual_seed(0)
    config = TINY.model_copy(update={"vocab_size": tokenizer.vocab_size, "hidden_size": 64, "num_hidden_layers": 2})
    model = Transformer(config).eval()
    tokens = torch.tensor([[*prompt, *found[0].token_ids]])
    with torch.no_grad():
        logprobs = torch.log_softmax(model.logits(model(tokens))[0].float(), dim=-1)
    expected = [float(logprobs[len(prompt) - 1 + at, token]) for at, token in enumerate(found[0].token_ids)]
    assert found[0].logprobs == pytest.approx(expected, abs=1e-4)
    assert engine.tokens_set == len(found[0].forced)
    assert engine.tokens_sampled + engine.tokens_set >= len(found[0].token_ids)


def test_a_completion_that_opens_no_thinking_is_left_alone() -> None:
    tokenizer = make_tokenizer(special=True)
    texts = token_bytes(tokenizer, tokenizer.vocab_size)
    thinking = Thinking(budget_of(tokenizer, at_most=0, at_least=0), texts, tokenizer.encode("b"))
    for token in tokenizer.encode("bab</a>ba<"):
        assert thinking.next_set() is None
        assert thinking.take(token) == 0
    assert thinking.count == 0


def test_what_somebody_gave_beyond_the_limit_stays_and_is_closed_at_once() -> None:
    tokenizer = make_tokenizer(special=False)
    given = tuple(tokenizer.encode("bababa"))
    budget = budget_of(tokenizer, at_most=2)
    request = GenerationRequest("a", tuple(tokenizer.encode("<a>")), SamplingParams(max_new_tokens=20), (1,), given, (), budget)
    found = run(make_engine(tokenizer), [request])["a", 1]
    assert found.token_ids[: len(budget.closing_ids)] == budget.closing_ids
    assert found.thinking_tokens == len(given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at_most": None}, "changes nothing"),
        ({"at_most": -1}, "must not be negative"),
        ({"at_least": 9, "waits": 1, "wait_ids": (4,)}, "more than at_most"),
        ({"at_least": 2}, "one without the other"),
        ({"at_least": 2, "waits": 1}, "wait_ids is empty"),
        ({"closing_ids": (4,)}, "must end in"),
        ({"closing_ids": (99,)}, "none of the model's"),
        ({"rest_ids": ()}, "one for each of the 4 bytes"),
        ({"rest_ids": ((), (4,), (), ())}, "what is left of"),
        ({"at_least": 2, "waits": 1, "wait_ids": (0, 1, 2, 3)}, "must not hold"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(change: dict[str, object], message: str) -> None:
    tokenizer = make_tokenizer(special=False)
    budget = replace(budget_of(tokenizer, at_most=5), **change)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        make_engine(tokenizer).submit(GenerationRequest("a", (1,), SamplingParams(), (1,), thinking=budget))


def test_a_budget_needs_a_tokenizer_and_marks_need_a_budget() -> None:
    tokenizer = make_tokenizer(special=False)
    engine = Engine(Transformer(TINY), end_id=-1, max_batch=1)
    with pytest.raises(DataError, match="made with a tokenizer"):
        engine.submit(GenerationRequest("a", (1,), SamplingParams(), (1,), thinking=budget_of(tokenizer, at_most=5)))
    with pytest.raises(DataError, match="no effect without a thinking budget"):
        engine.submit(GenerationRequest("a", (1,), SamplingParams(), (1,), given_ids=(2,), given_forced=(0,)))
    with pytest.raises(DataError, match="ascending places"):
        engine.submit(GenerationRequest("a", (1,), SamplingParams(), (1,), given_ids=(2,), given_forced=(1,)))


def test_a_tag_is_found_where_the_text_has_it_however_it_is_cut() -> None:
    rng = random.Random(0)
    for _ in range(300):
        tag = bytes(rng.choice(b"ab") for _ in range(rng.randrange(1, 6)))
        parts = [bytes(rng.choice(b"ab") for _ in range(rng.randrange(0, 4))) for _ in range(12)]
        text = b"".join(parts)
        owner = [number for number, part in enumerate(parts) for _ in part]
        finder, found = TagFinder(tag), None
        for number, part in enumerate(parts):
            if finder.feed(part, number) is not None:
                found = finder.first
                break
        at = text.find(tag)
        assert found == (None if at < 0 else owner[at])
