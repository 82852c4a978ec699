"""Plans of shipped recipes, answers, pages and the command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cogitate.apps.plan.commands import measured_like, parse_layout
from cogitate.apps.plan.computer.machine import unmeasured
from cogitate.apps.plan.factors import read_factors
from cogitate.apps.plan.hardware import parse_cluster, read_hardware
from cogitate.apps.plan.measured import read_measured
from cogitate.apps.plan.page import plan_page
from cogitate.apps.plan.recipe_plan import RecipePlan, plan_recipe
from cogitate.apps.plan.stage_cost import best_layout, memories_of, seconds_of_step
from cogitate.apps.plan.workloads.works import works_of
from cogitate.cli import app
from cogitate.config import RLConfig
from cogitate.costs.layout import Layout
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe
from tests.recipe.toy_recipe import toy_config

Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """`cogitate plan` with these words, without any calibration of the real machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda *words: CliRunner().invoke(app, ["plan", *words])


def planned(gpus: str, *settings: str, model: str = "") -> RecipePlan:
    hardware = read_hardware()
    config = load_recipe("tiny", settings)
    return plan_recipe("tiny", config, parse_cluster(gpus, hardware), read_factors(), dated=hardware.dated, model=model)


def test_every_stage_of_the_recipe_is_planned_with_its_evaluation() -> None:
    plan = planned("8xH100")
    assert [stage.name for stage in plan.stages][:4] == ["base", "evaluate.base", "r1_zero", "evaluate.r1_zero"]
    assert all(stage.seconds is not None and stage.memory is not None for stage in plan.stages)
    assert plan.fits == "yes"
    assert plan.gpu_hours.value == pytest.approx(8 * plan.seconds.value / 3600)
    assert plan.dollars.value == pytest.approx(2.5 * plan.gpu_hours.value)


def test_a_model_that_is_too_large_says_which_term_and_what_helps() -> None:
    plan = planned("1xA6000", model="qwen3-32b")
    assert plan.fits == "no"
    assert "r1_zero may not fit: generation needs" in plan.text()
    assert "of 47.4; most of it is states of training: more GPUs, or runtime.lora_rank" in plan.text()
    assert "r1_dev1 may not fit: training needs" in plan.text()
    assert "of 47.4; most of it is optimiser states: more GPUs, or runtime.lora_rank" in plan.text()


def test_more_steps_and_longer_completions_take_longer() -> None:
    by_name = {stage.name: stage for stage in planned("8xH100").stages}
    more = {stage.name: stage for stage in planned("8xH100", "r1_zero.steps=96").stages}
    before, after = by_name["r1_zero"].seconds, more["r1_zero"].seconds
    assert before is not None
    assert after is not None
    assert after.value == pytest.approx(2 * before.value)


def test_completions_are_drawn_beside_the_states_of_training_and_weights_travel_between() -> None:
    config = load_recipe("tiny", ["runtime.dtype=bfloat16"])
    (work,) = (each for each in works_of(graph_of(config), config, model="qwen3-8b") if each.stage.name == "r1_zero")
    cluster = parse_cluster("8xH100", read_hardware())
    memories = memories_of(work, Layout(8), cluster, read_factors(), config.runtime)
    assert memories.keys() == {"generation", "transfer", "training"}
    rests = memories["training"].terms["weights"] + memories["training"].terms["optimiser states"]
    assert memories["generation"].terms["states of training"] == memories["transfer"].terms["states of training"] == rests
    assert memories["transfer"].terms["models that score"] == memories["training"].terms["models that score"]


def test_one_process_of_this_computer_gathers_no_weights_and_has_activations_of_its_own_width() -> None:
    config, machine = load_recipe("tiny"), unmeasured(read_factors(), "float32")
    (work,) = (each for each in works_of(graph_of(config), config) if each.stage.name == "r1_dev1")
    _, _, layout = best_layout(work, machine.cluster, machine.factors, config.runtime)
    assert (layout.processes, layout.sharding) == (1, "none")
    terms = memories_of(work, layout, machine.cluster, machine.factors, config.runtime)["training"].terms
    assert "weights gathered" not in terms
    (narrow,) = (each for each in works_of(graph_of(config), config) if each.stage.name == "r1_dev1")
    half = config.runtime.model_copy(update={"dtype": "bfloat16"})
    narrow_terms = memories_of(narrow, layout, machine.cluster, machine.factors, half)["training"].terms
    assert terms["activations saved"] == 2 * narrow_terms["activations saved"]


