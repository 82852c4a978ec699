"""The later stages of reinforcement learning on models with random weights, through the runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cogitate.config import Config
from cogitate.errors import ConfigError, DataError
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.files.value_model import save_value_model
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.recipe import recipe
from cogitate.recipe.kinds import ALL_SCENARIO_RL, PRETRAIN, REASONING_RL, REWARD_MODELS, RL_ZERO
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.runner import run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import Stage
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from tests.recipe.kill_harness import outcome

GIVEN = ("r1_dev1", "r1_dev3", "student_base_llama")
recipe.GRAPHS["later_rl"] = (
    *(Stage(name, PRETRAIN) for name in GIVEN),
    Stage("reward_models", REWARD_MODELS),
    Stage("r1_dev2", REASONING_RL, needs=("r1_dev1",)),
    Stage("r1", ALL_SCENARIO_RL, needs=("r1_dev3", "reward_models")),
    Stage("student_rl_llama", RL_ZERO, needs=("student_base_llama",)),
)
TOML = """
graph = "later_rl"
[tasks]
train_problems = 40
[r1_dev2]
steps = 4
prompts_per_step = 3
group_size = 4
max_new_tokens = 16
learning_rate = 1e-3
clip_eps_low = 10
clip_eps_high = 10
minibatches = 2
checkpoint_every = 2
transcripts_every = 2
[r1]
steps = 5
prompts_per_step = 4
group_size = 4
max_new_tokens = 16
temperature = 0.7
learning_rate = 1e-3
clip_eps_low = 10
clip_eps_high = 10
checkpoint_every = 2
transcripts_every = 2
general_from_step = 2
general_prompts_per_step = 2
[student_rl_llama]
steps = 2
prompts_per_step = 3
group_size = 4
max_new_tokens = 12
[rewards]
workers = 1
seconds_limit = 20
[runtime]
threads = 1
"""
VOWELS = """
def share(completion, problem):
    return min(1.0, sum(character in "aeiou" for character in completion) / 8)
"""
TEXTS = ["User: Say hello.\nAssistant: <think> a friend greets me </think>\nHello, my friend!", "请写一句话。你好！我很好。"]


def random_model(seed: int, vocab_size: int) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(
        ModelConfig.from_dict(
            {
                "model_type": "deepseek_v3", "vocab_size": vocab_size, "hidden_size": 32, "intermediate_size": 48,
                "num_hidden_layers": 2, "first_k_dense_replace": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
                "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 16, "n_routed_experts": 4,
                "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1,
                "num_nextn_predict_layers": 1, "max_position_embeddings": 384, "initializer_range": 0.3,
            }
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, problems, a policy and two reward models."""
    folder = tmp_path_factory.mktemp("later_rl")
    tokenizer: Tokenizer = train_tokenizer(TEXTS * 30, 320)
    (folder / "policy").mkdir()
    save_model(random_model(0, tokenizer.vocab_size), folder / "policy")
    tokenizer.save(folder / "policy")
    for seed, name in ((1, "helpfulness"), (2, "safety")):
        model = ValueModel(random_model(seed, tokenizer.vocab_size))
        torch.nn.init.normal_(model.score.weight)
        save_value_model(model, folder / "reward_models" / name)
        tokenizer.save(folder / "reward_models" / name)
    (folder / "later.toml").write_text(TOML)
    (folder / "reward.py").write_text(VOWELS)
    rows = [{"kind": "custom", "question": f"{n}: vowels, please?", "answer": ""} for n in range(9)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "eval.jsonl").write_text(json.dumps({"question": "1 + 1?", "answer": 2}))
    return folder


def config_of(folder: Path, *settings: str) -> Config:
    inputs = [f"inputs.{name}={folder / 'policy'}" for name in GIVEN]
    return load_recipe(
        str(folder / "later.toml"),
        [
            f"tasks.train={folder / 'train.jsonl'}", f"tasks.eval={folder / 'eval.jsonl'}", "evaluate.problems=1",
            f"rewards.custom={folder / 'reward.py'}:share", *inputs, f"inputs.reward_models={folder / 'reward_models'}",
            *settings,
        ],
    )  # fmt: skip


def make(folder: Path, out: Path, stage: str, *settings: str, progress: Any = None) -> Path:
    run_recipe(config_of(folder, *settings), out, make_backend=LocalBackend, only=stage, progress=progress)
    return out / stage


