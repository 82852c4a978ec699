"""Generation on a device: the CPU's tokens, in steps of one copy and one wait, with kernels that need no host between them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cogitate.backend import GenerationRequest
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.generator import Engine
from cogitate.engine.steps.device import DeviceSteps
from cogitate.errors import NotFiniteError
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.kv_cache import BLOCK
from cogitate.types import Completion
from tests.deterministic_mode import mode_restored
from tests.engine.test_generator import DEEPSEEK, END, LLAMA, QWEN3, WINDOWED, make_model, prompts_of, request, run
from tests.on_device.in_place import reads_in_place
from tests.on_device.launches import launches
from tests.on_device.stand_in_device import KIND, Counts, counted, stand_in

SMALL_DEEPSEEK = DEEPSEEK.model_copy(update={"num_hidden_layers": 2})
FAMILIES = {"deepseek_v3": SMALL_DEEPSEEK, "llama": LLAMA, "qwen3": QWEN3, "qwen2 with a window": WINDOWED}
SETTINGS = ({"temperature": 1.0}, {"temperature": 0.7, "top_p": 0.8}, {"temperature": 0.0})


def requests(tokens: int = 8) -> list[GenerationRequest]:
    """Prompts within, at the end of and over a block, each with other settings."""
    return [
        request(str(number), prompt, seeds=(1, 2), max_new_tokens=tokens, **SETTINGS[number])
        for number, prompt in enumerate(prompts_of([5, 16, 35]))
    ]


def engine_of(config: ModelConfig, device: str, *, speculative: bool = False, dtype: torch.dtype = torch.float32) -> Engine:
    return Engine(make_model(config), end_id=END, max_batch=5, device=device, dtype=dtype, speculative=speculative)


def difference(some: list[Completion], others: list[Completion]) -> float:
    """The largest one of log-probabilities."""
    pairs = [pair for a, b in zip(some, others, strict=True) for pair in zip(a.logprobs, b.logprobs, strict=True)]
    return max(abs(a - b) for a, b in pairs)


FORMS: dict[str, Callable[[], AbstractContextManager[None]]] = {"copied": nullcontext, "in place": reads_in_place}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES.keys())
def test_a_device_samples_the_tokens_of_the_cpu(config: ModelConfig, form: str) -> None:
    tokens = 18 if config is LLAMA else 8  # 16 fill a block
    here = run(engine_of(config, "cpu"), *requests(tokens))
    with stand_in(), FORMS[form]():
        there = run(engine_of(config, KIND), *requests(tokens))
    assert [each.token_ids for each in there] == [each.token_ids for each in here]
    assert difference(there, here) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_drafts_on_a_device_leave_the_tokens_as_they_are_and_are_right_as_often(form: str) -> None:
    host = engine_of(SMALL_DEEPSEEK, "cpu", speculative=True)
    here = run(host, *requests())
    with stand_in(), FORMS[form]():
        engine = engine_of(SMALL_DEEPSEEK, KIND, speculative=True)
        there = run(engine, *requests())
    assert [each.token_ids for each in there] == [each.token_ids for each in here]
    assert host.speculation is not None
    assert engine.speculation is not None
    assert (engine.speculation.drafted, engine.speculation.right) == (host.speculation.drafted, host.speculation.right)


def test_drafts_by_lookup_on_a_device_leave_the_tokens_as_they_are() -> None:
    here = run(engine_of(LLAMA, "cpu"), *requests(18))
    with stand_in():
        engine = Engine(make_model(LLAMA), end_id=END, max_batch=5, device=KIND, ngram_drafts=4)
        there = run(engine, *requests(18))
    by_seed = [{(each.request_id, each.seed): each.token_ids for each in completions} for completions in (there, here)]
    assert by_seed[0] == by_seed[1]  # they end in another order
    assert engine.lookup is not None
    assert engine.lookup.drafted > engine.lookup.right


@pytest.mark.parametrize("form", FORMS)
def test_a_step_copies_once_waits_once_and_what_is_between_could_be_captured(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for speculative, captured in ((False, ("read_last", "draw")), (True, ("read_drafted", "draw"))):
        inside = Counts()
        for name in captured:
            monkeypatch.setattr(DeviceSteps, name, counted(getattr(DeviceSteps, name), inside))
        with stand_in() as counts, FORMS[form]():
            engine = engine_of(SMALL_DEEPSEEK, KIND, speculative=speculative, dtype=torch.bfloat16)
            for each in requests():
                engine.submit(each)
            engine.poll()
            counts.reset()
            inside.reset()
            engine.poll()
        assert (counts.copies.total(), counts.synchronisations.total()) == (1, 1), (counts.copies, counts.synchronisations)
        assert (inside.copies.total(), inside.synchronisations.total()) == (0, 0), (inside.copies, inside.synchronisations)
        assert inside.launches.total() > 30 * counts.launches.total(), "nearly all kernels are in the captured part"
        monkeypatch.undo()


def test_a_step_that_reads_in_place_copies_nothing_of_the_cache() -> None:
    written = {}
    for form in FORMS:
        with stand_in() as counts, FORMS[form]():
            engine = engine_of(LLAMA, KIND)
            engine.submit(request("a", prompts_of([35])[0], seeds=(1, 2, 3)))
            engine.poll()
            counts.reset()
            engine.poll()
        written[form] = counts.written["index_select"]
    blocks, width = 3 + 1, 2 * 2 * 8  # of the prompt and of the completion; two heads of keys and of values
    assert written == {"copied": LLAMA.num_hidden_layers * 3 * blocks * BLOCK * width * 4, "in place": 0}


def test_a_step_sorts_no_places_where_a_run_asks_for_deterministic_algorithms() -> None:
    launched = []
    for asked in (False, True):
        with stand_in() as counts, mode_restored():
            torch.use_deterministic_algorithms(asked, warn_only=True)
            launched.append(launches(LLAMA, 2, torch.float32, counts))
            assert torch.are_deterministic_algorithms_enabled() == asked
    assert launched[0] == launched[1]


def test_prefixes_are_kept_and_new_weights_are_used_on_a_device(tmp_path: Path) -> None:
    other = make_model(LLAMA, seed=1)
    save_model(other, tmp_path)
    expected = run(Engine(other, end_id=END, max_batch=2), request("c", prompts_of([40])[0], max_new_tokens=6))
    with stand_in():
        engine = Engine(make_model(LLAMA), end_id=END, max_batch=2, device=KIND, prefix_bytes=1 << 20)
        first = run(engine, request("a", prompts_of([40])[0], max_new_tokens=6))
        again = run(engine, request("b", prompts_of([40])[0], max_new_tokens=6))
        assert engine.prompt_tokens_shared == 40
        engine.load_weights(tmp_path, 1)
        updated = run(engine, request("c", prompts_of([40])[0], max_new_tokens=6))
        assert engine.prompt_tokens_shared == 40, "what the old weights have read is forgotten"
    assert first[0].token_ids == again[0].token_ids != updated[0].token_ids == expected[0].token_ids


class FailsOnce:
    """A shaper whose second step fails."""

    def __init__(self) -> None:
        self.steps = 0

    def shape(self, token_ids: np.ndarray, logits_V: Tensor) -> None:
        self.steps += 1
        if self.steps == 2:
            raise ValueError("a step that fails")


@pytest.mark.parametrize("speculative", [False, True])
def test_logits_that_are_not_finite_are_refused_with_the_seed_as_on_a_cpu(speculative: bool) -> None:
    with stand_in():
        engine = engine_of(SMALL_DEEPSEEK, KIND, speculative=speculative)
        engine.submit(request("a", prompts_of([5])[0], seeds=(7, 8)))
        engine.poll()
        assert isinstance(engine.decoder, PlainDecoder)
        engine.decoder.model.norm.weight.data.fill_(torch.nan)
        with pytest.raises(NotFiniteError, match=r"the completion of seed 7, token \d: the model's logits are NaN or infinite"):
            engine.poll()


def test_a_step_that_failed_leaves_nothing_to_the_completions_that_begin_after_it() -> None:
    prompt = prompts_of([5])[0]
    with stand_in():
        engine = engine_of(LLAMA, KIND)
        fresh = run(engine, request("alone", prompt, seeds=(9,), max_new_tokens=6))
        engine.submit(request("fails", prompt, seeds=(1,), max_new_tokens=6), FailsOnce())
        with pytest.raises(ValueError, match="a step that fails"):
            run(engine)
        engine.abort(["fails"])
        after = run(engine, request("after", prompt, seeds=(9,), max_new_tokens=6))
    assert after[0].token_ids == fresh[0].token_ids