def test_our_engine_and_its_cache_are_there_beside_the_updates_of_a_run_that_has_several() -> None:
    config, machine = load_recipe("tiny"), unmeasured(read_factors(), "float32")
    (work,) = (each for each in works_of(graph_of(config), config) if each.stage.name == "r1_zero")
    memories = memories_of(work, Layout(1, sharding="none"), machine.cluster, machine.factors, config.runtime)
    drawing, learning = memories["generation"].terms, memories["training"].terms
    assert (learning["engine"], learning["cache"]) == (drawing["engine"], drawing["cache"])
    once = replace(work, works=tuple(replace(each, steps=1.0) for each in work.works))
    found = memories_of(once, Layout(1, sharding="none"), machine.cluster, machine.factors, config.runtime)
    assert found["training"].terms["cache"] == 0.0


def test_an_evaluation_of_puzzles_takes_time_for_each_token_whose_steps_are_counted() -> None:
    machine = unmeasured(read_factors(), "float32")
    for recipe, share in (("tiny", 0.0), ("puzzles", 1.0)):
        config = load_recipe(recipe)
        (work,) = (each for each in works_of(graph_of(config), config) if each.stage.name == "evaluate.r1_dev1")
        judged, general = work.works
        assert (judged.measured, general.measured) == (share, 0.0)
        assert judged.sampling is not None
        layout = Layout(1, sharding="none")
        seconds, plain = (
            seconds_of_step(each, layout, machine.cluster, machine.factors, config.runtime)[0]
            for each in (judged, replace(judged, measured=0.0))
        )
        tokens = judged.sampling.sequences * judged.sampling.lengths.mean
        assert seconds - plain == pytest.approx(share * 1e-6 * machine.factors["measured_us"] * tokens, abs=1e-9)


def test_a_base_model_is_measured_with_three_prompts_and_rl_of_one_update_scores_nothing_again() -> None:
    config = load_recipe("tiny")
    works = {work.stage.name: work.works for work in works_of(graph_of(config), config)}
    first, later = works["evaluate.base"][0].sampling, works["evaluate.r1_zero"][0].sampling
    assert first is not None
    assert later is not None
    assert first.sequences - later.sequences == 2 * config.evaluate.problems * config.evaluate.samples
    assert works["r1_zero"][0].single_update
    assert works["r1"][0].scorings == pytest.approx(1 + 2 * 11 / 16 * 28 / 48)  # a reference, and two judges of general prompts


def test_members_of_reward_models_are_trained_one_after_another_and_read_together() -> None:
    machine, found = unmeasured(read_factors(), "float32"), {}
    for members in (1, 3):
        config = load_recipe("tiny", [f"reward_models.members={members}"])
        works = {work.stage.name: work for work in works_of(graph_of(config), config)}
        _, _, layout = best_layout(works["r1"], machine.cluster, machine.factors, config.runtime)
        memory = memories_of(works["r1"], layout, machine.cluster, machine.factors, config.runtime)["training"]
        steps = [work.steps for work in works["reward_models"].works if work.sampling is None]
        found[members] = (steps, works["r1"].works[0], memory.terms["models that score"])
    (steps, of_one, rest), (more_steps, of_three, more_rest) = found[1], found[3]
    assert more_steps == [3 * each for each in steps]
    assert of_three.scorings - 1 == pytest.approx(3 * (of_one.scorings - 1))  # a reference beside the judges
    assert (of_one.other_models, of_three.other_models) == (1 + 2, 1 + 6)
    assert more_rest == pytest.approx(7 / 3 * rest)


