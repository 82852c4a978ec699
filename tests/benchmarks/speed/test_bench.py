"""The bench's counting of operations against PyTorch's own, and every piece of it on a very small model."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import psutil
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import OtherWork, machine_facts, own_seconds
from benchmarks.speed import bench, products
from benchmarks.speed.measure import Decoding, Learning, Pretraining, Subject, grpo_steps, rates
from benchmarks.speed.products import Product, body, head, mlp_products, mtp, seconds_alone, total_flops
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.files.names import NameTable, mtp_name_table, name_table
from cogitate.model.transformer import Transformer
from cogitate.tasks.corpus.documents import documents
from cogitate.tokenizer.bpe import train_tokenizer

LLAMA = ModelConfig.from_dict(
    {"model_type": "llama", "vocab_size": 90, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
     "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 256}
)  # fmt: skip
QWEN3 = ModelConfig.from_dict({**LLAMA.to_dict(), "model_type": "qwen3", "head_dim": 16})
Q_LORA = TINY.model_copy(update={"q_lora_rank": 24, "n_shared_experts": 2, "num_experts_per_tok": 3})
SMALL = ("tasks.train_problems=40", "r1_zero.prompts_per_step=3", "r1_zero.group_size=3", "r1_zero.max_new_tokens=12",
         "base.rows=2", "base.micro_rows=2", "base.row_tokens=128", "evaluate.problems=8")  # fmt: skip


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    directory = tmp_path_factory.mktemp("micro")
    tokenizer = train_tokenizer(islice(documents(0), 100), 400)
    sizes = {"vocab_size": tokenizer.vocab_size, "hidden_size": 32, "intermediate_size": 32, "moe_intermediate_size": 16}
    torch.manual_seed(0)
    save_model(Transformer(TINY.model_copy(update={**sizes, "num_hidden_layers": 2})), directory)
    tokenizer.save(directory)
    return Subject(directory, SMALL)


@pytest.fixture(autouse=True)
def three_runs_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "LEAST_SECONDS", 0.0)


def counted(counter: FlopCounterMode) -> int:
    """Operations of plain matrix products: attention has operators of its own."""
    return sum(flops for op, flops in counter.get_flop_counts()["Global"].items() if str(op) in ("aten.mm", "aten.addmm"))


@pytest.mark.parametrize("config", [LLAMA, QWEN3], ids=["llama", "qwen3"])
def test_operations_are_those_that_pytorch_counts(config: ModelConfig) -> None:
    model = Transformer(config)
    tokens = torch.randint(config.vocab_size, (3, 20))
    with FlopCounterMode(display=False) as forward:
        logits = model.logits(model(tokens))
    expected = [*body(config, 60), *head(config, 60)]
    assert total_flops(expected) == counted(forward)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    assert counted(backward) == 2 * total_flops(expected)


@pytest.mark.parametrize("config", [LLAMA, QWEN3, TINY, Q_LORA], ids=["llama", "qwen3", "tiny", "q_lora"])
def test_a_token_costs_two_operations_for_each_published_weight_that_it_meets(config: ModelConfig) -> None:
    """Every matrix but the embedding; of an expert's the share of tokens that choose it."""

    def met(table: NameTable) -> float:
        published = [part for parts in table.values() for part in parts if len(part.shape) == 2 and "embed" not in part.name]
        chosen = {True: config.num_experts_per_tok / config.n_routed_experts, False: 1.0}
        return sum(math.prod(part.shape) * chosen[".experts." in part.name] for part in published)

    rows = 4 * config.n_routed_experts
    assert total_flops([*body(config, rows), *head(config, rows)]) == 2 * rows * met(name_table(config))
    if config.num_nextn_predict_layers:
        assert total_flops(mtp(config, rows)) == 2 * rows * met(mtp_name_table(config)) + total_flops(head(config, rows))


@pytest.mark.parametrize(("rows", "shares"), [(1, {1: 2}), (3, {1: 6}), (5, {1: 6, 2: 2}), (64, {16: 8})])
def test_experts_share_the_rows_evenly_and_no_more_of_them_work_than_are_chosen(rows: int, shares: dict[int, int]) -> None:
    experts = [product for product in mlp_products(TINY, 1, rows) if product.outputs == 2 * TINY.moe_intermediate_size][1:]
    assert {product.rows: product.count for product in experts} == shares


def test_rates_of_a_hand_worked_measurement() -> None:
    pair = [Product(10, 100, 50), Product(10, 50, 20, count=3)]  # 100,000 + 60,000 operations for 10 tokens
    assert rates(40, 2.0, pair, 0.5, passes=3) == {
        "tokens": 40,
        "tokens_per_second": 20.0,
        "gflops_per_second": 3 * 16_000 * 40 / 2.0 / 1e9,
        "gemm_tokens_per_second": 80.0,
        "gemm_gflops_per_second": 3 * 16_000 * 40 / 0.5 / 1e9,
        "share_of_gemm": 0.25,
    }