class StopAt(NullProgress):
    def __init__(self, step: int) -> None:
        self.step = step

    def row(self, stage: str, row: dict[str, Any]) -> None:
        if row["step"] == self.step:
            raise KeyboardInterrupt  # as a kill right after the row was written


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def r1(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(folder, tmp_path_factory.mktemp("r1"), "r1")


def test_general_prompts_and_reward_models_come_in_late_and_are_watched(r1: Path) -> None:
    rows = rows_of(r1 / "metrics.jsonl")
    assert ["model_reward" in row for row in rows] == [False, False, True, True, True]
    assert all({"reward.language", "reward.format", "language_mix_rate"} <= row.keys() for row in rows)
    assert all(0 <= row["true_score"] <= 1 and 0 < row["model_reward"] < 1 for row in rows[2:])
    for row in rows[2:]:
        assert row["model_reward"] == pytest.approx((row["reward.helpfulness"] + row["reward.safety"]) / 2)
        assert row["true_score"] == pytest.approx((row["true_helpfulness"] + row["true_safety"]) / 2)
        assert row["reward_hacking"] == 0.0  # too few steps to tell
    assert all("accuracy.general" not in row for row in rows)
    assert all(row["no_verdict_share"] == 0.0 for row in rows)


def test_transcripts_show_general_completions_with_what_the_reward_models_said(r1: Path) -> None:
    rows = rows_of(r1 / "transcripts.jsonl")
    assert {row["step"] for row in rows} == {0, 2, 4}
    assert {row["task"] for row in rows} == {"train", "general", "safety"}
    assert all(("helpfulness" in row["reward_breakdown"]) == (row["task"] != "train") for row in rows)
    assert all(row["verdict"] == "none" for row in rows if row["task"] != "train")


@pytest.mark.parametrize(("stage", "step"), [("r1", 3), ("r1_dev2", 2)])
def test_a_killed_stage_goes_on_to_the_same_bytes(folder: Path, r1: Path, tmp_path: Path, stage: str, step: int) -> None:
    whole = r1 if stage == "r1" else make(folder, tmp_path / "whole", stage)
    with pytest.raises(KeyboardInterrupt):
        make(folder, tmp_path / "killed", stage, progress=StopAt(step))
    assert (tmp_path / "killed" / "unfinished" / stage / "checkpoint" / "step-000002").is_dir()
    killed = make(folder, tmp_path / "killed", stage)
    assert outcome(killed) == outcome(whole)


def test_an_unfinished_stage_goes_on_with_another_number_of_steps_to_the_bytes_of_a_run_that_was_started_so(
    folder: Path, r1: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(folder, tmp_path / "killed", "r1", "r1.steps=9", progress=StopAt(3))
    assert outcome(make(folder, tmp_path / "killed", "r1")) == outcome(r1)


def test_prompts_that_are_too_long_are_left_out_of_the_pool_and_counted(folder: Path, tmp_path: Path) -> None:
    rows = [{"kind": "custom", "question": f"{n}: vowels{', please' * 40 * (n % 2)}?", "answer": ""} for n in range(9)]
    (tmp_path / "long.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = f"tasks.train={tmp_path / 'long.jsonl'}"
    with pytest.raises(DataError, match=r"4 prompts and max_new_tokens = 12 do not fit .*long.jsonl, line 2: \d+ tokens; "):
        make(folder, tmp_path / "refused", "student_rl_llama", task)
    assert not (tmp_path / "refused").exists()
    out = make(folder, tmp_path / "run", "student_rl_llama", task, "tasks.too_long=drop")
    assert json.loads((out / "manifest.json").read_text())["summary"]["too_long"]["left_out"] == 4
    asked = {row["question"] for row in rows_of(out / "transcripts.jsonl")}
    assert asked == {row["question"] for row in rows[::2]}


def test_reasoning_rl_rewards_the_language_of_the_thinking_with_its_weight(folder: Path, tmp_path: Path) -> None:
    stage = make(folder, tmp_path, "r1_dev2", "r1_dev2.language_weight=0.5", "rewards.format=2")
    rows = rows_of(stage / "metrics.jsonl")
    for row in rows:
        parts = row["reward.accuracy"] + 2 * row["reward.format"] + 0.5 * row["reward.language"]
        assert row["reward"] == pytest.approx(parts)
        assert row["clip_share_low"] == 0.0  # 1 - 10 is no bound
    moved, start = (load_file(path / "model.safetensors") for path in (stage, folder / "policy"))
    assert any(not torch.equal(tensor.float(), moved[name].float()) for name, tensor in start.items())


BREVITY = """
def brevity(completion):
    return -completion.tokens / 10

def fails_on_a(completion):
    if "a" in completion.text:
        raise ValueError("an a")
    return 1.0
"""


def part_settings(tmp_path: Path, function: str = "brevity") -> tuple[str, ...]:
    (tmp_path / "parts.py").write_text(BREVITY)
    return (
        f"rewards.parts.brevity.file={tmp_path / 'parts.py'}:{function}", "rewards.parts.brevity.weight=0.5",
        "rewards.parts.cosine_length.max_length=16", "rewards.parts.cosine_length.weight=2",
    )  # fmt: skip


def test_further_parts_are_rewarded_with_their_weights_logged_and_in_the_transcripts(folder: Path, tmp_path: Path) -> None:
    stage = make(folder, tmp_path / "run", "r1_dev2", "r1_dev2.steps=2", *part_settings(tmp_path))
    for row in rows_of(stage / "metrics.jsonl"):
        parts = row["reward.accuracy"] + row["reward.format"] + row["reward.language"]
        assert row["reward"] == pytest.approx(parts + 0.5 * row["reward.brevity"] + 2 * row["reward.cosine_length"])
        assert row["reward.brevity"] == pytest.approx(-row["completion_tokens"] / 10)
    for row in rows_of(stage / "transcripts.jsonl"):
        assert list(row["reward_breakdown"]) == ["accuracy", "format", "language", "brevity", "cosine_length"]
        assert row["reward_breakdown"]["brevity"] == -row["tokens"] / 10


def test_a_part_that_fails_leaves_its_completion_out_and_general_prompts_have_no_further_parts(
    folder: Path, tmp_path: Path
) -> None:
    settings = ("r1.steps=1", "r1.general_from_step=0", *part_settings(tmp_path, "fails_on_a"))
    stage = make(folder, tmp_path / "run", "r1", *settings)
    rows = rows_of(stage / "transcripts.jsonl")
    of_models, ruled = ([row for row in rows if (row["task"] != "train") is general] for general in (True, False))
    failed = [row for row in ruled if "a" in row["completion"]]
    assert len(failed) > 0
    assert {row["reason"] for row in failed} == {"rewards.parts.brevity raised ValueError: an a"}
    assert all((row["reward"], row["verdict"]) == (None, "none") for row in failed)
    assert all("brevity" in row["reward_breakdown"] for row in ruled if row not in failed)
    assert of_models
    assert all(row["reward"] is not None and "brevity" not in row["reward_breakdown"] for row in of_models)
    assert rows_of(stage / "metrics.jsonl")[0]["no_verdict_share"] > 0


def test_a_student_learns_by_rl_alone_with_settings_of_its_own(folder: Path, tmp_path: Path) -> None:
    rows = rows_of(make(folder, tmp_path, "student_rl_llama") / "metrics.jsonl")
    assert [row["step"] for row in rows] == [0, 1]
    assert all(row["reward"] == pytest.approx(row["reward.accuracy"] + row["reward.format"]) for row in rows)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (("r1.general_prompts_per_step=5",), ConfigError, "r1.general_prompts_per_step = 5: a step has 4 prompts in all"),
        (("r1.general_from_step=5",), ConfigError, "but there are 5 steps: no general prompt would ever be asked"),
        (("tasks.general=arithmetic",), ConfigError, "rules judge kind math: name arithmetic in tasks.train, not in tasks.gen"),
        (("tasks.train_problems=2", "r1.prompts_per_step=3", "r1.general_prompts_per_step=3"), DataError,
         "r1: 2 general prompts, but a step needs 3"),
    ],
)  # fmt: skip
def test_settings_without_effect_and_pools_too_small_are_refused_before_any_step(
    folder: Path, tmp_path: Path, settings: tuple[str, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(folder, tmp_path / "run", "r1", *settings)
    assert not (tmp_path / "run" / "unfinished").exists()


def test_a_model_that_is_asked_for_other_tags_is_read_by_them_and_keeps_them(folder: Path, tmp_path: Path) -> None:
    settings = ('thinking_tags=["<reasoning>", "</reasoning>"]', "template=Q: {question} A:", "open_thinking=true", "steps=1")
    stage = make(folder, tmp_path, "student_rl_llama", *(f"student_rl_llama.{setting}" for setting in settings))
    assert Tokenizer.load(stage).tags.thinking == ("<reasoning>", "</reasoning>")
    shown = rows_of(stage / "transcripts.jsonl")
    assert shown
    assert all(row["completion"].startswith("<think>") for row in shown)  # files hold R1's tags


def test_a_pool_with_puzzles_logs_their_steps_and_a_pool_without_them_does_not(folder: Path, tmp_path: Path) -> None:
    puzzles = ("tasks.train=countdown,long_sums", "rewards.custom=", "student_rl_llama.steps=1")
    stage = make(folder, tmp_path, "student_rl_llama", *puzzles)
    (row,) = rows_of(stage / "metrics.jsonl")
    assert {"tries", "distinct_tries", "rejecting_rate", "self_correction_rate"} <= row.keys()
    shown = rows_of(stage / "transcripts.jsonl")
    assert {(row["task"], "tries" in row) for row in shown} == {("countdown", True), ("long_sums", False)}
    assert all("turn" in row and row["level"] in (1, 2, 3) for row in shown)
    plain = make(folder, tmp_path / "plain", "student_rl_llama", "student_rl_llama.steps=1")
    assert not any(key.startswith(("tries", "rejecting", "step_", "self_")) for key in rows_of(plain / "metrics.jsonl")[0])
    assert not any("turn" in row or "level" in row for row in rows_of(plain / "transcripts.jsonl"))
