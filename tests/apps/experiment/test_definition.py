"""Experiment files: what one becomes, and that a bad one is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.apps.experiment.definition import read_experiment
from cogitate.cli.runs import compare
from cogitate.config import RLConfig
from cogitate.errors import ConfigError

GOOD = """
recipe = "tiny"
seeds = [0, 1]
measure = ["pass@1", "log.entropy"]
[budget]
stage = "r1_zero"
tokens = 500
[settings]
r1_zero = { warmup_steps = 0, group_size = 4 }
[variants.grpo]
[variants.dapo]
r1_zero.method = "dapo"
[[claims]]
metric = "pass@1"
greater = "dapo"
than = "grpo"
"""


LOG_OF_NOTHING = "measure: log.kl is of the log of a stage, and none is named: set stage or budget.stage"


def write(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in GOOD
    path = folder / "mine.toml"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD + new)
    return path


def test_a_run_is_the_recipe_with_the_settings_of_all_then_of_the_variant_the_seed_and_the_budget(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path))
    assert list(experiment.runs) == [("grpo", 0), ("dapo", 0), ("grpo", 1), ("dapo", 1)]
    config = experiment.runs["dapo", 1]
    settings = config.section("r1_zero", RLConfig)
    assert (config.seed, settings.method, settings.group_size, settings.clip_eps_high) == (1, "dapo", 4, 0.28)
    assert (settings.token_budget, settings.steps) == (500, 500)
    assert (experiment.name, experiment.model("dapo"), experiment.stage, experiment.baseline) == (
        "mine",
        "r1_zero",
        "r1_zero",
        "grpo",
    )


def test_figures_by_level_and_of_steps_are_measures(tmp_path: Path) -> None:
    names = ("extrapolation", "pass@1.level_4", "tries", "log.tries", "log.thinking_tokens_finished.level_3")
    written = ", ".join(f'"{name}"' for name in names)
    assert read_experiment(write(tmp_path, '"log.entropy"', written)).config.measure == ("pass@1", *names)


def test_steps_that_are_given_stay_a_second_bound(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path, "group_size = 4", "steps = 7"))
    assert experiment.runs["grpo", 0].section("r1_zero", RLConfig).steps == 7


def test_a_recipe_of_ones_own_is_found_from_the_experiments_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('extends = "tiny"\n[r1_zero]\ngroup_size = 6\n')
    experiment = read_experiment(write(tmp_path, '"tiny"', '"own.toml"'))
    assert experiment.runs["grpo", 0].section("r1_zero", RLConfig).prompts_per_step == 24


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[0, 1]", "[0, 1, 0]", "seeds: 0 is given twice: a seed counts once"),
        ("seeds", "sedes", "unknown key sedes; did you mean seeds?|seeds is missing"),
        ("tokens = 500", "tokns = 500", "budget.tokens is missing|unknown key budget.tokns"),
        ('method = "dapo"', 'metod = "dapo"', "variant dapo: unknown key r1_zero.metod; did you mean r1_zero.method?"),
        ('r1_zero.method = "dapo"', "seed = 3", "variant dapo: seed is set by seeds; leave it out"),
        ('r1_zero.method = "dapo"', "r1_zero.token_budget = 3", "r1_zero.token_budget is set by budget.tokens"),
        ("warmup_steps = 0", "warmup_steps = 2", "a token budget goes with warmup_tokens"),
        ('"log.entropy"', '"log.entropi"', "measure: log.entropi is no metric; did you mean log.entropy?"),
        ('"log.entropy"', '"pass@1"', "measure: pass@1 is given twice"),
        ('metric = "pass@1"', 'metric = "log.kl"', "claims, number 1: log.kl is not measured; add it to measure"),
        ('greater = "dapo"', 'greater = "dapoo"', "greater = dapoo: no such variant; did you mean dapo?"),
        ('than = "grpo"', 'than = "dapo"', "greater and than are both dapo"),
        ('stage = "r1_zero"', 'stage = "base"', "budget.stage = base: the recipe has no RL stage of this name"),
        ('r1_zero.method = "dapo"\n', '[variants."../x"]\n', "a variant's name is of small letters, digits and _"),
        ('[variants.dapo]\nr1_zero.method = "dapo"', "", "an experiment compares at least two"),
        ('"tiny"', '"tinny"', "tinny: no such recipe"),
        ("seeds", 'stage = "r1_zero"\nseeds', "stage is set by budget.stage; leave it out"),
        ("seeds", 'analysis = "scalling"\nseeds', "analysis = scalling: no such analysis; there are scaling"),
        ("[variants.grpo]", '[models]\ngrpoo = "base"\n[variants.grpo]', "models = grpoo: no such variant; did you mean grpo?"),
        (
            "[variants.grpo]",
            '[models]\ngrpo = "cold_start"\n[variants.grpo]',
            "cold_start: no stage of the recipe measures",
        ),
        ("[variants.grpo]", '[[plots]]\nx = "log.kl"\ny = "pass@1"\n[variants.grpo]', "x = log.kl is not measured; add it to"),
        ('"log.entropy"', '"summary.bsae.loss"', "bsae is no stage that is made; did you mean base?"),
        (
            '[budget]\nstage = "r1_zero"\ntokens = 500\n',
            "",
            "model: name the model that is measured, of all variants or models.grpo",
        ),
        (
            GOOD[: GOOD.index("[settings]")],
            'recipe = "tiny"\nseeds = [0]\nmodel = "r1_zero"\nmeasure = ["log.kl", "pass@1"]\n',
            LOG_OF_NOTHING,
        ),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_file_and_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        read_experiment(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert any(part in said for part in message.split("|")), said


def test_without_a_budget_a_variant_may_measure_a_model_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        'recipe = "kimi_k15"\nseeds = [0]\nmeasure = ["pass@1", "summary.k15.stopped"]\nmodel = "k15"\n'
        '[variants.long]\n[variants.short]\n[models]\nshort = "k15_merge"\n'
    )
    experiment = read_experiment(path)
    assert [experiment.model(name) for name in ("long", "short")] == ["k15", "k15_merge"]
    assert (experiment.until("short"), experiment.stage) == ("evaluate.k15_merge", "")
    settings = experiment.runs["long", 0].section("k15", RLConfig)
    assert (settings.token_budget, settings.steps) == (0, 40)


def test_parts_and_dry_runs_are_of_experiments(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--dry-run is for an experiment's file, not for run directories"):
        compare([tmp_path / "one", tmp_path / "two"], dry_run=True)
    with pytest.raises(ConfigError, match="--seed 7: the experiment has the seeds 0, 1"):
        compare([write(tmp_path)], tmp_path / "out", [7], dry_run=True)
    assert not (tmp_path / "out").exists()


def test_the_command_takes_one_experiment_and_a_directory_for_it(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(ConfigError, match="give one experiment's file, or run directories alone"):
        compare([path, tmp_path / "runs"])
    with pytest.raises(ConfigError, match=r"has a directory of its own; name one without \.json"):
        compare([path], tmp_path / "out.json")
