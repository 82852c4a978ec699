"""A generator that keeps its completions: nothing is drawn twice, whoever asks again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cogitate.answers import Answers
from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import ArtifactError
from cogitate.evals.benchmarks.kept import KeptGenerator, kept_file, read_others
from cogitate.model.transformer import Transformer
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Completion, SamplingParams


@pytest.fixture
def engine(make_micro_model: Callable[..., Transformer], micro_tokenizer: Tokenizer) -> Engine:
    return Engine(make_micro_model(), end_id=frozenset({micro_tokenizer.end_id}), max_batch=4, tokenizer=micro_tokenizer)


def draw(kept: KeptGenerator, seeds: tuple[int, ...], temperature: float = 1.0) -> dict[int, Completion]:
    kept.submit(GenerationRequest("0", (5, 6, 7), SamplingParams(temperature, 1.0, 6), seeds))
    found: dict[int, Completion] = {}
    while kept.pending():
        found |= {one.seed: one for one in kept.poll()}
    return found


def test_completions_are_drawn_once_and_are_those_of_a_plain_generator(engine: Engine, tmp_path: Path) -> None:
    with Answers(tmp_path / "plain.jsonl") as answers:
        plain = draw(KeptGenerator(engine, answers, scope="float32", others={}), (1, 2, 3))
    file = kept_file(tmp_path, None)
    with Answers(file) as answers:
        first = KeptGenerator(engine, answers, scope="float32", others={})
        draw(first, (1, 2))
    file.write_bytes(file.read_bytes() + b'{"key": "half a li')  # as a kill leaves it
    with Answers(file) as answers:
        again = KeptGenerator(engine, answers, scope="float32", others={})
        found = draw(again, (1, 2, 3))
        assert (first.drawn, again.drawn) == (2, 1)
        assert {seed: one.token_ids for seed, one in found.items()} == {seed: one.token_ids for seed, one in plain.items()}
        assert [found[seed].finish_reason for seed in (1, 2, 3)] == [plain[seed].finish_reason for seed in (1, 2, 3)]
        draw(again, (1,), temperature=0.5)
        assert again.drawn == 2  # another way of drawing is another completion


def test_other_shards_are_read_and_a_line_that_is_being_written_is_not(engine: Engine, tmp_path: Path) -> None:
    with Answers(kept_file(tmp_path, (1, 2))) as answers:
        draw(KeptGenerator(engine, answers, scope="float32", others={}), (1, 2))
    own, other = kept_file(tmp_path, None), kept_file(tmp_path, (1, 2))
    other.write_bytes(other.read_bytes()[:-5])
    with Answers(own) as answers:
        kept = KeptGenerator(engine, answers, scope="float32", others=read_others(tmp_path, own))
        draw(kept, (1, 2))
        assert kept.drawn == 1
    other.write_text('{"key": 3}\n')
    with pytest.raises(ArtifactError, match="line 1: damaged; delete the line to have it drawn again"):
        read_others(tmp_path, own)
