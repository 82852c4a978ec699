"""What a generator's process does, in this process: without Ray."""

from dataclasses import replace
from pathlib import Path

import pytest

from cogitate.backend import GenerationRequest
from cogitate.cluster.weights import StaleWeightsError, Stamp, digest_of, read_model
from cogitate.cluster.worker import GeneratorWorker
from cogitate.config import Config
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.types import Completion, SamplingParams

MODEL = SHIPPED / "base"
REQUESTS = [
    GenerationRequest(str(number), (5, 6, 7 + number), SamplingParams(max_new_tokens=12), (number, number + 100))
    for number in range(3)
]


def drawn_at_once(model: Path) -> list[Completion]:
    engine = LocalBackend(Config()).generator(model)
    for request in REQUESTS:
        engine.submit(request)
    completions: list[Completion] = []
    while engine.pending():
        completions += engine.poll()
    return in_order(completions)


def in_order(completions: list[Completion]) -> list[Completion]:
    return sorted(completions, key=lambda one: (one.request_id, one.seed))


def stamped(model: Path, version: int) -> tuple[Stamp, list[str], list[object]]:
    files = read_model(model)
    return Stamp(version, digest_of(files)), list(files), list(files.values())


def test_turns_draw_what_the_engine_draws_however_the_work_is_cut() -> None:
    worker, (stamp, names, contents) = GeneratorWorker(Config()), stamped(MODEL, 0)
    first = [replace(REQUESTS[0], seeds=REQUESTS[0].seeds[1:])]
    rest = [replace(REQUESTS[0], seeds=REQUESTS[0].seeds[:1]), *REQUESTS[1:]]
    found: list[Completion] = []
    for units in ([], first, rest):
        found += worker.take_turn("one", stamp, units, names, *contents).completions  # type: ignore[arg-type]
        names, contents = [], []
    while len(found) < 6:
        found += worker.take_turn("one", stamp, []).completions
    assert in_order(found) == drawn_at_once(MODEL)


def test_weights_other_than_those_of_the_stamp_sample_nothing() -> None:
    worker, (stamp, names, contents) = GeneratorWorker(Config()), stamped(MODEL, 1)
    with pytest.raises(StaleWeightsError, match=r"asked to sample from weights of version 1 \(.*\), but has none"):
        worker.take_turn("one", stamp, REQUESTS)
    turn = worker.take_turn("one", stamp, [], names, *contents)  # type: ignore[arg-type]
    assert (turn.stamp, turn.completions) == (stamp, ())
    with pytest.raises(StaleWeightsError, match=r"version 2 .*, but has version 1"):
        worker.take_turn("one", replace(stamp, version=2), REQUESTS)
    with pytest.raises(StaleWeightsError, match=r"was sent other weights than those of version 3"):
        worker.take_turn("one", Stamp(3, "0" * 64), REQUESTS, names, *contents)  # type: ignore[arg-type]
    worker.free_weights("one")
    with pytest.raises(StaleWeightsError, match="but has none"):
        worker.take_turn("one", stamp, REQUESTS)


def test_tokens_carry_the_version_of_the_weights() -> None:
    worker = GeneratorWorker(Config())
    for version in (0, 4):
        stamp, names, contents = stamped(MODEL, version)
        (one,) = worker.take_turn("one", stamp, [replace(REQUESTS[0], seeds=(1,))], names, *contents).completions  # type: ignore[arg-type]
        assert one.weight_versions == ((version, len(one.token_ids)),)