def test_lengths_of_a_run_that_was_made_replace_guesses(tmp_path: Path) -> None:
    stage = tmp_path / "r1_zero"
    stage.mkdir()
    (stage / "metrics.jsonl").write_text(
        '{"step": 0, "completion_tokens": 30}\n{"step": 1, "completion_tokens": 50}\n', "utf-8"
    )
    measured = read_measured(tmp_path)
    assert measured.of("r1_zero", "completion_tokens") == 40
    assert measured.of("r1_zero", "steps") == 2
    with pytest.raises(ConfigError, match=r"holds no STAGE/metrics\.jsonl"):
        read_measured(stage)
    with pytest.raises(
        ConfigError, match=r"--like .*: has no stage of this recipe \(r1_zero\): nothing could be taken from it"
    ):
        measured_like(tmp_path, toy_config(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tiny", "instruct_gpt"])
def test_every_shipped_recipe_has_a_plan_for_this_computer(command: Command, recipe: str) -> None:
    result = command(recipe)
    assert result.exit_code == 0, result.output
    assert "ships with the package" in result.output
    assert "`cogitate plan --calibrate` measures it" in result.output


def test_json_holds_what_the_table_shows(command: Command) -> None:
    content = json.loads(command("tiny", "--gpus", "64xH100", "--price", "2", "--json").output)
    assert (content["gpu"], content["gpus"], content["usd_per_gpu_hour"]) == ("H100", 64, 2)
    assert content["stages"][0]["stage"] == "base"
    assert content["usd"]["value"] == pytest.approx(2 * content["gpu_hours"]["value"])


def test_the_page_has_a_bar_and_a_row_for_each_stage_and_loads_nothing(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    assert command("tiny", "--gpus", "8xH100", "--page", str(path)).exit_code == 0
    page, plan = path.read_text(encoding="utf-8"), planned("8xH100")
    assert page == plan_page(plan)
    assert page.count('class="room"') == len(plan.stages)
    assert "http://" not in page
    assert "https://" not in page


def test_the_smallest_clusters_and_the_fastest_for_a_budget(command: Command) -> None:
    smallest = command("tiny", "--smallest", "--gpus", "H100", "--model", "qwen3-8b", "runtime.dtype=bfloat16").output
    assert "H100" in smallest
    assert command("tiny", "--budget", "100000", "--gpus", "H100").output.startswith("fastest for 100,000 USD:\n")
    assert "the cheapest is" in command("tiny", "--budget", "0.0001", "--gpus", "H100").output


def test_twice_as_long_compares_every_stage(command: Command) -> None:
    lines = command("tiny", "--gpus", "8xH100", "--twice-as-long").output.splitlines()
    assert lines[0].split()[:2] == ["stage", "time"]
    assert lines[-1].startswith("all")


def test_sixteen_gpus_of_80_gb_serve_the_released_weights_in_8_bits_and_do_not_train_them(command: Command) -> None:
    output = command("--holds", "deepseek-v3", "--gpus", "16xH100").output
    assert "serving in FP8: weights 683 GB; completions at a time:" in output
    assert "serving in bfloat16: no, the weights alone are 1,365 GB" in output
    assert "training all weights, AdamW: no, it takes" in output


def test_what_r1_cost_stands_beside_the_planners_figures(command: Command) -> None:
    content = json.loads(command("--paper-cost", "--json").output)["gpu_hours"]
    assert [row["paper"] for row in content] == [101_000, 5_000, 41_000]
    assert all(0.3 < row["predicted"]["value"] / row["paper"] < 3 for row in content)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give one of RECIPE, --holds"),
        (("tiny", "--paper-cost"), "got RECIPE and --paper-cost"),
        (("--paper-cost", "--smallest"), "--smallest is of a recipe's plan and has no effect here"),
        (("tiny", "--out", "x.json"), "--out is for --fit and --calibrate"),
        (("tiny", "--gpus", "8xH101"), "H101: unknown GPU; did you mean H100?"),
        (("tiny", "--price", "2"), "--price is of one of the --gpus"),
        (("tiny", "--gpus", "8xH100", "--layout", "tp16"), "the nearest number that can is 16"),
        (("tiny", "--gpus", "8xH100", "--layout", "tq2"), "--layout tq2: write tpN, ppN, epN and cpN once each"),
        (("tiny", "--gpus", "8xH100", "--page", "plan.pdf"), "--page plan.pdf: this page is a .html file"),
        (("tiny", "--model", "qwen3-9"), "did you mean qwen3-"),
        (("--holds", "deepseek-v3"), "name it by --gpus NxGPU"),
        (("--holds", "deepseek-v3", "--gpus", "8xH100", "--price", "2"), "plan --holds: --price has no effect here"),
        (("--calibrate", "--gpus", "8xH100"), "plan --calibrate: --gpus has no effect here; leave it out"),
        (("--calibrate", "--out", "plan.txt"), "--out plan.txt: a calibration is a .json file"),
        (("--validate", "rows.jsonl", "--price", "2"), "plan --validate: --price has no effect here"),
        (("--paper-cost", "--page", "x.html"), "plan --paper-cost: --page has no effect here"),
        (("--paper-cost", "--price", "inf"), "--price inf: give dollars an hour"),
        (("tiny", "--smallest", "--budget", "5"), "--smallest prints a list of clusters: --budget has no effect here"),
        (("tiny", "--smallest", "--layout", "tp8"), "--smallest prints a list of clusters: --layout has no effect here"),
        (("tiny", "--smallest", "--price", "2"), "--price is of one of the --gpus"),
        (("tiny", "--budget", "inf", "--gpus", "H100"), "--budget inf: give dollars, 0 or more"),
        (("tiny", "--budget", "5", "--gpus", "H100", "--price", "0"), "--budget: none of these GPUs has a price"),
        (("tiny", "--hardware", "mine.toml"), "--hardware has no effect in a plan for this computer"),
        (("tiny", "--gpus", "8xH100", "--price", "inf"), "--price inf: give dollars an hour, 0 or more"),
        (("tiny", "--gpus", "99999999xH100"), "--gpus 99999999xH100: more than 1,000,000"),
        (("tiny", "--gpus", "1000000xH100", "--layout", "tp7"), "the nearest number that can is 999999"),
        (("tiny", "--model", "./nowhere/x"), "model './nowhere/x': unknown"),
    ],
)
def test_a_mistake_is_one_line(command: Command, words: tuple[str, ...], message: str) -> None:
    result = command(*words)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_a_layout_is_written_as_degrees() -> None:
    assert parse_layout("", 8) is None
    assert parse_layout("tp2,ep=4", 8) == Layout(8, tensor=2, experts=4)
    assert parse_layout("pp2", 8) == Layout(8, pipeline=2, sharding="optimiser")


def test_experts_are_divided_where_there_are_any() -> None:
    hardware, config = read_hardware(), load_recipe("tiny")
    plan = plan_recipe(
        "tiny", config, parse_cluster("8xH100", hardware), read_factors(), dated="", layout=parse_layout("ep8", 8)
    )
    layouts = {stage.name: stage.layout for stage in plan.stages}
    assert layouts["r1_zero"] == Layout(8, experts=8)
    assert layouts["student_rl_llama"] == Layout(8)  # a dense model
    with pytest.raises(ConfigError, match="the model has no experts"):
        plan_recipe(
            "r1_zero", load_recipe("tiny", ["graph=r1_zero"]), parse_cluster("8xH100", hardware), read_factors(), dated="",
            model="qwen3-8b", layout=parse_layout("ep8", 8),
        )  # fmt: skip


def test_a_graph_of_kinds_that_are_not_planned_is_no_error(tmp_path: Path) -> None:
    config = toy_config(tmp_path)
    works = works_of(graph_of(config), config)
    assert all(not work.works and work.notes for work in works)


def test_the_papers_settings_are_planned_with_the_papers_model() -> None:
    hardware = read_hardware()
    config = load_recipe("r1_671b")
    plan = plan_recipe(
        "r1_671b", config, parse_cluster("512xH800", hardware), read_factors(), dated=hardware.dated, model="deepseek-v3"
    )
    zero = next(stage for stage in plan.stages if stage.name == "r1_zero")
    assert zero.seconds is not None
    settings = config.section("r1_zero", RLConfig)
    assert (settings.steps * settings.minibatches, settings.prompts_per_step * settings.group_size) == (10_400, 8192)
    assert 101_000 / 2 < 512 * zero.seconds.value / 3600 < 101_000 * 2  # as reported
    assert zero.fits == "no"  # the paper's weights have 8 bits, and rest in the memory of hosts between the phases
