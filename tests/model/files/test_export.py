"""Models written anew: layouts, types and the text files beside them, by function and by command."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cogitate import cli
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.export import export_model
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer

SMALL = ModelConfig.from_dict({**TINY.to_dict(), "vocab_size": 64, "num_hidden_layers": 2, "n_routed_experts": 4})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(Transformer(SMALL), tmp_path / "source")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        (tmp_path / "source" / name).write_text(f"{name} é")
    (tmp_path / "source" / "metrics.jsonl").write_text("{}")
    return tmp_path / "source"


@pytest.fixture
def cogitate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command to its end: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cogitate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (int(end.value.code or 0), *capsys.readouterr())

    return run


def test_the_mtp_block_is_a_file_of_its_own_or_one_more_layer(source: Path, tmp_path: Path) -> None:
    export_model(source, tmp_path / "own", dtype="float32")
    export_model(source, tmp_path / "released", dtype="float32", released_layout=True)
    own, block = (load_file(tmp_path / "own" / f"{name}.safetensors") for name in ("model", "mtp"))
    assert not any(name.startswith("model.layers.2.") for name in own)
    assert all(name.startswith("model.layers.2.") for name in block)
    released = load_file(tmp_path / "released" / "model.safetensors")
    copies = {"model.layers.2.embed_tokens.weight", "model.layers.2.shared_head.head.weight"}
    assert released.keys() == own.keys() | block.keys() | copies
    assert not (tmp_path / "released" / "mtp.safetensors").exists()
    first, second = (load_model(tmp_path / name).state_dict() for name in ("own", "released"))
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_weights_are_of_the_type_asked_for_and_the_text_files_come_along(source: Path, tmp_path: Path) -> None:
    export_model(source, tmp_path / "out", dtype="float16")
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    wide = {name for name, tensor in tensors.items() if tensor.dtype == torch.float32}
    assert wide == {name for name in tensors if name.endswith("e_score_correction_bias")}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "float16"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()
    assert not (tmp_path / "out" / "metrics.jsonl").exists()


def test_the_command_writes_the_released_layout_and_refuses_to_overwrite(
    source: Path, tmp_path: Path, cogitate: Callable[..., tuple[int, str, str]]
) -> None:
    out = tmp_path / "out"
    assert cogitate("export", source, "--out", out, "--released-layout", "--dtype", "float32") == (0, f"model: {out}\n", "")
    assert "model.layers.2.enorm.weight" in load_file(out / "model.safetensors")
    code, _, err = cogitate("export", source, "--out", out)
    assert (code, err) == (2, f"error: --out {out}: exists already and is not empty; name a new directory\n")


def test_describe_takes_names_files_and_directories(source: Path, cogitate: Callable[..., tuple[int, str, str]]) -> None:
    for name in ("deepseek-v3", "deepseek-r1"):
        text = cogitate("describe", name)[1]
        assert all(part in text for part in ("671.03 B", "37.55 B", "36.63 B", "11.61 B")), name
    assert cogitate("describe", source)[1] == cogitate("describe", source / "config.json")[1]
    code, _, err = cogitate("describe", "deepsek-v3")
    assert code == 2
    assert "did you mean deepseek-v3?" in err


@pytest.mark.parametrize(
    "command", [("chat",), ("eval",), ("describe",), ("export", "--out", "{out}"), ("import", "--out", "{out}")]
)
def test_a_hub_id_without_a_network_is_one_clear_line_in_every_command(
    command: tuple[str, ...], cogitate: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    arguments = [part.format(out=tmp_path / "out") for part in command[1:]]
    code, _, err = cogitate(command[0], "owner/no-such-model", *arguments)
    assert code == 2
    assert err.startswith("error: owner/no-such-model: no such directory, and the hub cannot give it: ")
    assert len(err.splitlines()) == 1


def test_a_hub_id_as_the_input_of_a_run_is_resolved_too(
    cogitate: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    code, _, err = cogitate("run", "tiny", "inputs.base=owner/no-such-model", "--out", tmp_path / "run", "--dry-run")
    assert (code, err[:32]) == (2, "error: owner/no-such-model: no s")
