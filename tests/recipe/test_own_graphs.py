"""Graphs that a recipe's own file holds: what they are, what is refused, and where each of their settings came from."""

import json
from pathlib import Path

import pytest

from cogitate.apps.overview import plan_text
from cogitate.config import FineTuneConfig, StageRow, ZeroRLConfig, flatten
from cogitate.errors import ConfigError
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.recipe import check_needs, get_graph, graph_of, recorded_graph
from cogitate.recipe.run_directory.changes import changed_settings
from cogitate.recipe.runner import plan
from cogitate.recipe.settings import load_recipe, make_config, read_recipe
from cogitate.recipe.stage import Stage

SECOND_SFT = """
extends = "tiny"
[[stages]]
name = "base"
kind = "pretrain"
[[stages]]
name = "r1_zero"
kind = "rl_zero"
needs = ["base"]
[[stages]]
name = "cold_start"
kind = "cold_start_data"
needs = ["base", "r1_zero"]
[[stages]]
name = "sft"
kind = "fine_tune"
needs = ["base", "cold_start"]
epochs = 5
[[stages]]
name = "second_sft"
kind = "fine_tune"
needs = ["sft", "chats"]
title = "SFT on chats"
[inputs]
chats = "chats.jsonl"
"""


def write(folder: Path, text: str, name: str = "mine") -> str:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


def rows(text: str) -> str:
    """`name kind need need`, one a line, as TOML."""
    made = ""
    for line in text.split(","):
        name, kind, *needs = line.split()
        made += f"[[stages]]\nname = {json.dumps(name)}\nkind = {json.dumps(kind)}\nneeds = {json.dumps(needs)}\n"
    return made


def refused(folder: Path, text: str, *overrides: str) -> str:
    recipe = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{recipe}: ")


def names(graph: tuple[Stage, ...]) -> list[str]:
    return [stage.name for stage in graph]


@pytest.mark.parametrize("name", ["r1", "r1_zero", "r1_pruned_student", "instruct_gpt", "instruct_dpo"])
def test_the_shipped_graphs_give_each_stage_what_its_kind_reads(name: str) -> None:
    check_needs(get_graph(name))


