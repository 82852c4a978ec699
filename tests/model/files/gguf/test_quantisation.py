"""K-quants (Q4_K, Q5_K, Q6_K): against the arithmetic of ggml-quants.c written down, and against llama.cpp itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cogitate.model.files.gguf.header import read_header
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.hf import load_model
from tests.model.files.gguf.reference import ask
from tests.model.files.gguf.small_files import gguf, random_model, small_config, small_tokenizer, write_gguf

BLOCK = 256
FTYPES = {"Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q6_K": 18, "Q8_0": 7}  # llama_ftype
TOKENS = [5, 7, 100, 33, 250, 8, 9, 17] * 5


def scale_and_minimum(j: int, packed: np.ndarray) -> tuple[int, int]:
    """get_scale_min_k4: 8 scales and 8 minima of 6 bits in 12 bytes."""
    p = [int(x) for x in packed]
    if j < 4:
        return p[j] & 63, p[j + 4] & 63
    return (p[j + 4] & 15) | ((p[j - 4] >> 6) << 4), (p[j + 4] >> 4) | ((p[j] >> 6) << 4)


def q4_or_q5_block(block: np.ndarray, five: bool) -> list[float]:
    """dequantize_row_q4_K and dequantize_row_q5_K: d, dmin, 12 bytes of scales, (32 of fifth bits,) 128 of halves."""
    d, dmin = (float(x) for x in block[:4].view(np.float16))
    scales, high, low = block[4:16], block[16:48] if five else None, block[48:] if five else block[16:]
    numbers = []
    for group in range(8):
        scale, minimum = scale_and_minimum(group, scales)
        for i in range(32):
            q = int(low[group // 2 * 32 + i]) >> (4 * (group % 2)) & 15
            if high is not None:
                q += 16 * (int(high[i]) >> group & 1)
            numbers.append(d * scale * q - dmin * minimum)
    return numbers


def q6_block(block: np.ndarray) -> list[float]:
    """dequantize_row_q6_K: 128 bytes of low halves, 64 of upper pairs of bits, 16 signed scales, d."""
    low, high, scales, d = block[:128], block[128:192], block[192:208].view(np.int8), float(block[208:].view(np.float16)[0])
    numbers = [0.0] * BLOCK
    for half in range(2):
        for part in range(4):
            for i in range(32):
                bits = int(low[half * 64 + part % 2 * 32 + i]) >> (4 * (part // 2)) & 15
                q = (bits | (int(high[half * 32 + i]) >> (2 * part) & 3) << 4) - 32
                numbers[half * 128 + part * 32 + i] = d * int(scales[half * 8 + part * 2 + i // 16]) * q
    return numbers


READ_BLOCK = {
    gguf.GGMLQuantizationType.Q4_K: lambda block: q4_or_q5_block(block, five=False),
    gguf.GGMLQuantizationType.Q5_K: lambda block: q4_or_q5_block(block, five=True),
    gguf.GGMLQuantizationType.Q6_K: q6_block,
}


def random_blocks(rows: int, width: int, kind: Any) -> np.ndarray:
    """Any bytes are a block; d and dmin are made small, as in real files."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    generator = np.random.default_rng(rows * width + int(kind))
    blocks = generator.integers(0, 256, (rows, width // BLOCK, size), dtype=np.uint8)
    halves = slice(208, 210) if kind == gguf.GGMLQuantizationType.Q6_K else slice(0, 4)
    count = (halves.stop - halves.start) // 2
    d = generator.uniform(1e-4, 2e-3, (rows, width // BLOCK, count)).astype(np.float16)
    blocks[..., halves] = d.view(np.uint8)
    return blocks.reshape(rows, -1)


@pytest.mark.parametrize("width", [256, 512])
@pytest.mark.parametrize("kind", READ_BLOCK, ids=lambda kind: kind.name)
def test_every_tensor_is_dequantised_as_ggml_does_it(kind: Any, width: int, tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    config = small_config("qwen2", tokenizer.get_vocab_size(), hidden_size=width, intermediate_size=512, num_hidden_layers=1)
    write_gguf(tmp_path / "m.gguf", random_model(config), tokenizer, pre="qwen2", quantisation=kind, blocks=random_blocks)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out", dtype=torch.float32)
    state = load_model(tmp_path / "out").state_dict()
    down, gate_up = state["layers.0.mlp.down_proj.weight"], state["layers.0.mlp.gate_up_proj.weight"]
    loaded = {
        "token_embd.weight": state["embed_tokens.weight"],
        "blk.0.ffn_down.weight": down,
        "blk.0.ffn_gate.weight": gate_up[:512],
        "blk.0.ffn_up.weight": gate_up[512:],
        "blk.0.attn_output.weight": state["layers.0.self_attn.o_proj.weight"],
    }
    stored = read_header(tmp_path / "m.gguf")[1]
    for name, tensor in loaded.items():
        assert stored[name].kind == kind
        for row in (0, len(tensor) // 2, len(tensor) - 1):
            blocks = np.array(stored[name].data[row]).reshape(tensor.shape[1] // BLOCK, -1)
            expected = torch.tensor([number for block in blocks for number in READ_BLOCK[kind](block)])
            assert torch.allclose(tensor[row], expected, rtol=1e-5, atol=1e-6), (name, row)


def logits_of(directory: Path) -> torch.Tensor:
    model = load_model(directory)
    with torch.no_grad():
        return model.logits(model(torch.tensor([TOKENS])))[0]


def difference(file: Path, out: Path) -> float:
    """Of our logits from llama.cpp's, relative to the largest of them."""
    import_gguf(file, out, dtype=torch.float32)
    theirs = torch.from_numpy(np.load(f"{file}.npy"))
    return float((logits_of(out) - theirs).abs().max() / theirs.abs().max())


@pytest.mark.llama_cpp
@pytest.mark.parametrize("width", [256, 512])
def test_files_that_llama_cpp_quantised_are_the_models_that_it_runs(width: int, tmp_path: Path) -> None:
    """llama.cpp rounds activations to 8 bits where weights are quantised, which costs it up to 5 % of the largest logit here.
    So it also writes each file back as float32: our weights are those, and then the logits agree to 1e-5."""
    tokenizer = small_tokenizer()
    config = small_config("llama", tokenizer.get_vocab_size(), hidden_size=width, intermediate_size=512)
    exact = tmp_path / "exact.gguf"
    write_gguf(exact, random_model(config.model_copy(update={"initializer_range": 0.06})), tokenizer)
    files = {name: (tmp_path / f"{name}.gguf", tmp_path / f"{name}-float32.gguf") for name in FTYPES}
    quantise = [(exact, files[name][0], kind) for name, kind in FTYPES.items()]
    quantise += [(small, back, 0) for small, back in files.values()]
    ask(tmp_path, quantise=quantise, logits=[exact, *(file for pair in files.values() for file in pair)], tokens=TOKENS)
    assert difference(exact, tmp_path / "exact") < 1e-5
    for name, (small, back) in files.items():
        assert difference(small, tmp_path / name) < 0.08, name
        assert difference(back, tmp_path / f"{name}-float32") < 1e-5, name
        mine, theirs = (load_model(tmp_path / folder).state_dict() for folder in (name, f"{name}-float32"))
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in mine.items()), name


@pytest.mark.llama_cpp
def test_llama_cpp_gives_the_same_logits_whatever_way_linear_scaling_is_written(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    config = small_config("llama", tokenizer.get_vocab_size(), num_key_value_heads=4)
    model = random_model(config.model_copy(update={"initializer_range": 0.1}))
    spellings: dict[str, dict[str, Any]] = {
        "plain": {},
        "old": {"llama.rope.scale_linear": 4.0},
        "untyped": {"llama.rope.scaling.factor": 4.0},
        "typed": {"llama.rope.scaling.factor": 4.0, "llama.rope.scaling.type": "linear"},
        "both": {"llama.rope.scaling.factor": 4.0, "llama.rope.scale_linear": 2.0},
        "none": {"llama.rope.scaling.factor": 4.0, "llama.rope.scaling.type": "none"},
    }
    files = {name: tmp_path / f"{name}.gguf" for name in spellings}
    for name, keys in spellings.items():
        write_gguf(files[name], model, tokenizer, keys=keys, without=["llama.attention.head_count_kv"])
    ask(tmp_path, logits=list(files.values()), tokens=TOKENS)
    for name, file in files.items():
        assert difference(file, tmp_path / name) < 1e-5, name
