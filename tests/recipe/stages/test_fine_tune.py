"""SFT stages on a model of a few thousand parameters: what they learn, leave behind and refuse; a kill loses nothing."""

import json
from collections.abc import Callable
from itertools import islice
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from cogitate.backend import GenerationRequest
from cogitate.config import Config, PretrainConfig
from cogitate.engine.generator import Engine
from cogitate.errors import ArtifactError, ConfigError, DataError
from cogitate.model.files.hf import load_config as load_model_config
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.runtime import derive_seed
from cogitate.tasks.corpus.documents import documents
from cogitate.tasks.files.datasets import write_rows
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.tokenizer.prompts import r1_prompt
from cogitate.types import SamplingParams
from tests.recipe.cli_process import processes
from tests.recipe.kill_harness import arm, outcome

WORDS = {"one": "7", "two": "3", "ten": "0", "six": "9"}


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, make_micro_model: Callable[..., Transformer], micro_tokenizer: Tokenizer
) -> Path:
    folder = tmp_path_factory.mktemp("fine_tuning")
    save_model(make_micro_model(), folder / "base")
    micro_tokenizer.save(folder / "base")
    rows = [
        {"messages": [{"role": "user", "content": word}, {"role": "assistant", "content": f"<think> a </think>\n{digit}"}]}
        for word, digit in WORDS.items()
    ]
    write_rows(folder / "data.jsonl", [*rows, *rows])
    return folder


def config_of(folder: Path, *overrides: str, data: str = "data.jsonl") -> Config:
    settings = {
        "rows": 2, "row_tokens": 48, "micro_rows": 2, "epochs": 25, "learning_rate": 1e-2,
        "final_learning_rate": 1e-3, "warmup_steps": 2, "checkpoint_every": 10,
    }  # fmt: skip
    return load_recipe(
        "tiny",
        [
            "graph=r1", f"inputs.base={folder / 'base'}", f"inputs.cold_start={folder / data}", "runtime.threads=1",
            *(f"r1_dev1.{key}={value}" for key, value in settings.items()), *overrides,
        ],
    )  # fmt: skip


def run(config: Config, out: Path) -> Path:
    run_recipe(config, out, make_backend=LocalBackend, only="r1_dev1")
    return out / "r1_dev1"


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    return run(config_of(folder), folder / "whole")


def test_the_model_says_what_it_was_shown(trained: Path) -> None:
    tokenizer = Tokenizer.load(trained)
    engine = Engine(load_model(trained), end_id=tokenizer.end_id, max_batch=4)
    for word in WORDS:
        params = SamplingParams(temperature=0.01, max_new_tokens=30)
        engine.submit(GenerationRequest(word, tuple(tokenizer.encode(r1_prompt(word))), params, (0,)))
    said: dict[str, str] = {}
    while engine.pending():
        said |= {c.request_id: tokenizer.decode(c.token_ids) for c in engine.poll()}
    assert said == {word: f" <think> a </think>\n{digit}" for word, digit in WORDS.items()}