def test_a_file_holds_a_graph_with_settings_beside_its_stages(tmp_path: Path) -> None:
    config = load_recipe(write(tmp_path, SECOND_SFT), ["second_sft.epochs=1"])
    assert names(graph_of(config)) == [
        "chats", "base", "evaluate.base", "r1_zero", "evaluate.r1_zero", "cold_start", "sft", "evaluate.sft", "second_sft",
        "evaluate.second_sft",
    ]  # fmt: skip
    assert [config.section(name, FineTuneConfig).epochs for name in ("sft", "second_sft")] == [5, 1]
    assert config.section("r1_zero", ZeroRLConfig).steps == 48  # of tiny
    sections = {key.partition(".")[0] for key in flatten(config.model_dump())}
    assert not sections & {"r1", "r1_dev1", "student_base_llama", "reward_models"}
    assert make_config(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_budgets_of_ones_own_stages_shrink_for_the_proof_of_resume(tmp_path: Path) -> None:
    config = load_recipe(write(tmp_path, SECOND_SFT))
    small = shrink(config)
    assert graph_of(small) == graph_of(config)
    assert small.section("sft", FineTuneConfig).epochs == 1


def test_a_run_directory_remembers_its_graph(tmp_path: Path) -> None:
    config = load_recipe(write(tmp_path, SECOND_SFT))
    assert recorded_graph(config.model_dump(mode="json")) == graph_of(config)
    assert recorded_graph({"graph": "of a later version"}) == ()
    (tmp_path / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
    changed_settings(tmp_path, load_recipe(write(tmp_path, SECOND_SFT.replace("SFT on chats", "Chats"))))  # a title may differ
    other = load_recipe(write(tmp_path, SECOND_SFT.replace('["sft", "chats"]', '["base", "chats"]')))
    with pytest.raises(ConfigError, match=r"stage second_sft was fine_tune of \['sft', 'chats'\], now .*: use another --out"):
        changed_settings(tmp_path, other)
    with pytest.raises(ConfigError, match='started with graph = "own", now graph = "r1_zero"'):
        changed_settings(tmp_path, load_recipe("tiny", ["graph=r1_zero"]))


def test_stages_of_the_same_name_and_settings_are_those_of_the_shipped_recipe(tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    )
    recipe = write(tmp_path, SECOND_SFT.replace("chats.jsonl", str(tmp_path / "chats.jsonl")))
    settings = ["tasks.train=arithmetic", "tasks.eval=arithmetic", "tasks.train_problems=40", "evaluate.problems=4"]
    own = {item.stage.name: item for item in plan(load_recipe(recipe, settings), tmp_path / "run")}
    shipped = {item.stage.name: item for item in plan(load_recipe("tiny", settings), tmp_path / "run", until="cold_start")}
    assert own["base"].state == "shipped"
    assert [own[name].id for name in ("base", "r1_zero", "cold_start")] == [
        shipped[name].id for name in ("base", "r1_zero", "cold_start")
    ]


def test_stages_are_put_after_what_they_need(tmp_path: Path) -> None:
    text = rows("dpo dpo sft preferences, sft fine_tune base talk, preferences preferences sft, base pretrain")
    config = load_recipe(write(tmp_path, text + '[inputs]\ntalk = "talk.jsonl"\n'))
    assert [name for name in names(graph_of(config)) if "." not in name] == ["talk", "base", "sft", "preferences", "dpo"]


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        ("base pretrane", "stage base: there is no kind pretrane; did you mean pretrain? Kinds are pretrain, "),
        ("base pretrain, m evaluate base", "every model is measured without being asked to"),
        ("base pretrain, base pretrain", "stages: two are called base; give each a name of its own"),
        ("tasks pretrain", "stage tasks: this name has another meaning in a recipe or a run; choose another one"),
        ("preferences pretrain", "stage preferences: this name has another meaning"),
        ("unfinished pretrain", "stage unfinished: this name has another meaning"),
        ("given pretrain", "stage given: this name has another meaning"),
        ("copy pretrain", "stage copy: this name has another meaning"),
        ("Base pretrain", "stage 'Base': a name has small letters, digits and underscores"),
        ("a/b pretrain", "stage 'a/b': a name has small letters"),
        ("base pretrain, zero rl_zero bose", "stage zero needs bose, which is not a stage of this graph; did you mean base? "),
        ("a rl_zero b, b rl_zero a", "stages need each other in a circle: a, b"),
        (
            "base pretrain, sft fine_tune base",
            "stage sft: needs names 1, but kind fine_tune reads: a model, then conversations",
        ),
        ("a pretrain, b pretrain, dev reasoning_rl a b", "kind reasoning_rl reads there: pass rates (optional)"),
        (
            "a pretrain, b pretrain, zero rl_zero a b",
            "stage zero needs b, a stage of kind pretrain that makes a model; kind rl_zero reads there: a proposal (optional)",
        ),
        ("a pretrain, zero dpo a a", "stage zero: needs names one stage twice: a, a"),
        (
            "a pretrain, b pretrain, sft fine_tune a b",
            "stage sft needs b, a stage of kind pretrain that makes a model; kind fine_tune reads there: conversations",
        ),
        ("a pretrain, b pretrain, cold cold_start_data a b", "kind cold_start_data reads there: a model of kind rl_zero"),
        ("base pretrain, zero rl_zero base, data rejection_sampling zero", "reads there: a model of kind fine_tune or"),
    ],
)
def test_a_graph_that_cannot_be_is_refused_by_one_line(tmp_path: Path, graph: str, problem: str) -> None:
    assert problem in refused(tmp_path, rows(graph))


def test_a_need_that_no_stage_makes_may_be_given(tmp_path: Path) -> None:
    text = rows("zero rl_zero base")
    assert refused(tmp_path, text).endswith("Where it is a model or a data set of yours, give inputs.base=PATH")
    config = load_recipe(write(tmp_path, text), ["inputs.base=models/mine"])
    assert names(graph_of(config)) == ["base", "evaluate.base", "zero", "evaluate.zero"]


