"""The stages reward_models, dpo and ppo as wholes, on a model that says digits: what they leave behind, and over a kill."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cogitate.config import Config, RewardModelsConfig
from cogitate.errors import ConfigError, DataError
from cogitate.model.files.hf import load_model
from cogitate.recipe.kinds import DPO, PPO, PREFERENCES, REWARD_MODELS
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import INSTRUCT_GPT
from cogitate.recipe.rl.general_rewards import Judge
from cogitate.recipe.settings import load_recipe, make_config
from cogitate.recipe.stage import Kind, StageContext, find
from cogitate.recipe.stages.instruct_gpt import ppo
from cogitate.rewards.ensemble import read_ensemble
from cogitate.rewards.reward_model import judged_ids
from cogitate.runtime import MetricsLog
from cogitate.tasks.files.datasets import load_labelled, load_preferences
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.conversation_form import ConversationForm
from cogitate.tokenizer.prompts import r1_prompt
from cogitate.train.learners.scorer import ModelScorer
from cogitate.types import Artifact, Message, Problem

QUESTIONS = [f"Say a number{'.' * n}" for n in range(1, 13)]
SETTINGS: dict[str, Any] = {
    "graph": "instruct_gpt",
    "reward_models": {
        "epochs": 14, "batch": 16, "learning_rate": 3e-3, "final_learning_rate": 1e-3, "checkpoint_every": 3,
        "held_out_share": 0.25,
    },
    "dpo": {"epochs": 3, "batch": 16, "learning_rate": 1e-3, "checkpoint_every": 3},
    "ppo": {
        "steps": 3, "prompts_per_step": 4, "group_size": 4, "max_new_tokens": 3, "learning_rate": 3e-3, "checkpoint_every": 2,
    },
    "rewards": {"workers": 1},
    "runtime": {"threads": 1, "max_batch": 16},
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Pairs in which the higher digit is better, labels by which a digit over 4 is unsafe."""
    pairs = [
        {"prompt": question, "chosen": str(high), "rejected": str(low)}
        for question in QUESTIONS for high, low in ((9, 1), (8, 2), (7, 0), (9, 3), (6, 4))
    ]  # fmt: skip
    labels = [{"prompt": q, "completion": str(digit), "label": digit < 5} for q in QUESTIONS for digit in range(10)]
    paths = {"pairs_file": tmp_path / "pairs.jsonl", "labels_file": tmp_path / "labels.jsonl"}
    files: dict[Path, list[Any]] = {paths["pairs_file"]: pairs, paths["labels_file"]: labels}
    for path, rows in files.items():
        path.write_text("\n".join(json.dumps(row) for row in rows))
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def backend(files: dict[str, str]) -> Iterator[LocalBackend]:
    backend = LocalBackend(make_config({**SETTINGS, "preferences": files}))
    yield backend
    backend.close()