def test_more_products_take_more_time() -> None:
    small, large = [Product(64, 256, 256)], [Product(64, 256, 256, count=400)]  # so many that no other work hides it
    for backward in (False, True):
        assert 0 < seconds_alone(small, torch.float32) < seconds_alone(large, torch.float32, backward=backward)


def test_decoding_counts_the_tokens_after_prefilling(subject: Subject) -> None:
    decoding = Decoding(subject, batch=11, new_tokens=9)
    for _ in range(2):
        assert decoding()["tokens"] == 11 * (9 - 2)  # prefilling gives the first one, and the same call the second
    assert decoding.engine.pending() == 0


def test_learning_counts_a_groups_prompt_once_and_changes_the_policy(subject: Subject) -> None:
    learning = Learning(subject)
    assert [len(rollout.completion_ids) <= 12 for rollout in learning.rollouts] == [True] * 9
    before = learning.learner.model.embed_tokens.weight.clone()
    figures = learning()
    prompts = sum(map(len, subject.prompts[:3]))
    assert figures["tokens"] == prompts + sum(len(rollout.completion_ids) for rollout in learning.rollouts)
    assert not torch.equal(before, learning.learner.model.embed_tokens.weight)


def test_pretraining_counts_tokens_without_padding(subject: Subject) -> None:
    pretraining = Pretraining(subject)
    tokens = pretraining()["tokens"]
    assert tokens == int((pretraining.batch.documents_BT >= 0).sum()) < pretraining.batch.tokens_BT.size
    assert tokens > 0.9 * 256


def test_grpo_steps_are_those_of_the_recipe(subject: Subject) -> None:
    rows = grpo_steps(subject, 2)
    assert len(rows) == 2
    for row in rows:
        assert 0 < row["tokens_generated"] <= 3 * 3 * 12
        assert row["seconds"] >= row["seconds.generate"] + row["seconds.train"] > 0
        assert ("train.tokens" in row) == (row["seconds.train"] > 0)


def test_pieces_are_measured_in_turn_and_summed_up_by_their_median() -> None:
    order, times = [], iter(range(1, 100))

    def piece(name: str) -> Callable[[], dict[str, float]]:
        def run() -> dict[str, float]:
            order.append(name)
            return {"seconds": float(next(times))}

        return run

    figures = bench.in_turn({"a": piece("a"), "b": piece("b")}, 3)
    assert "".join(order) == "abababab"
    assert figures["a"]["seconds"] == {"median": 5.0, "min": 3.0, "max": 7.0}
    assert bench.summary([{"x": 1.0, "y": 2.0}, {"x": 3.0}]) == {"x": {"median": 2.0, "min": 1.0, "max": 3.0}}


def test_the_result_file_holds_every_figure_and_what_it_was_measured_on(
    subject: Subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--repetitions", "1", "--steps", "2", "--batches", "1", "3", "--new-tokens", "4"]
    result = json.loads(json.dumps(bench.measure(subject, bench.parse(arguments)), allow_nan=False))
    assert result["decode"].keys() == result["decode_drafted"].keys() == {"1", "3"}
    assert result["train"].keys() == {"learner", "supervised_step"}
    assert all(0 <= figures["acceptance_rate"]["median"] <= 1 for figures in result["decode_drafted"].values())
    for figures in [*result["decode"].values(), *result["decode_drafted"].values(), *result["train"].values()]:
        assert figures["share_of_gemm"]["median"] > 0
        assert figures["tokens_per_second"]["min"] <= figures["tokens_per_second"]["max"]
    assert len(result["grpo"]["steps"]) == 1
    assert result["machine"]["threads"] == torch.get_num_threads()
    assert result["model"]["flops_per_token"]["head"] == 2 * 32 * subject.tokenizer.vocab_size
    bench.show(result)
    shown = capsys.readouterr().out
    assert "decode 3" in shown
    assert "decode 3, drafted" in shown
    assert "Drafts by the MTP block, 1 at a time" in shown
    assert "GRPO step" in shown


def test_work_of_others_is_noticed_and_ones_own_is_not() -> None:
    def spin(seconds: float) -> str:
        return f"import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"

    watch = OtherWork()
    stranger = subprocess.Popen([sys.executable, "-c", spin(1.0)])
    while stranger.poll() is None and psutil.Process(stranger.pid).status() != psutil.STATUS_ZOMBIE:
        busy = watch.share()
        time.sleep(0.05)
    assert busy > 0.1 / (os.cpu_count() or 1)  # until it is waited for, its time is not ours
    stranger.wait()
    before = own_seconds()
    exec(spin(0.2))
    assert own_seconds() - before > 0.1  # the system counts in ticks of a hundredth of a second, and rounds each of four sums


def test_machine_facts_are_there() -> None:
    facts = machine_facts()
    assert facts["logical_cores"] >= facts["usable_cores"] >= 1
    assert facts["cpu"]
    assert facts["memory_gb"] > 0
    assert Path("/proc/cpuinfo").exists() <= (facts["cpu"] in Path("/proc/cpuinfo").read_text())