def test_the_summary_and_the_log_say_what_was_done(trained: Path) -> None:
    summary = json.loads((trained / "manifest.json").read_text())["summary"]
    assert (summary["conversations"], summary["turns"], summary["dropped_too_long"], summary["epochs"]) == (8, 8, 0, 25)
    assert summary["steps"] == -(-summary["rows"] * 25 // 2)
    log = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == list(range(summary["steps"]))
    assert log[-1]["loss"] < 0.3 * log[0]["loss"]
    assert log[0]["mtp_loss"] > 0
    assert log[-1]["learning_rate"] == pytest.approx(1e-3)


def test_the_saved_model_carries_the_template_it_was_trained_with(trained: Path, folder: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(trained)
    ids = theirs.apply_chat_template([{"role": "user", "content": "one"}], add_generation_prompt=True, return_dict=False)
    assert ids == Tokenizer.load(folder / "base").encode(r1_prompt("one"))


def test_conversations_longer_than_a_row_are_dropped_and_counted(folder: Path, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "2 " * 60}]
    rows: list[dict[str, Any]] = [{"messages": turns}, {"prompt": "two", "completion": "3"}]
    write_rows(folder / "long.jsonl", rows)
    model = run(config_of(folder, "r1_dev1.epochs=1", data="long.jsonl"), tmp_path / "run")
    summary = json.loads((model / "manifest.json").read_text())["summary"]
    assert (summary["conversations"], summary["turns"], summary["dropped_too_long"]) == (2, 1, 1)
    write_rows(folder / "long.jsonl", rows[:1])
    with pytest.raises(DataError, match="of 1 conversations none fits 48 tokens"):
        run(config_of(folder, data="long.jsonl"), tmp_path / "other")


def test_a_data_set_that_cannot_be_read_is_refused_before_any_time_is_spent(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.jsonl").write_text('{"messages": [{"role": "user", "content": "one"}]}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl, line 1: the last message must be the assistant's"):
        run(config_of(folder, data="bad.jsonl"), tmp_path / "run")
    assert not (tmp_path / "run" / "unfinished").exists()
    with pytest.raises(ArtifactError, match=r"nowhere\.jsonl: no such file"):
        run(config_of(folder, data="nowhere.jsonl"), tmp_path / "run")


def run_and_count(config: Config, out: Path, event_number: int, counted: SimpleQueue[int]) -> None:
    changes = arm(out, event_number)
    run(config, out)
    counted.put(len(changes))


def changes_until_killed(config: Config, out: Path, event_number: int) -> int | None:
    """Run until the n-th change on disk; None if killed there, else how many changes the finished run made."""
    counted: SimpleQueue[int] = processes.SimpleQueue()
    process = processes.Process(target=run_and_count, args=(config, out, event_number, counted))
    process.start()
    process.join()
    assert process.exitcode in (0, -9), process.exitcode
    return None if process.exitcode == -9 else counted.get()


def test_a_run_killed_in_between_ends_with_the_bytes_of_an_uninterrupted_one(folder: Path, tmp_path: Path) -> None:
    config = config_of(folder, "r1_dev1.epochs=6", "r1_dev1.checkpoint_every=3")
    changes = changes_until_killed(config, tmp_path / "whole", 10**9)
    assert changes is not None
    expected = outcome(tmp_path / "whole")
    for kill in (changes // 3, changes * 2 // 3):
        out = tmp_path / f"killed-{kill}"
        assert changes_until_killed(config, out, kill) is None
        assert changes_until_killed(config, out, 10**9) is not None
        assert outcome(out) == expected


def student_config(folder: Path, model: str) -> Config:
    return load_recipe(
        "tiny",
        [
            "graph=r1", "runtime.threads=1", "tokenizer.vocab_size=400", "tokenizer.corpus_documents=200",
            "student_base_llama.steps=6", "student_base_llama.rows=2", "student_base_llama.micro_rows=2",
            "student_base_llama.row_tokens=128", "student_base_llama.held_out_documents=4",
            "student_base_llama.checkpoint_every=2", f"student_base_llama.model={model}",
        ],
    )  # fmt: skip


SMALL = (
    '{model_type = "%s", hidden_size = 32, intermediate_size = 48, num_hidden_layers = 2, num_attention_heads = 2, '
    "num_key_value_heads = 1, max_position_embeddings = 256}"
)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_students_base_is_pretrained_with_the_model_of_its_section_and_the_tokenizer_of_base(
    folder: Path, tmp_path: Path, family: str
) -> None:
    config = student_config(folder, SMALL % family)
    run_recipe(config, tmp_path / "run", make_backend=LocalBackend, only="student_base_llama", retrain=["student_base_llama"])
    directory = tmp_path / "run" / "student_base_llama"
    assert load_model_config(directory).model_type == family
    log = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    assert all(row["mtp_loss"] == 0.0 for row in log)
    texts = islice(documents(derive_seed(config.section("base", PretrainConfig).seed, "tokenizer")), 200)
    assert Tokenizer.load(directory).inner.to_str() == train_tokenizer(texts, 400).inner.to_str()
    assert not (directory / "chat_template.jinja").exists()  # it has learnt no turns


def test_a_student_without_an_architecture_or_with_a_wrong_one_is_refused_first(folder: Path, tmp_path: Path) -> None:
    for model, message in (("{}", "student_base_llama.model: empty"), (SMALL % "gpt", "student_base_llama.model: model_type")):
        with pytest.raises(ConfigError, match=message):
            run_recipe(
                student_config(folder, model),
                tmp_path,
                make_backend=LocalBackend,
                only="student_base_llama",
                retrain=["student_base_llama"],
            )
