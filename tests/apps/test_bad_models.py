"""Every broken model directory is one line that names file and key and exit code 2; nothing of it is executed."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cogitate import cli
from cogitate.model.files.hf import load_model, save_model
from tests.apps.memorised_model import QUESTION, R1_ZERO_ANSWER


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_tensors(directory: Path, **tensors: torch.Tensor | None) -> None:
    path = directory / "model.safetensors"
    kept = {name: tensor for name, tensor in (load_file(path) | tensors).items() if tensor is not None}
    save_file(kept, path)


def shard(directory: Path) -> list[Path]:
    """The same weights in several files; returns these."""
    save_model(load_model(directory), directory, shard_bytes=100_000)
    return sorted(directory.glob("model-*.safetensors"))


def truncate(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def lose_a_shard(directory: Path) -> None:
    shard(directory)[1].unlink()


def name_a_ghost(directory: Path) -> None:
    first = shard(directory)[0].name
    index = directory / "model.safetensors.index.json"
    edit(index, weight_map=json.loads(index.read_text())["weight_map"] | {"model.ghost": first})


def reshape(directory: Path) -> None:
    edit_tensors(directory, **{"model.norm.weight": torch.ones(7)})


def lose_a_tensor(directory: Path) -> None:
    edit_tensors(directory, **{"model.norm.weight": None})


def other_family(directory: Path) -> None:
    edit(directory / "config.json", model_type="gpt_neox")


def other_rope(directory: Path) -> None:
    edit(directory / "config.json", rope_scaling={"rope_type": "longrope", "short_factor": [1.0]})


def tiktoken_only(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()
    (directory / "qwen.tiktoken").write_bytes(b"IQ== 0\n")


def pickles_only(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(directory / "hacked").encode())


def hostile_template(directory: Path) -> None:
    stolen = "cycler.__init__.__globals__.os.system('touch " + str(directory / "hacked") + "')"
    (directory / "chat_template.jinja").write_text("{{ " + stolen + " }}")


def endless_template(directory: Path) -> None:
    (directory / "chat_template.jinja").write_text("{% for i in range(99999) %}{{ 'a' * 99999999 }}{% endfor %}")


def smaller_model(directory: Path) -> None:
    """The tokenizer of a larger vocabulary than the model's."""
    edit(directory / "config.json", vocab_size=20)
    tensors = load_file(directory / "model.safetensors")
    edit_tensors(directory, **{name: tensors[name][:20].clone() for name in ("model.embed_tokens.weight", "lm_head.weight")})


BREAKS: list[tuple[Callable[[Path], None], tuple[str, ...]]] = [
    (truncate, ("model.safetensors", "not a whole safetensors file")),
    (lose_a_shard, ("model-00002-of-", "this file of the checkpoint is missing")),
    (name_a_ghost, ("model.safetensors.index.json", "model.ghost", "which it does not")),
    (reshape, ("model.safetensors", "model.norm.weight has shape [7], config.json asks for [64]")),
    (lose_a_tensor, ("tensor model.norm.weight is missing",)),
    (other_family, ("config.json: model_type = 'gpt_neox': not supported; supported are deepseek_v3, llama, qwen2, qwen3",)),
    (other_rope, ("config.json: rope_scaling", "longrope")),
    (tiktoken_only, ("tokenizer.json: no such file; qwen.tiktoken is a tokenizer of another format", "save_pretrained")),
    (pickles_only, ("pytorch_model.bin: pickled weights can run code when loaded and are refused", "safetensors")),
    (hostile_template, ("chat_template.jinja: the template failed", "unsafe")),
    (endless_template, ("chat_template.jinja: the template failed", "repeated")),
    (smaller_model, ("tokenizer.json: token 20 is", "vocab_size = 20 in config.json")),
]


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(directory: Path, *options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            sys, "argv", ["cogitate", "chat", str(directory), "--prompt", QUESTION, "--temperature", "0", *options]
        )
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (int(end.value.code or 0), *capfd.readouterr())

    return run


@pytest.mark.parametrize(("break_it", "says"), BREAKS, ids=[break_it.__name__ for break_it, _ in BREAKS])
def test_a_broken_directory_is_one_clear_line(
    memorised: Path,
    tmp_path: Path,
    chat: Callable[..., tuple[int, str, str]],
    break_it: Callable[[Path], None],
    says: tuple[str, ...],
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(memorised, directory)
    break_it(directory)
    code, out, err = chat(directory)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: ")
    assert all(part in err for part in says), err
    assert not (directory / "hacked").exists()


def test_code_that_a_config_names_is_not_executed(
    memorised: Path, tmp_path: Path, chat: Callable[..., tuple[int, str, str]]
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(memorised, directory)
    (directory / "evil.py").write_text(f"open({str(directory / 'hacked')!r}, 'w')\nclass Evil: pass\n")
    code = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
    edit(directory / "config.json", auto_map=code)
    edit(directory / "tokenizer_config.json", auto_map=code, tokenizer_class="Evil")
    assert chat(directory, "--template", "r1_zero") == (0, f"{R1_ZERO_ANSWER}\n", "")
    assert not (directory / "hacked").exists()
