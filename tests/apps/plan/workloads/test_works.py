"""Every kind of stage is planned; a kind of somebody else is named."""

import json
from pathlib import Path

import pytest

from cogitate.apps.plan.factors import read_factors
from cogitate.apps.plan.hardware import parse_cluster, read_hardware
from cogitate.apps.plan.measured import Measured
from cogitate.apps.plan.page import plan_page
from cogitate.apps.plan.recipe_plan import RecipePlan, plan_recipe
from cogitate.apps.plan.workloads.works import READERS, works_of
from cogitate.recipe import recipe
from cogitate.recipe.kinds import KINDS
from cogitate.recipe.recipe import R1_ZERO, graph_of
from cogitate.recipe.settings import PRESETS, load_recipe
from cogitate.recipe.stage import Kind, Need, Stage

MODEL = (
    'model = {model_type = "llama", hidden_size = 64, intermediate_size = 128, num_hidden_layers = 2, num_attention_heads = 2}'
)
OWN_SETTINGS = {"pretrain_student": MODEL, "pretrain_branches": MODEL, "prune": "every_nth_layer = 2"}
NOBODYS = Kind("nobodys", "nowhere", None, reads=(), needs=(Need("model"),))


def maker_of(need: Need) -> Kind:
    """A kind that makes what is needed: fine-tuning where several kinds may be meant, else the first."""
    kinds = [KINDS[name] for name in need.kinds if name in KINDS] or list(KINDS.values())
    makers = [kind for kind in kinds if kind.makes == need.product]
    return next((kind for kind in makers if need.kinds and kind.name == "fine_tune"), makers[0])


def add_stage(kind: Kind, rows: list[tuple[str, Kind, list[str]]], taken: tuple[str, ...] = ()) -> str:
    """Append a stage of a kind after stages that make all that it can read; returns its name. A model is made once."""
    needs: list[str] = []
    for need in kind.needs:
        maker = maker_of(need)
        there = next((name for name, other, _ in rows if other is maker and name not in needs), None)
        needs.append(there or add_stage(maker, rows))
    name = "preferences" if kind.settings is None and "preferences" in kind.sections else f"s{len(rows)}_{kind.name}"
    rows.append((name, kind, needs))
    return name


def recipe_with(kind: Kind, folder: Path) -> Path:
    """A recipe file whose last stage is of this kind."""
    rows: list[tuple[str, Kind, list[str]]] = []
    add_stage(kind, rows)
    lines = ['extends = "tiny"']
    for name, of, needs in rows:
        lines += ["[[stages]]", f'name = "{name}"', f'kind = "{of.name}"', f"needs = {json.dumps(needs)}"]
    lines += [line for name, of, _ in rows if of.name in OWN_SETTINGS for line in (f"[{name}]", OWN_SETTINGS[of.name])]
    path = folder / f"{kind.name}.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def planned(name: str, gpus: str = "8xH100", *settings: str) -> RecipePlan:
    hardware = read_hardware()
    return plan_recipe(name, load_recipe(name, settings), parse_cluster(gpus, hardware), read_factors(), dated=hardware.dated)


def test_each_kind_of_stage_has_a_plan() -> None:
    assert KINDS.keys() == READERS.keys(), "a kind without its reader in apps/plan/workloads/works.py"


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_with_a_stage_of_each_kind_is_planned_whole(kind: str, tmp_path: Path) -> None:
    plan = planned(str(recipe_with(KINDS[kind], tmp_path)))
    assert kind in {stage.work.stage.kind.name for stage in plan.stages}
    for stage in plan.stages:
        assert stage.seconds is not None, f"{stage.name}: {stage.work.notes}"
        assert stage.memory is not None
        assert 0 < stage.seconds.low < stage.seconds.value < stage.seconds.high
        assert stage.memory.value > 0
    assert plan.not_planned == {}


@pytest.mark.parametrize("name", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_shipped_recipe_is_planned_whole(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COGITATE_DATA", str(tmp_path))
    given = ["inputs.base=HuggingFaceTB/SmolLM2-135M", "tasks.train=arithmetic"] if name == "own" else []
    hardware, config = read_hardware(), load_recipe(name, given)
    model = "qwen3-8b" if config.inputs and name != "own" else ""
    plan = plan_recipe(name, config, parse_cluster("8xH100", hardware), read_factors(), dated=hardware.dated, model=model)
    assert plan.not_planned == {}
    assert all(stage.seconds is not None or stage.name in config.inputs for stage in plan.stages)


def test_worked_examples_are_read_in_training_once_and_with_each_prompt_that_is_measured_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COGITATE_DATA", str(tmp_path))
    config = load_recipe("smollm2")
    works = {work.stage.name: work.works for work in works_of(graph_of(config), config, model="smollm2-135m")}
    (zero,) = works["r1_zero"]
    plain, shown, general = works["evaluate.base"]
    assert plain.sampling is not None
    assert shown.sampling is not None
    assert general.sampling is not None
    assert zero.sampling is not None
    assert plain.sampling.prompt_tokens == 100 < 250 < shown.sampling.prompt_tokens == zero.sampling.prompt_tokens
    assert zero.prefix == zero.sampling.prompt_tokens - 60
    assert zero.sampling.prefix == 0  # no prefix cache
    # Three prompts and its own template; then its RL's prompt, and further problems of two files; then general ones.
    assert plain.sampling.sequences == 4 * 4 * 250
    assert shown.sampling.sequences == 4 * (250 + 200)
    assert (general.sampling.sequences, general.graded) == (4 * 40, 0.0)
    cached = config.model_copy(update={"runtime": config.runtime.model_copy(update={"prefix_cache": 256})})
    (kept,) = next(w for w in works_of(graph_of(cached), cached, model="smollm2-135m") if w.stage.name == "r1_zero").works
    assert kept.sampling is not None
    assert kept.sampling.prefix == zero.prefix
    assert works["evaluate.r1_dev1"][0].sampling is not None
    assert len(works["evaluate.r1_dev1"]) == 2


def test_rl_without_general_prompts_is_planned_like_a_run_that_had_some() -> None:
    figures = {"completion_tokens": 50.0, "mixed_tokens": 40.0, "mixed_reasoning_tokens": 60.0}
    config = load_recipe("tiny", ["r1.general_prompts_per_step=0"])
    works = works_of(graph_of(config), config, measured=Measured({"r1": figures}, has_counts=False))
    (work,) = next(each.works for each in works if each.stage.name == "r1")
    assert (work.graded, work.scorings) == (1.0, 1.0)


def test_a_kind_of_somebody_else_is_listed_as_not_planned_and_what_comes_after_it_is_planned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    graph = (*R1_ZERO, Stage("theirs", NOBODYS, needs=("base",)))
    monkeypatch.setitem(recipe.GRAPHS, "with_theirs", graph)
    path = tmp_path / "theirs.toml"
    path.write_text('extends = "tiny"\ngraph = "with_theirs"\n', encoding="utf-8")
    plan = planned(str(path))
    assert plan.not_planned == {"theirs": "kind nobodys is not one of this package's"}
    by_name = {stage.name: stage for stage in plan.stages}
    assert by_name["theirs"].fits == "unknown"
    assert "theirs, of kind nobodys, is taken as large as what it starts from" in by_name["evaluate.theirs"].work.notes
    assert "not planned, so in no sum: theirs: kind nobodys is not one of this package's" in plan.text()
    assert plan.as_json()["not_planned"] == plan.not_planned
    assert "Not planned, so in no sum: theirs" in plan_page(plan)
