"""Model files and configs damaged at random: each is refused by one clear line at little cost in memory, or still a model."""

import json
import random
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate import cli
from cogitate.errors import CogitateError
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from tests.model.files.gguf.small_files import random_model, small_config, small_tokenizer, write_gguf

EXTRA_BYTES = 1 << 20  # that any attempt may take, whatever the file's size: modules, messages, small tables
NUMBERS = [0, 1, 2, 3, 7, 255, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1]
VALUES: list[Any] = [
    None, True, False, [], {}, "", "x", [1], {"a": 1}, -1, 0, 1, 2, 3, 5, 64, 1.5, 1e30, 10**9, 2**40, 2**63, 10**400,
    float("nan"), float("inf"), "64", [None], [10**9], "default", "linear",
]  # fmt: skip


def gguf_file(folder: Path) -> Path:
    tokenizer = small_tokenizer()
    model = random_model(small_config("llama", tokenizer.get_vocab_size()))
    keys = {"llama.rope.scaling.factor": 2.0, "llama.vocab_size": tokenizer.get_vocab_size()}
    write_gguf(folder / "whole.gguf", model, tokenizer, keys=keys)
    return folder / "whole.gguf"


def number_places(whole: bytes) -> list[tuple[int, str]]:
    """Where the header has its counts, lengths, types, dimensions and offsets, and how they are packed. Tokens are left out but
    for a few: they would be most of it."""
    places = [(4, "<I"), (8, "<Q"), (16, "<Q")]
    at = 24

    def read(code: str) -> int:
        nonlocal at
        places.append((at, code))
        (value,) = struct.unpack_from(code, whole, at)
        at += struct.calcsize(code)
        return int(value)

    def skip_text() -> None:
        nonlocal at
        size = read("<Q")
        at += size

    def skip(kind: int) -> None:
        nonlocal at
        sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
        if kind in sizes:
            if kind in (4, 5, 6):
                places.append((at, "<I"))
            at += sizes[kind]
        elif kind == 8:
            skip_text()
        else:
            of, count = read("<I"), read("<Q")
            before = len(places)
            for _ in range(count):
                skip(of)
            del places[before + 5 :]

    tensors, keys = struct.unpack_from("<QQ", whole, 8)
    for _ in range(keys):
        skip_text()
        skip(read("<I"))
    for _ in range(tensors):
        skip_text()
        for _ in range(read("<I")):
            read("<Q")
        read("<I")
        read("<Q")
    return places


def damaged_gguf(whole: bytes, places: list[tuple[int, str]], draw: random.Random) -> bytes:
    """One to three numbers of the header replaced, or bytes anywhere in it, or the file cut off or repeated."""
    damaged = bytearray(whole)
    way = draw.random()
    if way < 0.75:
        for at, code in draw.choices(places, k=draw.randint(1, 3)):
            size = struct.calcsize(code)
            old = struct.unpack_from(code, whole, at)[0]
            new = draw.choice([*NUMBERS, old + 1, old - 1, old * 2, old ^ 1 << draw.randrange(8 * size)])
            struct.pack_into(code, damaged, at, new % (1 << 8 * size))
    elif way < 0.9:
        for _ in range(draw.randint(1, 20)):
            damaged[draw.randrange(places[-1][0])] = draw.randrange(256)
    elif way < 0.97:
        del damaged[draw.randrange(len(damaged)) :]
    else:
        at = draw.randrange(len(damaged))
        damaged[at:at] = damaged[draw.randrange(len(damaged)) :][: draw.randrange(1, 500)]
    return bytes(damaged)


