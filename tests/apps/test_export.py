"""`cogitate export --gguf` and `--adapter`, by command."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cogitate import cli
from cogitate.model.files.adapter import save_trained
from cogitate.model.files.gguf.header import read_header
from cogitate.model.files.hf import save_model
from cogitate.model.lora import add_lora
from cogitate.model.transformer import Transformer
from cogitate.recipe.run_directory.store import Identity, seal
from tests.model.files.gguf.small_files import random_model, small_config
from tests.model.files.gguf.splitting import TEMPLATE, save_tokenizer, train_splitting

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cogitate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command to its end: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cogitate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return run


def small_model() -> Transformer:
    return random_model(small_config("llama", train_splitting("smollm").get_vocab_size(), bos_token_id=0))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    save_model(small_model(), tmp_path / "source")
    save_tokenizer(train_splitting("smollm"), tmp_path / "source")
    return tmp_path / "source"


def test_one_file_holds_weights_tokenizer_and_chat_template(source: Path, tmp_path: Path, cogitate: Run) -> None:
    file = tmp_path / "new" / "m.gguf"
    assert cogitate("export", source, "--gguf", "q8_0", "--out", file) == (0, f"model: {file} (q8_0)\n", "")
    fields, tensors = read_header(file)
    assert fields["tokenizer.chat_template"] == TEMPLATE
    assert tensors["blk.1.ffn_down.weight"].kind == 8
    assert cogitate("export", source, "--gguf", "f16", "--out", tmp_path / "new")[0] == 2
    (tmp_path / "empty").mkdir()
    code, _, err = cogitate("export", source, "--gguf", "f16", "--out", tmp_path / "empty")
    assert (code, err) == (2, f"error: --out {tmp_path / 'empty'}: a directory; --gguf writes one file: name it\n")
    code, out, err = cogitate("export", source, "--gguf", "f16", "--out", file)
    assert (code, out, err) == (2, "", f"error: --out {file}: exists already and is not empty; name a new directory\n")


def test_a_line_says_that_there_is_no_chat_template(source: Path, tmp_path: Path, cogitate: Run) -> None:
    (source / "chat_template.jinja").unlink()
    code, out, _ = cogitate("export", source, "--gguf", "q4_0", "--out", tmp_path / "m.gguf")
    assert code == 0
    assert f"{source}: has no chat template, so the file has none" in out
    assert "tokenizer.chat_template" not in read_header(tmp_path / "m.gguf")[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gguf", "f16", "--adapter"), "--gguf and --adapter exclude each other"),
        (("--gguf", "f16", "--dtype", "bfloat16"), "--gguf and --dtype exclude each other"),
        (("--adapter", "--released-layout"), "--adapter and --released-layout exclude each other"),
    ],
)
def test_options_that_would_change_nothing_are_refused(
    options: tuple[str, ...], message: str, source: Path, tmp_path: Path, cogitate: Run
) -> None:
    code, _, err = cogitate("export", source, *options, "--out", tmp_path / "out")
    assert (code, err) == (2, f"error: {message}: give one of them\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_files_have_the_permissions_of_the_users_umask(source: Path, umask: int, tmp_path: Path, cogitate: Run) -> None:
    model = small_model()
    add_lora(model, rank=2, alpha=4.0)
    before = os.umask(umask)
    try:
        save_trained(model, tmp_path / "trained")
        assert cogitate("export", source, "--gguf", "f16", "--out", tmp_path / "m.gguf")[0] == 0
        assert cogitate("export", tmp_path / "trained", "--adapter", "--out", tmp_path / "adapter")[0] == 0
    finally:
        os.umask(before)
    files = [tmp_path / "m.gguf", *(tmp_path / "adapter").iterdir(), *(tmp_path / "trained").rglob("*.*")]
    assert len(files) == 8
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o666 & ~umask}


def test_the_adapter_of_a_stage_names_the_model_it_was_trained_from(tmp_path: Path, cogitate: Run) -> None:
    run = tmp_path / "run"
    model = small_model()
    add_lora(model, rank=2, alpha=4.0)
    save_trained(model, run / "r1_zero")
    save_tokenizer(train_splitting("smollm"), run / "r1_zero")
    seal(run / "r1_zero", Identity("r1_zero", 1, {}, {"base": "abc"}, ()), seconds=1.0, summary={})
    for inputs, base in (({}, str(run / "base")), ({"base": "models/smollm2"}, "models/smollm2")):
        (run / "config.json").write_text(json.dumps({"graph": "r1", "inputs": inputs}))
        out = tmp_path / f"adapter-{len(inputs)}"
        assert cogitate("export", run / "r1_zero", "--adapter", "--out", out) == (0, f"adapter: {out}, of {base}\n", "")
        assert sorted(file.name for file in out.iterdir()) == [
            "README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja",
            "tokenizer.json", "tokenizer_config.json",
        ]  # fmt: skip
        assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == base


def test_a_model_without_an_adapter_is_refused(source: Path, tmp_path: Path, cogitate: Run) -> None:
    code, _, err = cogitate("export", source, "--adapter", "--out", tmp_path / "out")
    assert code == 2
    assert err.startswith(f"error: {source}: has no adapter: it was not trained with runtime.lora_rank")


def test_the_adapter_is_said_to_be_incomplete_where_it_is(
    make_micro_model: Callable[..., Transformer], tmp_path: Path, cogitate: Run
) -> None:
    model = make_micro_model()
    add_lora(model, rank=2, alpha=4.0)
    save_trained(model, tmp_path / "trained")
    code, out, _ = cogitate("export", tmp_path / "trained", "--adapter", "--out", tmp_path / "out")
    assert code == 0
    assert "beside_peft.safetensors: routers' biases and the MTP block's adapter, which PEFT has no place for" in out