def run_stage(
    kind: Kind, name: str, backend: LocalBackend, folder: Path, *inputs: Path,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One attempt of a stage in a directory of its own."""
    for directory in (folder / "out", folder / "checkpoint"):
        directory.mkdir(parents=True, exist_ok=True)
    log = MetricsLog(folder / "out" / "metrics.jsonl", on_row)
    context = StageContext(name, INSTRUCT_GPT, backend, log, folder / "checkpoint", NullProgress())
    artifacts = {f"input {number}": Artifact("", "", path) for number, path in enumerate(inputs)}
    return dict(kind.work().run(backend.config, artifacts, folder / "out", context) or {})


def check(config: Config, name: str = "reward_models") -> None:
    find(INSTRUCT_GPT, name).check(config, INSTRUCT_GPT)


def digit_said(backend: LocalBackend, model: Path) -> float:
    """The digit a model says on average, of those it could say alone."""
    prompt, end = Tokenizer.load(model).encode_prompt(r1_prompt(QUESTIONS[0])), Tokenizer.load(model).end_id
    said = [[*Tokenizer.load(model).encode(f" {digit}"), end] for digit in range(10)]
    logprobs = ModelScorer(load_model(model)).logprobs([prompt] * 10, said)
    weights = [math.exp(sum(each)) for each in logprobs]
    return sum(digit * weight for digit, weight in enumerate(weights)) / sum(weights)


def kill_at(step: int) -> Callable[[dict[str, Any]], None]:
    def kill(row: dict[str, Any]) -> None:
        if row["step"] == step:
            raise KeyboardInterrupt

    return kill


def same_weights(one: Path, other: Path) -> bool:
    mine, theirs = load_file(one), load_file(other)
    return mine.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


def test_reward_models_learn_a_users_own_preferences_and_are_told_about(
    backend: LocalBackend, digit_model: Path, tmp_path: Path
) -> None:
    summary = run_stage(REWARD_MODELS, "reward_models", backend, tmp_path, digit_model)
    assert summary["preferences"] == {"pairs": {"given": 60, "ties": 0}, "labels": {"given": 120, "unsafe": 60}}
    helpfulness, safety = summary["helpfulness"], summary["safety"]
    assert (helpfulness["pairs"], helpfulness["held_out_pairs"]) == (45, 15)  # three of twelve prompts, whole
    assert helpfulness["accuracy"]["value"] > 0.9
    assert (safety["completions"], safety["held_out_completions"]) == (90, 30)
    assert safety["accuracy"]["value"] > 0.9
    assert len(load_preferences(tmp_path / "out" / "preferences.parquet")) == 60
    assert len(load_labelled(tmp_path / "out" / "safety.parquet")) == 120
    directory = tmp_path / "out" / "helpfulness"
    form = ConversationForm.load(directory, Tokenizer.load(directory))
    prompt, nine = judged_ids(form, [Message("user", "Say a number.")], "9")
    _, one = judged_ids(form, [Message("user", "Say a number.")], "1")
    good, bad = backend.scorer(directory).rewards([prompt, prompt], [nine, one])
    assert good > bad
    assert -3 < bad < 0 < good < 3  # mean 0 and deviation 1 over held-out completions
    harmful, harmless = backend.scorer(tmp_path / "out" / "safety").rewards([prompt, prompt], [nine, one])
    assert harmful < 0 < harmless
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert [row["model"] for row in rows] == sorted(row["model"] for row in rows)


def test_helpfulness_is_measured_on_pairs_of_a_file_that_it_never_learns_from(
    files: dict[str, str], digit_model: Path, tmp_path: Path
) -> None:
    rows = [{"prompt": f"Say one{'!' * n}", "chosen": "8", "rejected": "2 or so" if n else "1"} for n in range(6)]
    (tmp_path / "others.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = {**SETTINGS["reward_models"], "held_out_file": str(tmp_path / "others.jsonl"), "epochs": 2}
    config = make_config({**SETTINGS, "preferences": files, "reward_models": settings})
    assert Path(str(tmp_path / "others.jsonl")) in find(INSTRUCT_GPT, "reward_models").files(config)
    own = LocalBackend(config)
    report = run_stage(REWARD_MODELS, "reward_models", own, tmp_path / "all", digit_model)["helpfulness"]["held_out_file"]
    assert (report["file"], report["held_out_pairs"], report["too_long"]) == ("others", 6, 0)
    assert report["accuracy"]["of"] == 6
    form = ConversationForm.load(digit_model, Tokenizer.load(digit_model))
    longest_prompt = [Message("user", "Say one!!!!!")]
    limit = sum(map(len, judged_ids(form, longest_prompt, "2")))  # tokens of the longest prompt with a short answer
    short = LocalBackend(make_config({**config.model_dump(), "reward_models": {**settings, "longest": limit}}))
    summary = run_stage(REWARD_MODELS, "reward_models", short, tmp_path / "short", digit_model)["helpfulness"]
    assert summary["held_out_file"]["too_long"] > 0
    assert summary["too_long"] + summary["pairs"] + summary["held_out_pairs"] == 60
    for backend in (own, short):
        backend.close()
    mixed = {**settings, "held_out_file": files["pairs_file"]}
    with pytest.raises(DataError, match=r"prompts of it are also in .*pairs\.jsonl, which is learnt from"):
        check(make_config({"graph": "instruct_gpt", "preferences": files, "reward_models": mixed}))


def test_with_balanced_lengths_helpfulness_learns_from_as_many_pairs_of_both_kinds(
    files: dict[str, str], digit_model: Path, tmp_path: Path
) -> None:
    pairs = [
        {"prompt": question, "chosen": better, "rejected": worse}
        for question in QUESTIONS for better, worse in (("9 9", "1"), ("8 8", "2"), ("7", "0 0"))
    ]  # fmt: skip
    Path(files["pairs_file"]).write_text("\n".join(map(json.dumps, pairs)))
    settings = {**SETTINGS["reward_models"], "epochs": 1, "balance_lengths": True}
    backend = LocalBackend(make_config({**SETTINGS, "reward_models": settings, "preferences": files}))
    try:
        helpfulness = run_stage(REWARD_MODELS, "reward_models", backend, tmp_path, digit_model)["helpfulness"]
    finally:
        backend.close()
    # Nine of twelve prompts are learnt from: 18 pairs with a longer better answer, 9 with a shorter one.
    assert (helpfulness["pairs"], helpfulness["left_out_by_length"], helpfulness["held_out_pairs"]) == (18, 9, 9)


def test_reward_models_go_on_after_a_kill_within_each_of_them_to_the_same_bits(
    backend: LocalBackend, digit_model: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    summary = run_stage(REWARD_MODELS, "reward_models", backend, whole, digit_model)
    for step in (7, 60):
        with pytest.raises(KeyboardInterrupt):
            run_stage(REWARD_MODELS, "reward_models", backend, killed, digit_model, on_row=kill_at(step))
    assert run_stage(REWARD_MODELS, "reward_models", backend, killed, digit_model) == summary
    for name in ("helpfulness", "safety"):
        for file in ("model.safetensors", "value_head.safetensors"):
            assert same_weights(whole / "out" / name / file, killed / "out" / name / file), (name, file)
    steps = [[json.loads(line)["step"] for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
             for folder in (whole, killed)]  # fmt: skip
    assert steps[0] == steps[1]


def test_members_learn_one_after_another_over_kills_and_the_first_is_the_model_that_one_alone_would_be(
    files: dict[str, str], digit_model: Path, tmp_path: Path
) -> None:
    few = {**SETTINGS["reward_models"], "epochs": 1, "checkpoint_every": 2}
    of_three = {**few, "members": 3, "score": "worst"}
    (tmp_path / "others.jsonl").write_text(json.dumps({"prompt": "Say one!", "chosen": "8", "rejected": "2"}))
    of_three["held_out_file"] = str(tmp_path / "others.jsonl")
    alone, three = (
        LocalBackend(make_config({**SETTINGS, "preferences": files, "reward_models": settings})) for settings in (few, of_three)
    )
    whole, killed, single = tmp_path / "whole", tmp_path / "killed", tmp_path / "single"
    run_stage(REWARD_MODELS, "reward_models", alone, single, digit_model)
    summary = run_stage(REWARD_MODELS, "reward_models", three, whole, digit_model)
    rows = [json.loads(line) for line in (whole / "out" / "metrics.jsonl").read_text().splitlines()]
    names = list(dict.fromkeys(row["model"] for row in rows))
    assert names == [f"{name}{number}" for name in ("helpfulness", "safety") for number in ("", ".2", ".3")]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    for step in (next(row["step"] for row in rows if row["model"] == name) + 2 for name in ("helpfulness.2", "safety.3")):
        with pytest.raises(KeyboardInterrupt):
            run_stage(REWARD_MODELS, "reward_models", three, killed, digit_model, on_row=kill_at(step))
    assert run_stage(REWARD_MODELS, "reward_models", three, killed, digit_model) == summary
    for name in ("helpfulness", "safety"):
        members, combination = read_ensemble(whole / "out" / name)
        again, combined_again = read_ensemble(killed / "out" / name)
        assert (len(members), combination.score, combined_again) == (3, "worst", combination)
        for file in ("model.safetensors", "value_head.safetensors"):
            assert all(same_weights(one / file, other / file) for one, other in zip(members, again, strict=True))
            assert same_weights(single / "out" / name / file, members[0] / file)
            assert not same_weights(members[1] / file, members[2] / file)
        assert len(summary[name]["members"]) == 3
    assert len(summary["helpfulness"]["held_out_file"]["members"]) == 3
    judge = Judge.load(three, whole / "out", "helpfulness")
    said = judge.judge_texts([([Message("user", "Say a number.")], digit) for digit in "0123456789"])
    least = [min(one.of_members) for one in said]
    center, deviation = judge.ensemble.combination.mean, judge.ensemble.combination.deviation
    assert [one.score for one in said] == pytest.approx([(score - center) / deviation for score in least])
    for each in (alone, three):
        each.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["score=worst"], "score = worst changes nothing with members = 1; set members = 3, or leave it out"),
        (["members=3", "variance_weight=1"], "variance_weight belongs to score = uncertainty, and score is mean"),
        (["members=0"], "reward_models.members"),
        (["members=3", "score=median"], "reward_models.score"),
        (["members=3", "score=uncertainty", "variance_weight=-1"], "reward_models.variance_weight"),
    ],
)
def test_members_that_cannot_be_combined_are_refused_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        load_recipe("instruct_gpt", [f"reward_models.{each}" for each in settings])
    assert "\n" not in str(error.value)


def test_one_member_is_not_part_of_an_artifacts_id_and_several_are() -> None:
    assert not {"members", "score", "variance_weight"} & RewardModelsConfig().identity().keys()
    assert RewardModelsConfig(members=3, score="worst").identity() == {
        **RewardModelsConfig().identity(), "members": 3, "score": "worst",
    }  # fmt: skip


def test_preferences_drawn_elsewhere_are_the_second_input(backend: LocalBackend, digit_model: Path, tmp_path: Path) -> None:
    run_stage(PREFERENCES, "preferences", backend, tmp_path / "preferences", digit_model)
    summary = run_stage(
        REWARD_MODELS, "reward_models", backend, tmp_path / "models", digit_model, tmp_path / "preferences" / "out"
    )
    assert "preferences" not in summary
    assert not (tmp_path / "models" / "out" / "preferences.parquet").exists()


def test_dpo_and_ppo_learn_from_them_to_say_what_was_preferred(
    backend: LocalBackend, digit_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stage(REWARD_MODELS, "reward_models", backend, tmp_path / "rm", digit_model)
    summary = run_stage(DPO, "dpo", backend, tmp_path / "dpo", digit_model, tmp_path / "rm" / "out")
    assert (summary["pairs"], summary["too_long"], summary["steps"]) == (60, 0, 12)
    problems = [Problem(f"q{n}", "digits", "general", question) for n, question in enumerate(QUESTIONS)]
    monkeypatch.setattr(ppo, "general_training_problems", lambda config: problems)

    def kill(row: dict[str, Any]) -> None:
        if row["step"] == 2:
            raise KeyboardInterrupt

    inputs = (digit_model, tmp_path / "rm" / "out")
    assert run_stage(PPO, "ppo", backend, tmp_path / "ppo", *inputs) == {}
    with pytest.raises(KeyboardInterrupt):
        run_stage(PPO, "ppo", backend, tmp_path / "killed", *inputs, on_row=kill)
    run_stage(PPO, "ppo", backend, tmp_path / "killed", *inputs)
    for name in ("dpo", "ppo"):
        assert not same_weights(digit_model / "model.safetensors", tmp_path / name / "out" / "model.safetensors")
        assert Tokenizer.load(tmp_path / name / "out").vocab_size == Tokenizer.load(digit_model).vocab_size
    assert same_weights(*(tmp_path / name / "out" / "model.safetensors" for name in ("ppo", "killed")))
    first = json.loads((tmp_path / "ppo" / "out" / "metrics.jsonl").read_text().splitlines()[0])
    assert {"reward.helpfulness", "explained_variance", "value_loss", "kl", "clip_share"} <= first.keys()
    before, by_dpo, by_ppo = (
        digit_said(backend, model) for model in (digit_model, tmp_path / "dpo" / "out", tmp_path / "ppo" / "out")
    )
    assert by_dpo > before + 0.5
    assert by_ppo > before + 0.5


def test_what_cannot_be_judged_or_read_is_refused_before_any_time_is_spent(tmp_path: Path, files: dict[str, str]) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text('{"kind": "general", "question": "What is a noun?"}\n')
    config = make_config({"graph": "instruct_gpt", "tasks": {"general": str(mine)}})
    with pytest.raises((ConfigError, DataError), match=r"mine\.jsonl"):
        check(config)
    given = make_config({"graph": "instruct_gpt", "tasks": {"general": str(mine)}, "preferences": files})
    check(given)
    unlabelled = tmp_path / "unlabelled.jsonl"
    unlabelled.write_text('{"prompt": "Hello", "completion": "Hi"}\n')
    broken = make_config({"graph": "instruct_gpt", "preferences": {**files, "labels_file": str(unlabelled)}})
    with pytest.raises(DataError, match=r"unlabelled\.jsonl, line 1: label must be true or false"):
        check(broken)