def test_unknown_settings_of_ones_own_stages_name_the_nearest(tmp_path: Path) -> None:
    assert refused(tmp_path, SECOND_SFT.replace("epochs", "epoch")) == "unknown key sft.epoch; did you mean sft.epochs?"
    message = refused(tmp_path, SECOND_SFT, "second_sft.lerning_rate=1")
    assert message == "unknown key second_sft.lerning_rate; did you mean second_sft.learning_rate?"
    assert "unknown key r1_dev1; did you mean " in refused(tmp_path, SECOND_SFT, "r1_dev1.epochs=1")


def test_the_line_of_a_wrong_value_names_the_file_of_the_chain_that_has_it(tmp_path: Path) -> None:
    lower = write(tmp_path, 'graph = "r1_zero"\n[r1_zero]\nsteps = 0\n', "lower")
    assert refused(tmp_path, 'extends = "lower.toml"\nseed = 1\n').startswith(f"{lower}: r1_zero.steps = 0: ")


def test_another_graph_replaces_that_of_the_extended_recipe_and_its_sections(tmp_path: Path) -> None:
    own = write(tmp_path, SECOND_SFT, "own")
    config = load_recipe(write(tmp_path, f'extends = "{own}"\ngraph = "r1_zero"\n'))
    assert (config.graph, config.stages, config.inputs) == ("r1_zero", (), {})
    assert not hasattr(config, "second_sft")
    again = load_recipe(own, ["graph=r1"])
    assert (again.graph, again.stages, again.inputs) == ("r1", (), {})


def test_a_section_of_a_stage_that_has_become_another_kind_is_left_out(tmp_path: Path) -> None:
    text = 'extends = "tiny"\n' + rows("base pretrain, r1_dev1 rl_zero base")
    assert load_recipe(write(tmp_path, text)).section("r1_dev1", ZeroRLConfig) == ZeroRLConfig()


def test_graphs_and_what_is_extended_are_no_matter_of_the_command_line(tmp_path: Path) -> None:
    assert refused(tmp_path, "", "extends=tiny").startswith(
        "extends: a recipe that this one extends is named in a recipe's file"
    )
    assert refused(tmp_path, "", "stages=[]").startswith("stages: a graph of stages is named in a recipe's file")


def test_a_dry_run_says_where_each_value_came_from_and_which_code_it_would_run(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text("raise SystemExit('imported')\ndef judge(completion, problem): ...\n")
    (tmp_path / "eval.jsonl").write_text('{"question": "1 + 1?", "kind": "custom"}\n')
    middle = write(tmp_path, 'extends = "tiny"\n[r1_zero]\ngroup_size = 4\nprompts_per_step = 2\n', "middle")
    mine = write(
        tmp_path, 'extends = "middle.toml"\n' + rows("base pretrain, r1_zero rl_zero base") + '[tasks]\ntrain = "arithmetic"\n'
    )
    recipe = read_recipe(
        mine, [f"tasks.eval={tmp_path / 'eval.jsonl'}", "r1_zero.method=dapo", f"rewards.custom={tmp_path / 'reward.py'}:judge"]
    )
    text = plan_text(recipe, tmp_path / "run", plan(recipe.config, tmp_path / "run"))
    said = {line.split(" = ")[0]: line.partition("  # ")[2] for line in text.split("\n\n")[0].splitlines()[1:]}
    assert {key: said[key] for key in ("graph", "tasks.train", "r1_zero.group_size", "r1_zero.steps", "tasks.eval")} == {
        "graph": mine, "tasks.train": mine, "r1_zero.group_size": middle, "r1_zero.steps": "tiny", "tasks.eval": "command line",
    }  # fmt: skip
    assert (said["r1_zero.clip_eps_high"], said["r1_zero.top_p"]) == ("method dapo", "default")
    assert not [key for key in said if key.startswith(("r1_dev", "r1.", "stages"))]
    assert f"# Python code of yours that the run would execute\n{tmp_path / 'reward.py'}:judge  rewards.custom\n" in text


def test_a_name_must_not_shadow_what_settings_are_made_of() -> None:
    for name in ("model_dump_it", "identity", "lock", "extends", "teacher"):
        with pytest.raises(ConfigError, match="another meaning"):
            get_graph("own", [StageRow(name=name, kind="pretrain")])
    assert load_recipe("tiny", ["graph=r1_zero"]).stages == ()