def damaged_config(config: dict[str, Any], draw: random.Random) -> str:
    """One to three keys changed, left out or made up, or the text itself damaged."""
    changed = dict(config)
    for _ in range(draw.randint(1, 3)):
        key = draw.choice([*config, "rope_scaling", "rope_parameters", "quantization_config", "layer_types", "made_up"])
        if key in changed and draw.random() < 0.15:
            del changed[key]
        elif isinstance(changed.get(key), int) and draw.random() < 0.5:
            changed[key] = draw.choice([*NUMBERS, -changed[key], changed[key] + 1, changed[key] * 2])
        elif key in ("rope_scaling", "rope_parameters"):
            changed[key] = {draw.choice(["rope_type", "type", "factor", "rope_theta"]): draw.choice(VALUES) for _ in range(2)}
        else:
            changed[key] = draw.choice(VALUES)
    text = json.dumps(changed)
    if draw.random() < 0.1:
        cut = draw.randrange(len(text))
        text = draw.choice([text[:cut], text[:cut] + draw.choice('{}[]",:0') + text[cut:], "[" * 100_000, "9" * 10_000])
    return text


def attempt(load: Callable[[], object], size: int, what: str) -> bool:
    """Whether it was refused, by one line; never at more than twice the file's size in memory."""
    tracemalloc.start()
    try:
        load()
        return False
    except CogitateError as error:
        peak = tracemalloc.get_traced_memory()[1]
        message = str(error)
        assert message, what
        assert "\n" not in message, (what, message)
        assert len(message) < 1000, (what, message)
        assert peak < 2 * size + EXTRA_BYTES, (what, peak, size, message)
        return True
    finally:
        tracemalloc.stop()


def try_damaged_files(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """How many of so many GGUF files, and of so many configs, were refused."""
    draw = random.Random(seed)
    whole = gguf_file(folder).read_bytes()
    places, file = number_places(whole), folder / "damaged.gguf"
    import_gguf(folder / "whole.gguf", folder / "out")  # what is imported on first use counts for nobody
    refused = 0
    for number in range(count):
        file.write_bytes(damaged_gguf(whole, places, draw))
        refused += attempt(lambda: import_gguf(file, folder / "out"), file.stat().st_size, f"GGUF file {number}")
    models = [small_config("llama", 60), small_config("qwen2", 60), ModelConfig.from_dict({**TINY.to_dict(), "vocab_size": 60})]
    directories = [folder / f"model-{number}" for number in range(len(models))]
    for config, directory in zip(models, directories, strict=True):
        torch.manual_seed(0)
        save_model(Transformer(config), directory)
    configs = [json.loads((directory / "config.json").read_text()) for directory in directories]
    refused_configs = 0
    for number in range(count):
        chosen = draw.randrange(len(models))
        text = damaged_config(configs[chosen], draw)
        (directories[chosen] / "config.json").write_text(text)
        size = sum(path.stat().st_size for path in directories[chosen].iterdir())
        refused_configs += attempt(lambda: load_model(directories[chosen]), size, f"config {number}: {text[:300]}")  # noqa: B023
    return refused, refused_configs


def test_damaged_files_are_refused_by_one_line_at_little_cost(tmp_path: Path) -> None:
    refused = try_damaged_files(tmp_path, 20, seed=1)
    assert min(refused) > 10, refused


@pytest.mark.release
@pytest.mark.timeout(3000)
def test_a_thousand_damaged_files_of_each_kind_are_refused_by_one_line_at_little_cost(tmp_path: Path) -> None:
    refused = try_damaged_files(tmp_path, 1000, seed=2)
    assert min(refused) > 600, refused


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code."""
    monkeypatch.setattr(sys, "argv", ["cogitate", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_the_command_line_says_one_line_of_a_damaged_file_and_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = gguf_file(tmp_path).read_bytes()
    (tmp_path / "damaged.gguf").write_bytes(whole[:8] + struct.pack("<Q", 2**62) + whole[16:])
    assert command_line(monkeypatch, "import", str(tmp_path / "damaged.gguf"), "--out", str(tmp_path / "out")) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        f"error: {tmp_path}/damaged.gguf: not a whole GGUF file: it claims 4611686018427387904 tensors, at most 65536 are read"
    )
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 1e400}')
    assert command_line(monkeypatch, "describe", str(tmp_path / "config.json")) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
