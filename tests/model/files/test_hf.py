"""Model directories: layouts, tied heads, FP8 and weights in place."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cogitate.errors import CheckpointError
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import load_model, load_weights_into, save_model
from cogitate.model.transformer import Transformer
from tests.model.files.small_model import SMALL, edit_json, edit_tensors, same_weights, small_model


def test_config_json_says_what_vllm_needs_to_know(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["topk_method"] == "noaux_tc"
    assert config["scoring_func"] == "sigmoid"
    assert config["moe_layer_freq"] == 1
    assert config["num_key_value_heads"] == config["num_attention_heads"]
    assert config["architectures"] == ["DeepseekV3ForCausalLM"]
    assert config["torch_dtype"] == "float32"


@pytest.mark.parametrize(("umask", "permissions"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_permissions_of_the_users_umask(umask: int, permissions: int, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.tmp").write_bytes(b"left over by a kill")
    (tmp_path / "model.safetensors.tmp").chmod(0o600)
    before = os.umask(umask)
    try:
        save_model(small_model(), tmp_path)
    finally:
        os.umask(before)
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert files == dict.fromkeys(("config.json", "model.safetensors", "mtp.safetensors"), permissions)


def test_the_mtp_block_lies_in_a_file_of_its_own(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    assert all(name.startswith("model.layers.2.") for name in load_file(tmp_path / "mtp.safetensors"))
    assert not any(name.startswith("model.layers.2.") for name in load_file(tmp_path / "model.safetensors"))


def test_the_released_layout_numbers_the_mtp_block_as_one_more_layer_with_copies_of_embedding_and_head(tmp_path: Path) -> None:
    model = small_model()
    save_model(model, tmp_path, released_layout=True)
    tensors = load_file(tmp_path / "model.safetensors")
    assert not (tmp_path / "mtp.safetensors").exists()
    assert torch.equal(tensors["model.layers.2.embed_tokens.weight"], model.embed_tokens.weight)
    assert torch.equal(tensors["model.layers.2.shared_head.head.weight"], model.head_weight)
    assert {name for name in tensors if name.startswith("model.layers.2.e")} == {
        "model.layers.2.embed_tokens.weight",
        "model.layers.2.enorm.weight",
        "model.layers.2.eh_proj.weight",
    }
    assert same_weights(model, load_model(tmp_path))


def test_saving_again_in_another_layout_leaves_no_file_of_the_first(tmp_path: Path) -> None:
    model = small_model()
    save_model(model, tmp_path, shard_bytes=100_000)
    assert (tmp_path / "model.safetensors.index.json").exists()
    save_model(model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors", "mtp.safetensors"]
    save_model(model, tmp_path, shard_bytes=100_000, released_layout=True)
    assert not (tmp_path / "model.safetensors").exists()
    assert not (tmp_path / "mtp.safetensors").exists()
    assert same_weights(model, load_model(tmp_path))


def test_two_saves_of_a_model_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(small_model(), tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_router_biases_stay_float32_on_disk_and_in_a_bfloat16_model(tmp_path: Path) -> None:
    model = small_model()
    for router in model.routers():
        assert router.e_score_correction_bias is not None
        router.e_score_correction_bias.fill_(0.001 * 7)  # not a bfloat16 number
    save_model(model, tmp_path, dtype=torch.bfloat16)
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors["model.layers.1.mlp.gate.e_score_correction_bias"].dtype == torch.float32
    assert tensors["model.layers.1.mlp.gate.weight"].dtype == torch.bfloat16
    again = load_model(tmp_path, dtype=torch.bfloat16).to(torch.bfloat16)
    assert again.embed_tokens.weight.dtype == torch.bfloat16
    for router in again.routers():
        assert router.e_score_correction_bias is not None
        assert torch.equal(router.e_score_correction_bias, torch.full((4,), 0.001 * 7))


def test_tokenizer_files_are_copied(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    save_model(small_model(), tmp_path / "model", tokenizer_files=[tmp_path / "tokenizer.json"])
    assert (tmp_path / "model" / "tokenizer.json").read_text() == "{}"


def test_weights_are_replaced_in_place(tmp_path: Path) -> None:
    learner, sampler = small_model(1), small_model(2)
    pointers = [parameter.data_ptr() for parameter in sampler.parameters()]
    save_model(learner, tmp_path)
    load_weights_into(sampler, tmp_path)
    assert same_weights(learner, sampler)
    assert [parameter.data_ptr() for parameter in sampler.parameters()] == pointers


def test_reading_a_model_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    """Which takes over a second, and which torch imports for what it does on "meta"."""
    save_model(small_model(), tmp_path)
    program = f"""
