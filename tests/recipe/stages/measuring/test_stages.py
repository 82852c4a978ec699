"""Stages that experiments are made of, on models with random weights, through the runner; each over a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.config import Config, ProcessRewardModelConfig
from cogitate.errors import ConfigError
from cogitate.evals.best_of_n import best_of_n
from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import save_model
from cogitate.model.files.value_model import save_value_model
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.runner import plan, run_recipe
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stages.measuring.draws import FILE as DRAWS
from cogitate.recipe.stages.measuring.draws import read_draws
from cogitate.recipe.stages.measuring.pass_rates import rates_of, read_rates
from cogitate.search.scoring import save_settings
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.types import Problem
from tests.recipe.kill_harness import outcome
from tests.recipe.scripted_backend import candidate

TOML = """
stages = [
    { name = "rates", kind = "pass_rates", needs = ["policy"] },
    { name = "rl", kind = "reasoning_rl", needs = ["policy", "rates"] },
    { name = "draws", kind = "draws", needs = ["policy"] },
    { name = "best", kind = "best_of_n", needs = ["draws", "judges"] },
    { name = "stepped", kind = "process_rl", needs = ["policy", "steps"] },
    { name = "curves", kind = "search_curves", needs = ["policy", "steps"] },
    { name = "branches", kind = "pretrain_branches" },
]
[inputs]
policy = "{folder}/policy"
judges = "{folder}/judges"
steps = "{folder}/steps"
[tasks]
train = "arithmetic"
eval = "arithmetic"
train_problems = 6
general = "general"
[tokenizer]
vocab_size = 300
corpus_documents = 20
[rates]
samples = 2
max_new_tokens = 8
[rl]
steps = 2
prompts_per_step = 2
group_size = 2
max_new_tokens = 8
easy_first_steps = 2
[draws]
prompts = 3
samples = 8
max_new_tokens = 8
[stepped]
steps = 3
prompts_per_step = 2
group_size = 3
max_new_tokens = 12
use_verdict = false
checkpoint_every = 1
[curves]
methods = ["best_of_n", "step_beam"]
n = 2
problems = 2
width = 2
max_new_tokens = 12
step_tokens = 6
[branches]
lengths = [4, 8]
cooldown = 0.5
warmup_steps = 1
rows = 2
row_tokens = 64
micro_rows = 2
held_out_documents = 4
twin_problems = 4
checkpoint_every = 1
mtp_weight = 0.0
[branches.model]
model_type = "llama"
hidden_size = 16
num_hidden_layers = 1
intermediate_size = 32
num_attention_heads = 2
num_key_value_heads = 2
tie_word_embeddings = true
max_position_embeddings = 256
[evaluate]
problems = 2
general_problems = 0
consensus_problems = 0
[rewards]
workers = 1
seconds_limit = 20
[runtime]
threads = 1
prefix_cache = 4
"""


def random_model(seed: int, vocab_size: int) -> Transformer:
    torch.manual_seed(seed)
    keys = {
        "model_type": "llama", "vocab_size": vocab_size, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "tie_word_embeddings": True, "max_position_embeddings": 512,
        "initializer_range": 0.5,
    }  # fmt: skip
    return Transformer(ModelConfig.from_dict(keys))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return recipe_in(tmp_path_factory.mktemp("measuring"))


def recipe_in(folder: Path, *settings: str) -> Config:
    """A recipe with a policy, reward models and a model of steps that are given."""
    tokenizer: Tokenizer = train_tokenizer(["Say 1 + 2. It is 3.\n"] * 30, 300)
    save_model(random_model(0, tokenizer.vocab_size), folder / "policy")
    tokenizer.save(folder / "policy")
    for seed, name in ((1, "judges/helpfulness"), (2, "judges/safety"), (3, "steps")):
        model = ValueModel(random_model(seed, tokenizer.vocab_size))
        torch.nn.init.normal_(model.score.weight)
        save_value_model(model, folder / name)
        tokenizer.save(folder / name)
    save_settings(folder / "steps", ProcessRewardModelConfig())
    (folder / "recipe.toml").write_text(TOML.replace("{folder}", str(folder)))
    return load_recipe(str(folder / "recipe.toml"), settings)


class StopAt(NullProgress):
    def __init__(self, step: int) -> None:
        self.step = step

    def row(self, stage: str, row: dict[str, Any]) -> None:
        if row["step"] == self.step:
            raise KeyboardInterrupt  # as a kill right after the row was written


def make(config: Config, out: Path, stage: str, stop_at: int | None = None) -> Path:
    """One stage, stopped once on the way where that is asked for."""
    if stop_at is not None:
        with pytest.raises(KeyboardInterrupt):
            run_recipe(config, out, make_backend=LocalBackend, only=stage, progress=StopAt(stop_at))
    run_recipe(config, out, make_backend=LocalBackend, only=stage)
    return out / stage


def summary_of(artifact: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((artifact / "manifest.json").read_text())["summary"]
    return found


def test_pass_rates_are_shares_of_what_has_a_verdict() -> None:
    one, two = (Problem(str(n), "arithmetic", "math", f"What is {n} + 1?", n + 1) for n in (1, 2))
    right, wrong = "<think> 1 </think>\nIt is \\boxed{2}.", "<think> 1 </think>\nIt is \\boxed{9}."
    found = rates_of([candidate(one, right), candidate(one, wrong), candidate(two, wrong)])
    assert found == {"arithmetic/1": 0.5, "arithmetic/2": 0.0}


def test_rl_takes_its_easy_problems_by_the_rates_of_its_start(config: Config, tmp_path: Path) -> None:
    rates = make(config, tmp_path, "rates")
    assert set(read_rates(rates).values()) == {0.0}
    assert summary_of(rates)["problems"] == 6
    assert (make(config, tmp_path, "rl") / "model.safetensors").is_file()


def test_best_of_n_is_of_the_very_draws_of_the_policy(config: Config, tmp_path: Path) -> None:
    draws = make(config, tmp_path / "whole", "draws")
    again = make(config, tmp_path / "killed", "draws", stop_at=1)
    assert (draws / DRAWS).read_bytes() == (again / DRAWS).read_bytes()
    rows = read_draws(draws / DRAWS)
    assert [row.prompt for row in rows] == [n for n in range(3) for _ in range(8)]
    curve = json.loads((make(config, tmp_path / "whole", "best") / "best_of_n.json").read_text())
    assert curve["n"] == [1, 2, 4, 8]
    for number in range(3):
        values = [row.true_score for row in rows if row.prompt == number]
        assert curve["true"][0][number] == pytest.approx(best_of_n([0.0] * 8, values, 1))
    said = [points[0] for points in curve["model"]]
    assert said == sorted(said)  # more draws, a higher score of the chosen one


def test_process_rl_watches_what_the_model_says_beside_what_is_true(config: Config, tmp_path: Path) -> None:
    whole, killed = make(config, tmp_path / "whole", "stepped"), make(config, tmp_path / "killed", "stepped", stop_at=1)
    assert outcome(whole) == outcome(killed)
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        assert {"process", "accuracy", "format", "language"} >= {
            key.removeprefix("reward.") for key in row if key.startswith("reward.")
        }
        assert 0 < row["model_reward"] < 1
        assert 0 <= row["true_score"] <= 1


def test_curves_of_searches_are_the_same_after_a_kill(config: Config, tmp_path: Path) -> None:
    whole, killed = (make(config, tmp_path / str(stop), "curves", stop_at=stop) for stop in (None, 3))
    assert (whole / "curves.json").read_bytes() == (killed / "curves.json").read_bytes()
    points = json.loads((whole / "curves.json").read_text())["points"]
    keys = [(point["method"], point["n"]) for point in points]
    assert keys[:4] == [("greedy", 2), ("pass@1", 2), ("majority", 1), ("majority", 2)]
    assert ("step_beam", 2) in keys
    assert all(len(point["right"]) == len(point["tokens_of"]) == 2 for point in points)


def test_a_search_that_needs_a_judge_is_refused_without_one(config: Config, tmp_path: Path) -> None:
    stages = tuple(
        stage.model_copy(update={"needs": ("policy",)}) if stage.name == "curves" else stage for stage in config.stages
    )
    with pytest.raises(ConfigError, match=r"curves.methods: best_of_n needs a model that judges"):
        plan(config.model_copy(update={"stages": stages}), tmp_path, only="curves")


def test_branches_end_as_they_would_have_without_kills(config: Config, tmp_path: Path) -> None:
    whole = make(config, tmp_path / "whole", "branches")
    for stop_at in (2, 5):  # in the trunk, and in the first branch
        with pytest.raises(KeyboardInterrupt):
            run_recipe(config, tmp_path / "killed", make_backend=LocalBackend, only="branches", progress=StopAt(stop_at))
    killed = make(config, tmp_path / "killed", "branches", stop_at=9)  # in the second one
    assert outcome(whole) == outcome(killed)
    points = summary_of(whole)["points"]
    assert [(point["steps"], point["tokens"]) for point in points] == [(4, 4 * 128), (8, 8 * 128)]
    assert points[0]["held_out_loss"] > points[1]["held_out_loss"]
    assert points[0]["gold_logprob"]["value"] < 0
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(4 + 2 + 4))  # the trunk to 4, a branch from 2 to 4, one from 4 to 8
    peak = rows[3]["learning_rate"]
    assert [row["learning_rate"] for row in rows[1:4]] == [peak] * 3
    assert rows[4]["learning_rate"] < peak
    assert rows[5]["learning_rate"] == rows[9]["learning_rate"] == pytest.approx(2e-4)  # final_learning_rate