import sys
from pathlib import Path
from cogitate.model.files.hf import load_model
load_model(Path({str(tmp_path)!r}))
print([name for name in ("torch._dynamo", "torch.fx.experimental.symbolic_shapes", "sympy") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_weights_of_another_architecture_are_refused_by_the_differing_key(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    other = Transformer(SMALL.model_copy(update={"intermediate_size": 64}))
    with pytest.raises(CheckpointError, match=r"config.json: intermediate_size = 448, but the model to fill has 64"):
        load_weights_into(other, tmp_path)


def test_a_checkpoint_without_the_weights_of_its_mtp_block_is_loaded_without_it_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(small_model(), tmp_path)
    (tmp_path / "mtp.safetensors").unlink()
    with caplog.at_level(logging.WARNING):
        model = load_model(tmp_path)
    assert model.mtp is None
    assert model.config.num_nextn_predict_layers == 0
    assert "loaded without it" in caplog.text


def tied_with_a_head_of_its_own(directory: Path, family: str = "llama", *, same: bool = False) -> Transformer:
    """A directory whose config ties the head although the file has one; returns the model that was saved."""
    shape = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 1, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32}
    experts = {"num_experts": 2, "num_experts_per_tok": 1} if family == "qwen3_moe" else {}
    torch.manual_seed(5)
    model = Transformer(ModelConfig.from_dict({"model_type": family, **shape, **heads, **experts})).eval()
    if same:
        assert model.lm_head is not None
        model.lm_head.weight.data.copy_(model.embed_tokens.weight)
    save_model(model, directory)
    edit_json(directory / "config.json", lambda config: config.update(tie_word_embeddings=True))
    return model


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "qwen3_moe"])
@torch.no_grad()
def test_a_stored_head_is_used_although_the_config_ties_it(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved = tied_with_a_head_of_its_own(tmp_path, family)
    model = load_model(tmp_path)
    assert "config.json ties the head to the embedding, the file has another one: it is used" in caplog.text
    tokens = torch.arange(12)[None]
    assert torch.equal(model.logits(model(tokens)), saved.logits(saved(tokens)))
    save_model(model, tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["tie_word_embeddings"] is False
    assert same_weights(saved, load_model(tmp_path / "again"))
    other = Transformer(model.config)
    load_weights_into(other, tmp_path)
    assert same_weights(saved, other)


def test_a_stored_head_that_repeats_the_embedding_stays_tied(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved = tied_with_a_head_of_its_own(tmp_path, same=True)
    model = load_model(tmp_path)
    assert model.lm_head is None
    assert torch.equal(model.head_weight, saved.head_weight)
    assert not caplog.records


def test_a_tied_model_cannot_take_weights_with_another_head(tmp_path: Path) -> None:
    saved = tied_with_a_head_of_its_own(tmp_path)
    tied = Transformer(saved.config.model_copy(update={"tie_word_embeddings": True}))
    with pytest.raises(CheckpointError, match="tie_word_embeddings = False, but the model to fill has True"):
        load_weights_into(tied, tmp_path)


def block_scaled(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise as the released checkpoints are: e4m3 with one float32 scale for each block of 128 x 128."""
    rows, columns = weight.shape
    scales = torch.zeros(-(-rows // 128), -(-columns // 128))
    quantised = torch.zeros(rows, columns, dtype=torch.float8_e4m3fn)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            block = (slice(128 * i, 128 * i + 128), slice(128 * j, 128 * j + 128))
            scales[i, j] = weight[block].abs().max() / 448
            quantised[block] = (weight[block] / scales[i, j]).to(torch.float8_e4m3fn)
    return quantised, scales


def write_fp8(directory: Path) -> dict[str, torch.Tensor]:
    """Save a small model with its layers' matrices in FP8; returns what they stand for, by published name."""
    save_model(small_model(), directory, released_layout=True)
    meant: dict[str, torch.Tensor] = {}

    def quantise(tensors: dict[str, torch.Tensor]) -> None:
        for name in [n for n in tensors if n.endswith(("_proj.weight", "_proj_with_mqa.weight"))]:
            quantised, scales = block_scaled(tensors[name])
            tensors[name], tensors[f"{name}_scale_inv"] = quantised, scales
            value = quantised.float()
            for i, j in torch.cartesian_prod(torch.arange(scales.shape[0]), torch.arange(scales.shape[1])).tolist():
                value[128 * i : 128 * i + 128, 128 * j : 128 * j + 128] *= scales[i, j]
            meant[name] = value

    edit_tensors(directory / "model.safetensors", quantise)
    quantization = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
    edit_json(directory / "config.json", lambda config: config.update(quantization_config=quantization))
    return meant


def test_fp8_weights_with_block_scales_are_dequantised(tmp_path: Path) -> None:
    """Among them are matrices of 160 and 232 rows, whose last blocks are not whole."""
    meant = write_fp8(tmp_path)
    model = load_model(tmp_path)
    first = "model.layers.0.self_attn."
    in_proj = torch.cat((meant[f"{first}q_proj.weight"], meant[f"{first}kv_a_proj_with_mqa.weight"]))
    assert torch.equal(model.get_parameter("layers.0.self_attn.in_proj.weight"), in_proj)
    expert = meant["model.layers.1.mlp.experts.3.down_proj.weight"]
    assert torch.equal(model.get_parameter("layers.1.mlp.experts.down_proj")[3], expert)
    exact = small_model().get_parameter("layers.0.mlp.down_proj.weight")
    error = (model.get_parameter("layers.0.mlp.down_proj.weight") - exact).detach().abs().max()
    assert 0 < float(error) < 0.07 * float(exact.detach().abs().max())


def test_fp8_weights_without_their_scales_are_refused(tmp_path: Path) -> None:
    write_fp8(tmp_path)
    name = "model.layers.0.self_attn.o_proj.weight_scale_inv"
    edit_tensors(tmp_path / "model.safetensors", lambda tensors: tensors.pop(name))
    with pytest.raises(CheckpointError, match=r"o_proj.weight is FP8 but its scales .*o_proj.weight_scale_inv are missing"):
        load_model(tmp_path)


def test_another_quantisation_is_refused(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    edit_json(tmp_path / "config.json", lambda config: config.update(quantization_config={"quant_method": "gptq", "bits": 4}))
    with pytest.raises(CheckpointError, match=r"config.json: quantization_config.quant_method = 'gptq'"):
        load_model(tmp_path)


def test_auto_map_code_is_never_executed(tmp_path: Path) -> None:
    model = small_model()
    save_model(model, tmp_path)
    (tmp_path / "modeling_evil.py").write_text(f"open({str(tmp_path / 'hacked')!r}, 'w').close()\nclass Evil: pass\n")
    edit_json(tmp_path / "config.json", lambda config: config.update(auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"}))
    assert same_weights(model, load_model(tmp_path))
    assert not (tmp_path / "hacked").exists()
